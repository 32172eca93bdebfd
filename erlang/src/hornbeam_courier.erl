%% Carries messages to the hub of one other node.  A publisher hands them over as
%% to a link: it never waits, and a node that takes nothing, or less than is
%% published, costs a bounded queue and a count of what was lost, which that node
%% tells its own subscribers.
%%
%% The distribution's buffer holds the courier when it is full, not the
%% publishers.  The other hub answers marks, so that its mailbox is bounded, too,
%% and so that small messages never fill that buffer (1 MiB, by default): those
%% who have other things to say to that node, as the process groups, would wait.
%%
%% What is published while there is no courier is lost.  So each one says when that is
%% over: once the groups of the other hub are known here whoever publishes finds them.
-module(hornbeam_courier).

-export([ensure/1, start_link/1, init/1]).

-include_lib("kernel/include/logger.hrl").

%% Cost of the messages between two marks, and marks that may be unanswered.
-define(MARK, 49152).
-define(MARKS_MAX, 16).
-define(SCOPE, hornbeam_pubsub).
-define(LOOK_MS, 20).

-record(courier, {
    hub :: pid(),
    monitor :: reference(),
    queue :: hornbeam_push:queue(),
    sent = 0 :: non_neg_integer(),
    marks = 0 :: non_neg_integer()
}).

%% @doc There is a courier to that hub.
-spec ensure(Hub :: pid()) -> ok.
ensure(Hub) ->
    case is_served(Hub, hornbeam_topics:courier(node(Hub))) of
        true ->
            ok;
        false ->
            {ok, _} = hornbeam_pubsub_sup:start_courier(Hub),
            ok
    end.

is_served(Hub, {Courier, _, Hub}) -> is_process_alive(Courier);
is_served(_Hub, _Other) -> false.

-spec start_link(Hub :: pid()) -> {ok, pid()} | {error, term()}.
start_link(Hub) ->
    proc_lib:start_link(?MODULE, init, [Hub]).

-spec init(Hub :: pid()) -> ok.
init(Hub) ->
    process_flag(message_queue_data, off_heap),
    ok = forget(hornbeam_topics:courier(node(Hub)), node(Hub)),
    Queue = hornbeam_push:new(),
    Monitor = erlang:monitor(process, Hub),
    ok = hornbeam_topics:add_courier(Hub, self(), Queue),
    proc_lib:init_ack({ok, self()}),
    ok = look(Hub),
    Reason = loop(#courier{hub = Hub, monitor = Monitor, queue = Queue}),
    ok = hornbeam_topics:remove_courier(node(Hub), self()),
    gone(Reason, Hub).

%% The nodes may have met again before this one saw that they had lost each other: whoever asked for a courier then
%% found this one.
gone(noconnection, Hub) -> hornbeam_hub:uncarried(Hub);
gone(_Ended, _Hub) -> ok.

%% The hub has joined this group after those of its topics.
look(Hub) ->
    _ = case pg:get_members(?SCOPE, {hub, Hub}) of
        [] -> erlang:send_after(?LOOK_MS, self(), look);
        [_ | _] -> erlang:send(Hub, {carrying, self()}, [noconnect])
    end,
    ok.

%% What a courier that was killed has left, or that of a hub before this one.
forget(none, _Node) -> ok;
forget({Courier, _, _}, Node) -> hornbeam_topics:remove_courier(Node, Courier).

loop(#courier{monitor = Monitor, marks = ?MARKS_MAX} = Courier) ->
    receive
        marked -> loop(Courier#courier{marks = ?MARKS_MAX - 1});
        {'DOWN', Monitor, process, _, Reason} -> Reason
    end;
loop(#courier{hub = Hub, monitor = Monitor, queue = Queue, marks = Marks} = Courier) ->
    receive
        {publish, Topic, Encoded} = Parcel ->
            _ = erlang:send(Hub, Parcel, [noconnect]),
            Cost = hornbeam_push:cost(byte_size(Topic) + byte_size(Encoded)),
            ok = hornbeam_push:written(Queue, Cost),
            loop(mark(Cost, Courier));
        {dropped, Topic} ->
            Lost = hornbeam_topics:dropped_for_node(Topic, self()),
            ok = hornbeam_push:resume(Queue),
            _ = Lost > 0 andalso erlang:send(Hub, {lost, Topic, Lost}, [noconnect]),
            loop(Courier);
        marked ->
            loop(Courier#courier{marks = Marks - 1});
        look ->
            ok = look(Hub),
            loop(Courier);
        {'DOWN', Monitor, process, _, Reason} ->
            Reason;
        Message ->
            ?LOG_WARNING("courier: unexpected message ~0tp", [Message]),
            loop(Courier)
    end.

mark(Cost, #courier{sent = Sent} = Courier) when Sent + Cost < ?MARK ->
    Courier#courier{sent = Sent + Cost};
mark(_Cost, #courier{hub = Hub, marks = Marks} = Courier) ->
    _ = erlang:send(Hub, {mark, self()}, [noconnect]),
    Courier#courier{sent = 0, marks = Marks + 1}.
