%% The operations of the link after hello: a request's payload to its reply.
-module(hornbeam_link_ops).

-export([run/4]).
-export_type([outcome/0]).

-include("hornbeam_link.hrl").

%% wait: the leases, whom the fun asks, answer later.  job: takes long, so another process runs it.  run: is somebody's
%% code, in a process of its own, which is killed at the deadline, when it is cancelled and with the link;
%% the second fun tells what to say at the deadline, given the milliseconds that there were.
%% subscribe and provide: the link is to do that, which is pushed messages, or tasks, from then on.
-type outcome() ::
    {reply, iodata()}
    | {wait, fun(() -> ok)}
    | {job | run, fun(() -> iodata())}
    | {run, fun(() -> iodata()), fun((timeout()) -> iodata())}
    | {subscribe, binary(), non_neg_integer()} | {provide, term(), boolean()}.

%% Beyond so many keys an operation is a job.
-define(MANY, 1000).
%% Behind one link; what is counted stays a small integer.
-define(SUBSCRIBERS_MAX, 16#ffffffff).

-spec run(Op :: byte(), Payload :: binary(), Id :: non_neg_integer(), Deadline :: non_neg_integer()) -> outcome().
run(?HB_OP_GET, Payload, _Id, _Deadline) ->
    {reply, hornbeam_link_codec:value(hornbeam_store:get(hornbeam_link_codec:decode(Payload)))};
run(?HB_OP_PUBLISH, <<131, 104, 2, 109, N:32, Topic:N/binary, 109, Size:32, Encoded:Size/binary>>, _Id, _Deadline) ->
    %% Most messages are not copied before they are in the frame that goes out.
    {reply, hornbeam_link_codec:answer(publish(Topic, Encoded))};
run(Op, Payload, Id, Deadline) ->
    case op(Op, hornbeam_link_codec:decode(Payload), Id, Deadline) of
        {answer, Answer} -> {reply, hornbeam_link_codec:answer(Answer)};
        Outcome -> Outcome
    end.

op(?HB_OP_SET, {Key, Value, Ttl}, _, _) ->
    {answer, hornbeam_store:set(Key, Value, Ttl)};
op(?HB_OP_INCR, {Key, Delta, Ttl}, _, _) ->
    {answer, hornbeam_store:incr(Key, Delta, Ttl)};
op(?HB_OP_GET_MULTI, Keys, _, _) when is_list(Keys) ->
    many(Keys, fun() -> {values, hornbeam_store:get_multi(Keys)} end);
op(?HB_OP_EXISTS, Keys, _, _) when is_list(Keys) ->
    many(Keys, fun() -> hornbeam_store:exists(Keys) end);
op(?HB_OP_SET_MULTI, {Pairs, Ttl}, _, _) when is_list(Pairs) ->
    many(Pairs, fun() -> hornbeam_store:set_multi(Pairs, Ttl) end);
op(?HB_OP_DELETE, Key, _, _) ->
    {answer, hornbeam_store:delete(Key)};
op(?HB_OP_ADD, {Key, Value, Ttl}, _, _) ->
    {answer, hornbeam_store:add(Key, Value, Ttl)};
op(?HB_OP_REPLACE, {Key, Value, Ttl}, _, _) ->
    {answer, hornbeam_store:replace(Key, Value, Ttl)};
op(?HB_OP_GETS, Key, _, _) ->
    {answer, hornbeam_store:gets(Key)};
op(?HB_OP_CAS, {Key, Value, Version}, _, _) ->
    {answer, hornbeam_store:cas(Key, Value, Version)};
op(?HB_OP_EXPIRE, {Key, Ttl}, _, _) ->
    {answer, hornbeam_store:expire(Key, Ttl)};
op(?HB_OP_TTL, Key, _, _) ->
    {answer, hornbeam_store:ttl(Key)};
op(?HB_OP_KEYS, {Prefix, Limit}, _, _) when is_integer(Limit), Limit >= 0 ->
    keys(hornbeam_store:keys_start(Prefix), Prefix, Limit);
op(?HB_OP_FETCH, Key, Id, Deadline) ->
    case hornbeam_store:get(Key) of
        {ok, Value} ->
            {answer, {value, Value}};
        none ->
            {wait, fun() -> hornbeam_lease:fetch(binary:copy(Key), {link, self(), Id}, Deadline) end}
    end;
op(?HB_OP_FETCH_PUT, {Key, Token, Value, Ttl}, Id, _) when is_integer(Token) ->
    {wait, fun() -> hornbeam_lease:put(Key, Token, Value, Ttl, {link, self(), Id}) end};
op(?HB_OP_FETCH_DROP, {Key, Token}, Id, _) when is_integer(Token) ->
    {wait, fun() -> hornbeam_lease:drop(Key, Token, {link, self(), Id}) end};
op(?HB_OP_PUBLISH, {Topic, Encoded}, _, _) ->
    {answer, publish(Topic, Encoded)};
op(?HB_OP_SUBSCRIBE, {Topic, Count}, _, _) when is_integer(Count), Count >= 0, Count =< ?SUBSCRIBERS_MAX ->
    {subscribe, Topic, Count};
op(?HB_OP_TOPICS, [], _, _) ->
    {job, fun() -> hornbeam_link_codec:answer(hornbeam_topics:list()) end};
op(?HB_OP_CALL, {Name, Arguments}, _, Deadline) when is_binary(Arguments) ->
    {run, fun() -> hornbeam_functions:reply(Name, Arguments, hornbeam_clock:left(Deadline)) end, hornbeam_functions:late(Name)};
op(?HB_OP_CAST, {Name, Arguments}, _, _) when is_binary(Arguments) ->
    {run, fun() -> hornbeam_functions:cast_reply(Name, Arguments) end};
op(?HB_OP_FUNCTIONS, [], _, _) ->
    {answer, [{Name, atom_to_binary(Kind)} || {Name, Kind} <- hornbeam_functions:list()]};
op(?HB_OP_RPC_CALL, {Node, Module, Function, Arguments}, _, _) when is_binary(Arguments) ->
    {run, fun() -> hornbeam_rpc:reply(Node, Module, Function, Arguments) end, hornbeam_rpc:late(Node, Module, Function)};
op(?HB_OP_RPC_CAST, {Node, Module, Function, Arguments}, _, _) when is_binary(Arguments) ->
    {run, fun() -> hornbeam_rpc:cast_reply(Node, Module, Function, Arguments) end};
op(?HB_OP_NODE, [], _, _) ->
    {answer, hornbeam_rpc:node()};
op(?HB_OP_NODES, [], _, _) ->
    {answer, hornbeam_rpc:nodes()};
op(?HB_OP_PROVIDE, {Name, Provides}, _, _) when is_boolean(Provides) ->
    {provide, Name, Provides};
op(?HB_OP_PING, [], _, _) ->
    {answer, pong};
op(?HB_OP_STATUS, [], _, _) ->
    {job, fun() -> hornbeam_link_codec:answer(hornbeam_status:map()) end};
op(Op, Sent, _, _) when Op >= ?HB_OP_ON_REQUEST, Op =< ?HB_OP_ON_ERROR ->
    {run, fun() -> hornbeam_hooks:run(Op, Sent) end};
op(Op, _Term, _, _) when
    Op =:= ?HB_OP_PING; Op =:= ?HB_OP_STATUS; Op >= ?HB_OP_GET, Op =< ?HB_OP_FETCH_DROP;
    Op >= ?HB_OP_PUBLISH, Op =< ?HB_OP_TOPICS;
    Op >= ?HB_OP_CALL, Op =< ?HB_OP_NODES;
    Op =:= ?HB_OP_PROVIDE; Op =:= ?HB_OP_RAN
->
    hornbeam_error:throw(protocol, ["the request of operation ", integer_to_binary(Op), " is malformed"]);
op(Op, _Term, _, _) ->
    hornbeam_error:throw(protocol, ["unknown operation ", integer_to_binary(Op)]).

publish(Topic, <<131, Tag, _/binary>> = Encoded) when Tag =/= 80 ->
    hornbeam_fanout:publish(Topic, {encoded, Encoded});
publish(_Topic, _Other) ->
    hornbeam_error:throw(protocol, "a message is a term in the external format, not compressed").

many(Items, Fun) ->
    case proper_length(Items, 0) of
        Count when Count =< ?MANY -> {answer, Fun()};
        _ -> {job, fun() -> hornbeam_link_codec:answer(Fun()) end}
    end.

proper_length([_ | Rest], Count) -> proper_length(Rest, Count + 1);
proper_length([], Count) -> Count;
proper_length(_, _Count) -> hornbeam_error:throw(protocol, "the list is not a proper one").

%% The reply is encoded piece by piece, so that a long listing is never a list on a heap.
keys(Cursor, Prefix, Limit) ->
    case piece(Cursor, Prefix, Limit, 0, []) of
        {reply, _} = Reply -> Reply;
        More -> {job, fun() -> all_keys(More, Prefix, Limit) end}
    end.

all_keys({more, Cursor, Count, Pieces}, Prefix, Limit) ->
    case piece(Cursor, Prefix, Limit, Count, Pieces) of
        {reply, Reply} -> Reply;
        More -> all_keys(More, Prefix, Limit)
    end.

piece(Cursor, Prefix, Limit, Before, Pieces) ->
    Wanted = case Limit of 0 -> ?MANY; _ -> min(?MANY, Limit - Before) end,
    {Keys, Next} = hornbeam_store:keys_from(Cursor, Prefix, Wanted),
    Count = Before + length(Keys),
    All = [Pieces, hornbeam_link_codec:keys(Keys)],
    case Next =:= done orelse Count =:= Limit of
        true -> {reply, hornbeam_link_codec:list(Count, All)};
        false -> {more, Next, Count, All}
    end.
