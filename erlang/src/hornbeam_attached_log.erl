%% hornbeamd's lines for the node's logger.  A line of its log keeps its level
%% and its time; what else is printed (by applications, or the access log) is a
%% notice.  A flood must neither fill this node's memory nor set off the overload
%% protection of the logger's handlers, which drops everybody's messages: so lines
%% are handed on at a pace that leaves room for others', and those that find
%% ?WAITING_MAX waiting, also because the logger takes none, are dropped and counted.
%%
%% The lines come from this module, so that
%% logger:set_module_level(hornbeam_attached_log, info) shows what hornbeamd
%% tells of its life.
-module(hornbeam_attached_log).

-export([start_link/0, stop/1, line/2, parse/1]).
-export_type([log/0, line/0]).

-include_lib("kernel/include/logger.hrl").

%% OTP's handlers drop beyond 500 in a second, or where 200 wait (the handler itself may have to wait, too).
-define(IN_A_SECOND, 200).
-define(AT_ONCE, 100).
-define(WAITING_MAX, 300).
-define(TEXT_MAX, 4096).
%% More than ?WAITING_MAX lines take.
-define(LAST_MS, 2000).
%% Lines that were dropped are told of so long after the first that came, and again while a flood goes on.
-define(TELL_MS, 1000).
%% The counters.
-define(WAITING, 1).
-define(DROPPED, 2).

-record(log, {writer :: pid(), counters :: counters:counters_ref()}).
-opaque log() :: #log{}.
-type line() :: #{level := logger:level(), text := unicode:chardata(), process => binary(), pid => binary(), time => integer()}.

%% How many lines may go at once, at a time.
-record(pace, {left = ?AT_ONCE :: number(), at = hornbeam_clock:ms() :: integer()}).

-spec start_link() -> log().
start_link() ->
    Counters = counters:new(2, [atomics]),
    #log{writer = spawn_link(fun() -> write(Counters, #pace{}, infinity) end), counters = Counters}.

%% @doc Returns when what was taken is logged, or after two seconds.
-spec stop(log()) -> ok.
stop(#log{writer = Writer}) ->
    Monitor = monitor(process, Writer),
    Writer ! stop,
    receive
        {'DOWN', Monitor, process, _, _} -> ok
    after ?LAST_MS ->
        unlink(Writer),
        exit(Writer, kill),
        ok
    end.

%% @doc Logs a line, or counts it as dropped.  Never waits.
-spec line(line(), log()) -> ok.
line(#{level := Level} = Line, Log) ->
    case logger:allow(Level, ?MODULE) of
        true -> admit(Line, Log);
        false -> ok
    end.

admit(Line, #log{counters = Counters, writer = Writer}) ->
    case counters:get(Counters, ?WAITING) < ?WAITING_MAX of
        true ->
            ok = counters:add(Counters, ?WAITING, 1),
            Writer ! {line, Line},
            ok;
        false ->
            counters:add(Counters, ?DROPPED, 1)
    end.

%% In a process of its own, since a handler may let it wait.  Due is when to tell what was dropped.
write(Counters, Pace, Due) ->
    receive
        {line, Line} ->
            After = paced(Pace),
            log(Line),
            ok = counters:sub(Counters, ?WAITING, 1),
            write(Counters, After, due(Counters, Due, hornbeam_clock:ms()));
        stop ->
            tell_dropped(Counters);
        Message ->
            ?LOG_WARNING("attached: unexpected message ~0tP", [Message, 20]),
            write(Counters, Pace, Due)
    after left(Due) ->
        %% Lines are only dropped while others wait.
        ok = tell_dropped(Counters),
        write(Counters, Pace, infinity)
    end.

due(_Counters, infinity, Now) ->
    Now + ?TELL_MS;
due(Counters, Due, Now) when Now >= Due ->
    ok = tell_dropped(Counters),
    Now + ?TELL_MS;
due(_Counters, Due, _Now) ->
    Due.

left(infinity) -> infinity;
left(Due) -> max(0, Due - hornbeam_clock:ms()).

%% Waits until a line may go.
paced(#pace{left = Left, at = At}) ->
    Now = hornbeam_clock:ms(),
    case min(?AT_ONCE, Left + (Now - At) * ?IN_A_SECOND / 1000) of
        Some when Some >= 1 ->
            #pace{left = Some - 1, at = Now};
        Few ->
            ok = timer:sleep(ceil((1 - Few) * 1000 / ?IN_A_SECOND)),
            paced(#pace{left = Few, at = Now})
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
