%% hornbeamd's lines for the node's logger.  A line of its log keeps its level
%% and its time; what else is printed (by applications, or the access log) is a
%% notice.  Beyond ?LINES a second, or while the logger does not take them,
%% lines are dropped and counted: a flood neither fills this node's memory nor
%% sets off the overload protection that others' messages depend on.
%%
%% The lines come from this module, so that
%% logger:set_module_level(hornbeam_attached_log, info) shows what hornbeamd
%% tells of its life.
-module(hornbeam_attached_log).

-export([start_link/0, stop/1, line/2, parse/1]).
-export_type([log/0, line/0]).

-include_lib("kernel/include/logger.hrl").

%% The handlers of OTP's logger allow 500 in a second for the whole node.
-define(LINES, 200).
-define(WAITING_MAX, 500).
-define(WAITING, 1).
-define(DROPPED, 2).
-define(TEXT_MAX, 4096).

-record(log, {
    writer :: pid(),
    counters :: counters:counters_ref(),
    left = ?LINES :: number(),
    at :: integer()
}).
-opaque log() :: #log{}.
-type line() :: #{level := logger:level(), text := unicode:chardata(), process => binary(), pid => binary(), time => integer()}.

-spec start_link() -> log().
start_link() ->
    Counters = counters:new(2, [atomics]),
    Writer = spawn_link(fun() -> write(Counters, infinity) end),
    #log{writer = Writer, counters = Counters, at = hornbeam_clock:ms()}.

%% @doc Returns when what was taken is logged, or after a second.
-spec stop(log()) -> ok.
stop(#log{writer = Writer}) ->
    Monitor = monitor(process, Writer),
    Writer ! stop,
    receive
        {'DOWN', Monitor, process, _, _} -> ok
    after 1000 ->
        unlink(Writer),
        exit(Writer, kill),
        ok
    end.

%% @doc Logs a line, or counts it as dropped.  Never waits.
-spec line(line(), log()) -> log().
line(#{level := Level} = Line, Log) ->
    case logger:allow(Level, ?MODULE) of
        true -> admit(Line, refill(Log));
        false -> Log
    end.

admit(Line, #log{left = Left, counters = Counters, writer = Writer} = Log) ->
    case Left >= 1 andalso counters:get(Counters, ?WAITING) < ?WAITING_MAX of
        true ->
            ok = counters:add(Counters, ?WAITING, 1),
            Writer ! {line, Line},
            Log#log{left = Left - 1};
        false ->
            ok = counters:add(Counters, ?DROPPED, 1),
            Log
    end.

refill(#log{left = Left, at = At} = Log) ->
    Now = hornbeam_clock:ms(),
    Log#log{left = min(?LINES, Left + (Now - At) * ?LINES / 1000), at = Now}.

%% In a process of its own, since a handler may let it wait.
write(Counters, Patience) ->
    receive
        {line, Line} ->
            log(Line),
            ok = counters:sub(Counters, ?WAITING, 1),
            write(Counters, 1000);
        stop ->
            tell_dropped(Counters);
        Message ->
            ?LOG_WARNING("attached: unexpected message ~0tP", [Message, 20]),
            write(Counters, Patience)
    after Patience ->
        %% Lines are only dropped soon after others were taken.
        ok = tell_dropped(Counters),
        write(Counters, infinity)
    end.

tell_dropped(Counters) ->
    case counters:get(Counters, ?DROPPED) of
        0 ->
            ok;
        N ->
            ok = counters:sub(Counters, ?DROPPED, N),
            ?LOG_WARNING("hornbeamd: ~b lines of its log were dropped", [N])
    end.

log(#{level := Level, text := Text} = Line) ->
    Meta = maps:with([time], Line),
    case Line of
        #{process := Process, pid := Pid} -> ?LOG(Level, "~ts[~ts]: ~ts", [Process, Pid, Text], Meta);
        _ -> ?LOG(Level, "~ts", [Text], Meta)
    end.

%% @doc What a line of hornbeamd's output says.
-spec parse(binary()) -> line().
parse(<<Stamp:24/binary, " ", Rest/binary>> = Line) ->
    try
        <<_:4/binary, $-, _:2/binary, $-, _:2/binary, $T, _:12/binary, $Z>> = Stamp,
        [Word, Said] = binary:split(Rest, <<" ">>),
        [Who, Text] = binary:split(Said, <<"]: ">>),
        [Process, Pid] = binary:split(Who, <<"[">>),
        _ = binary_to_integer(Pid),
        #{
            level => level(Word),
            time => calendar:rfc3339_to_system_time(binary_to_list(Stamp), [{unit, microsecond}]),
            process => Process,
            pid => Pid,
            text => printable(Text)
        }
    catch
        error:_ -> plain(Line)
    end;
parse(<<"hornbeamd: ", Text/binary>>) ->
    #{level => error, text => ["hornbeamd: ", printable(Text)]};
parse(Line) ->
    plain(Line).

plain(Line) ->
    #{level => notice, text => printable(Line)}.

level(<<"debug">>) -> debug;
level(<<"info">>) -> info;
level(<<"warning">>) -> warning;
level(<<"error">>) -> error.

%% UTF-8 as it is; other bytes and control characters as \xNN.
printable(Line) when byte_size(Line) > ?TEXT_MAX ->
    printable(binary:part(Line, 0, ?TEXT_MAX));
printable(Line) ->
    case is_plain(Line) of
        true -> Line;
        false -> escape(Line)
    end.

is_plain(<<C, Rest/binary>>) when C >= 32, C < 127 -> is_plain(Rest);
is_plain(<<>>) -> true;
is_plain(_) -> false.

escape(<<C/utf8, Rest/binary>>) when C >= 32, C < 127; C >= 160; C =:= $\t -> [<<C/utf8>> | escape(Rest)];
escape(<<B, Rest/binary>>) -> [io_lib:format("\\x~2.16.0b", [B]) | escape(Rest)];
escape(<<>>) -> [].
