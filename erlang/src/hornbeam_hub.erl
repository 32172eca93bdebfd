%% The hub of publish/subscribe on this node: makes every change of the tables,
%% removes the subscriptions of links and processes that end, and knows the hubs
%% of the other nodes.  Publishing on this node does without it.
%%
%% A process of its own is in the process group of each topic that has a subscriber
%% here (pg, scope hornbeam_pubsub): that is how other nodes know where to send a
%% message, which arrives here once and is handed out from here.  There are many such
%% members for many topics: pg walks a list of all groups of a process for each that
%% it leaves, which takes a millisecond where there are 20,000.  Hubs tell each other how many
%% subscribers they have, all of them in the first hello and then what changed.
%% They learn of each other from the nodes that come: a process that both
%% monitors a pg group and joins one ends the scope on OTP 25.
%%
%% Couriers of the other nodes say when they begin to carry messages here.  Where one
%% ends, with its node, with the connection to it or with the hub that it served, messages
%% are lost that nobody counts: every link with subscriptions is told that there may be a
%% gap, and again when messages of that node come once more.
%%
%% All that it has to know after a crash is in the tables.
-module(hornbeam_hub).
-behaviour(gen_server).

-export([start_link/0, subscribe/4, uncarried/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include_lib("kernel/include/logger.hrl").

-define(SCOPE, hornbeam_pubsub).
-define(OWNED, hornbeam_hub_owned).
%% What changed is told to the other hubs so long after the first change.
-define(ANNOUNCE_MS, 20).
%% A hub that could not be told is told everything after this.
-define(RETRY_MS, 200).
-define(CALL_MS, 5000).
%% A hub that has died is back within milliseconds.
-define(TRIES, 100).
-define(WAIT_MS, 10).

%% Processes that are members of groups, at most; each is made when a topic falls to it.
-define(MEMBERS, 1024).

-define(TOPICS_MAX, 100000).
-define(SUBSCRIPTIONS_MAX, 1000000).

-type counts() :: #{hornbeam_topics:topic() => pos_integer()}.

%% Changes of groups that may wait for pg, which a node that hangs can hold: it tells all nodes itself.
-define(CHANGES_MAX, 10000).

-record(hub, {
    groups :: pid(),
    changes = 0 :: non_neg_integer(),
    members = #{} :: #{non_neg_integer() => pid()},
    %% Whoever subscribes, and to how many topics; which ones is in the table of the owned.
    watched = #{} :: #{pid() => {Monitor :: reference(), pos_integer(), none | hornbeam_push:queue()}},
    hubs = #{} :: #{pid() => {Monitor :: reference(), counts()}},
    %% Topics whose number of subscribers has changed since it was told.
    changed = #{} :: #{hornbeam_topics:topic() => []},
    announcing = false :: boolean(),
    %% Nodes that everything has to be told, and couriers that wait for answers to their marks.
    untold = #{} :: #{node() => []},
    unmarked = [] :: [pid()],
    retrying = false :: boolean()
}).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Pid has Count subscribers of the topic from now on; Queue is a link's, none for a process.
-spec subscribe(hornbeam_topics:topic(), pid(), non_neg_integer(), none | hornbeam_push:queue()) -> ok.
subscribe(Topic, Pid, Count, Queue) ->
    ok = hornbeam_topics:check(Topic),
    ok = hornbeam_topics:valid(Topic),
    call({subscribe, hornbeam_topics:own(Topic), Pid, Count, Queue}, ?TRIES).

call(Request, Tries) ->
    try gen_server:call(?MODULE, Request, ?CALL_MS) of
        ok -> ok;
        {refused, Class, Text} -> hornbeam_error:throw(Class, Text)
    catch
        exit:{timeout, _} ->
            hornbeam_error:throw(system, "publish/subscribe does not answer");
        exit:{_, {gen_server, call, _}} when Tries > 0 ->
            %% To subscribe twice is to subscribe.
            receive after ?WAIT_MS -> ok end,
            call(Request, Tries - 1);
        exit:{_, {gen_server, call, _}} ->
            hornbeam_error:throw(system, "publish/subscribe does not run")
    end.

%% @doc The courier to that hub has ended, as the connection was lost: if it is back, there is to be another one.
-spec uncarried(Other :: pid()) -> ok.
uncarried(Other) ->
    case whereis(?MODULE) of
        undefined -> ok;
        Hub -> Hub ! {uncarried, Other}, ok
    end.

-spec init([]) -> {ok, #hub{}}.
init([]) ->
    process_flag(message_queue_data, off_heap),
    ?OWNED = ets:new(?OWNED, [named_table, ordered_set, protected]),
    Subscriptions = hornbeam_topics:subscriptions(),
    Watched = lists:foldl(fun own/2, #{}, Subscriptions),
    Topics = lists:usort(hornbeam_topics:known() ++ [Topic || {Topic, _, _} <- Subscriptions]),
    Groups = spawn_link(fun groups/0),
    Joined = lists:foldl(fun join/2, #hub{groups = Groups, watched = Watched}, [Topic || Topic <- Topics, hornbeam_topics:recount(Topic) > 0]),
    Hub = change({join, {hub, self()}, Groups}, Joined),
    ok = net_kernel:monitor_nodes(true),
    %% What was on its way to a hub before this one is lost.
    ok = lost(hornbeam_topics:sources(), Hub),
    {ok, greet(nodes(), Hub)}.

-spec handle_call(term(), gen_server:from(), #hub{}) -> {reply, ok | {refused, hornbeam_error:class(), binary()}, #hub{}}.
handle_call({subscribe, Topic, Pid, 0, _Queue}, _From, Hub) ->
    {reply, ok, unsubscribe(Topic, Pid, Hub)};
handle_call({subscribe, Topic, Pid, Count, Queue}, _From, Hub) ->
    case ets:member(?OWNED, {Pid, Topic}) orelse room(Pid, Hub) of
        true -> {reply, ok, subscribed({Topic, Pid, Queue}, Count, hornbeam_topics:put(Topic, Pid, Count, Queue), Hub)};
        Refused -> {reply, Refused, Hub}
    end.

-spec handle_cast(term(), #hub{}) -> {noreply, #hub{}}.
handle_cast(Message, Hub) ->
    ?LOG_WARNING("hub: unexpected message ~0tp", [Message]),
    {noreply, Hub}.

-spec handle_info(term(), #hub{}) -> {noreply, #hub{}}.
handle_info({publish, Topic, Encoded}, Hub) ->
    ok = hornbeam_fanout:deliver(Topic, Encoded),
    {noreply, Hub};
handle_info({lost, Topic, Count}, Hub) ->
    ok = hornbeam_fanout:lost(Topic, Count),
    {noreply, Hub};
handle_info({mark, Courier}, Hub) ->
    {noreply, marked(Courier, Hub)};
handle_info({carrying, Courier}, Hub) ->
    ok = carrying(Courier, hornbeam_topics:source(node(Courier)), Hub),
    {noreply, Hub};
handle_info({uncarried, Other}, #hub{hubs = Hubs} = Hub) ->
    ok = case is_map_key(Other, Hubs) andalso lists:member(node(Other), nodes(connected)) of
        true -> hornbeam_courier:ensure(Other);
        false -> ok
    end,
    {noreply, Hub};
handle_info({hello, Other, Counts}, Hub) ->
    {noreply, hello(Other, maps:from_list(Counts), Hub)};
handle_info({counts, Other, Changes}, #hub{hubs = Hubs} = Hub) ->
    case Hubs of
        #{Other := {Monitor, Counts}} ->
            {noreply, Hub#hub{hubs = Hubs#{Other := {Monitor, lists:foldl(fun count/2, Counts, Changes)}}}};
        _ ->
            {noreply, Hub}
    end;
handle_info(announce, Hub) ->
    {noreply, announce(Hub)};
handle_info(retry, #hub{untold = Untold, unmarked = Unmarked} = Hub) ->
    Again = Hub#hub{untold = #{}, unmarked = [], retrying = false},
    {noreply, lists:foldl(fun marked/2, greet(maps:keys(Untold), Again), Unmarked)};
handle_info({nodeup, Node}, Hub) ->
    {noreply, greet([Node], Hub)};
handle_info({nodedown, Node}, #hub{untold = Untold, unmarked = Unmarked} = Hub) ->
    Others = [Courier || Courier <- Unmarked, node(Courier) =/= Node],
    {noreply, Hub#hub{untold = maps:remove(Node, Untold), unmarked = Others}};
handle_info({'DOWN', Monitor, process, Pid, _Reason}, #hub{hubs = Hubs} = Hub) ->
    case maps:take(Pid, Hubs) of
        {{Monitor, Counts}, Others} ->
            maps:foreach(fun(Topic, Count) -> hornbeam_topics:announced(Topic, -Count) end, Counts),
            {noreply, Hub#hub{hubs = Others}};
        _ when node(Pid) =/= node() ->
            ok = lost([Node || Node <- [node(Pid)], hornbeam_topics:source(Node) =:= Pid], Hub),
            {noreply, Hub};
        _ ->
            {noreply, gone(Pid, Hub)}
    end;
handle_info(Message, Hub) ->
    ?LOG_WARNING("hub: unexpected message ~0tp", [Message]),
    {noreply, Hub}.

room(Pid, #hub{watched = Watched}) ->
    case {maps:get(Pid, Watched, none), hornbeam_topics:size()} of
        {{_, Topics, _}, _} when Topics >= ?TOPICS_MAX ->
            {refused, limit, <<"a client or process subscribes to at most ", (integer_to_binary(?TOPICS_MAX))/binary, " topics">>};
        {_, Rows} when Rows >= ?SUBSCRIPTIONS_MAX ->
            {refused, limit, <<"a node has at most ", (integer_to_binary(?SUBSCRIPTIONS_MAX))/binary, " subscriptions">>};
        _ ->
            true
    end.

subscribed({Topic, _, _} = Subscription, Count, {0, Local}, Hub) ->
    #hub{watched = Watched} = Joined = first(Topic, Local - Count, Hub),
    changed(Topic, Joined#hub{watched = own(Subscription, Watched)});
subscribed(_Subscription, Count, {Count, _Local}, Hub) ->
    Hub;
subscribed({Topic, _, _}, _Count, {_Before, _Local}, Hub) ->
    changed(Topic, Hub).

first(Topic, 0, Hub) -> join(Topic, Hub);
first(_Topic, _Others, Hub) -> Hub.

join(Topic, #hub{members = Members} = Hub) ->
    Number = erlang:phash2(Topic, ?MEMBERS),
    case Members of
        #{Number := Member} ->
            change({join, Topic, Member}, Hub);
        _ ->
            Member = spawn_link(fun member/0),
            change({join, Topic, Member}, Hub#hub{members = Members#{Number => Member}})
    end.

%% In this order, by a process that may wait for pg.
change(Change, #hub{groups = Groups, changes = Changes} = Hub) when Changes < ?CHANGES_MAX ->
    Groups ! Change,
    Hub#hub{changes = Changes + 1};
change(Change, #hub{groups = Groups} = Hub) ->
    Done = make_ref(),
    Groups ! {done, self(), Done},
    receive Done -> ok end,
    change(Change, Hub#hub{changes = 0}).

-spec groups() -> no_return().
groups() ->
    receive
        {join, Topic, Member} -> ok = pg:join(?SCOPE, Topic, Member);
        {leave, Topic, Member} -> ok = pg:leave(?SCOPE, Topic, Member);
        {done, Hub, Done} -> Hub ! Done
    end,
    groups().

%% It is a name in groups, and does nothing.
-spec member() -> no_return().
member() ->
    receive after infinity -> ok end.

own({Topic, Pid, Queue}, Watched) ->
    true = ets:insert(?OWNED, {{Pid, Topic}}),
    case Watched of
        #{Pid := {Monitor, Topics, _}} -> Watched#{Pid := {Monitor, Topics + 1, Queue}};
        _ -> Watched#{Pid => {erlang:monitor(process, Pid), 1, Queue}}
    end.

unsubscribe(Topic, Pid, #hub{watched = Watched} = Hub) ->
    case hornbeam_topics:remove(Topic, Pid) of
        none ->
            Hub;
        {_Before, Local} ->
            true = ets:delete(?OWNED, {Pid, Topic}),
            changed(Topic, last(Topic, Local, Hub#hub{watched = disown(Pid, Watched)}))
    end.

last(Topic, 0, #hub{members = Members} = Hub) ->
    change({leave, Topic, maps:get(erlang:phash2(Topic, ?MEMBERS), Members)}, Hub);
last(_Topic, _Local, Hub) ->
    Hub.

disown(Pid, Watched) ->
    case Watched of
        #{Pid := {Monitor, 1, _}} ->
            erlang:demonitor(Monitor, [flush]),
            maps:remove(Pid, Watched);
        #{Pid := {Monitor, Topics, Queue}} ->
            Watched#{Pid := {Monitor, Topics - 1, Queue}}
    end.

gone(Pid, Hub) ->
    Topics = ets:select(?OWNED, [{{{Pid, '$1'}}, [], ['$1']}]),
    lists:foldl(fun(Topic, H) -> unsubscribe(Topic, Pid, H) end, Hub, Topics).

changed(Topic, #hub{changed = Changed, announcing = false, hubs = Hubs} = Hub) when map_size(Hubs) > 0 ->
    _ = erlang:send_after(?ANNOUNCE_MS, self(), announce),
    Hub#hub{changed = Changed#{Topic => []}, announcing = true};
changed(Topic, #hub{changed = Changed, announcing = true} = Hub) ->
    Hub#hub{changed = Changed#{Topic => []}};
changed(_Topic, Hub) ->
    Hub.

announce(#hub{changed = Changed, hubs = Hubs} = Hub) ->
    Counts = [{Topic, element(1, hornbeam_topics:totals(Topic))} || Topic <- maps:keys(Changed)],
    Told = Hub#hub{changed = #{}, announcing = false},
    lists:foldl(fun(Other, H) -> tell(node(Other), Other, {counts, self(), Counts}, H) end, Told, maps:keys(Hubs)).

%% Everything, to the hubs of these nodes.
greet([], Hub) ->
    Hub;
greet(Nodes, Hub) ->
    Hello = {hello, self(), hornbeam_topics:local()},
    lists:foldl(fun(Node, H) -> tell(Node, {?MODULE, Node}, Hello, H) end, Hub, Nodes).

%% A node that hangs must not hold the hub: it is told everything when it takes something again.
tell(Node, To, Message, #hub{untold = Untold} = Hub) when not is_map_key(Node, Untold) ->
    case erlang:send(To, Message, [nosuspend, noconnect]) of
        nosuspend ->
            retry(Hub#hub{untold = Untold#{Node => []}});
        _ ->
            Hub
    end;
tell(_Node, _To, _Message, Hub) ->
    Hub.

%% Its courier goes on when its node takes something again.  It has few marks unanswered.
marked(Courier, #hub{unmarked = Unmarked} = Hub) ->
    case erlang:send(Courier, marked, [nosuspend, noconnect]) of
        nosuspend -> retry(Hub#hub{unmarked = [Courier | Unmarked]});
        _ -> Hub
    end.

retry(#hub{retrying = true} = Hub) ->
    Hub;
retry(Hub) ->
    _ = erlang:send_after(?RETRY_MS, self(), retry),
    Hub#hub{retrying = true}.

%% Whoever is new is told in turn: it may not have been there when this hub said hello.
hello(Other, Counts, #hub{hubs = Hubs} = Hub) ->
    ok = hornbeam_courier:ensure(Other),
    {Before, Next} =
        case Hubs of
            #{Other := {Old, Known}} ->
                %% The end of a connection before this one may come to be known here only now.
                true = erlang:demonitor(Old, [flush]),
                {Known, Hub};
            _ ->
                {#{}, greet([node(Other)], Hub)}
        end,
    Monitor = erlang:monitor(process, Other),
    All = maps:merge(maps:map(fun(_, _) -> 0 end, Before), Counts),
    Now = lists:foldl(fun count/2, Before, maps:to_list(All)),
    Next#hub{hubs = Hubs#{Other => {Monitor, Now}}}.

%% The messages of its node come from now on.  They did before: some may be missing.
carrying(Courier, Before, Hub) ->
    _ = erlang:monitor(process, Courier),
    ok = hornbeam_topics:set_source(node(Courier), Courier),
    case Before of
        none -> ok;
        _ -> gap(Hub)
    end.

%% Nothing comes from these nodes any more, and something may have been on its way.
lost([], _Hub) ->
    ok;
lost(Nodes, Hub) ->
    ok = lists:foreach(fun(Node) -> hornbeam_topics:set_source(Node, lost) end, Nodes),
    gap(Hub).

gap(#hub{watched = Watched}) ->
    maps:foreach(
        fun
            (_Process, {_, _, none}) -> ok;
            (Link, {_, _, Queue}) -> hornbeam_push:gap(Link, Queue)
        end,
        Watched
    ).

%% Another hub's subscribers of one topic.
count({Topic, 0}, Counts) ->
    ok = hornbeam_topics:announced(Topic, -maps:get(Topic, Counts, 0)),
    maps:remove(Topic, Counts);
count({Topic, Count}, Counts) ->
    ok = hornbeam_topics:announced(Topic, Count - maps:get(Topic, Counts, 0)),
    Counts#{Topic => Count}.
