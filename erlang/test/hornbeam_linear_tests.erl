%% The checker of histories itself: it accepts what a register can do and
%% finds the faults that a store could have.
-module(hornbeam_linear_tests).

-include_lib("eunit/include/eunit.hrl").

%% The cases below are written in milliseconds.
linear(Events) ->
    hornbeam_linear:check([{1000 * Start, 1000 * End, Op, Result} || {Start, End, Op, Result} <- Events]).

accepts_test_() ->
    [{Name, ?_assert(linear(Events))} || {Name, Events} <- [
        {"nothing at all", []},
        {"a read that overlaps a write, either way", [{0, 10, {set, a, 0}, ok}, {2, 4, get, none}, {3, 5, get, a}]},
        {"two counts at once in either order", [{0, 9, {incr, 1, 0}, 2}, {0, 9, {incr, 1, 0}, 1}]},
        {"a value until it expires", [{0, 1, {set, a, 5}, ok}, {4, 4, get, a}, {7, 7, get, none}]},
        {"an expiry between its earliest and latest moment",
            [{0, 3, {set, a, 5}, ok}, {6, 6, get, none}]},
        {"a swap with the version that was read",
            [{0, 1, {set, a, 0}, ok}, {2, 3, gets, {a, 7}}, {4, 5, {cas, b, 7}, true}, {6, 7, get, b}]},
        {"a counter that expires and starts anew",
            [{0, 1, {incr, 1, 3}, 1}, {2, 2, {incr, 1, 3}, 2}, {6, 7, {incr, 1, 3}, 1}]}
    ]].

finds_test_() ->
    [{Name, ?_assertNot(linear(Events))} || {Name, Events} <- [
        {"a lost count", [{0, 9, {incr, 1, 0}, 1}, {0, 9, {incr, 1, 0}, 1}]},
        {"a count that was made twice", [{0, 1, {incr, 1, 0}, 1}, {2, 3, get, 2}]},
        {"a stale read", [{0, 1, {set, a, 0}, ok}, {2, 3, {set, b, 0}, ok}, {4, 5, get, a}]},
        {"a read that went back", [{0, 9, {set, a, 0}, ok}, {1, 2, get, a}, {3, 4, get, none}]},
        {"a value seen after it had expired", [{0, 1, {set, a, 5}, ok}, {7, 7, get, a}]},
        {"a value that expired too soon", [{0, 1, {set, a, 5}, ok}, {4, 4, get, none}]},
        {"a value that came back to life",
            [{0, 1, {set, a, 5}, ok}, {5, 9, {expire, 50}, true}, {6, 7, get, none}, {10, 11, get, a}]},
        {"two swaps with one version",
            [{0, 1, {set, a, 0}, ok}, {2, 3, gets, {a, 7}}, {4, 9, {cas, b, 7}, true}, {4, 9, {cas, c, 7}, true}]},
        {"two deletes of one value", [{0, 1, {set, a, 0}, ok}, {2, 9, delete, true}, {2, 9, delete, true}]},
        {"a key added twice", [{0, 9, {add, a, 0}, true}, {0, 9, {add, b, 0}, true}]},
        {"a time to live that grew", [{0, 1, {set, a, 50}, ok}, {2, 3, ttl, 60}]}
    ]].
