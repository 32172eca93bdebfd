%% The companion's one clock: CLOCK_MONOTONIC in milliseconds, the clock of
%% the link's deadlines.  It goes on while the process is stopped.
-module(hornbeam_clock).

-export([ms/0, past/1, left/1, start/2, stop/1, expires/1]).

-spec ms() -> integer().
ms() ->
    os:perf_counter(millisecond).

%% @doc Whether a frame's deadline (the clock's low 32 bits, 0 for none) has passed.
-spec past(0..16#ffffffff) -> boolean().
past(0) ->
    false;
past(Deadline) ->
    %% The signed difference of 32 bits, so that the clock may wrap around.
    (ms() - Deadline) band 16#ffffffff < 16#80000000.

%% @doc The milliseconds until such a deadline, infinity for 0.
-spec left(0..16#ffffffff) -> non_neg_integer() | infinity.
left(0) ->
    infinity;
left(Deadline) ->
    Left = (Deadline - ms()) band 16#ffffffff,
    case Left < 16#80000000 of
        true -> Left;
        false -> 0
    end.

%% @doc So many milliseconds from now the calling process gets {timeout, Timer, Message}.
-spec start(timeout(), term()) -> reference() | undefined.
start(infinity, _Message) -> undefined;
start(Ms, Message) -> erlang:start_timer(Ms, self(), Message).

-spec stop(reference() | undefined) -> ok.
stop(undefined) -> ok;
stop(Timer) -> erlang:cancel_timer(Timer, [{async, true}, {info, false}]).

%% @doc The moment that is Ttl milliseconds away; 0, which means never, for 0.
-spec expires(non_neg_integer()) -> non_neg_integer().
expires(0) -> 0;
expires(Ttl) -> ms() + Ttl.
