%% Why hornbeamd has ended, or does not serve: its exit status, and the last
%% errors of its log for what the status does not say.
-module(hornbeam_attached_reason).

-export([none/0, heard/2, of_end/3, last_words/1, exit_text/1]).
-export_type([last/0, reason/0]).

-record(last, {
    of_worker = <<>> :: binary(),
    of_master = <<>> :: binary()
}).
-opaque last() :: #last{}.

-type reason() :: {kind(), Text :: binary()}.
-type kind() :: configuration | application | address | permission | companion | system | not_found | timeout | ended.
-type status() :: non_neg_integer() | unknown.

%% A start that has said nothing yet.
-spec none() -> last().
none() -> #last{}.

-spec heard(hornbeam_attached_log:line(), last()) -> last().
heard(#{level := error, text := Text, process := <<"worker", _/binary>>}, Last) ->
    case unicode:characters_to_binary(Text) of
        <<"worker: ", Cause/binary>> -> Last#last{of_worker = Cause};
        _ -> Last
    end;
heard(#{level := error, text := Text}, Last) ->
    Last#last{of_master = unicode:characters_to_binary(Text)};
heard(_Line, Last) ->
    Last.

%% The exit statuses of hornbeamd(8).  File is its configuration.
-spec of_end(status(), file:filename_all(), last()) -> reason().
of_end(70, _File, #last{of_worker = Text}) when Text =/= <<>> -> {application, Text};
of_end(Status, _File, #last{of_master = <<>>}) -> {kind(Status), unicode:characters_to_binary(exit_text(Status))};
of_end(Status, File, #last{of_master = Text}) -> {kind(Status), without_file(without_name(Text), File)}.

kind(64) -> companion;
kind(69) -> companion;
kind(70) -> application;
kind(71) -> system;
kind(73) -> address;
kind(77) -> permission;
kind(78) -> configuration;
kind(_) -> ended.

%% For the end of another text: what it said last.
-spec last_words(last()) -> unicode:chardata().
last_words(#last{of_worker = <<>>, of_master = <<>>}) -> "";
last_words(#last{of_worker = <<>>, of_master = Text}) -> ["; the last error of its log: ", Text];
last_words(#last{of_worker = Text}) -> ["; the last error of its log: ", Text].

-spec exit_text(status()) -> unicode:chardata().
exit_text(unknown) -> "ended";
exit_text(Status) when Status > 128 -> io_lib:format("killed by signal ~b", [Status - 128]);
exit_text(Status) -> io_lib:format("exit status ~b", [Status]).

without_name(<<"hornbeamd: ", Text/binary>>) -> Text;
without_name(Text) -> Text.

%% The file is ours, and says nothing to those who gave a map.
without_file(Text, File) ->
    Name = unicode:characters_to_binary(File),
    Size = byte_size(Name),
    case Text of
        <<Name:Size/binary, Rest/binary>> -> re:replace(Rest, "^(:[0-9]+)?: ", "", [{return, binary}]);
        _ -> Text
    end.
