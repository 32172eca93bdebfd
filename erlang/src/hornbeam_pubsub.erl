%% @doc Publish/subscribe for Erlang code: the topics that Python applications use,
%% on this node and on every other node of the cluster that runs hornbeam.
%%
%% A topic is a binary of 1 to 1024 bytes in UTF-8, a message any term of at most
%% 8 MiB, encoded.  A process that has subscribed gets {pubsub, Topic, Term}; its
%% mailbox is its own affair.  Messages of one publisher come in order.  A
%% subscription ends with its process.  What cannot be done raises
%% error({Class, Text}), Class one of type, value, limit and system.
%%
%% ```
%%     ok = hornbeam_pubsub:subscribe(<<"orders">>),
%%     1 = hornbeam_pubsub:publish(<<"orders">>, #{<<"id">> => 17}),
%%     receive {pubsub, <<"orders">>, #{<<"id">> := Id}} -> Id end.
%% '''
-module(hornbeam_pubsub).

-export([subscribe/1, subscribe/2, unsubscribe/1, unsubscribe/2, publish/2, topics/0]).
-export_type([topic/0]).

-type topic() :: binary().

%% @doc The calling process gets what is published from now on.  Twice is once.
%%
%% ```
%%     ok = hornbeam_pubsub:subscribe(<<"doc:news">>).
%% '''
-spec subscribe(topic()) -> ok.
subscribe(Topic) ->
    subscribe(Topic, self()).

%% @doc As subscribe/1 for another process, which must be of this node.
%%
%% ```
%%     Pid = spawn(fun() -> receive {pubsub, _, stop} -> ok end end),
%%     ok = hornbeam_pubsub:subscribe(<<"doc:jobs">>, Pid),
%%     1 = hornbeam_pubsub:publish(<<"doc:jobs">>, stop).
%% '''
-spec subscribe(topic(), pid()) -> ok.
subscribe(Topic, Pid) ->
    set(Topic, Pid, 1).

%% @doc Messages that are in the mailbox already stay there.
%%
%% ```
%%     ok = hornbeam_pubsub:unsubscribe(<<"doc:none">>).
%% '''
-spec unsubscribe(topic()) -> ok.
unsubscribe(Topic) ->
    unsubscribe(Topic, self()).

%% @doc As unsubscribe/1 for another process of this node.
%%
%% ```
%%     ok = hornbeam_pubsub:unsubscribe(<<"doc:none">>, self()).
%% '''
-spec unsubscribe(topic(), pid()) -> ok.
unsubscribe(Topic, Pid) ->
    set(Topic, Pid, 0).

%% @doc Returns how many subscribers there are: exactly for this node, and for the
%% others what they last told, at most some tens of milliseconds ago.
%%
%% ```
%%     0 = hornbeam_pubsub:publish(<<"doc:silence">>, #{<<"id">> => 17}).
%% '''
-spec publish(topic(), term()) -> non_neg_integer().
publish(Topic, Term) ->
    hornbeam_error:run(fun() -> hornbeam_fanout:publish(Topic, {term, Term}) end).

%% @doc The topics that somebody in the cluster subscribes to, sorted, each with its
%% subscribers and with the messages that this node dropped for clients that did not read.
%%
%% ```
%%     ok = hornbeam_pubsub:subscribe(<<"doc:topic">>),
%%     {_, 1, 0} = lists:keyfind(<<"doc:topic">>, 1, hornbeam_pubsub:topics()).
%% '''
-spec topics() -> [{topic(), Subscribers :: pos_integer(), Dropped :: non_neg_integer()}].
topics() ->
    hornbeam_error:run(fun hornbeam_topics:list/0).

set(Topic, Pid, Count) when is_pid(Pid), node(Pid) =:= node() ->
    hornbeam_error:run(fun() -> hornbeam_hub:subscribe(Topic, Pid, Count, none) end);
set(_Topic, _Pid, _Count) ->
    erlang:error({value, <<"a subscriber is a process of this node">>}).
