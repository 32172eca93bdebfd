%% The operations of the state, one process at a time.
-module(hornbeam_store_tests).

-include_lib("eunit/include/eunit.hrl").

-define(V(Term), (term_to_binary(Term))).

operations_test_() ->
    {foreach, fun() -> start(#{}) end, fun(_) -> hb_node:stop() end, [
        {atom_to_list(Name), {timeout, 300, fun ?MODULE:Name/0}}
     || {Name, 0} <- lists:sort(?MODULE:module_info(exports)), lists:member($\s, atom_to_list(Name))
    ]}.

-compile([export_all, nowarn_export_all]).

start(Limits) ->
    hb_node:start(maps:merge(#{max_keys => 0, max_bytes => 0, max_value => 0}, Limits)).

'a value comes back'() ->
    ok = hornbeam_store:set(<<"k">>, ?V({a, [1]}), 0),
    ?assertEqual({ok, ?V({a, [1]})}, hornbeam_store:get(<<"k">>)),
    ok = hornbeam_store:set(<<"k">>, 7, 0),
    ?assertEqual({ok, 7}, hornbeam_store:get(<<"k">>)),
    ?assertEqual(none, hornbeam_store:get(<<"other">>)).

'set without a time to live clears one'() ->
    ok = hornbeam_store:set(<<"k">>, 1, 60000),
    ?assert(is_integer(hornbeam_store:ttl(<<"k">>))),
    ok = hornbeam_store:set(<<"k">>, 1, 0),
    ?assertEqual(infinity, hornbeam_store:ttl(<<"k">>)).

'add and replace have their conditions'() ->
    ?assertNot(hornbeam_store:replace(<<"k">>, 1, 0)),
    ?assert(hornbeam_store:add(<<"k">>, 2, 0)),
    ?assertNot(hornbeam_store:add(<<"k">>, 3, 0)),
    ?assert(hornbeam_store:replace(<<"k">>, 4, 0)),
    ?assertEqual({ok, 4}, hornbeam_store:get(<<"k">>)).

'a compare and swap needs the version and keeps the time to live'() ->
    ?assert(hornbeam_store:cas(<<"k">>, 1, 0)),
    ?assertNot(hornbeam_store:cas(<<"k">>, 2, 0)),
    true = hornbeam_store:expire(<<"k">>, 60000),
    {1, Version} = hornbeam_store:gets(<<"k">>),
    ?assert(hornbeam_store:cas(<<"k">>, 2, Version)),
    ?assertNot(hornbeam_store:cas(<<"k">>, 3, Version)),
    ?assert(is_integer(hornbeam_store:ttl(<<"k">>))),
    ?assertEqual({ok, 2}, hornbeam_store:get(<<"k">>)).

'a key that was deleted and made again has another version'() ->
    ok = hornbeam_store:set(<<"k">>, 1, 0),
    {1, Version} = hornbeam_store:gets(<<"k">>),
    true = hornbeam_store:delete(<<"k">>),
    false = hornbeam_store:delete(<<"k">>),
    ok = hornbeam_store:set(<<"k">>, 1, 0),
    ?assertNot(hornbeam_store:cas(<<"k">>, 2, Version)).

'every counter step changes the version'() ->
    1 = hornbeam_store:incr(<<"n">>, 1, 0),
    {1, Version} = hornbeam_store:gets(<<"n">>),
    3 = hornbeam_store:incr(<<"n">>, 2, 0),
    ?assertNot(hornbeam_store:cas(<<"n">>, 0, Version)).

'counters grow beyond 64 bits and back'() ->
    Max = (1 bsl 63) - 1,
    ok = hornbeam_store:set(<<"n">>, Max, 0),
    ?assertEqual(Max + 1, hornbeam_store:incr(<<"n">>, 1, 0)),
    ?assertEqual(Max + (1 bsl 200), hornbeam_store:incr(<<"n">>, (1 bsl 200) - 1, 0)),
    ?assertEqual(Max, hornbeam_store:incr(<<"n">>, -(1 bsl 200), 0)),
    ?assertMatch(#{keys := 1, bytes := 9}, hornbeam_counts:info()).

'the time to live of a counter applies when it is made'() ->
    1 = hornbeam_store:incr(<<"n">>, 1, 60000),
    2 = hornbeam_store:incr(<<"n">>, 1, 0),
    ?assert(is_integer(hornbeam_store:ttl(<<"n">>))),
    ok = hornbeam_store:set(<<"m">>, 1, 0),
    2 = hornbeam_store:incr(<<"m">>, 1, 60000),
    ?assertEqual(infinity, hornbeam_store:ttl(<<"m">>)).

'incr says what the value is'() ->
    [
        begin
            ok = hornbeam_store:set(<<"k">>, Value, 0),
            ?assertThrow({refused, type, Text}, hornbeam_store:incr(<<"k">>, 1, 0))
        end
     || {Value, Text} <- [
            {?V(<<"x">>), <<"the value of 'k' is a string, not an integer">>},
            {<<131, 77, 1:32, 8, "x">>, <<"the value of 'k' is bytes, not an integer">>},
            {?V(1.5), <<"the value of 'k' is a float, not an integer">>},
            {?V([1]), <<"the value of 'k' is a list, not an integer">>},
            {?V({1}), <<"the value of 'k' is a tuple, not an integer">>},
            {?V(#{}), <<"the value of 'k' is a map, not an integer">>},
            {?V(true), <<"the value of 'k' is a boolean, not an integer">>},
            {?V(undefined), <<"the value of 'k' is undefined (None), not an integer">>},
            {?V(one), <<"the value of 'k' is the atom one, not an integer">>},
            {<<131, 119, 2, "a\n">>, <<"the value of 'k' is an atom, not an integer">>},
            {<<131, 104, 3, 119, 3, "$py", 119, 4, "date", 106>>, <<"the value of 'k' is a date, not an integer">>},
            {<<131, 104, 3, 119, 3, "$py", 119, 1, 255, 106>>, <<"the value of 'k' is a tuple, not an integer">>}
        ]
    ].

'keys are sorted, by prefix and limited'() ->
    ok = hornbeam_store:set_multi([{K, 1} || K <- [<<"b">>, <<"a:2">>, <<"a:1">>, <<"a">>, <<"a:10">>, <<"a;">>]], 0),
    ?assertEqual([<<"a">>, <<"a:1">>, <<"a:10">>, <<"a:2">>, <<"a;">>, <<"b">>], hornbeam_store:keys(<<>>, 0)),
    ?assertEqual([<<"a:1">>, <<"a:10">>, <<"a:2">>], hornbeam_store:keys(<<"a:">>, 0)),
    ?assertEqual([<<"a:1">>, <<"a:10">>], hornbeam_store:keys(<<"a:">>, 2)),
    ?assertEqual([<<"a">>, <<"a:1">>], hornbeam_store:keys(<<"a">>, 2)),
    ?assertEqual([], hornbeam_store:keys(<<"c">>, 0)).

'an expired key is gone for every reader'() ->
    ok = hornbeam_store:set_multi([{<<"e">>, 1}, {<<"f">>, 2}], 1),
    ok = hornbeam_store:set(<<"k">>, 3, 0),
    Born = hornbeam_clock:ms(),
    hb_node:eventually(fun() -> hornbeam_clock:ms() > Born + 1 end),
    ?assertEqual([none, {ok, 3}], hornbeam_store:get_multi([<<"e">>, <<"k">>])),
    ?assertEqual([<<"k">>], hornbeam_store:keys(<<>>, 0)),
    ?assertEqual([false, true], hornbeam_store:exists([<<"f">>, <<"k">>])),
    ?assertEqual(none, hornbeam_store:ttl(<<"e">>)),
    ?assertEqual(none, hornbeam_store:gets(<<"e">>)),
    ?assertNot(hornbeam_store:delete(<<"e">>)),
    ?assertNot(hornbeam_store:expire(<<"e">>, 1000)),
    ?assertNot(hornbeam_store:replace(<<"e">>, 1, 0)),
    ?assertEqual(5, hornbeam_store:incr(<<"e">>, 5, 0)),
    ?assert(hornbeam_store:add(<<"f">>, 1, 0)).

'the sweeper gives memory back'() ->
    Value = ?V(binary:copy(<<"v">>, 100)),
    ok = hornbeam_store:set_multi([{integer_to_binary(N), Value} || N <- lists:seq(1, 20000)], 50),
    ok = hornbeam_store:set(<<"stays">>, 1, 60000),
    hb_node:eventually(fun() -> maps:get(keys, hornbeam_counts:info()) =:= 1 end),
    ?assertMatch(#{bytes := 13, ttls := 1, expired := 20000}, hornbeam_counts:info()),
    ?assertEqual(1, ets:info(hornbeam_state, size)).

'keys and values are checked'() ->
    Long = binary:copy(<<"k">>, 1025),
    [?assertThrow({refused, value, _}, hornbeam_store:set(K, 1, 0)) || K <- [<<>>, Long, <<255>>, <<"k", 195>>]],
    ?assertThrow({refused, value, _}, hornbeam_store:incr(<<255>>, 1, 0)),
    ?assertThrow({refused, value, _}, hornbeam_store:set_multi([{<<"k">>, 1}, {<<255>>, 1}], 0)),
    ?assertThrow({refused, value, _}, hornbeam_store:cas(<<255>>, 1, 0)),
    ok = hornbeam_store:set(<<"\x{10348}"/utf8>>, 1, 0),
    ?assert(hornbeam_store:delete(<<"\x{10348}"/utf8>>)),
    [?assertThrow({refused, type, _}, hornbeam_store:get(K)) || K <- [key, "key", 1]],
    ?assertThrow({refused, value, _}, hornbeam_store:set(<<"k">>, 1, -1)),
    ?assertThrow({refused, protocol, _}, hornbeam_store:set(<<"k">>, <<"text">>, 0)),
    ?assertThrow({refused, protocol, _}, hornbeam_store:set(<<"k">>, <<131, 80, 0:32, 1>>, 0)),
    ok = hornbeam_store:set(binary:copy(<<"k">>, 1024), 1, 0).

'a value is copied out of its frame'() ->
    Frame = binary:copy(<<"f">>, 100000),
    <<_:10/binary, Key:100/binary, _/binary>> = Frame,
    <<Value:200/binary, _/binary>> = <<131, Frame/binary>>,
    ok = hornbeam_store:set(Key, Value, 0),
    [{Stored, Kept, _, _}] = ets:lookup(hornbeam_state, Key),
    ?assert(binary:referenced_byte_size(Kept) < 1000),
    ?assert(binary:referenced_byte_size(Stored) < 1000).

'the lock of a dead process is undone'() ->
    ok = hornbeam_store:set(<<"k">>, 1, 0),
    {Pid, Monitor} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    [{_, 1, Version, 0}] = ets:lookup(hornbeam_state, <<"k">>),
    true = ets:insert(hornbeam_state, {<<"k">>, 1, {locked, Pid, Version}, 0}),
    ?assertEqual({1, Version}, hornbeam_store:gets(<<"k">>)),
    ?assertEqual(2, hornbeam_store:incr(<<"k">>, 1, 0)).

limits_test_() ->
    [
        {"max_keys", fun() -> with(#{max_keys => 2}, fun keys_limit/0) end},
        {"max_bytes", fun() -> with(#{max_bytes => 100}, fun bytes_limit/0) end},
        {"max_value", fun() -> with(#{max_value => 50}, fun value_limit/0) end},
        {"expired keys make room", fun() -> with(#{max_keys => 2}, fun expired_room/0) end}
    ].

with(Limits, Fun) ->
    _ = start(Limits),
    try Fun() after hb_node:stop() end.

keys_limit() ->
    ok = hornbeam_store:set_multi([{<<"a">>, 1}, {<<"b">>, 1}], 0),
    Text = <<"state.max_keys: the limit of 2 keys is reached">>,
    ?assertThrow({refused, limit, Text}, hornbeam_store:set(<<"c">>, 1, 0)),
    ?assertThrow({refused, limit, Text}, hornbeam_store:incr(<<"c">>, 1, 0)),
    ok = hornbeam_store:set(<<"a">>, 2, 0),
    true = hornbeam_store:delete(<<"a">>),
    ?assertThrow({refused, limit, Text}, hornbeam_store:set_multi([{<<"b">>, 9}, {<<"c">>, 9}, {<<"d">>, 9}], 0)),
    ?assertEqual([{ok, 1}, none, none], hornbeam_store:get_multi([<<"b">>, <<"c">>, <<"d">>])),
    ok = hornbeam_store:set(<<"c">>, 1, 0).

bytes_limit() ->
    ok = hornbeam_store:set(<<"a">>, <<131, 0:(98 * 8)>>, 0),
    Text = <<"state.max_bytes: the limit of 100 bytes is reached">>,
    ?assertThrow({refused, limit, Text}, hornbeam_store:set(<<"b">>, 1, 0)),
    ?assertThrow({refused, limit, Text}, hornbeam_store:set(<<"a">>, <<131, 0:(99 * 8)>>, 0)),
    ?assertEqual({ok, <<131, 0:(98 * 8)>>}, hornbeam_store:get(<<"a">>)),
    ok = hornbeam_store:set(<<"a">>, <<131, 106>>, 0),
    ok = hornbeam_store:set(<<"b">>, 1, 0).

value_limit() ->
    ok = hornbeam_store:set(<<"a">>, <<131, 0:(49 * 8)>>, 0),
    Text = <<"state.max_value: the value has 51 bytes, the limit is 50">>,
    ?assertThrow({refused, limit, Text}, hornbeam_store:set(<<"a">>, <<131, 0:(50 * 8)>>, 0)),
    ?assertThrow({refused, limit, Text}, hornbeam_store:set_multi([{<<"b">>, 1}, {<<"a">>, <<131, 0:(50 * 8)>>}], 0)),
    ?assertEqual(none, hornbeam_store:get(<<"b">>)).

expired_room() ->
    ok = hornbeam_store:set_multi([{<<"a">>, 1}, {<<"b">>, 1}], 1),
    Born = hornbeam_clock:ms(),
    hb_node:eventually(fun() -> hornbeam_clock:ms() > Born + 1 end),
    ok = hornbeam_store:set_multi([{<<"c">>, 1}, {<<"d">>, 1}], 0),
    ?assertMatch(#{keys := 2, ttls := 0}, hornbeam_counts:info()).
