%% Publish/subscribe over several nodes: real ones, that come, go, hang and
%% lose each other.
-module(hornbeam_cluster_SUITE).

-compile([export_all, nowarn_export_all]).

-define(TOPIC, <<"news">>).

all() ->
    [
        a_message_crosses_to_a_node_once,
        a_subscription_is_counted_everywhere,
        every_publisher_keeps_its_order_everywhere,
        a_node_that_ends_is_not_counted,
        nodes_that_lost_each_other_meet_again,
        an_application_may_start_after_its_node,
        a_hub_that_dies_is_known_again,
        a_courier_that_dies_is_replaced,
        a_courier_that_learns_late_of_a_lost_connection_is_replaced,
        a_connection_that_breaks_shows_as_a_gap,
        a_gap_ends_when_publishers_find_the_subscribers_again,
        a_node_that_ends_shows_as_a_gap,
        a_hub_that_dies_shows_as_a_gap_where_messages_came_to_it,
        no_message_is_missing_without_a_gap,
        two_members_of_a_node_get_a_message_once,
        a_node_that_hangs_holds_nobody,
        a_hub_answers_a_node_that_hangs_later,
        much_passes_to_a_node_that_keeps_up,
        a_message_that_only_python_can_read
    ].

init_per_testcase(_Case, Config) ->
    _ = application:load(hornbeam),
    Nodes = [_, _, _] = [hb_peer:start(Name) || Name <- [hb_a, hb_b, hb_c]],
    meet(Nodes),
    [{nodes, Nodes} | Config].

end_per_testcase(_Case, Config) ->
    _ = [catch hb_peer:stop(Node) || Node <- peers(Config)],
    ok.

meet(Nodes) ->
    _ = [hb_peer:connect(A, B) || A <- Nodes, B <- Nodes, A < B],
    ok.

peers(Config) -> proplists:get_value(nodes, Config).

subscriber({_, Path}) ->
    Socket = hb_client:connect(Path),
    {ok, ok} = hb_client:subscribe(Socket, ?TOPIC, 1),
    Socket.

publish(Node, Term) ->
    hb_peer:call(Node, hornbeam_pubsub, publish, [?TOPIC, Term]).

%% All nodes say that there are so many subscribers; then a message reaches them, too.
counted(Nodes, Count) ->
    Wanted = [[{?TOPIC, Count}] || _ <- Nodes, Count > 0] ++ [[] || _ <- Nodes, Count =:= 0],
    hb_node:eventually(fun() ->
        Wanted =:= [[{T, N} || {T, N, _} <- hb_peer:call(Node, hornbeam_pubsub, topics, [])] || Node <- Nodes]
    end).

%% A process of that node that keeps what it gets.
collector(Node) ->
    hb_peer:call(Node, ?MODULE, start_collector, [?TOPIC]).

start_collector(Topic) ->
    Self = self(),
    Pid = spawn(fun() ->
        ok = hornbeam_pubsub:subscribe(Topic),
        Self ! subscribed,
        collect([])
    end),
    receive subscribed -> Pid end.

collect(Got) ->
    receive
        {pubsub, _, Term} -> collect([Term | Got]);
        {take, From} -> From ! {got, lists:reverse(Got)}, collect([])
    end.

take(Pid) ->
    Pid ! {take, self()},
    receive {got, Got} -> Got end.

collected(Node, Pid) ->
    hb_peer:call(Node, ?MODULE, take, [Pid]).

a_message_crosses_to_a_node_once(Config) ->
    [A, B, C] = Nodes = peers(Config),
    Links = [subscriber(N) || N <- [A, B, B, C]],
    Pids = [{N, collector(N)} || N <- [A, B, B]],
    counted(Nodes, 7),
    7 = publish(A, one),
    Publisher = hb_client:connect(element(2, B)),
    {ok, 7} = hb_client:publish(Publisher, ?TOPIC, two),
    7 = publish(C, three),
    _ = [
        [one, three, two] = lists:sort([begin {message, ?TOPIC, M} = hb_client:pushed(Link), M end || _ <- [1, 2, 3]])
     || Link <- Links
    ],
    _ = [{error, timeout} = hb_client:pushed(Link, 20) || Link <- Links],
    _ = [[one, three, two] = lists:sort(collected(N, Pid)) || {N, Pid} <- Pids].

a_subscription_is_counted_everywhere(Config) ->
    [A, B, C] = Nodes = peers(Config),
    Link = subscriber(B),
    counted(Nodes, 1),
    {ok, ok} = hb_client:subscribe(Link, ?TOPIC, 1000),
    counted(Nodes, 1000),
    Other = subscriber(C),
    counted(Nodes, 1001),
    {ok, ok} = hb_client:subscribe(Link, ?TOPIC, 0),
    counted(Nodes, 1),
    hb_client:close(Other),
    counted(Nodes, 0),
    0 = publish(A, nobody),
    _ = [0 = hb_peer:call(N, ets, info, [hornbeam_topics_totals, size]) || N <- Nodes],
    _ = [[] = hb_peer:call(N, hornbeam_pubsub_SUITE, topics_of_groups, []) || N <- Nodes].

every_publisher_keeps_its_order_everywhere(Config) ->
    Nodes = peers(Config),
    Links = [subscriber(N) || N <- Nodes],
    Pids = [{N, collector(N)} || N <- Nodes],
    counted(Nodes, 6),
    Numbers = lists:seq(1, 1000),
    Publishers = [{hb_peer:name(N), P} || N <- Nodes, P <- [1, 2, 3]],
    _ = [hb_peer:call(N, ?MODULE, publish_from, [1000]) || N <- Nodes],
    _ = [
        _ = [Numbers = [I || {P, I, _} <- Got, P =:= Publisher] || Publisher <- Publishers]
     || Link <- Links,
        Got <- [[element(3, hb_client:pushed(Link)) || _ <- lists:seq(1, 9000)]]
    ],
    _ = [
        begin
            Got = until_collected(N, Pid, 9000, []),
            _ = [Numbers = [I || {P, I, _} <- Got, P =:= Publisher] || Publisher <- Publishers]
        end
     || {N, Pid} <- Pids
    ].

until_collected(_Node, _Pid, 0, Got) ->
    Got;
until_collected(Node, Pid, Left, Got) when Left > 0 ->
    More = collected(Node, Pid),
    until_collected(Node, Pid, Left - length(More), Got ++ More).

%% Three publishers of this node, some messages larger than a fragment of the distribution.
publish_from(Count) ->
    [
        spawn(fun() ->
            Large = rand:bytes(70000),
            _ = [
                hornbeam_pubsub:publish(?TOPIC, {{erlang:node(), P}, I, case I rem 200 of 0 -> Large; _ -> <<>> end})
             || I <- lists:seq(1, Count)
            ]
        end)
     || P <- [1, 2, 3]
    ].

a_node_that_ends_is_not_counted(Config) ->
    [A, B, C] = Nodes = peers(Config),
    _ = subscriber(A),
    _ = subscriber(B),
    counted(Nodes, 2),
    ok = hb_peer:stop(B),
    counted([A, C], 1),
    hb_node:eventually(fun() -> hb_peer:call(A, ets, info, [hornbeam_topics_couriers, size]) =:= 1 end),
    1 = publish(C, x),
    Again = hb_peer:start(hb_b),
    meet([A, Again]),
    Link = subscriber(Again),
    counted([A, Again], 2),
    hb_node:eventually(fun() -> publish(A, y) =:= 2 end),
    {message, ?TOPIC, y} = hb_client:pushed(Link),
    ok = hb_peer:stop(Again).

nodes_that_lost_each_other_meet_again(Config) ->
    [A, B, _] = Nodes = peers(Config),
    Links = [subscriber(N) || N <- [A, B]],
    counted(Nodes, 2),
    hb_peer:disconnect(A, B),
    counted([A, B], 1),
    1 = publish(A, alone),
    hb_node:eventually(fun() -> meet(Nodes) =:= ok end),
    counted(Nodes, 2),
    hb_node:eventually(fun() -> length(hb_peer:call(A, pg, get_members, [hornbeam_pubsub, ?TOPIC])) =:= 2 end),
    2 = publish(A, together),
    alone = message(hd(Links)),
    _ = [together = message(L) || L <- Links].

%% The next message; that there may be a gap is of no interest here.
message(Socket) ->
    case hb_client:pushed(Socket) of
        {message, ?TOPIC, Message} -> Message;
        {gap, []} -> message(Socket)
    end.

an_application_may_start_after_its_node(Config) ->
    [A, B | _] = peers(Config),
    _ = subscriber(A),
    Late = hb_peer:start_bare(hb_late),
    try
        hb_peer:connect(Late, A),
        hb_peer:connect(Late, B),
        Path = hb_peer:call(Late, hb_node, start, [#{}]),
        counted([Late, B], 1),
        Link = subscriber({Late, Path}),
        counted([A, B, Late], 2),
        ok = hb_peer:call(Late, hb_node, stop, []),
        {error, closed} = hb_client:pushed(Link),
        counted([A, B], 1)
    after
        hb_peer:stop(Late)
    end.

kill_and_wait(Name) ->
    Old = whereis(Name),
    exit(Old, kill),
    hb_node:eventually(fun() -> not lists:member(whereis(Name), [undefined, Old]) end).

a_hub_that_dies_is_known_again(Config) ->
    [A, B, _] = Nodes = peers(Config),
    Links = [subscriber(N) || N <- [A, B]],
    counted(Nodes, 2),
    _ = [ok = hb_peer:call(N, ?MODULE, kill_and_wait, [hornbeam_hub]) || N <- [A, B, A]],
    counted(Nodes, 2),
    hb_node:eventually(fun() ->
        lists:all(fun(N) -> length(hb_peer:call(N, pg, get_members, [hornbeam_pubsub, ?TOPIC])) =:= 2 end, Nodes)
    end),
    2 = publish(A, x),
    2 = publish(B, y),
    _ = [[x, y] = lists:sort([message(L) || _ <- [1, 2]]) || L <- Links],
    _ = [2 = hb_peer:call(N, ets, info, [hornbeam_topics_couriers, size]) || N <- Nodes].

kill_couriers() ->
    [exit(Pid, kill) || {_, Pid, _, _} <- ets:tab2list(hornbeam_topics_couriers)].

couriers_live() ->
    Rows = ets:tab2list(hornbeam_topics_couriers),
    length(Rows) =:= 2 andalso lists:all(fun({_, Pid, _, _}) -> is_process_alive(Pid) end, Rows).

a_courier_that_dies_is_replaced(Config) ->
    [A, B, _] = Nodes = peers(Config),
    Link = subscriber(B),
    counted(Nodes, 1),
    _ = hb_peer:call(A, ?MODULE, kill_couriers, []),
    hb_node:eventually(fun() -> hb_peer:call(A, ?MODULE, couriers_live, []) end),
    1 = publish(A, x),
    x = message(Link).

%% These nodes know that the messages of all others come to them.
carried(Nodes) ->
    hb_node:eventually(fun() -> lists:all(fun(N) -> carriers(N) =:= length(Nodes) - 1 end, Nodes) end).

carriers(Node) -> length(hb_peer:call(Node, hornbeam_topics, sources, [])).

%% By then the nodes have met again.
a_courier_that_learns_late_of_a_lost_connection_is_replaced(Config) ->
    [A, B, C] = peers(Config),
    ok = hb_peer:stop(C),
    Link = subscriber(B),
    counted([A, B], 1),
    carried([A, B]),
    Holder = hb_peer:call(A, ?MODULE, hold_courier, [hb_peer:name(B)]),
    hb_peer:disconnect(A, B),
    counted([A], 0),
    meet([A, B]),
    counted([A], 1),
    true = hb_peer:call(A, erlang, exit, [Holder, kill]),
    hb_node:eventually(fun() -> publish(A, found), found =:= found(Link) end).

%% The courier does nothing while that process lives.
hold_courier(Node) ->
    {Courier, _, _} = hornbeam_topics:courier(Node),
    Self = self(),
    Holder = spawn(fun() ->
        true = erlang:suspend_process(Courier),
        Self ! held,
        receive never -> ok end
    end),
    receive held -> Holder end.

found(Link) ->
    case hb_client:pushed(Link, 20) of
        {message, ?TOPIC, Message} -> Message;
        {gap, []} -> found(Link);
        {error, timeout} -> nothing
    end.

%% When the second gap is there what is published from then on comes.
a_connection_that_breaks_shows_as_a_gap(Config) ->
    [A, B, C] = peers(Config),
    ok = hb_peer:stop(C),
    Link = subscriber(B),
    Process = collector(B),
    counted([A, B], 2),
    carried([A, B]),
    _ = [
        begin
            hb_peer:disconnect(A, B),
            {gap, []} = hb_client:pushed(Link),
            0 = publish(A, unheard),
            meet([A, B]),
            {gap, []} = hb_client:pushed(Link),
            _ = publish(A, N),
            {message, ?TOPIC, N} = hb_client:pushed(Link)
        end
     || N <- lists:seq(1, 10)
    ],
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] = until_collected(B, Process, 10, []).

%% The hubs have met, the groups have not.
a_gap_ends_when_publishers_find_the_subscribers_again(Config) ->
    [A, B, C] = peers(Config),
    ok = hb_peer:stop(C),
    Link = subscriber(B),
    counted([A, B], 1),
    carried([A, B]),
    hb_peer:disconnect(A, B),
    {gap, []} = hb_client:pushed(Link),
    ok = hb_peer:call(A, sys, suspend, [hornbeam_pubsub]),
    meet([A, B]),
    counted([A, B], 1),
    {error, timeout} = hb_client:pushed(Link, 100),
    ok = hb_peer:call(A, sys, resume, [hornbeam_pubsub]),
    {gap, []} = hb_client:pushed(Link),
    1 = publish(A, found),
    {message, ?TOPIC, found} = hb_client:pushed(Link).

a_node_that_ends_shows_as_a_gap(Config) ->
    [A, B, C] = peers(Config),
    ok = hb_peer:stop(C),
    Link = subscriber(B),
    counted([A, B], 1),
    carried([A, B]),
    ok = hb_peer:stop(A),
    {gap, []} = hb_client:pushed(Link),
    %% A node that was not there before has nothing to miss.
    New = hb_peer:start(hb_new),
    Again = hb_peer:start(hb_a),
    try
        meet([B, New]),
        carried([B, New]),
        1 = publish(New, new),
        {message, ?TOPIC, new} = hb_client:pushed(Link),
        meet([Again, B]),
        {gap, []} = hb_client:pushed(Link),
        _ = publish(Again, again),
        {message, ?TOPIC, again} = hb_client:pushed(Link)
    after
        _ = [hb_peer:stop(N) || N <- [New, Again]]
    end.

%% One gap at once, and one when the messages of each other node come again.
a_hub_that_dies_shows_as_a_gap_where_messages_came_to_it(Config) ->
    [A, B, C] = Nodes = peers(Config),
    [Link, Other] = Links = [subscriber(N) || N <- [B, A]],
    counted(Nodes, 2),
    carried(Nodes),
    ok = hb_peer:call(B, ?MODULE, kill_and_wait, [hornbeam_hub]),
    _ = [{gap, []} = hb_client:pushed(Link) || _ <- [1, 2, 3]],
    _ = [publish(N, hb_peer:name(N)) || N <- Nodes],
    Names = lists:sort([hb_peer:name(N) || N <- Nodes]),
    [Names, Names] = [lists:sort([element(3, hb_client:pushed(L)) || _ <- Nodes]) || L <- Links],
    %% A courier is one direction of one connection.
    _ = hb_peer:call(C, ?MODULE, kill_couriers, []),
    _ = [{gap, []} = hb_client:pushed(L) || L <- Links, _ <- [1, 2]],
    {error, timeout} = hb_client:pushed(Other, 20).

%% Publishes numbers until it is stopped, and says which was the last.
start_counting() ->
    spawn(fun() -> count_up(1) end).

count_up(N) ->
    _ = hornbeam_pubsub:publish(?TOPIC, N),
    receive
        {stop, From} -> From ! {last, N}
    after N rem 20 div 19 -> count_up(N + 1)
    end.

stop_counting(Pid) ->
    Pid ! {stop, self()},
    receive {last, N} -> N end.

%% Everything between two nodes dies in turn, while one publishes and the other listens.
no_message_is_missing_without_a_gap(Config) ->
    [A, B, C] = peers(Config),
    ok = hb_peer:stop(C),
    Link = subscriber(B),
    counted([A, B], 1),
    carried([A, B]),
    Pid = hb_peer:call(A, ?MODULE, start_counting, []),
    Hub = fun() -> ok = hb_peer:call(B, ?MODULE, kill_and_wait, [hornbeam_hub]) end,
    Groups = fun(N) -> fun() -> ok = hb_peer:call(N, ?MODULE, kill_and_wait, [hornbeam_pubsub]) end end,
    Couriers = fun() -> hb_peer:call(A, ?MODULE, kill_couriers, []) end,
    Connection = fun() -> hb_peer:disconnect(A, B), meet([A, B]) end,
    _ = [
        begin
            _ = Break(),
            carried([A, B]),
            hb_node:eventually(fun() -> lists:keymember(?TOPIC, 1, hb_peer:call(A, hornbeam_pubsub, topics, [])) end)
        end
     || Break <- [Hub, Couriers, Connection, Groups(A), Groups(B), Hub, Connection, Couriers]
    ],
    Last = hb_peer:call(A, ?MODULE, stop_counting, [Pid]),
    _ = publish(A, Last + 1),
    Missing = gapless(Link, 0, Last + 1, seen, 0),
    ct:pal("~b of ~b are missing", [Missing, Last + 1]).

%% Reads up to the number Last; how many are missing, each time behind a gap.
gapless(_Link, Last, Last, _Gap, Missing) ->
    Missing;
gapless(Link, N, Last, Gap, Missing) ->
    case hb_client:pushed(Link) of
        {message, ?TOPIC, Next} when Next =:= N + 1 -> gapless(Link, Next, Last, none, Missing);
        {message, ?TOPIC, Next} when Next > N, Gap =:= seen -> gapless(Link, Next, Last, none, Missing + Next - N - 1);
        {gap, []} -> gapless(Link, N, Last, seen, Missing)
    end.

%% As while a hub is being replaced.
second_member(Topic) ->
    ok = pg:join(hornbeam_pubsub, Topic, spawn(fun() -> receive never -> ok end end)).

two_members_of_a_node_get_a_message_once(Config) ->
    [A, B, _] = Nodes = peers(Config),
    Link = subscriber(B),
    counted(Nodes, 1),
    ok = hb_peer:call(B, ?MODULE, second_member, [?TOPIC]),
    hb_node:eventually(fun() -> length(hb_peer:call(A, pg, get_members, [hornbeam_pubsub, ?TOPIC])) =:= 2 end),
    1 = publish(A, one),
    1 = publish(A, two),
    [{message, ?TOPIC, one}, {message, ?TOPIC, two}] = [hb_client:pushed(Link) || _ <- [1, 2]].

%% Publishes the numbers First..Last with 1 KiB each; how many milliseconds that took, and by how much this node grew.
publish_load(First, Last) ->
    Bytes = rand:bytes(1024),
    true = erlang:garbage_collect(),
    Before = erlang:memory(total),
    {Time, Peaks} = timer:tc(fun() ->
        [
            begin
                _ = hornbeam_pubsub:publish(?TOPIC, {N, Bytes}),
                case N rem 1000 of 0 -> erlang:memory(total) - Before; _ -> 0 end
            end
         || N <- lists:seq(First, Last)
        ]
    end),
    {Time div 1000, lists:max(Peaks)}.

a_node_that_hangs_holds_nobody(Config) ->
    [A, B, _] = Nodes = peers(Config),
    Link = subscriber(B),
    counted(Nodes, 1),
    Pid = hb_peer:call(B, os, getpid, []),
    hb_peer:signal(Pid, "STOP"),
    {Ms, Grown} =
        try
            Load = hb_peer:call(A, ?MODULE, publish_load, [1, 50000]),
            %% The hub is there for this node meanwhile.
            Local = subscriber(A),
            2 = publish(A, {50001, local}),
            {message, ?TOPIC, {50001, local}} = hb_client:pushed(Local),
            hb_client:close(Local),
            Load
        after
            hb_peer:signal(Pid, "CONT")
        end,
    ct:pal("~b ms, ~b KiB", [Ms, Grown div 1024]),
    true = Grown < 32 * 1048576,
    50001 = hornbeam_pubsub_SUITE:in_order(Link, 0, 50001),
    1 = publish(A, {50002, x}),
    50002 = hornbeam_pubsub_SUITE:in_order(Link, 50001, 50002).

%% Fills the connection to a node until it takes nothing more, nor a while later: the socket has its own buffer.
fill(Node) ->
    fill(Node, rand:bytes(65536), 20).

fill(_Node, _Bytes, 0) ->
    ok;
fill(Node, Bytes, Left) ->
    case erlang:send({nobody, Node}, Bytes, [nosuspend]) of
        ok -> fill(Node, Bytes, 20);
        nosuspend -> receive after 10 -> fill(Node, Bytes, Left - 1) end
    end.

%% In the place of a courier of this node: says when a mark of its has been answered.
start_marked(Key) ->
    spawn(fun() -> receive marked -> persistent_term:put(Key, marked) end end).

mark(Courier) ->
    hornbeam_hub ! {mark, Courier},
    ok.

a_hub_answers_a_node_that_hangs_later(Config) ->
    [A, B, _] = peers(Config),
    Courier = hb_peer:call(B, ?MODULE, start_marked, [?FUNCTION_NAME]),
    {Name, Pid} = {hb_peer:name(B), hb_peer:call(B, os, getpid, [])},
    hb_peer:signal(Pid, "STOP"),
    try
        ok = hb_peer:call(A, ?MODULE, fill, [Name]),
        ok = hb_peer:call(A, ?MODULE, mark, [Courier]),
        %% It is there for this node meanwhile.
        _ = subscriber(A)
    after
        hb_peer:signal(Pid, "CONT")
    end,
    hb_node:eventually(fun() -> hb_peer:call(B, persistent_term, get, [?FUNCTION_NAME, none]) =:= marked end).

%% Many times what may wait on the way.
much_passes_to_a_node_that_keeps_up(Config) ->
    [A, B, _] = Nodes = peers(Config),
    Link = subscriber(B),
    counted(Nodes, 1),
    Bytes = rand:bytes(200000),
    _ = [
        begin
            1 = publish(A, {N, Bytes}),
            {message, ?TOPIC, {N, Bytes}} = hb_client:pushed(Link)
        end
     || N <- lists:seq(1, 200)
    ],
    [{?TOPIC, 1, 0}] = hb_peer:call(B, hornbeam_pubsub, topics, []).

%% What no Erlang process can be given goes to the links of the other node all the same.
a_message_that_only_python_can_read(Config) ->
    [A, B, _] = Nodes = peers(Config),
    Link = subscriber(B),
    Pid = collector(B),
    counted(Nodes, 2),
    2 = hb_peer:call(A, hornbeam_fanout, publish, [?TOPIC, {encoded, term_to_binary(fun lists:map/2)}]),
    2 = publish(A, x),
    {message, ?TOPIC, Fun} = hb_client:pushed(Link),
    true = is_function(Fun),
    {message, ?TOPIC, x} = hb_client:pushed(Link),
    [x] = until_collected(B, Pid, 1, []).
