%% Real sockets against the application: hello, replies, parts, bad input,
%% clients that do not read, leases, and what one link may do to the others.
-module(hornbeam_link_SUITE).

-include_lib("kernel/include/file.hrl").
-include("hornbeam_link.hrl").

-compile([export_all, nowarn_export_all]).

all() ->
    [
        the_socket_is_for_its_own_user_only,
        a_stale_socket_is_replaced,
        a_listener_that_dies_is_restarted_and_links_go_on,
        a_socket_in_use_or_a_file_is_an_error,
        hello_names_both_releases_on_mismatch,
        hello_comes_first,
        replies_match_by_id_when_pipelined,
        a_request_byte_by_byte_is_served,
        a_large_value_comes_in_parts,
        a_short_reply_overtakes_a_long_one,
        a_listing_of_many_keys_is_whole,
        a_request_past_its_deadline_is_not_run,
        garbage_payloads_are_refused_and_the_link_goes_on,
        a_frame_of_impossible_length_ends_the_link,
        ten_thousand_new_atoms_make_none,
        random_bytes_harm_nobody,
        a_client_that_never_reads_is_cut,
        what_a_client_sends_waits_in_its_socket,
        a_lease_makes_one_computation,
        a_lost_link_gives_its_lease_on,
        a_dropped_lease_goes_to_the_next,
        an_old_lease_goes_to_the_next,
        a_waiter_past_its_deadline_gets_no_lease,
        status_says_who_is_connected,
        status_is_told_while_the_leases_are_restarted,
        erlang_code_shares_the_keys,
        erlang_fetch_computes_once
    ].

init_per_testcase(Case, Config) ->
    Env = case Case of
        a_client_that_never_reads_is_cut -> [{unread_ms, 300}];
        an_old_lease_goes_to_the_next -> [{lease_ms, 50}];
        _ -> []
    end,
    [{path, hb_node:start(#{max_keys => 0, max_bytes => 0, max_value => 0}, Env)} | Config].

end_per_testcase(_Case, _Config) ->
    _ = hb_node:stop(),
    ok.

path(Config) -> proplists:get_value(path, Config).

connect(Config) -> hb_client:connect(path(Config)).

the_socket_is_for_its_own_user_only(Config) ->
    {ok, #file_info{mode = Mode}} = file:read_file_info(path(Config)),
    8#600 = Mode band 8#777.

a_stale_socket_is_replaced(Config) ->
    ok = hb_node:stop(),
    {ok, _} = file:read_link_info(path(Config)),
    Path = hb_node:start(#{}),
    hb_client:close(hb_client:connect(Path)).

a_listener_that_dies_is_restarted_and_links_go_on(Config) ->
    Link = connect(Config),
    lists:foreach(
        fun(_) ->
            Old = whereis(hornbeam_link_listener),
            exit(Old, kill),
            hb_node:eventually(fun() -> not lists:member(whereis(hornbeam_link_listener), [undefined, Old]) end),
            hb_node:eventually(fun() -> connects(path(Config)) end)
        end,
        lists:seq(1, 4)
    ),
    {ok, pong} = hb_client:call(Link, ?HB_OP_PING, []),
    hb_client:close(Link).

connects(Path) ->
    case gen_tcp:connect({local, Path}, 0, [binary, {packet, 4}, {active, false}]) of
        {ok, Socket} ->
            {ok, {hello, _, _}} = hb_client:hello(Socket),
            gen_tcp:close(Socket) =:= ok;
        {error, _} ->
            false
    end.

a_socket_in_use_or_a_file_is_an_error(Config) ->
    Path = path(Config),
    ok = hb_node:stop(),
    {ok, Listen} = gen_tcp:listen(0, [{ifaddr, {local, Path ++ "2"}}]),
    try
        {error, Used} = start_at(Path ++ "2"),
        true = contains(Used, "another process listens on")
    after
        gen_tcp:close(Listen),
        file:delete(Path ++ "2")
    end,
    ok = file:write_file(Path ++ "3", "kept"),
    {error, File} = start_at(Path ++ "3"),
    true = contains(File, "is not a socket"),
    {ok, <<"kept">>} = file:read_file(Path ++ "3"),
    ok = file:delete(Path ++ "3"),
    {error, Missing} = start_at("/nonexistent/hornbeam.sock"),
    true = contains(Missing, "no such file or directory").

start_at(Path) ->
    ok = application:set_env(hornbeam, link, list_to_binary(Path)),
    application:start(hornbeam).

contains(Term, Text) ->
    string:find(io_lib:format("~tp", [Term]), Text) =/= nomatch.

hello_names_both_releases_on_mismatch(Config) ->
    Socket = hb_client:raw(path(Config)),
    {error, {version, Text}} = hb_client:call(Socket, ?HB_OP_HELLO, hb_client:hello_term(<<"9.9.9">>)),
    true = contains(Text, "9.9.9") andalso contains(Text, binary_to_list(hornbeam_status:vsn())),
    {error, closed} = hb_client:recv(Socket),
    Other = hb_client:raw(path(Config)),
    Hello = term_to_binary(hb_client:hello_term(hornbeam_status:vsn())),
    ok = gen_tcp:send(Other, [<<2, ?HB_OP_HELLO, 0, 0, 5:32, 0:32>>, Hello]),
    {?HB_OP_HELLO, 5, 5, Payload} = hb_client:recv(Other),
    {version, Versions} = hb_client:decode(Payload),
    true = contains(Versions, "link version 2"),
    {error, closed} = hb_client:recv(Other).

hello_comes_first(Config) ->
    Socket = hb_client:raw(path(Config)),
    {error, {protocol, <<"a link starts with hello">>}} = hb_client:call(Socket, ?HB_OP_PING, []),
    {error, closed} = hb_client:recv(Socket).

replies_match_by_id_when_pipelined(Config) ->
    Socket = connect(Config),
    Ids = lists:seq(1, 5000),
    Frames = [
        begin
            Payload = term_to_binary({<<"k", (integer_to_binary(Id))/binary>>, Id, 0}),
            [<<(12 + byte_size(Payload)):32, 1, ?HB_OP_INCR, 0, 0, Id:32, 0:32>>, Payload]
        end
     || Id <- Ids
    ],
    ok = inet:setopts(Socket, [{packet, raw}]),
    ok = gen_tcp:send(Socket, Frames),
    ok = inet:setopts(Socket, [{packet, 4}]),
    _ = [{?HB_OP_INCR, Id, 1, _} = setelement(4, Reply, x) || Id <- Ids, Reply <- [hb_client:recv(Socket)], Id =:= hb_client:decode(element(4, Reply))],
    {ok, pong} = hb_client:call(Socket, ?HB_OP_PING, []),
    5000 = length(hornbeam_store:keys(<<"k">>, 0)).

a_request_byte_by_byte_is_served(Config) ->
    Socket = connect(Config),
    ok = inet:setopts(Socket, [{packet, raw}]),
    Payload = term_to_binary({<<"k">>, 1, 0}),
    Frame = <<(12 + byte_size(Payload)):32, 1, ?HB_OP_SET, 0, 0, 3:32, 0:32, Payload/binary>>,
    _ = [ok = gen_tcp:send(Socket, <<Byte>>) || <<Byte>> <= Frame],
    ok = inet:setopts(Socket, [{packet, 4}]),
    {?HB_OP_SET, 3, 1, Reply} = hb_client:recv(Socket),
    ok = hb_client:decode(Reply).

a_large_value_comes_in_parts(Config) ->
    Socket = connect(Config),
    Value = term_to_binary(rand:bytes(5000000)),
    {ok, ok} = hb_client:call(Socket, ?HB_OP_SET, {<<"big">>, Value, 0}),
    {ok, Value} = hb_client:call(Socket, ?HB_OP_GET, <<"big">>),
    {ok, [Value, none, Value]} = hb_client:call(Socket, ?HB_OP_GET_MULTI, [<<"big">>, <<"no">>, <<"big">>]),
    ok = hb_client:send(Socket, ?HB_OP_GET, 77, 0, term_to_binary(<<"big">>)),
    {ok, <<1, ?HB_OP_GET, 3, 0, 77:32, _/binary>> = First} = gen_tcp:recv(Socket, 0),
    true = byte_size(First) =< ?HB_LINK_PART_MAX + 12.

a_short_reply_overtakes_a_long_one(Config) ->
    Socket = connect(Config),
    {ok, ok} = hb_client:call(Socket, ?HB_OP_SET, {<<"big">>, term_to_binary(binary:copy(<<"v">>, 12000000)), 0}),
    ok = hb_client:send(Socket, ?HB_OP_GET, 1, 0, term_to_binary(<<"big">>)),
    ok = hb_client:send(Socket, ?HB_OP_PING, 2, 0, term_to_binary([])),
    Order = ids(Socket, []),
    2 = hd(lists:reverse(lists:usort(Order))),
    1 = lists:last(Order).

%% The ids of the frames up to the last part of the reply to 1.
ids(Socket, Seen) ->
    {ok, <<1, _, Flags, 0, Id:32, _/binary>>} = gen_tcp:recv(Socket, 0),
    case {Id, Flags band ?HB_LINK_MORE} of
        {1, 0} -> lists:reverse([Id | Seen]);
        _ -> ids(Socket, [Id | Seen])
    end.

a_listing_of_many_keys_is_whole(Config) ->
    Socket = connect(Config),
    Keys = [<<"key:", (integer_to_binary(N))/binary>> || N <- lists:seq(100001, 300000)],
    {ok, ok} = hb_client:call(Socket, ?HB_OP_SET_MULTI, {[{K, 1} || K <- Keys], 0}),
    {ok, Keys} = hb_client:call(Socket, ?HB_OP_KEYS, {<<"key:">>, 0}),
    {ok, Some} = hb_client:call(Socket, ?HB_OP_KEYS, {<<>>, 1500}),
    Some = lists:sublist(Keys, 1500),
    {ok, [1, none | _] = Values} = hb_client:call(Socket, ?HB_OP_GET_MULTI, [hd(Keys), <<"no">> | tl(Keys)]),
    200001 = length(Values).

a_request_past_its_deadline_is_not_run(Config) ->
    Socket = connect(Config),
    Past = (hornbeam_clock:ms() - 1) band 16#ffffffff,
    Later = (hornbeam_clock:ms() + 60000) band 16#ffffffff,
    ok = hb_client:send(Socket, ?HB_OP_INCR, 1, Past, term_to_binary({<<"n">>, 1, 0})),
    {ok, 10} = hb_client:call(Socket, ?HB_OP_INCR, {<<"n">>, 10, 0}, Later).

garbage_payloads_are_refused_and_the_link_goes_on(Config) ->
    Socket = connect(Config),
    Bad = [
        <<>>, <<131>>, <<"text">>, <<131, 109, 255:32, "x">>, term_to_binary(self()), term_to_binary(fun lists:map/2),
        term_to_binary(lists:duplicate(1000, 1), [compressed]), <<131, 106, 106>>, <<131, 119, 3, "zqj">>,
        term_to_binary({<<"k">>, x}), term_to_binary([<<"k">> | <<"k">>]), term_to_binary({<<"k">>, #{}, 0})
    ],
    _ = [
        begin
            ok = hb_client:send(Socket, Op, 9, 0, Payload),
            {Op, 9, 5, Reply} = hb_client:recv(Socket),
            {Class, _} = hb_client:decode(Reply),
            true = lists:member(Class, [protocol, type, value])
        end
     || Payload <- Bad, Op <- lists:seq(?HB_OP_GET, ?HB_OP_FETCH_DROP) ++ [?HB_OP_PING, ?HB_OP_STATUS, ?HB_OP_LINK, 0, 255]
    ],
    {ok, pong} = hb_client:call(Socket, ?HB_OP_PING, []).

a_frame_of_impossible_length_ends_the_link(Config) ->
    _ = [
        begin
            Socket = connect(Config),
            ok = inet:setopts(Socket, [{packet, raw}]),
            ok = gen_tcp:send(Socket, <<Length:32, 1, ?HB_OP_PING, 0, 0, 4:32, 0:32>>),
            ok = inet:setopts(Socket, [{packet, 4}]),
            {?HB_OP_PING, 4, 5, Reply} = hb_client:recv(Socket),
            {protocol, _} = hb_client:decode(Reply),
            {error, closed} = hb_client:recv(Socket)
        end
     || Length <- [0, 11, ?HB_LINK_FRAME_MAX + 1, 16#ffffffff]
    ],
    {ok, pong} = hb_client:call(connect(Config), ?HB_OP_PING, []).

ten_thousand_new_atoms_make_none(Config) ->
    Socket = connect(Config),
    {ok, pong} = hb_client:call(Socket, ?HB_OP_PING, []),
    Before = erlang:system_info(atom_count),
    Random = integer_to_binary(erlang:unique_integer([positive])),
    _ = [
        begin
            Name = <<"new_", Random/binary, $_, (integer_to_binary(N))/binary>>,
            ok = hb_client:send(Socket, ?HB_OP_GET, N, 0, <<131, 119, (byte_size(Name)), Name/binary>>),
            {?HB_OP_GET, N, 5, Reply} = hb_client:recv(Socket),
            {protocol, _} = hb_client:decode(Reply)
        end
     || N <- lists:seq(1, 10000)
    ],
    Before = erlang:system_info(atom_count).

random_bytes_harm_nobody(Config) ->
    Other = connect(Config),
    _ = [
        begin
            Socket = case N rem 2 of 0 -> connect(Config); 1 -> hb_client:raw(path(Config)) end,
            ok = inet:setopts(Socket, [{packet, raw}]),
            _ = gen_tcp:send(Socket, [<<0, 0, 0>>, rand:bytes(rand:uniform(300))]),
            _ = gen_tcp:close(Socket)
        end
     || N <- lists:seq(1, 100)
    ],
    {ok, pong} = hb_client:call(Other, ?HB_OP_PING, []),
    hb_node:eventually(fun() -> length(hornbeam_links:list()) =:= 1 end).

a_client_that_never_reads_is_cut(Config) ->
    Socket = connect(Config),
    Other = connect(Config),
    {ok, ok} = hb_client:call(Socket, ?HB_OP_SET, {<<"big">>, term_to_binary(binary:copy(<<"v">>, 1000000)), 0}),
    _ = [ok = hb_client:send(Socket, ?HB_OP_GET, N, 0, term_to_binary(<<"big">>)) || N <- lists:seq(1, 500)],
    {ok, pong} = hb_client:call(Other, ?HB_OP_PING, []),
    hb_node:eventually(fun() -> length(hornbeam_links:list()) =:= 1 end),
    {ok, pong} = hb_client:call(Other, ?HB_OP_PING, []).

%% A link that cannot keep up holds a hundred pieces of what was sent, however long that lasts.
what_a_client_sends_waits_in_its_socket(Config) ->
    Socket = connect(Config),
    ok = inet:setopts(Socket, [{packet, raw}]),
    [{Link, _, _}] = ets:tab2list(hornbeam_links),
    Ping = term_to_binary([]),
    Pings = binary:copy(<<(12 + byte_size(Ping)):32, 1, ?HB_OP_PING, 0, 0, 1:32, 0:32, Ping/binary>>, 4000),
    _ = spawn_link(fun() -> drain(Socket) end),
    {Sender, Monitor} = spawn_monitor(fun() -> [ok = gen_tcp:send(Socket, Pings) || _ <- lists:seq(1, 600)] end),
    Most = most_waiting(Link, Monitor, 0),
    ct:pal("~b messages at most", [Most]),
    true = Most > 50 andalso Most < 110,
    false = is_process_alive(Sender),
    hb_client:close(Socket).

drain(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, _} -> drain(Socket);
        {error, _} -> ok
    end.

%% How long the mailbox of the link gets until the sender is through.
most_waiting(Link, Monitor, Most) ->
    receive
        {'DOWN', Monitor, process, _, normal} -> Most
    after 1 ->
        {message_queue_len, Count} = process_info(Link, message_queue_len),
        most_waiting(Link, Monitor, max(Count, Most))
    end.

fetch(Socket, Id) ->
    fetch(Socket, Id, 0).

fetch(Socket, Id, Deadline) ->
    hb_client:send(Socket, ?HB_OP_FETCH, Id, Deadline, term_to_binary(<<"k">>)).

%% The answer to a fetch.
fetched(Socket, Id) ->
    {?HB_OP_FETCH, Id, 1, Reply} = hb_client:recv(Socket),
    hb_client:decode(Reply).

%% A link that holds the lease of the key.
holder(Config) ->
    Holder = connect(Config),
    ok = fetch(Holder, 1),
    {lease, Token} = fetched(Holder, 1),
    {Holder, Token}.

%% One link may wait many times: its other requests are served meanwhile.
a_lease_makes_one_computation(Config) ->
    {Holder, Token} = holder(Config),
    Waiters = [connect(Config), connect(Config)],
    _ = [ok = fetch(W, N) || W <- Waiters, N <- [2, 3]],
    _ = [{ok, pong} = hb_client:call(W, ?HB_OP_PING, []) || W <- Waiters],
    {ok, false} = hb_client:call(Holder, ?HB_OP_FETCH_PUT, {<<"k">>, Token + 1, 5, 0}),
    {ok, true} = hb_client:call(Holder, ?HB_OP_FETCH_PUT, {<<"k">>, Token, 5, 0}),
    _ = [{value, 5} = fetched(W, N) || W <- Waiters, N <- [2, 3]],
    {ok, false} = hb_client:call(Holder, ?HB_OP_FETCH_PUT, {<<"k">>, Token, 6, 0}),
    {ok, {value, 5}} = hb_client:call(Holder, ?HB_OP_FETCH, <<"k">>),
    0 = hornbeam_lease:count().

a_lost_link_gives_its_lease_on(Config) ->
    {Holder, _} = holder(Config),
    Waiter = connect(Config),
    ok = fetch(Waiter, 2),
    {ok, pong} = hb_client:call(Waiter, ?HB_OP_PING, []),
    hb_client:close(Holder),
    {lease, Token} = fetched(Waiter, 2),
    {ok, ok} = hb_client:call(Waiter, ?HB_OP_FETCH_DROP, {<<"k">>, Token}),
    hb_client:close(Waiter),
    0 = hornbeam_lease:count().

a_dropped_lease_goes_to_the_next(Config) ->
    {Holder, Token} = holder(Config),
    Next = connect(Config),
    ok = fetch(Next, 2),
    {ok, pong} = hb_client:call(Next, ?HB_OP_PING, []),
    {ok, ok} = hb_client:call(Holder, ?HB_OP_FETCH_DROP, {<<"k">>, Token}),
    {lease, Other} = fetched(Next, 2),
    true = Other =/= Token,
    %% Meanwhile somebody set the key: whoever comes gets that.
    {ok, ok} = hb_client:call(Holder, ?HB_OP_SET, {<<"k">>, 9, 0}),
    {ok, {value, 9}} = hb_client:call(Holder, ?HB_OP_FETCH, <<"k">>).

an_old_lease_goes_to_the_next(Config) ->
    {Holder, Token} = holder(Config),
    Next = connect(Config),
    ok = fetch(Next, 2),
    {lease, _} = fetched(Next, 2),
    {ok, false} = hb_client:call(Holder, ?HB_OP_FETCH_PUT, {<<"k">>, Token, 5, 0}).

a_waiter_past_its_deadline_gets_no_lease(Config) ->
    {Holder, Token} = holder(Config),
    Late = connect(Config),
    Deadline = hornbeam_clock:ms() + 30,
    ok = fetch(Late, 2, Deadline band 16#ffffffff),
    hb_node:eventually(fun() -> hornbeam_clock:ms() > Deadline end),
    %% A link keeps what it has asked for in mind until there is an answer.
    ok = hornbeam_lease:fetch(<<"k">>, {link, self(), 3}, (hornbeam_clock:ms() - 1) band 16#ffffffff),
    {ok, ok} = hb_client:call(Holder, ?HB_OP_FETCH_DROP, {<<"k">>, Token}),
    {refused, timeout, _} = receive {hornbeam_lease, 3, Answer} -> Answer after 60000 -> none end,
    0 = hornbeam_lease:count().

status_says_who_is_connected(Config) ->
    Socket = connect(Config),
    {ok, ok} = hb_client:call(Socket, ?HB_OP_SET, {<<"k">>, 1, 0}),
    {ok, 1} = hb_client:call(Socket, ?HB_OP_GET, <<"k">>),
    {ok, none} = hb_client:call(Socket, ?HB_OP_GET, <<"no">>),
    {ok, Status} = hb_client:call(Socket, ?HB_OP_STATUS, []),
    #{<<"state">> := State, <<"links">> := [Link], <<"vsn">> := _, <<"atoms">> := Atoms} = Status,
    true = Atoms > 1000,
    #{<<"keys">> := 1, <<"bytes">> := 9, <<"hits">> := 1, <<"misses">> := 1, <<"leases">> := 0} = State,
    Pid = list_to_integer(os:getpid()),
    #{<<"role">> := <<"client">>, <<"name">> := <<"test">>, <<"uid">> := 0, <<"pid">> := Pid, <<"ops">> := 4} = Link.

status_is_told_while_the_leases_are_restarted(Config) ->
    Socket = connect(Config),
    ok = supervisor:terminate_child(hornbeam_state_sup, lease),
    {ok, Status} = hb_client:call(Socket, ?HB_OP_STATUS, []),
    {ok, _} = supervisor:restart_child(hornbeam_state_sup, lease),
    #{<<"state">> := #{<<"leases">> := 0}} = Status.

erlang_code_shares_the_keys(Config) ->
    Socket = connect(Config),
    {ok, ok} = hb_client:call(Socket, ?HB_OP_SET, {<<"k">>, term_to_binary(#{<<"name">> => <<"Alice">>}), 0}),
    #{<<"name">> := <<"Alice">>} = hornbeam_state:get(<<"k">>),
    %% Atoms that nothing in this node has named yet, as far as the test can help it.
    ok = hornbeam_store:set(<<"p">>, <<131, 104, 3, 119, 3, "$py", 119, 9, "frozenset", 108, 1:32, 97, 1, 106>>, 0),
    {_, _, [1]} = hornbeam_state:get(<<"p">>),
    ok = hornbeam_store:set(<<"p">>, <<131, 104, 3, 119, 3, "$py", 119, 5, "float", 119, 4, "-inf">>, 0),
    {_, float, _} = hornbeam_state:get(<<"p">>),
    ok = hornbeam_store:set(<<"p">>, <<131, 119, 13, "nobody_had_me">>, 0),
    {'EXIT', {{value, _}, _}} = catch hornbeam_state:get(<<"p">>),
    true = hornbeam_state:delete(<<"p">>),
    undefined = hornbeam_state:get(<<"no">>),
    none = hornbeam_state:get(<<"no">>, none),
    ok = hornbeam_state:set(<<"l">>, [1, 2], 60),
    true = hornbeam_state:ttl(<<"l">>) > 59,
    {ok, Stored} = hb_client:call(Socket, ?HB_OP_GET, <<"l">>),
    [1, 2] = binary_to_term(Stored),
    3 = hornbeam_state:incr(<<"n">>, 3),
    2 = hornbeam_state:decr(<<"n">>),
    {ok, 2} = hb_client:call(Socket, ?HB_OP_GET, <<"n">>),
    {2, Version} = hornbeam_state:gets(<<"n">>),
    true = hornbeam_state:cas(<<"n">>, two, Version),
    false = hornbeam_state:cas(<<"n">>, three, Version),
    {undefined, 0} = hornbeam_state:gets(<<"no">>),
    #{<<"n">> := two, <<"l">> := [1, 2]} = hornbeam_state:get_multi([<<"n">>, <<"no">>, <<"l">>]),
    ok = hornbeam_state:set_multi(#{<<"x">> => 1, <<"y">> => 2}),
    [<<"x">>, <<"y">>] = hornbeam_state:keys() -- [<<"k">>, <<"l">>, <<"n">>],
    [<<"x">>] = hornbeam_state:keys(<<"x">>),
    true = hornbeam_state:expire(<<"x">>, 0.5),
    true = hornbeam_state:expire(<<"x">>, infinity),
    infinity = hornbeam_state:ttl(<<"x">>),
    true = hornbeam_state:delete(<<"x">>),
    false = hornbeam_state:exists(<<"x">>),
    false = hornbeam_state:add(<<"y">>, 1),
    true = hornbeam_state:add(<<"z">>, 1, 10),
    {'EXIT', {{value, _}, _}} = catch hornbeam_state:set(<<>>, 1),
    {'EXIT', {{value, _}, _}} = catch hornbeam_state:set(<<"k">>, 1, 0),
    {'EXIT', {{type, _}, _}} = catch hornbeam_state:incr(<<"l">>),
    {'EXIT', {{type, _}, _}} = catch hornbeam_state:decr(<<"n">>, 1.0),
    {'EXIT', {{type, _}, _}} = catch hornbeam_state:set_multi([{<<"k">>, 1}]),
    {'EXIT', {{value, _}, _}} = catch hornbeam_state:keys(<<>>, 0),
    {'EXIT', {{value, _}, _}} = catch hornbeam_state:cas(<<"n">>, 1, -1),
    ok.

erlang_fetch_computes_once(_Config) ->
    Self = self(),
    Compute = fun() ->
        Self ! computed,
        %% Asking for the same key inside does not wait for itself.
        inner = hornbeam_state:fetch(<<"k">>, fun() -> inner end),
        done
    end,
    {'EXIT', {oops, _}} = catch hornbeam_state:fetch(<<"k">>, fun() -> error(oops) end),
    done = hornbeam_state:fetch(<<"f">>, fun() -> done end),
    _ = [spawn_link(fun() -> Self ! {got, hornbeam_state:fetch(<<"k">>, Compute, 60)} end) || _ <- lists:seq(1, 10)],
    Got = [receive {got, V} -> V after 60000 -> timeout end || _ <- lists:seq(1, 10)],
    true = lists:all(fun(V) -> V =:= done orelse V =:= inner end, Got),
    receive computed -> ok end,
    receive computed -> error(twice) after 0 -> ok end,
    0 = hornbeam_lease:count().
