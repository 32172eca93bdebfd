%% A message to all subscribers of its topic.  Whoever publishes does this
%% itself, a link or an Erlang process, and the hub for what comes from other
%% nodes: so the messages of one publisher keep their order, and publishers
%% do not wait for each other.
%%
%% The forms of a message are made when the first subscriber needs them, once: a
%% term for Erlang processes, a frame for links, its encoding for other nodes.
-module(hornbeam_fanout).

-export([publish/2, deliver/2, lost/2]).

-include_lib("kernel/include/logger.hrl").

%% What a message has at most, encoded: as a value of the state by default.  In a frame it
%% fits twice, and a link's queue holds at most one such beyond its bound.
-define(MESSAGE_MAX, 8388608).
-define(SCOPE, hornbeam_pubsub).

-record(message, {
    topic :: binary(),
    %% What Erlang processes get; refused: it cannot be decoded, they get nothing.
    sent :: undefined | refused | {pubsub, binary(), term()},
    term :: undefined | {ok, term()},
    encoded :: undefined | binary(),
    frame :: undefined | binary()
}).

%% @doc Returns the number of subscribers: on this node, and what the other nodes announced.
-spec publish(hornbeam_topics:topic(), {encoded, binary()} | {term, term()}) -> non_neg_integer().
publish(Topic, Content) ->
    ok = hornbeam_topics:check(Topic),
    {Local, Processes, Remote} = hornbeam_topics:totals(Topic),
    Message = message(Topic, Content),
    {Count, Sent} = local(Local, needed(Processes, Message)),
    Count + remote(pg:get_members(?SCOPE, Topic), Remote, Sent).

%% @doc What another node published, to the subscribers of this one.
-spec deliver(hornbeam_topics:topic(), binary()) -> ok.
deliver(Topic, Encoded) ->
    {Local, Processes, _} = hornbeam_topics:totals(Topic),
    Message = #message{topic = Topic, encoded = Encoded},
    Decoded =
        try
            needed(Processes, Message)
        catch
            throw:{refused, _, Text} ->
                ?LOG_WARNING("pubsub: a message of another node is not for Erlang processes: ~ts", [Text]),
                Message#message{sent = refused}
        end,
    _ = Local > 0 andalso pieces(hornbeam_topics:subscribers(Topic), 0, Decoded),
    ok.

%% @doc So many messages of another node did not come here.
-spec lost(hornbeam_topics:topic(), pos_integer()) -> ok.
lost(Topic, Count) ->
    lost(hornbeam_topics:subscribers(Topic), Topic, Count).

lost('$end_of_table', _Topic, _Count) ->
    ok;
lost({Rows, More}, Topic, Count) ->
    _ = [hornbeam_topics:missed(Topic, Pid, Count) || {Pid, _, Queue} <- Rows, Queue =/= none],
    lost(hornbeam_topics:more_subscribers(More), Topic, Count).

message(Topic, {encoded, Encoded}) ->
    ok = check_size(byte_size(Encoded)),
    #message{topic = Topic, encoded = Encoded};
message(Topic, {term, Term}) ->
    ok = check_size(erlang:external_size(Term)),
    #message{topic = Topic, term = {ok, Term}}.

check_size(Size) when Size =< ?MESSAGE_MAX ->
    ok;
check_size(Size) ->
    hornbeam_error:throw(limit, [
        "a message has at most ", integer_to_binary(?MESSAGE_MAX), " bytes, not ", integer_to_binary(Size)
    ]).

%% What cannot be decoded is refused before anybody has got it.
needed(0, Message) -> Message;
needed(_Processes, Message) -> sent(Message).

local(0, #message{topic = Topic} = Message) ->
    ok = hornbeam_topics:valid(Topic),
    {0, Message};
local(_, #message{topic = Topic} = Message) ->
    pieces(hornbeam_topics:subscribers(Topic), 0, Message).

pieces('$end_of_table', Count, Message) ->
    {Count, Message};
pieces({Rows, More}, Count, Message) ->
    {Sum, Next} = rows(Rows, Count, Message),
    pieces(hornbeam_topics:more_subscribers(More), Sum, Next).

rows([], Sum, Message) ->
    {Sum, Message};
rows([{Pid, Count, none} | Rows], Sum, #message{sent = {pubsub, _, _} = Sent} = Message) ->
    Pid ! Sent,
    rows(Rows, Sum + Count, Message);
rows([{_Pid, Count, none} | Rows], Sum, #message{sent = refused} = Message) ->
    rows(Rows, Sum + Count, Message);
rows([{_Pid, _, none} | _] = Rows, Sum, Message) ->
    rows(Rows, Sum, sent(Message));
rows([{Pid, Count, Queue} | Rows], Sum, Message) ->
    rows(Rows, Sum + Count, link(Pid, Queue, Message)).

link(Pid, Queue, #message{topic = Topic, frame = undefined} = Message) ->
    #message{encoded = Encoded} = Ready = encoded(Message),
    case hornbeam_push:admit(Queue, hornbeam_link_codec:message_size(Topic, Encoded)) of
        true ->
            Frame = hornbeam_link_codec:message(Topic, Encoded),
            Pid ! {pushed, Frame},
            Ready#message{frame = Frame};
        false ->
            ok = hornbeam_topics:drop(Topic, Pid, Queue),
            Ready
    end;
link(Pid, Queue, #message{topic = Topic, frame = Frame} = Message) ->
    _ = case hornbeam_push:admit(Queue, byte_size(Frame)) of
        true -> Pid ! {pushed, Frame};
        false -> hornbeam_topics:drop(Topic, Pid, Queue)
    end,
    Message.

%% Subscribers of other nodes get it through their hub.
remote([], _Announced, _Message) ->
    0;
remote(Members, Announced, Message) ->
    %% A node has two members of a topic while its hub is being replaced.
    case lists:usort([node(Member) || Member <- Members, node(Member) =/= node()]) of
        [] ->
            0;
        Nodes ->
            #message{topic = Topic, encoded = Encoded} = encoded(Message),
            Parcel = {publish, hornbeam_topics:own(Topic), hornbeam_topics:own(Encoded)},
            lists:foreach(fun(Node) -> carry(Node, Topic, Parcel, byte_size(Encoded)) end, Nodes),
            Announced
    end.

carry(Node, Topic, Parcel, Size) ->
    case hornbeam_topics:courier(Node) of
        {Courier, Queue, _Hub} ->
            case hornbeam_push:admit(Queue, byte_size(Topic) + Size) of
                true -> Courier ! Parcel, ok;
                false -> hornbeam_topics:drop_for_node(Topic, Courier, Queue)
            end;
        none ->
            ok
    end.

sent(#message{sent = undefined, topic = Topic, term = {ok, Term}} = Message) ->
    Message#message{sent = {pubsub, hornbeam_topics:own(Topic), Term}};
sent(#message{sent = undefined, encoded = Encoded} = Message) ->
    sent(Message#message{term = {ok, hornbeam_names:decode(Encoded)}});
sent(Message) ->
    Message.

encoded(#message{encoded = undefined, term = {ok, Term}} = Message) ->
    Message#message{encoded = term_to_binary(Term)};
encoded(Message) ->
    Message.
