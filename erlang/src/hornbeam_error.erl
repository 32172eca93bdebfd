%% Refusals: what a client or a caller did wrong, thrown where it is found and
%% turned into an error reply by the link, into an exception by hornbeam_state.
-module(hornbeam_error).

-export([throw/2, run/1, key/1]).
-export_type([class/0]).

-type class() :: type | value | limit | version | denied | protocol | system | timeout | connect | missing.

-spec throw(class(), iodata()) -> no_return().
throw(Class, Text) ->
    erlang:throw({refused, Class, iolist_to_binary(Text)}).

%% @doc What Fun returns; a refusal becomes the exception that Erlang code gets, error({Class, Text}).
-spec run(fun(() -> Value)) -> Value.
run(Fun) ->
    try
        Fun()
    catch
        throw:{refused, Class, Text} ->
            erlang:error({Class, Text});
        error:badarg:Stack ->
            %% The tables go with the application.
            _ = whereis(hornbeam_sup) =/= undefined orelse
                erlang:error({system, <<"the application hornbeam does not run in this node">>}),
            erlang:raise(error, badarg, Stack)
    end.

%% @doc A key as an error's text shows it: quoted, cut to a readable length.
-spec key(binary()) -> iodata().
key(Key) ->
    Start = binary:part(Key, 0, min(64, byte_size(Key))),
    case unicode:characters_to_binary(Start) of
        Text when is_binary(Text) -> [$', Text, $'];
        {_, Text, _} when Start =/= Key -> [$', Text, "...'"];
        _ -> io_lib:format("~w", [Start])
    end.
