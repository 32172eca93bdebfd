%% Eight clients over real links mix every operation, times to live and
%% deletes on a few keys; each key's history must be one that a single
%% register could have given, and the counts must be right in the end.
-module(hornbeam_random_SUITE).

-include("hornbeam_link.hrl").

-export([all/0, init_per_suite/1, end_per_suite/1]).
-export([every_key_behaves_as_one_register/1, counters_lose_nothing/1, limits_hold_under_concurrency/1]).

%% Debian's package has no header to include.
-import(proper_types, [boolean/0, frequency/1, oneof/1, range/2, vector/2]).

-define(CLIENTS, 8).
-define(KEYS, [<<"a">>, <<"b">>, <<"c">>]).

all() ->
    [every_key_behaves_as_one_register, counters_lose_nothing, limits_hold_under_concurrency].

init_per_suite(Config) ->
    Path = hb_node:start(#{max_keys => 0, max_bytes => 0, max_value => 0}),
    [{path, Path} | Config].

end_per_suite(_Config) ->
    hb_node:stop().

every_key_behaves_as_one_register(Config) ->
    Path = proplists:get_value(path, Config),
    Programs = vector(?CLIENTS, vector(30, operation())),
    Property = proper:forall(Programs, fun(Generated) -> registers(Path, Generated) end),
    Tests = list_to_integer(os:getenv("HORNBEAM_RANDOM_TESTS", "60")),
    true = proper:quickcheck(Property, [{numtests, Tests}, noshrink, quiet]).

registers(Path, Programs) ->
    _ = [hornbeam_store:delete(K) || K <- ?KEYS],
    Events = lists:append(concurrently([fun() -> run(Path, P) end || P <- Programs])),
    Wrong = [K || K <- ?KEYS, not hornbeam_linear:check([E || {Key, E} <- Events, Key =:= K])],
    report(Wrong, Events),
    Wrong =:= [] andalso counts_right().

report(Wrong, Events) ->
    [ct:pal("key ~s:~n~p", [K, lists:keysort(1, [E || {Key, E} <- Events, Key =:= K])]) || K <- Wrong].

%% What the table says that it holds is what it holds.
counts_right() ->
    #{keys := Keys, bytes := Bytes, ttls := Ttls} = hornbeam_counts:info(),
    Rows = ets:tab2list(hornbeam_state),
    {Keys, Bytes, Ttls} =:= {
        length(Rows),
        lists:sum([byte_size(K) + size_of(V) || {K, V, _, _} <- Rows]),
        length([E || {_, _, _, E} <- Rows, E > 0])
    }.

size_of(V) when is_integer(V) -> 8;
size_of(V) -> byte_size(V).

operation() ->
    Key = oneof(?KEYS),
    frequency([
        {4, {get, Key}},
        {2, {gets, Key}},
        {1, {ttl, Key}},
        {1, {exists, Key}},
        {1, {keys, <<>>}},
        {2, {get_multi, ?KEYS}},
        {3, {{set, value(), ttl()}, Key}},
        {2, {{add, value(), ttl()}, Key}},
        {2, {{replace, value(), ttl()}, Key}},
        {2, {{set_multi, value(), value(), ttl()}, Key}},
        {3, {delete, Key}},
        {6, {{incr, range(-3, 3), ttl()}, Key}},
        {4, {{cas, value()}, Key}},
        {2, {{expire, ttl()}, Key}},
        {2, {{fetch, value(), ttl(), boolean()}, Key}}
    ]).

value() -> oneof([range(0, 5), term_to_binary(x), term_to_binary(<<"yes">>)]).

%% Milliseconds: mostly so few that keys expire under the operations.
ttl() -> frequency([{3, 0}, {4, range(1, 4)}, {1, 20}]).

concurrently(Funs) ->
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), Fun()} end) || Fun <- Funs],
    [receive {Pid, Result} -> Result end || Pid <- Pids].

%% One client's program; the events, with their keys.
run(Path, Program) ->
    Socket = hb_client:connect(Path),
    {Events, _} = lists:mapfoldl(fun(Op, Versions) -> step(Socket, Op, Versions) end, #{}, Program),
    hb_client:close(Socket),
    lists:append(Events).

step(Socket, {gets, Key}, Versions) ->
    [{Key, {_, _, _, Result}}] = Events = one(Socket, gets, ?HB_OP_GETS, Key, Key),
    {Events, case Result of {_, Version} -> Versions#{Key => Version}; none -> Versions#{Key => 0} end};
step(Socket, {{cas, V}, Key}, Versions) ->
    Version = maps:get(Key, Versions, 0),
    {one(Socket, {cas, V, Version}, ?HB_OP_CAS, {Key, V, Version}, Key), Versions};
step(Socket, {Op, Key}, Versions) ->
    {perform(Socket, Op, Key), Versions}.

perform(Socket, get, Key) ->
    one(Socket, get, ?HB_OP_GET, Key, Key);
perform(Socket, ttl, Key) ->
    one(Socket, ttl, ?HB_OP_TTL, Key, Key);
perform(Socket, {set, V, Ttl} = Op, Key) ->
    one(Socket, Op, ?HB_OP_SET, {Key, V, Ttl}, Key);
perform(Socket, {add, V, Ttl} = Op, Key) ->
    one(Socket, Op, ?HB_OP_ADD, {Key, V, Ttl}, Key);
perform(Socket, {replace, V, Ttl} = Op, Key) ->
    one(Socket, Op, ?HB_OP_REPLACE, {Key, V, Ttl}, Key);
perform(Socket, delete, Key) ->
    one(Socket, delete, ?HB_OP_DELETE, Key, Key);
perform(Socket, {incr, Delta, Ttl} = Op, Key) ->
    one(Socket, Op, ?HB_OP_INCR, {Key, Delta, Ttl}, Key);
perform(Socket, {expire, Ttl} = Op, Key) ->
    one(Socket, Op, ?HB_OP_EXPIRE, {Key, Ttl}, Key);
perform(Socket, exists, Key) ->
    [{Key, {Start, End, exists, [Result]}}] = one(Socket, exists, ?HB_OP_EXISTS, [Key], Key),
    [{Key, {Start, End, exists, Result}}];
perform(Socket, keys, Prefix) ->
    {Start, End, {ok, Found}} = timed(Socket, ?HB_OP_KEYS, {Prefix, 0}),
    Found = lists:sort(Found),
    [{Key, {Start, End, exists, lists:member(Key, Found)}} || Key <- ?KEYS];
perform(Socket, get_multi, Keys) ->
    {Start, End, {ok, Values}} = timed(Socket, ?HB_OP_GET_MULTI, Keys),
    [{Key, {Start, End, get, V}} || {Key, V} <- lists:zip(Keys, Values)];
perform(Socket, {set_multi, V, Other, Ttl}, Key) ->
    [Second | _] = ?KEYS -- [Key],
    {Start, End, {ok, ok}} = timed(Socket, ?HB_OP_SET_MULTI, {[{Key, V}, {Second, Other}], Ttl}),
    [{Key, {Start, End, {set, V, Ttl}, ok}}, {Second, {Start, End, {set, Other, Ttl}, ok}}];
perform(Socket, {fetch, V, Ttl, Puts}, Key) ->
    case timed(Socket, ?HB_OP_FETCH, Key) of
        {Start, End, {ok, {value, Found}}} ->
            [{Key, {Start, End, get, Found}}];
        {Start, End, {ok, {lease, Token}}} when Puts ->
            {Start2, End2, {ok, true}} = timed(Socket, ?HB_OP_FETCH_PUT, {Key, Token, V, Ttl}),
            [{Key, {Start, End, get, none}}, {Key, {Start2, End2, {set, V, Ttl}, ok}}];
        {Start, End, {ok, {lease, Token}}} ->
            {ok, ok} = hb_client:call(Socket, ?HB_OP_FETCH_DROP, {Key, Token}),
            [{Key, {Start, End, get, none}}]
    end.

one(Socket, Op, Number, Request, Key) ->
    {Start, End, Answer} = timed(Socket, Number, Request),
    Result = case Answer of {ok, R} -> R; {error, {type, _}} -> type end,
    [{Key, {Start, End, Op, Result}}].

timed(Socket, Number, Request) ->
    Start = os:perf_counter(microsecond),
    Answer = hb_client:call(Socket, Number, Request),
    {Start, os:perf_counter(microsecond), Answer}.

counters_lose_nothing(Config) ->
    Path = proplists:get_value(path, Config),
    _ = hornbeam_store:delete(<<"n">>),
    Add = fun() ->
        Socket = hb_client:connect(Path),
        Results = [hb_client:call(Socket, ?HB_OP_INCR, {<<"n">>, 1, 60000}) || _ <- lists:seq(1, 500)],
        hb_client:close(Socket),
        [N || {ok, N} <- Results]
    end,
    Seen = lists:append(concurrently(lists:duplicate(?CLIENTS, Add))),
    true = lists:sort(Seen) =:= lists:seq(1, ?CLIENTS * 500).

%% Eight writers and deleters against a limit of 20 keys: it is never passed, and all of it can be used.
limits_hold_under_concurrency(_Config) ->
    ok = hb_node:stop(),
    Path = hb_node:start(#{max_keys => 20, max_bytes => 2000, max_value => 0}),
    Fill = fun() ->
        Socket = hb_client:connect(Path),
        Seen = [fill(Socket) || _ <- lists:seq(1, 300)],
        hb_client:close(Socket),
        Seen
    end,
    Seen = lists:append(concurrently(lists:duplicate(?CLIENTS, Fill))),
    true = lists:all(fun({Keys, Bytes}) -> Keys =< 20 andalso Bytes =< 2000 end, Seen),
    true = counts_right(),
    _ = [hornbeam_store:delete(K) || K <- hornbeam_store:keys(<<>>, 0)],
    #{keys := 0, bytes := 0} = hornbeam_counts:info(),
    ok = hornbeam_store:set_multi([{<<"k", N>>, 1} || N <- lists:seq(1, 20)], 0).

fill(Socket) ->
    Key = <<"k", (rand:uniform(40))>>,
    Value = term_to_binary(binary:copy(<<"v">>, rand:uniform(200))),
    Request =
        case rand:uniform(5) of
            1 -> {?HB_OP_DELETE, Key};
            2 -> {?HB_OP_SET_MULTI, {[{Key, Value}, {<<"m">>, 1}, {<<"n">>, Value}], 2}};
            3 -> {?HB_OP_INCR, {Key, 1, 3}};
            _ -> {?HB_OP_SET, {Key, Value, rand:uniform(4) - 1}}
        end,
    case hb_client:call(Socket, element(1, Request), element(2, Request)) of
        {ok, _} -> ok;
        {error, {Class, _}} when Class =:= limit; Class =:= type -> ok
    end,
    #{keys := Keys, bytes := Bytes} = hornbeam_counts:info(),
    {Keys, Bytes}.
