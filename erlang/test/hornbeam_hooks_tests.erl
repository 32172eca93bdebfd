%% What a worker sends about a request, what the hooks get of it, and what their answers become.
-module(hornbeam_hooks_tests).

-include_lib("eunit/include/eunit.hrl").
-include("hornbeam_link.hrl").

-define(SENT, sent([<<"host">>, <<"h">>, <<"cookie">>, <<"a=1">>, <<"x">>, <<"1">>, <<"cookie">>, <<"b=2">>, <<"x">>, <<"2">>])).

sent(Fields) -> sent(Fields, <<>>).

sent(Fields, Own) ->
    {<<"GET">>, <<"/p">>, <<"q=1">>, <<"1.1">>, <<"http">>, <<"127.0.0.1">>, 4711, <<"/">>, Fields, Own}.

run(Op, Sent, Name, Hook) ->
    application:set_env(hornbeam, hooks, #{Name => Hook}),
    try
        binary_to_term(iolist_to_binary(hornbeam_hooks:run(Op, Sent)))
    after
        application:unset_env(hornbeam, hooks)
    end.

request(Hook) -> run(?HB_OP_ON_REQUEST, ?SENT, on_request, Hook).

response(Fields, Body, Hook) -> run(?HB_OP_ON_RESPONSE, {?SENT, 200, Fields, Body}, on_response, Hook).

seen(Sent) ->
    Self = self(),
    continue = run(?HB_OP_ON_REQUEST, Sent, on_request, fun(Map) -> Self ! {seen, Map}, Map end),
    receive {seen, Map} -> Map end.

%% The error that the hook's reply carries.
failure(Reply) ->
    {failed, Error} = Reply,
    binary_to_term(Error).

the_request_is_a_map_test() ->
    ?assertEqual(
        #{
            method => <<"GET">>, path => <<"/p">>, query => <<"q=1">>, version => <<"1.1">>, scheme => <<"http">>,
            headers => #{<<"host">> => <<"h">>, <<"cookie">> => <<"a=1; b=2">>, <<"x">> => <<"1, 2">>},
            client => {<<"127.0.0.1">>, 4711}, mount => <<"/">>
        },
        seen(?SENT)
    ).

a_client_without_an_address_and_no_mount_are_undefined_test() ->
    Sent = setelement(8, setelement(6, sent([]), <<>>), <<>>),
    ?assertMatch(#{client := undefined, mount := undefined}, seen(Sent)).

keys_that_on_request_added_come_back_test() ->
    Own = #{user => 7, method => <<"NOT">>},
    ?assertMatch(#{user := 7, method := <<"GET">>}, seen(sent([], term_to_binary(Own)))).

what_is_not_changed_continues_test_() ->
    [
        ?_assertEqual(continue, request(fun(R) -> R end)),
        ?_assertEqual(continue, request(fun(R) -> maps:remove(method, maps:remove(client, R)) end)),
        ?_assertEqual(continue, request(fun(#{headers := H} = R) -> R#{headers := maps:map(fun(_, V) -> V end, H)} end)),
        ?_assertEqual(continue, response([<<"a">>, <<"b">>], <<"body">>, fun(R) -> R end))
    ].

only_what_changed_is_sent_test_() ->
    [
        ?_assertEqual(
            {request, <<"PUT">>, same, same, [], [], <<>>, []}, request(fun(R) -> R#{method := "PUT"} end)),
        ?_assertEqual(
            {request, same, <<"/é"/utf8>>, <<>>, [], [], <<>>, []},
            request(fun(R) -> R#{path := "/é", query := ""} end)),
        ?_assertEqual(
            {request, same, same, same, [<<"x">>, <<"3">>, <<"y">>, <<"1">>, <<"y">>, <<"2">>], [<<"cookie">>], <<>>, []},
            request(fun(#{headers := H} = R) ->
                R#{headers := maps:remove(<<"cookie">>, H#{<<"x">> := <<"3">>, "Y" => ["1", <<"2">>]})}
            end)),
        ?_assertMatch(
            {request, same, same, same, [], [], <<131, _/binary>>, []}, request(fun(R) -> R#{user => self()} end)),
        ?_assertEqual(
            {response, 201, [<<"a">>, <<"1">>], [<<"b">>], <<"new">>, []},
            response([<<"b">>, <<"2">>], <<"old">>, fun(R) -> R#{status := 201, headers := #{a => 1}, body := "new"} end)),
        ?_assertEqual(
            {response, same, [], [], same, [<<"body">>]}, response([], [], fun(R) -> R#{body => <<"none">>} end))
    ].

what_cannot_be_changed_is_named_test() ->
    {request, same, same, same, Set, Removed, <<>>, Ignored} = request(fun(#{headers := H} = R) ->
        Fixed = [
            <<"content-length">>, <<"transfer-encoding">>, <<"connection">>, <<"upgrade">>, <<"te">>, <<"expect">>,
            <<"trailer">>, <<"keep-alive">>, <<"proxy-connection">>, <<"sec-websocket-key">>
        ],
        R#{scheme := <<"https">>, headers := maps:merge(maps:remove(<<"host">>, H), maps:from_keys(Fixed, <<"1">>))}
    end),
    ?assertEqual({[], []}, {Set, Removed}),
    ?assertEqual(
        lists:sort([
            <<"scheme">>, <<"host">>, <<"content-length">>, <<"transfer-encoding">>, <<"connection">>, <<"upgrade">>,
            <<"te">>, <<"expect">>, <<"trailer">>, <<"keep-alive">>, <<"proxy-connection">>, <<"sec-websocket-key">>
        ]),
        lists:sort(Ignored)
    ).

answers_test_() ->
    Text = [<<"content-type">>, <<"text/plain; charset=utf-8">>],
    [
        ?_assertEqual({answer, 404, Text, <<"no">>}, request(fun(_) -> {404, <<"no">>} end)),
        ?_assertEqual({answer, 204, [], <<>>}, request(fun(_) -> {204, []} end)),
        ?_assertEqual({answer, 500, Text, <<"Internal Error">>}, request(fun(_) -> {500, "Internal Error"} end)),
        ?_assertEqual({answer, 500, Text, <<"é€"/utf8>>}, request(fun(_) -> {500, "é€"} end)),
        ?_assertEqual({answer, 200, Text, <<"é"/utf8>>}, request(fun(_) -> {200, "é"} end)),
        ?_assertEqual({answer, 200, Text, <<"a", 255>>}, request(fun(_) -> {200, [<<"a">>, 255]} end)),
        ?_assertEqual({answer, 200, Text, <<"a€"/utf8>>}, request(fun(_) -> {200, [<<"a">>, 8364]} end)),
        ?_assertEqual({answer, 200, [], <<255>>}, request(fun(_) -> {200, #{}, <<255>>} end)),
        ?_assertEqual(
            {answer, 302, [<<"location">>, <<"/">>, <<"set-cookie">>, <<"a">>, <<"set-cookie">>, <<"b">>], <<>>},
            request(fun(_) -> {302, [{"Location", "/"}, {<<"Set-Cookie">>, [<<"a">>, "b"]}, {'content-length', 7}], ""} end)),
        ?_assertEqual(
            {answer, 200, [<<"a">>, <<"xy">>], <<>>}, request(fun(_) -> {200, #{<<"a">> => [<<"x">>, $y]}, <<>>} end))
    ].

rubbish_is_a_bad_return_test_() ->
    Headers = fun(H) -> fun(#{headers := Old} = R) -> R#{headers := maps:merge(Old, H)} end end,
    [
        ?_assertMatch({bad_return, _}, failure(request(Hook)))
     || Hook <- [
            fun(_) -> ok end, fun(_) -> {ok, 1} end, fun(_) -> {199, ""} end, fun(_) -> {1000, ""} end,
            fun(_) -> {200, 1} end, fun(_) -> {200, [ok]} end, fun(_) -> {200, x, ""} end, fun(_) -> {200, [x], ""} end,
            fun(_) -> {200, [{<<"a b">>, <<>>}], ""} end, fun(_) -> {200, [{<<>>, <<>>}], ""} end,
            fun(_) -> {200, [{<<"a">>, <<"\r\nb: c">>}], ""} end, fun(_) -> {200, [{1, <<>>}], ""} end,
            fun(_) -> {200, [{a, {}}], ""} end, fun(R) -> R#{method := ""} end, fun(R) -> R#{method := "A B"} end,
            fun(R) -> R#{method := "CONNECT"} end, fun(R) -> R#{path := "p"} end, fun(R) -> R#{path := <<"/", 0>>} end,
            fun(R) -> R#{query := "a b"} end, fun(R) -> R#{query := <<"#">>} end, fun(R) -> R#{query := 1} end,
            fun(R) -> R#{headers := none} end, Headers(#{<<"a">> => <<0>>}), Headers(#{<<"a:">> => <<>>}),
            fun(R) -> R#{big => binary:copy(<<0>>, 2000000)} end
        ]
    ] ++ [
        ?_assertMatch({bad_return, _}, failure(response([], <<>>, Hook)))
     || Hook <- [fun(_) -> ok end, fun(_) -> {200, ""} end, fun(R) -> R#{status := 100} end, fun(R) -> R#{body := 1} end]
    ].

failures_say_how_they_failed_test_() ->
    [
        ?_assertEqual(stop, failure(request(fun(_) -> throw(stop) end))),
        ?_assertEqual({error, oops}, failure(request(fun(_) -> error(oops) end))),
        ?_assertEqual({exit, gone}, failure(request(fun(_) -> exit(gone) end))),
        ?_assertEqual({error, undef}, failure(request({no_such_module, f}))),
        ?_assertEqual({error, undef}, failure(request({lists, no_such_function}))),
        ?_assertEqual({error, not_configured}, failure(run(?HB_OP_ON_REQUEST, ?SENT, on_error, {m, f}))),
        ?_assertMatch({error, Text} when is_binary(Text), failure(request(fun(_) -> error(lists:seq(1, 100000)) end)))
    ].

a_large_error_is_cut_test() ->
    {failed, Error} = request(fun(_) -> throw(binary:copy(<<"x">>, 1000000)) end),
    ?assert(byte_size(Error) < 20000).

headers_of_a_response_test() ->
    Self = self(),
    Fields = [<<"a">>, <<"1">>, <<"set-cookie">>, <<"c">>, <<"b">>, <<"2">>, <<"b">>, <<"3">>, <<"b">>, <<"4">>],
    continue = response(Fields, [], fun(R) -> Self ! {seen, R}, R end),
    receive {seen, Seen} -> ok end,
    ?assertEqual(
        #{<<"a">> => <<"1">>, <<"set-cookie">> => [<<"c">>], <<"b">> => [<<"2">>, <<"3">>, <<"4">>]},
        maps:get(headers, Seen)
    ),
    ?assertNot(is_map_key(body, Seen)),
    ?assertMatch(#{path := <<"/p">>}, maps:get(request, Seen)).

on_error_gets_the_term_and_the_request_test() ->
    Error = {error, {badmatch, [self(), make_ref(), fun() -> ok end]}},
    Self = self(),
    Answer = run(?HB_OP_ON_ERROR, {term_to_binary(Error), ?SENT}, on_error, fun(Got, #{path := Path}) ->
        Self ! {got, Got},
        {500, Path}
    end),
    ?assertMatch({answer, 500, _, <<"/p">>}, Answer),
    receive {got, Got} -> ?assertEqual(Error, Got) end.

on_error_has_to_answer_test() ->
    ?assertMatch(
        {bad_return, #{}}, failure(run(?HB_OP_ON_ERROR, {term_to_binary(x), ?SENT}, on_error, fun(_, R) -> R end))).

what_no_worker_sends_is_refused_test_() ->
    [
        ?_assertThrow({refused, protocol, _}, hornbeam_hooks:run(Op, Sent))
     || {Op, Sent} <- [
            {?HB_OP_ON_REQUEST, []}, {?HB_OP_ON_REQUEST, {1}}, {?HB_OP_ON_RESPONSE, {?SENT, x, [], []}},
            {?HB_OP_ON_RESPONSE, {?SENT, 200, [], x}}, {?HB_OP_ON_ERROR, {x, ?SENT}},
            {?HB_OP_ON_ERROR, {<<131, 80, 0>>, ?SENT}}, {?HB_OP_ON_ERROR, {<<"x">>, ?SENT}}
        ]
    ].
