%% The companion's one clock: CLOCK_MONOTONIC in milliseconds, the clock of
%% the link's deadlines.  It goes on while the process is stopped.
-module(hornbeam_clock).

-export([ms/0, past/1, expires/1]).

-spec ms() -> integer().
ms() ->
    os:perf_counter(millisecond).

%% -doc Whether a frame's deadline (the clock's low 32 bits, 0 for none) has passed.
-spec past(0..16#ffffffff) -> boolean().
past(0) ->
    false;
past(Deadline) ->
    %% The signed difference of 32 bits, so that the clock may wrap around.
    (ms() - Deadline) band 16#ffffffff < 16#80000000.

%% -doc The moment that is Ttl milliseconds away; 0, which means never, for 0.
-spec expires(non_neg_integer()) -> non_neg_integer().
expires(0) -> 0;
expires(Ttl) -> ms() + Ttl.
