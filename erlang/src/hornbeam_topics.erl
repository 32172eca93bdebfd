%% The tables of publish/subscribe: who subscribes to what, and how many there
%% are.  The hub alone adds and removes; whoever publishes reads, and counts what
%% it could not deliver.
%%
%%   hornbeam_topics            {{Topic, Pid}, Count, Queue, Dropped}, ordered: those of a
%%                              topic are neighbours.  Queue is none for an Erlang process.
%%   hornbeam_topics_totals     {Topic, Local, Processes, Remote, Dropped}
%%   hornbeam_topics_couriers   {Node, Courier, Queue, Hub}: who carries messages to that node's hub
%%   hornbeam_topics_undelivered   {{Courier, Topic}, Dropped}
%%   hornbeam_topics_sources    {Node, Courier | lost}: who carries that node's messages to this one
-module(hornbeam_topics).

-export([new/0, check/1, own/1, valid/1]).
-export([subscribers/1, more_subscribers/1, totals/1, list/0, info/0]).
-export([put/4, remove/2, subscriptions/0, known/0, local/0, size/0, announced/2, recount/1]).
-export([drop/3, missed/3, missed_there/2, dropped/2]).
-export([courier/1, add_courier/3, remove_courier/2, drop_for_node/3, dropped_for_node/2]).
-export([source/1, sources/0, set_source/2]).
-export_type([topic/0, row/0]).

-type topic() :: binary().
%% Pid, how many subscribers there are behind it, and its queue.
-type row() :: {pid(), pos_integer(), none | hornbeam_push:queue()}.

-define(ROWS, ?MODULE).
-define(TOTALS, hornbeam_topics_totals).
-define(COURIERS, hornbeam_topics_couriers).
-define(UNDELIVERED, hornbeam_topics_undelivered).
-define(SOURCES, hornbeam_topics_sources).

%% Positions.
-define(COUNT, 2).
-define(DROPPED, 4).
-define(LOCAL, 2).
-define(PROCESSES, 3).
-define(REMOTE, 4).
-define(TOTAL_DROPPED, 5).

%% Rows that are read at once: the heap of a publisher does not grow with its subscribers.
-define(CHUNK, 1000).

%% @doc Makes the tables; the calling process owns them.
-spec new() -> ok.
new() ->
    Shared = [named_table, public, {read_concurrency, true}],
    ?ROWS = ets:new(?ROWS, [ordered_set | Shared]),
    ?TOTALS = ets:new(?TOTALS, [set, {write_concurrency, true} | Shared]),
    ?COURIERS = ets:new(?COURIERS, [set | Shared]),
    ?UNDELIVERED = ets:new(?UNDELIVERED, [ordered_set | Shared]),
    ?SOURCES = ets:new(?SOURCES, [set | Shared]),
    persistent_term:put(?MODULE, counters:new(1, [write_concurrency])).

%% @doc Refuses what cannot be a topic by its size or type.
-spec check(term()) -> ok.
check(Topic) when is_binary(Topic), Topic =/= <<>>, byte_size(Topic) =< 1024 ->
    ok;
check(Topic) when is_binary(Topic) ->
    hornbeam_error:throw(value, ["a topic has 1 to 1024 bytes, not ", integer_to_binary(byte_size(Topic))]);
check(_Topic) ->
    hornbeam_error:throw(type, "a topic is a binary").

%% @doc Refuses a topic that is no text.
-spec valid(topic()) -> ok.
valid(Topic) ->
    case unicode:bin_is_7bit(Topic) orelse unicode:characters_to_binary(Topic) =:= Topic of
        true -> ok;
        false -> hornbeam_error:throw(value, "a topic must be UTF-8 text")
    end.

%% @doc The bytes without the frame that they may be a part of.
-spec own(binary()) -> binary().
own(Binary) ->
    case binary:referenced_byte_size(Binary) > byte_size(Binary) of
        true -> binary:copy(Binary);
        false -> Binary
    end.

%% @doc The subscribers of this node, in pieces.
-spec subscribers(topic()) -> {[row()], term()} | '$end_of_table'.
subscribers(Topic) ->
    ets:select(?ROWS, [{{{Topic, '$1'}, '$2', '$3', '_'}, [], [{{'$1', '$2', '$3'}}]}], ?CHUNK).

-spec more_subscribers(term()) -> {[row()], term()} | '$end_of_table'.
more_subscribers(Continuation) ->
    ets:select(Continuation).

%% @doc Subscribers of this node, Erlang processes among them, and what the other nodes announced.
-spec totals(topic()) -> {non_neg_integer(), non_neg_integer(), non_neg_integer()}.
totals(Topic) ->
    case ets:lookup(?TOTALS, Topic) of
        [{_, Local, Processes, Remote, _}] -> {Local, Processes, Remote};
        [] -> {0, 0, 0}
    end.

%% @doc Every topic with its subscribers in the whole cluster, and how many messages
%% its subscribers here did not read in time; sorted.
-spec list() -> [{topic(), pos_integer(), non_neg_integer()}].
list() ->
    lists:sort(
        ets:select(?TOTALS, [
            {{'$1', '$2', '_', '$3', '$4'}, [{'>', {'+', '$2', '$3'}, 0}], [{{'$1', {'+', '$2', '$3'}, '$4'}}]}
        ])
    ).

%% @doc Figures for the status, those of this node; dropped only grows.
-spec info() -> #{atom() => non_neg_integer()}.
info() ->
    ets:foldl(
        fun
            ({_, 0, _, _, _}, Info) ->
                Info;
            ({_, Local, _, _, _}, #{topics := T, subscribers := S} = Info) ->
                Info#{topics := T + 1, subscribers := S + Local}
        end,
        #{topics => 0, subscribers => 0, dropped => counters:get(persistent_term:get(?MODULE), 1)},
        ?TOTALS
    ).

%% @doc Pid has Count subscribers of the topic; what it had before, and what the topic has now.
-spec put(topic(), pid(), pos_integer(), none | hornbeam_push:queue()) ->
    {Before :: non_neg_integer(), Local :: pos_integer()}.
put(Topic, Pid, Count, Queue) ->
    Key = {Topic, Pid},
    case ets:lookup(?ROWS, Key) of
        [{_, Before, _, _}] ->
            true = ets:update_element(?ROWS, Key, {?COUNT, Count}),
            {Before, total(Topic, Count - Before, 0)};
        [] ->
            true = ets:insert(?ROWS, {Key, Count, Queue, 0}),
            {0, total(Topic, Count, process(Queue))}
    end.

%% @doc Pid has none any more; none if it had none.
-spec remove(topic(), pid()) -> none | {Before :: pos_integer(), Local :: non_neg_integer()}.
remove(Topic, Pid) ->
    case ets:take(?ROWS, {Topic, Pid}) of
        [{_, Before, Queue, _}] -> {Before, total(Topic, -Before, -process(Queue))};
        [] -> none
    end.

process(none) -> 1;
process(_Queue) -> 0.

total(Topic, Count, Processes) ->
    [Local, _, Remote] = ets:update_counter(
        ?TOTALS, Topic, [{?LOCAL, Count}, {?PROCESSES, Processes}, {?REMOTE, 0}], {Topic, 0, 0, 0, 0}
    ),
    forget(Topic, Local, Remote),
    Local.

forget(Topic, 0, 0) ->
    true = ets:delete(?TOTALS, Topic),
    ok;
forget(_Topic, _Local, _Remote) ->
    ok.

%% @doc The other nodes have so many more, or fewer, subscribers of the topic.
-spec announced(topic(), integer()) -> ok.
announced(_Topic, 0) ->
    ok;
announced(Topic, Delta) ->
    [Local, Remote] = ets:update_counter(?TOTALS, Topic, [{?LOCAL, 0}, {?REMOTE, Delta}], {Topic, 0, 0, 0, 0}),
    forget(Topic, Local, Remote).

%% @doc Every subscription, for a hub that starts.
-spec subscriptions() -> [{topic(), pid(), none | hornbeam_push:queue()}].
subscriptions() ->
    ets:select(?ROWS, [{{{'$1', '$2'}, '_', '$3', '_'}, [], [{{'$1', '$2', '$3'}}]}]).

%% @doc Every topic that somebody here or elsewhere had.
-spec known() -> [topic()].
known() ->
    ets:select(?TOTALS, [{{'$1', '_', '_', '_', '_'}, [], ['$1']}]).

%% @doc What this node announces: its topics with their subscribers.
-spec local() -> [{topic(), pos_integer()}].
local() ->
    ets:select(?TOTALS, [{{'$1', '$2', '_', '_', '_'}, [{'>', '$2', 0}], [{{'$1', '$2'}}]}]).

-spec size() -> non_neg_integer().
size() ->
    ets:info(?ROWS, size).

%% @doc The totals again from the subscriptions: a hub may have died between a row and its
%% total.  What was dropped stays; the other nodes are to announce theirs again.
-spec recount(topic()) -> Local :: non_neg_integer().
recount(Topic) ->
    Rows = ets:select(?ROWS, [{{{Topic, '_'}, '$1', '$2', '_'}, [], [{{'$1', '$2'}}]}]),
    Local = lists:sum([Count || {Count, _} <- Rows]),
    Processes = lists:sum([process(Queue) || {_, Queue} <- Rows]),
    _ = ets:insert_new(?TOTALS, {Topic, 0, 0, 0, 0}),
    true = ets:update_element(?TOTALS, Topic, [{?LOCAL, Local}, {?PROCESSES, Processes}, {?REMOTE, 0}]),
    forget(Topic, Local, 0),
    Local.

%% @doc A message is not sent to a link, as its queue is full.
-spec drop(topic(), pid(), hornbeam_push:queue()) -> ok.
drop(Topic, Pid, Queue) ->
    ok = hornbeam_push:full(Queue),
    missed(Topic, Pid, 1).

%% @doc So many messages do not come to a link.
-spec missed(topic(), pid(), pos_integer()) -> ok.
missed(Topic, Pid, Count) ->
    try ets:update_counter(?ROWS, {Topic, Pid}, {?DROPPED, Count}) of
        Now -> hornbeam_push:tell(Pid, Topic, Now - Count, Now)
    catch
        %% No place to count it: the queue is shut all the same.
        error:badarg -> hornbeam_push:tell(Pid, Topic, 0, Count)
    end,
    missed_there(Topic, Count).

%% @doc So many messages did not come to subscribers behind a link, which knows of it.
-spec missed_there(topic(), pos_integer()) -> ok.
missed_there(Topic, Count) ->
    ok = counters:add(persistent_term:get(?MODULE), 1, Count),
    try ets:update_counter(?TOTALS, Topic, {?TOTAL_DROPPED, Count}) of
        _ -> ok
    catch
        error:badarg -> ok
    end.

%% @doc How many messages of the topic were dropped for Pid; from now on none were.
-spec dropped(topic(), pid()) -> non_neg_integer().
dropped(Topic, Pid) ->
    try
        [Dropped, 0] = ets:update_counter(?ROWS, {Topic, Pid}, [{?DROPPED, 0}, {?DROPPED, 0, -1, 0}]),
        Dropped
    catch
        error:badarg -> 0
    end.

%% @doc Who carries to another node; none while its hub is not known here.
-spec courier(node()) -> none | {pid(), hornbeam_push:queue(), Hub :: pid()}.
courier(Node) ->
    case ets:lookup(?COURIERS, Node) of
        [{_, Courier, Queue, Hub}] -> {Courier, Queue, Hub};
        [] -> none
    end.

-spec add_courier(Hub :: pid(), pid(), hornbeam_push:queue()) -> ok.
add_courier(Hub, Courier, Queue) ->
    true = ets:insert(?COURIERS, {node(Hub), Courier, Queue, Hub}),
    ok.

-spec remove_courier(node(), pid()) -> ok.
remove_courier(Node, Courier) ->
    true = ets:match_delete(?COURIERS, {Node, Courier, '_', '_'}),
    _ = ets:select_delete(?UNDELIVERED, [{{{Courier, '_'}, '_'}, [], [true]}]),
    ok.

%% @doc As drop/3, for the subscribers of another node.
-spec drop_for_node(topic(), Courier :: pid(), hornbeam_push:queue()) -> ok.
drop_for_node(Topic, Courier, Queue) ->
    ok = hornbeam_push:full(Queue),
    Key = {Courier, own(Topic)},
    Now = ets:update_counter(?UNDELIVERED, Key, 1, {Key, 0}),
    hornbeam_push:tell(Courier, Topic, Now - 1, Now).

-spec dropped_for_node(topic(), pid()) -> non_neg_integer().
dropped_for_node(Topic, Courier) ->
    case ets:take(?UNDELIVERED, {Courier, Topic}) of
        [{_, Dropped}] -> Dropped;
        [] -> 0
    end.

%% @doc Who carries a node's messages to this one, as far as its hub was told; lost: who did has gone.
-spec source(node()) -> none | lost | pid().
source(Node) ->
    case ets:lookup(?SOURCES, Node) of
        [{_, Source}] -> Source;
        [] -> none
    end.

%% @doc The nodes whose messages are carried to this one.
-spec sources() -> [node()].
sources() ->
    ets:select(?SOURCES, [{{'$1', '$2'}, [{is_pid, '$2'}], ['$1']}]).

-spec set_source(node(), lost | pid()) -> ok.
set_source(Node, Source) ->
    true = ets:insert(?SOURCES, {Node, Source}),
    ok.
