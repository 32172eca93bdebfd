%% Publish/subscribe on one node: who gets what and in which order, what is
%% counted, clients that do not read, and what is left when something ends.
-module(hornbeam_pubsub_SUITE).

-include("hornbeam_link.hrl").

-compile([export_all, nowarn_export_all]).

-define(TOPIC, <<"news">>).

all() ->
    [
        links_and_processes_get_it_once,
        the_number_behind_a_link_is_set,
        nobody_listens,
        erlang_subscribes_and_leaves,
        what_is_no_topic_or_message_is_refused,
        a_message_has_a_largest_size,
        subscriptions_end_with_their_owner,
        random_publishers_keep_their_order,
        random_subscriptions_are_counted,
        a_subscriber_has_a_largest_number_of_topics,
        the_hub_dies_and_nothing_is_lost,
        what_ends_while_the_hub_is_dead_is_removed,
        the_groups_die_and_come_back,
        a_client_that_does_not_read_holds_nobody,
        a_gap_is_told_before_what_comes_after_it,
        a_publisher_that_is_killed_leaves_no_queue_shut,
        gaps_of_many_publishers_add_up,
        a_link_that_subscribed_is_not_cut,
        a_reply_comes_after_a_stall,
        a_client_that_ends_while_it_stalls_is_gone,
        a_large_message_goes_through_a_full_queue,
        status_counts
    ].

init_per_testcase(Case, Config) ->
    Env = case Case of
        a_link_that_subscribed_is_not_cut -> [{unread_ms, 200}];
        _ -> []
    end,
    [{path, hb_node:start(#{max_keys => 0, max_bytes => 0, max_value => 0}, Env)} | Config].

end_per_testcase(_Case, _Config) ->
    _ = hb_node:stop(),
    ok.

connect(Config) -> hb_client:connect(proplists:get_value(path, Config)).

subscriber(Config, Topic) ->
    Socket = connect(Config),
    {ok, ok} = hb_client:subscribe(Socket, Topic, 1),
    Socket.

%% Every case starts without subscriptions and ends without: what is left behind shows.
left() ->
    {hornbeam_pubsub:topics(), ets:info(hornbeam_topics, size), ets:info(hornbeam_topics_totals, size),
        ets:info(hornbeam_hub_owned, size), topics_of_groups()}.

%% The hub has a group of its own.
topics_of_groups() ->
    [Topic || Topic <- pg:which_groups(hornbeam_pubsub), is_binary(Topic)].

nothing_left() ->
    hb_node:eventually(fun() -> left() =:= {[], 0, 0, 0, []} end).

links_and_processes_get_it_once(Config) ->
    [A, B] = [subscriber(Config, ?TOPIC) || _ <- [1, 2]],
    {ok, ok} = hb_client:subscribe(B, <<"other">>, 1),
    ok = hornbeam_pubsub:subscribe(?TOPIC),
    ok = hornbeam_pubsub:subscribe(?TOPIC),
    Publisher = connect(Config),
    {ok, 3} = hb_client:publish(Publisher, ?TOPIC, #{<<"n">> => 1}),
    {ok, 1} = hb_client:publish(Publisher, <<"other">>, two),
    3 = hornbeam_pubsub:publish(?TOPIC, {three, self()}),
    _ = [{message, ?TOPIC, #{<<"n">> := 1}} = hb_client:pushed(S) || S <- [A, B]],
    {message, <<"other">>, two} = hb_client:pushed(B),
    Self = self(),
    _ = [{message, ?TOPIC, {three, Self}} = hb_client:pushed(S) || S <- [A, B]],
    _ = [{error, timeout} = hb_client:pushed(S, 20) || S <- [A, B]],
    [{pubsub, ?TOPIC, #{<<"n">> := 1}}, {pubsub, ?TOPIC, {three, Self}}] = mailbox(),
    {ok, [{?TOPIC, 3, 0}, {<<"other">>, 1, 0}]} = hb_client:call(Publisher, ?HB_OP_TOPICS, []),
    ok = hornbeam_pubsub:unsubscribe(?TOPIC),
    _ = [hb_client:close(S) || S <- [A, B]],
    nothing_left().

mailbox() ->
    receive
        Message -> [Message | mailbox()]
    after 0 -> []
    end.

the_number_behind_a_link_is_set(Config) ->
    Socket = connect(Config),
    Other = subscriber(Config, ?TOPIC),
    _ = [
        begin
            {ok, ok} = hb_client:subscribe(Socket, ?TOPIC, N),
            {ok, Count} = hb_client:publish(Other, <<"none">>, x),
            0 = Count,
            [{?TOPIC, Sum, 0}] = hornbeam_pubsub:topics(),
            Sum = N + 1
        end
     || N <- [5, 1000, 5, 5, 1]
    ],
    {ok, ok} = hb_client:subscribe(Socket, ?TOPIC, 7),
    8 = hornbeam_pubsub:publish(?TOPIC, x),
    {message, ?TOPIC, x} = hb_client:pushed(Socket),
    {error, timeout} = hb_client:pushed(Socket, 20),
    {ok, ok} = hb_client:subscribe(Socket, ?TOPIC, 0),
    {ok, ok} = hb_client:subscribe(Socket, ?TOPIC, 0),
    1 = hornbeam_pubsub:publish(?TOPIC, y),
    {error, timeout} = hb_client:pushed(Socket, 20),
    hb_client:close(Other),
    nothing_left(),
    {ok, pong} = hb_client:call(Socket, ?HB_OP_PING, []).

nobody_listens(Config) ->
    {ok, 0} = hb_client:publish(connect(Config), ?TOPIC, x),
    0 = hornbeam_pubsub:publish(?TOPIC, x),
    nothing_left().

erlang_subscribes_and_leaves(_Config) ->
    Self = self(),
    Other = spawn_link(fun() -> receive {pubsub, ?TOPIC, Term} -> Self ! {other, Term} end, receive stop -> ok end end),
    ok = hornbeam_pubsub:subscribe(?TOPIC, Other),
    1 = hornbeam_pubsub:publish(?TOPIC, for_other),
    receive {other, for_other} -> ok end,
    ok = hornbeam_pubsub:unsubscribe(?TOPIC, Self),
    ok = hornbeam_pubsub:unsubscribe(?TOPIC, Other),
    ok = hornbeam_pubsub:unsubscribe(?TOPIC, Other),
    0 = hornbeam_pubsub:publish(?TOPIC, for_nobody),
    nothing_left(),
    Other ! stop.

what_is_no_topic_or_message_is_refused(Config) ->
    Socket = connect(Config),
    Long = binary:copy(<<"x">>, 1025),
    _ = [
        begin
            {error, {Class, _}} = hb_client:subscribe(Socket, Topic, 1),
            {error, {Class, _}} = hb_client:publish(Socket, Topic, x),
            {'EXIT', {{Class, _}, _}} = catch hornbeam_pubsub:subscribe(Topic),
            {'EXIT', {{Class, _}, _}} = catch hornbeam_pubsub:publish(Topic, x)
        end
     || {Topic, Class} <- [{<<>>, value}, {Long, value}, {<<255>>, value}, {7, type}, {[], type}]
    ],
    _ = [
        {error, {protocol, _}} = hb_client:call(Socket, Op, Request)
     || {Op, Request} <- [
            {?HB_OP_SUBSCRIBE, {?TOPIC, -1}}, {?HB_OP_SUBSCRIBE, {?TOPIC, 1.0}}, {?HB_OP_SUBSCRIBE, ?TOPIC},
            {?HB_OP_SUBSCRIBE, {?TOPIC, 1 bsl 70}}, {?HB_OP_PUBLISH, {?TOPIC, <<>>}}, {?HB_OP_PUBLISH, {?TOPIC, <<"text">>}},
            {?HB_OP_PUBLISH, {?TOPIC, 5}}, {?HB_OP_PUBLISH, ?TOPIC}, {?HB_OP_TOPICS, {}}, {?HB_OP_MESSAGE, {?TOPIC, <<131, 106>>}},
            {?HB_OP_PUBLISH, {?TOPIC, term_to_binary(lists:seq(1, 1000), [compressed])}}
        ]
    ],
    {'EXIT', {{value, _}, _}} = catch hornbeam_pubsub:subscribe(?TOPIC, not_a_pid),
    %% Only who decodes a message can refuse what is in it.
    {ok, 0} = hb_client:call(Socket, ?HB_OP_PUBLISH, {?TOPIC, <<131, 255>>}),
    ok = hornbeam_pubsub:subscribe(?TOPIC),
    {error, {protocol, _}} = hb_client:call(Socket, ?HB_OP_PUBLISH, {?TOPIC, <<131, 255>>}),
    ok = hornbeam_pubsub:unsubscribe(?TOPIC),
    [] = mailbox(),
    nothing_left().

a_message_has_a_largest_size(Config) ->
    Reader = subscriber(Config, ?TOPIC),
    Socket = connect(Config),
    Largest = binary:copy(<<"x">>, 8388608 - 6),
    {ok, 1} = hb_client:publish(Socket, ?TOPIC, Largest),
    {message, ?TOPIC, Largest} = hb_client:pushed(Reader),
    {error, {limit, Text}} = hb_client:publish(Socket, ?TOPIC, <<Largest/binary, "x">>),
    {_, _} = binary:match(Text, <<"8388608">>),
    {'EXIT', {{limit, _}, _}} = catch hornbeam_pubsub:publish(?TOPIC, [Largest, Largest]),
    {ok, 1} = hb_client:publish(Socket, ?TOPIC, small),
    {message, ?TOPIC, small} = hb_client:pushed(Reader).

subscriptions_end_with_their_owner(Config) ->
    Link = connect(Config),
    _ = [{ok, ok} = hb_client:subscribe(Link, <<"t", (integer_to_binary(N))/binary>>, N) || N <- lists:seq(1, 500)],
    Self = self(),
    Pid = spawn(fun() ->
        _ = [ok = hornbeam_pubsub:subscribe(<<"t", (integer_to_binary(N))/binary>>) || N <- lists:seq(400, 700)],
        Self ! ready,
        receive never -> ok end
    end),
    receive ready -> ok end,
    700 = length(hornbeam_pubsub:topics()),
    exit(Pid, kill),
    hb_node:eventually(fun() -> length(hornbeam_pubsub:topics()) =:= 500 end),
    500 = hornbeam_pubsub:publish(<<"t500">>, x),
    hb_client:close(Link),
    nothing_left().

%% Twelve publishers and twelve subscribers, links and processes, each at some of five topics.
random_publishers_keep_their_order(Config) ->
    Topics = [<<"topic ", N>> || N <- "abcde"],
    Parent = self(),
    Subscribers = [
        {Mine, start_link_process(fun() -> subscribe_and_read(Kind, Config, Mine, Parent) end)}
     || N <- lists:seq(1, 12),
        Kind <- [lists:nth(1 + N rem 2, [link, process])],
        Mine <- [some(Topics)]
    ],
    _ = [receive {Pid, subscribed} -> ok after 60000 -> error(late) end || {_, Pid} <- Subscribers],
    Publishers = [
        {N, start_link_process(fun() -> Parent ! {self(), publish_many(lists:nth(1 + N rem 2, [link, process]), Config, Topics, N)} end)}
     || N <- lists:seq(1, 12)
    ],
    Sent = lists:append([receive {Pid, Messages} -> Messages after 60000 -> error(late) end || {_, Pid} <- Publishers]),
    _ = [hornbeam_pubsub:publish(Topic, done) || Topic <- Topics],
    _ = [
        begin
            Got = receive {Pid, {got, Messages}} -> Messages after 60000 -> error(late) end,
            _ = [
                {Topic, N, Wanted} = {Topic, N, [M || {T, M} <- Got, T =:= Topic, element(1, M) =:= N]}
             || Topic <- Mine,
                {N, _} <- Publishers,
                Wanted <- [[M || {T, M} <- Sent, T =:= Topic, element(1, M) =:= N]]
            ],
            %% In order over all topics too, as one link or process is the subscriber of them.
            _ = [true = sorted([I || {_, {P, I}} <- Got, P =:= N]) || {N, _} <- Publishers],
            true = length(Got) =:= length([x || {T, _} <- Sent, lists:member(T, Mine)])
        end
     || {Mine, Pid} <- Subscribers
    ],
    nothing_left().

start_link_process(Fun) -> spawn_link(Fun).

sorted(List) -> List =:= lists:usort(List).

some(Topics) ->
    case [T || T <- Topics, rand:uniform(2) =:= 1] of
        [] -> some(Topics);
        Some -> Some
    end.

publish_many(link, Config, Topics, N) ->
    Socket = connect(Config),
    Sent = [{lists:nth(rand:uniform(5), Topics), {N, I}} || I <- lists:seq(1, 400)],
    _ = [
        ok = hb_client:send(Socket, ?HB_OP_PUBLISH, I, 0, term_to_binary({Topic, term_to_binary(Message)}))
     || {Topic, {_, I} = Message} <- Sent
    ],
    _ = [{?HB_OP_PUBLISH, I, 1, _} = hb_client:recv(Socket) || {_, {_, I}} <- Sent],
    Sent;
publish_many(process, _Config, Topics, N) ->
    Sent = [{lists:nth(rand:uniform(5), Topics), {N, I}} || I <- lists:seq(1, 400)],
    _ = [hornbeam_pubsub:publish(Topic, Message) || {Topic, Message} <- Sent],
    Sent.

subscribe_and_read(link, Config, Mine, Parent) ->
    Socket = connect(Config),
    _ = [{ok, ok} = hb_client:subscribe(Socket, Topic, 1) || Topic <- Mine],
    Parent ! {self(), subscribed},
    Next = fun() -> {message, Topic, Message} = hb_client:pushed(Socket), {Topic, Message} end,
    Parent ! {self(), {got, until_done(Next, length(Mine))}};
subscribe_and_read(process, _Config, Mine, Parent) ->
    _ = [ok = hornbeam_pubsub:subscribe(Topic) || Topic <- Mine],
    Parent ! {self(), subscribed},
    Next = fun() -> receive {pubsub, Topic, Message} -> {Topic, Message} end end,
    Parent ! {self(), {got, until_done(Next, length(Mine))}}.

until_done(_Next, 0) ->
    [];
until_done(Next, Left) ->
    case Next() of
        {_, done} -> until_done(Next, Left - 1);
        Message -> [Message | until_done(Next, Left)]
    end.

%% Links and processes come, change their minds and go, while the hub dies now and then.
random_subscriptions_are_counted(Config) ->
    Topics = [<<"topic ", N>> || N <- "abcdefghij"],
    Parent = self(),
    Pids = [
        spawn_link(fun() ->
            {Subscribe, Close} = random_subscriber(lists:nth(1 + N rem 2, [link, process]), Config),
            Model = lists:foldl(fun(_, M) -> random_change(Subscribe, Topics, M) end, #{}, lists:seq(1, 300)),
            Parent ! {self(), Model},
            receive stop -> Close() end,
            Parent ! {self(), stopped}
        end)
     || N <- lists:seq(1, 12)
    ],
    _ = [begin killed(hornbeam_hub), _ = hornbeam_pubsub:publish(hd(Topics), x) end || _ <- lists:seq(1, 5)],
    Models = [{Pid, receive {Pid, Model} -> Model after 60000 -> error(late) end} || Pid <- Pids],
    true = hornbeam_pubsub:topics() =:= model([Model || {_, Model} <- Models]),
    {Go, Stay} = lists:partition(fun(_) -> rand:uniform(2) =:= 1 end, Models),
    stop([Pid || {Pid, _} <- Go]),
    hb_node:eventually(fun() -> hornbeam_pubsub:topics() =:= model([Model || {_, Model} <- Stay]) end),
    stop([Pid || {Pid, _} <- Stay]),
    nothing_left().

stop(Pids) ->
    _ = [Pid ! stop || Pid <- Pids],
    [receive {Pid, stopped} -> ok after 60000 -> error(late) end || Pid <- Pids].

random_subscriber(link, Config) ->
    Socket = connect(Config),
    {
        fun(Topic, Count) ->
            ok = hb_client:send(Socket, ?HB_OP_SUBSCRIBE, 9, 0, term_to_binary({Topic, Count})),
            ok = until_reply(Socket, 9),
            Count
        end,
        fun() -> hb_client:close(Socket) end
    };
random_subscriber(process, _Config) ->
    {
        fun
            (Topic, 0) -> ok = hornbeam_pubsub:unsubscribe(Topic), 0;
            (Topic, _) -> ok = hornbeam_pubsub:subscribe(Topic), 1
        end,
        fun() -> ok end
    }.

random_change(Subscribe, Topics, Model) ->
    Topic = lists:nth(rand:uniform(length(Topics)), Topics),
    Model#{Topic => Subscribe(Topic, max(0, rand:uniform(7) - 3))}.

model(Models) ->
    Sums = lists:foldl(fun(M, Sum) -> maps:merge_with(fun(_, A, B) -> A + B end, M, Sum) end, #{}, Models),
    [{Topic, Count, 0} || {Topic, Count} <- lists:sort(maps:to_list(Sums)), Count > 0].

a_subscriber_has_a_largest_number_of_topics(_Config) ->
    Pid = spawn_link(fun() -> receive stop -> ok end end),
    _ = [ok = hornbeam_pubsub:subscribe(integer_to_binary(N), Pid) || N <- lists:seq(1, 100000)],
    {'EXIT', {{limit, _}, _}} = catch hornbeam_pubsub:subscribe(<<"one more">>, Pid),
    ok = hornbeam_pubsub:subscribe(<<"1">>, Pid),
    ok = hornbeam_pubsub:unsubscribe(<<"1">>, Pid),
    ok = hornbeam_pubsub:subscribe(<<"one more">>, Pid),
    ok = hornbeam_pubsub:subscribe(<<"one more">>),
    1 = hornbeam_pubsub:publish(<<"77">>, x),
    Pid ! stop,
    hb_node:eventually(fun() -> hornbeam_pubsub:topics() =:= [{<<"one more">>, 1, 0}] end),
    ok = hornbeam_pubsub:unsubscribe(<<"one more">>),
    nothing_left().

killed(Name) ->
    Old = whereis(Name),
    exit(Old, kill),
    hb_node:eventually(fun() -> not lists:member(whereis(Name), [undefined, Old]) end).

the_hub_dies_and_nothing_is_lost(Config) ->
    Reader = subscriber(Config, ?TOPIC),
    ok = hornbeam_pubsub:subscribe(?TOPIC),
    Stop = make_ref(),
    Parent = self(),
    Publisher = spawn_link(fun() -> Parent ! {published, publish_until(Stop, 1)} end),
    _ = [killed(hornbeam_hub) || _ <- lists:seq(1, 5)],
    Late = subscriber(Config, ?TOPIC),
    Publisher ! Stop,
    Last = receive {published, N} -> N end,
    Numbers = lists:seq(1, Last),
    Numbers = [receive {pubsub, ?TOPIC, M} -> M end || _ <- Numbers],
    Numbers = [element(3, hb_client:pushed(Reader)) || _ <- Numbers],
    3 = hornbeam_pubsub:publish(?TOPIC, x),
    [_] = pg:get_members(hornbeam_pubsub, ?TOPIC),
    [{?TOPIC, 3, 0}] = hornbeam_pubsub:topics(),
    ok = hornbeam_pubsub:unsubscribe(?TOPIC),
    _ = [hb_client:close(S) || S <- [Reader, Late]],
    nothing_left().

publish_until(Stop, N) ->
    true = hornbeam_pubsub:publish(?TOPIC, N) >= 2,
    receive
        Stop -> N
    after 0 -> publish_until(Stop, N + 1)
    end.

what_ends_while_the_hub_is_dead_is_removed(Config) ->
    Links = [subscriber(Config, ?TOPIC) || _ <- lists:seq(1, 10)],
    Pids = [spawn(fun() -> receive never -> ok end end) || _ <- lists:seq(1, 10)],
    _ = [ok = hornbeam_pubsub:subscribe(?TOPIC, Pid) || Pid <- Pids],
    ok = supervisor:terminate_child(hornbeam_pubsub_sup, hub),
    _ = [hb_client:close(L) || L <- tl(Links)],
    _ = [exit(Pid, kill) || Pid <- tl(Pids)],
    hb_node:eventually(fun() -> length(hornbeam_links:list()) =:= 1 end),
    {ok, _} = supervisor:restart_child(hornbeam_pubsub_sup, hub),
    hb_node:eventually(fun() -> hornbeam_pubsub:topics() =:= [{?TOPIC, 2, 0}] end),
    exit(hd(Pids), kill),
    hb_client:close(hd(Links)),
    nothing_left().

the_groups_die_and_come_back(Config) ->
    Reader = subscriber(Config, ?TOPIC),
    killed(hornbeam_pubsub),
    hb_node:eventually(fun() -> length(pg:get_members(hornbeam_pubsub, ?TOPIC)) =:= 1 end),
    1 = hornbeam_pubsub:publish(?TOPIC, x),
    {message, ?TOPIC, x} = hb_client:pushed(Reader),
    hb_client:close(Reader),
    nothing_left().

%% A client that has stopped costs its own messages, not memory, time or those of others.
a_client_that_does_not_read_holds_nobody(Config) ->
    Stopped = subscriber(Config, ?TOPIC),
    ok = hornbeam_pubsub:subscribe(?TOPIC),
    Bytes = rand:bytes(1024),
    true = erlang:garbage_collect(),
    Before = erlang:memory(total),
    Peaks = [
        begin
            2 = hornbeam_pubsub:publish(?TOPIC, {N, Bytes}),
            receive {pubsub, ?TOPIC, {N, _}} -> ok end,
            case N rem 10000 of 0 -> erlang:memory(total) - Before; _ -> 0 end
        end
     || N <- lists:seq(1, 200000)
    ],
    ct:pal("memory grew by ~b KiB", [lists:max(Peaks) div 1024]),
    true = lists:max(Peaks) < 32 * 1048576,
    [{?TOPIC, 2, Dropped}] = hornbeam_pubsub:topics(),
    true = Dropped > 180000,
    ok = hornbeam_pubsub:unsubscribe(?TOPIC),
    200000 = in_order(Stopped, 0, 200000),
    hb_client:close(Stopped),
    nothing_left().

%% Reads messages {N, _} and gaps up to the number Last.
in_order(Socket, From, Last) ->
    in_order(Socket, From, From, Last).

%% The latest message, and how many came or were told to be lost: what is missing before
%% a message is told before it.
in_order(_Socket, _Latest, Last, Last) ->
    Last;
in_order(Socket, Latest, Known, Last) ->
    case hb_client:pushed(Socket) of
        {message, ?TOPIC, {N, _}} when N > Latest, N =< Known + 1 -> in_order(Socket, N, Known + 1, Last);
        {gap, [{?TOPIC, Count}]} when Count > 0 -> in_order(Socket, Latest, Known + Count, Last)
    end.

%% It begins late, and reads beside the publisher: the queue fills and opens many times.
a_gap_is_told_before_what_comes_after_it(Config) ->
    Socket = subscriber(Config, ?TOPIC),
    Bytes = rand:bytes(100000),
    Parent = self(),
    Publish = fun(Numbers) -> [1 = hornbeam_pubsub:publish(?TOPIC, {N, Bytes}) || N <- Numbers] end,
    _ = spawn_link(fun() ->
        _ = Publish(lists:seq(1, 500)),
        Parent ! full,
        _ = Publish(lists:seq(501, 6000))
    end),
    receive full -> ok end,
    6000 = in_order(Socket, 0, 6000),
    [{?TOPIC, 1, Dropped}] = hornbeam_pubsub:topics(),
    ct:pal("~b of 6000 dropped", [Dropped]),
    true = Dropped > 0.

%% Just before it tells of the loss that it has counted.
a_publisher_that_is_killed_leaves_no_queue_shut(Config) ->
    Socket = subscriber(Config, ?TOPIC),
    {[{Link, 1, Queue}], _} = hornbeam_topics:subscribers(?TOPIC),
    ok = hornbeam_push:full(Queue),
    _ = ets:update_counter(hornbeam_topics, {?TOPIC, Link}, {4, 1}),
    1 = hornbeam_pubsub:publish(?TOPIC, lost),
    hb_node:eventually(fun() -> hornbeam_push:admit(Queue, 0) end),
    1 = hornbeam_pubsub:publish(?TOPIC, hello),
    {gap, [{?TOPIC, 2}]} = hb_client:pushed(Socket),
    {message, ?TOPIC, hello} = hb_client:pushed(Socket).

gaps_of_many_publishers_add_up(Config) ->
    Topics = [<<"topic ", N>> || N <- "abcdefgh"],
    Sockets = [connect(Config) || _ <- [1, 2, 3]],
    _ = [{ok, ok} = hb_client:subscribe(S, T, 1) || S <- Sockets, T <- Topics],
    Parent = self(),
    Each = 5000,
    Pids = [
        spawn_link(fun() ->
            Bytes = rand:bytes(3000),
            _ = [3 = hornbeam_pubsub:publish(T, {N, I, Bytes}) || I <- lists:seq(1, Each), T <- [lists:nth(1 + (I + N) rem 8, Topics)]],
            Parent ! {published, self()}
        end)
     || N <- lists:seq(1, 6)
    ],
    Readers = [
        spawn_link(fun() ->
            receive go -> ok end,
            Parent ! {read, self(), count(Socket, 6 * Each, #{}, #{})},
            receive stop -> ok end
        end)
     || Socket <- Sockets
    ],
    _ = [ok = gen_tcp:controlling_process(S, R) || {S, R} <- lists:zip(Sockets, Readers)],
    %% One reads from the start, one after the half, one when all is published.
    hd(Readers) ! go,
    _ = [receive {published, Pid} -> ok end || Pid <- lists:sublist(Pids, 3)],
    lists:nth(2, Readers) ! go,
    _ = [receive {published, Pid} -> ok end || Pid <- lists:nthtail(3, Pids)],
    lists:nth(3, Readers) ! go,
    Dropped = [receive {read, R, N} -> N end || R <- Readers],
    ct:pal("dropped ~p of ~b each", [Dropped, 6 * Each]),
    true = lists:last(Dropped) > 0,
    Sum = lists:sum([D || {_, 3, D} <- hornbeam_pubsub:topics()]),
    Sum = lists:sum(Dropped),
    _ = [R ! stop || R <- Readers].

%% What came and what the gaps say is what was published; returns the sum of the gaps.
count(Socket, Left, Last, Gaps) when Left > 0 ->
    case hb_client:pushed(Socket) of
        {message, _, {N, I, _}} ->
            true = I > maps:get(N, Last, 0),
            count(Socket, Left - 1, Last#{N => I}, Gaps);
        {gap, Counts} ->
            More = lists:foldl(fun({T, C}, G) -> G#{T => C + maps:get(T, G, 0)} end, Gaps, Counts),
            count(Socket, Left - lists:sum([C || {_, C} <- Counts]), Last, More)
    end;
count(Socket, 0, _Last, Gaps) ->
    {error, timeout} = hb_client:pushed(Socket, 50),
    lists:sum(maps:values(Gaps)).

a_link_that_subscribed_is_not_cut(Config) ->
    Quiet = subscriber(Config, ?TOPIC),
    Ordinary = connect(Config),
    {ok, ok} = hb_client:call(Ordinary, ?HB_OP_SET, {<<"big">>, term_to_binary(binary:copy(<<"v">>, 1000000)), 0}),
    _ = [hornbeam_pubsub:publish(?TOPIC, {N, binary:copy(<<"x">>, 10000)}) || N <- lists:seq(1, 5000)],
    _ = [ok = hb_client:send(Ordinary, ?HB_OP_GET, N, 0, term_to_binary(<<"big">>)) || N <- lists:seq(1, 100)],
    hb_node:eventually(fun() -> length(hornbeam_links:list()) =:= 1 end),
    5000 = in_order(Quiet, 0, 5000),
    {ok, pong} = hb_client:call(Quiet, ?HB_OP_PING, []).

a_reply_comes_after_a_stall(Config) ->
    Socket = subscriber(Config, ?TOPIC),
    _ = [hornbeam_pubsub:publish(?TOPIC, {N, binary:copy(<<"x">>, 10000)}) || N <- lists:seq(1, 5000)],
    ok = hb_client:send(Socket, ?HB_OP_SUBSCRIBE, 77, 0, term_to_binary({?TOPIC, 0})),
    ok = until_reply(Socket, 77),
    nothing_left(),
    {ok, pong} = hb_client:call(Socket, ?HB_OP_PING, []),
    #{dropped := Dropped} = hornbeam_topics:info(),
    true = Dropped > 0.

a_client_that_ends_while_it_stalls_is_gone(Config) ->
    Sockets = [Socket | _] = [subscriber(Config, ?TOPIC) || _ <- lists:seq(1, 3)],
    _ = [hornbeam_pubsub:publish(?TOPIC, {N, binary:copy(<<"x">>, 10000)}) || N <- lists:seq(1, 5000)],
    {message, ?TOPIC, {1, _}} = hb_client:pushed(Socket),
    _ = [hb_client:close(S) || S <- Sockets],
    nothing_left(),
    hb_node:eventually(fun() -> hornbeam_links:list() =:= [] end).

until_reply(Socket, Id) ->
    case hb_client:recv(Socket) of
        {_, 0, 0, _} -> until_reply(Socket, Id);
        {?HB_OP_SUBSCRIBE, Id, 1, Payload} -> hb_client:decode(Payload)
    end.

%% Each is as large as the whole queue: there is always room for one.
a_large_message_goes_through_a_full_queue(Config) ->
    Socket = subscriber(Config, ?TOPIC),
    Large = binary:copy(<<"x">>, 8000000),
    _ = [1 = hornbeam_pubsub:publish(?TOPIC, {N, Large}) || N <- lists:seq(1, 20)],
    20 = in_order(Socket, 0, 20),
    1 = hornbeam_pubsub:publish(?TOPIC, {21, Large}),
    21 = in_order(Socket, 20, 21).

status_counts(Config) ->
    Socket = connect(Config),
    {ok, ok} = hb_client:subscribe(Socket, ?TOPIC, 3),
    ok = hornbeam_pubsub:subscribe(<<"erlang">>),
    {ok, #{<<"pubsub">> := #{<<"topics">> := 2, <<"subscribers">> := 4, <<"dropped">> := 0}}} =
        hb_client:call(Socket, ?HB_OP_STATUS, []).
