%% Whether the history of one key is one that a single register with a clock
%% could have given (Wing and Gong's search, with the positions that failed
%% remembered).
%%
%% An event is {Start, End, Operation, Result}, times in microseconds: the
%% operation took effect at one moment between the two.  Times to live are
%% whole milliseconds, and so are the moments of expiry.  When a value expires
%% is known only within a range, as the moment at which it was set is: each
%% later answer narrows the range.
-module(hornbeam_linear).

-export([check/1]).

%% A stored value: version unknown until an answer tells it; Soonest and
%% Latest are bounds of the moment of expiry, infinity for never.
-record(cell, {value, version = unknown, soonest = infinity, latest = infinity}).

check(Events) ->
    Sorted = list_to_tuple(lists:keysort(1, Events)),
    All = (1 bsl tuple_size(Sorted)) - 1,
    case search(All, absent, 0, Sorted, #{}) of
        true -> true;
        {false, _} -> false
    end.

%% Left: a bit for each event that has not been placed; Now: the moment of the last that was.
search(0, _State, _Now, _Events, _Failed) ->
    true;
search(Left, State, Now, Events, Failed) ->
    Place = {Left, State, Now},
    case Failed of
        #{Place := _} -> {false, Failed};
        _ -> try_each(candidates(Left, Events), Place, Events, Failed)
    end.

try_each([], Place, _Events, Failed) ->
    {false, Failed#{Place => true}};
try_each([N | Others], {Left, State, Now} = Place, Events, Failed) ->
    {Start, End, _, _} = Event = element(N, Events),
    Moment = max(Start, Now),
    Outcomes = case Moment =< End of true -> steps(Event, State, Moment); false -> [] end,
    case try_outcomes(Outcomes, Left band bnot (1 bsl (N - 1)), Events, Failed) of
        true -> true;
        {false, More} -> try_each(Others, Place, Events, More)
    end.

try_outcomes([], _Left, _Events, Failed) ->
    {false, Failed};
try_outcomes([{State, Now} | Others], Left, Events, Failed) ->
    case search(Left, State, Now, Events, Failed) of
        true -> true;
        {false, More} -> try_outcomes(Others, Left, Events, More)
    end.

%% The events that may come next: none that began after another had ended.
candidates(Left, Events) ->
    Open = [N || N <- lists:seq(1, tuple_size(Events)), Left band (1 bsl (N - 1)) =/= 0],
    FirstEnd = lists:min([element(2, element(N, Events)) || N <- Open]),
    [N || N <- Open, element(1, element(N, Events)) =< FirstEnd].

%% Every way in which the register can give the result: what it is afterwards, and the earliest moment for that.
steps({_, _, Op, Result} = Event, absent, Now) ->
    [{State, Now} || State <- absent(Op, Result, Event)];
steps({_, End, Op, Result} = Event, #cell{soonest = Soonest, latest = Latest} = Cell, Now) ->
    Alive = [
        {State, Now}
     || Now < Latest, State <- present(Op, Result, Event, Now, alive_at(Now, Cell))
    ],
    Gone = [{State, max(Now, Soonest)} || Soonest =< End, State <- absent(Op, Result, Event)],
    Alive ++ Gone.

alive_at(_Now, #cell{soonest = infinity} = Cell) -> Cell;
alive_at(Now, #cell{soonest = Soonest} = Cell) -> Cell#cell{soonest = max(Soonest, Now + 1)}.

%% What an operation on an absent key makes of it, as a list: empty if it cannot give that result.
absent(get, none, _) -> [absent];
absent(gets, none, _) -> [absent];
absent(ttl, none, _) -> [absent];
absent(exists, false, _) -> [absent];
absent({set, V, Ttl}, ok, E) -> [new(V, Ttl, E)];
absent({add, V, Ttl}, true, E) -> [new(V, Ttl, E)];
absent({replace, _, _}, false, _) -> [absent];
absent(delete, false, _) -> [absent];
absent({incr, D, Ttl}, D, E) -> [new(D, Ttl, E)];
absent({cas, V, 0}, true, E) -> [new(V, 0, E)];
absent({cas, _, Version}, false, _) when Version > 0 -> [absent];
absent({expire, _}, false, _) -> [absent];
absent(_, _, _) -> [].

present(get, V, _, _, #cell{value = V} = Cell) -> [Cell];
present(gets, {V, Version}, _, _, #cell{value = V, version = unknown} = Cell) -> [Cell#cell{version = Version}];
present(gets, {V, Version}, _, _, #cell{value = V, version = Version} = Cell) -> [Cell];
present(ttl, infinity, _, _, #cell{soonest = infinity} = Cell) -> [Cell];
present(ttl, Ms, {_, End, _, _}, Now, Cell) when is_integer(Ms) -> narrow(after_ms(Now, Ms), after_ms(End, Ms), Cell);
present(exists, true, _, _, Cell) -> [Cell];
present({set, V, Ttl}, ok, E, _, _) -> [new(V, Ttl, E)];
present({add, _, _}, false, _, _, Cell) -> [Cell];
present({replace, V, Ttl}, true, E, _, _) -> [new(V, Ttl, E)];
present(delete, true, _, _, _) -> [absent];
present({incr, D, _}, R, _, _, #cell{value = N} = Cell) when is_integer(N), R =:= N + D ->
    [Cell#cell{value = R, version = unknown}];
present({incr, _, _}, type, _, _, #cell{value = V} = Cell) when not is_integer(V) -> [Cell];
present({cas, _, 0}, false, _, _, Cell) -> [Cell];
present({cas, V, Version}, true, _, _, #cell{version = Version} = Cell) ->
    [Cell#cell{value = V, version = unknown}];
present({cas, _, Version}, false, _, _, #cell{version = Other} = Cell) when Version =/= Other -> [Cell];
present({expire, Ttl}, true, E, _, Cell) -> [expiring(Cell, Ttl, E)];
present(_, _, _, _, _) -> [].

new(Value, Ttl, Event) ->
    expiring(#cell{value = Value}, Ttl, Event).

expiring(Cell, 0, _Event) ->
    Cell#cell{soonest = infinity, latest = infinity};
expiring(Cell, Ttl, {Start, End, _, _}) ->
    Cell#cell{soonest = after_ms(Start, Ttl), latest = after_ms(End, Ttl)}.

after_ms(Moment, Ms) ->
    (Moment div 1000 + Ms) * 1000.

narrow(_From, _To, #cell{soonest = infinity}) ->
    [];
%% The answer is 1 in the last millisecond as well.
narrow(From, To, #cell{soonest = Soonest, latest = Latest} = Cell) ->
    case {max(From - 1000, Soonest), min(To, Latest)} of
        {S, L} when S =< L -> [Cell#cell{soonest = S, latest = L}];
        _ -> []
    end.
