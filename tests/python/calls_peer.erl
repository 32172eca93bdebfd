%% What the tests of calls have called.
-module(calls_peer).
-export([echo/1, fine/1, failed/1, raises/2, late/2, held/1, is_held/1, colliding/0, improper/0, killed/0]).

echo(X) -> X.

fine(X) -> {ok, X}.

failed(X) -> {error, X}.

raises(Class, Reason) -> erlang:raise(Class, Reason, []).

late(Ms, X) ->
    timer:sleep(Ms),
    X.

%% Under way until it is killed.
held(Name) ->
    true = register(binary_to_atom(Name), self()),
    receive
        never -> ok
    end.

is_held(Name) -> whereis(binary_to_atom(Name)) =/= undefined.

colliding() -> #{1 => a, 1.0 => b}.

improper() -> [1 | 2].

killed() -> exit(self(), kill).
