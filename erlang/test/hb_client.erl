%% A client of the link for tests: a real socket, requests as terms.
-module(hb_client).

-export([connect/1, raw/1, close/1, hello/1, hello_term/1, call/3, call/4, send/5, recv/1, recv/2, decode/1, value/1]).
-export([subscribe/3, publish/3, pushed/1, pushed/2]).

-include("hornbeam_link.hrl").

-define(WAIT, 60000).

%% A link that has said hello.
connect(Path) ->
    Socket = raw(Path),
    {ok, {hello, _, _}} = hello(Socket),
    Socket.

raw(Path) ->
    {ok, Socket} = gen_tcp:connect({local, Path}, 0, [binary, {packet, 4}, {active, false}]),
    Socket.

close(Socket) ->
    gen_tcp:close(Socket).

hello(Socket) ->
    call(Socket, ?HB_OP_HELLO, hello_term(hornbeam_status:vsn())).

hello_term(Vsn) ->
    {hello, Vsn, <<"client">>, <<"test">>, 0, 0, list_to_integer(os:getpid())}.

%% {ok, Term} or {error, {Class, Text}}.
call(Socket, Op, Term) ->
    call(Socket, Op, Term, 0).

call(Socket, Op, Term, Deadline) ->
    Id = erlang:unique_integer([positive]) band 16#ffffffff,
    ok = send(Socket, Op, Id, Deadline, term_to_binary(Term)),
    {Op, Id, Flags, Payload} = recv(Socket),
    case Flags band ?HB_LINK_ERROR of
        0 -> {ok, decode(Payload)};
        _ -> {error, decode(Payload)}
    end.

send(Socket, Op, Id, Deadline, Payload) ->
    gen_tcp:send(Socket, [<<?HB_LINK_VERSION, Op, 0, 0, Id:32, Deadline:32>>, Payload]).

recv(Socket) ->
    recv(Socket, ?WAIT).

%% A whole reply, its parts put together.
recv(Socket, Timeout) ->
    recv(Socket, Timeout, []).

recv(Socket, Timeout, Parts) ->
    case gen_tcp:recv(Socket, 0, Timeout) of
        {ok, <<?HB_LINK_VERSION, Op, Flags, 0, Id:32, _:32, Payload/binary>>} ->
            case Flags band ?HB_LINK_MORE of
                0 -> {Op, Id, Flags, iolist_to_binary(lists:reverse(Parts, [Payload]))};
                _ -> recv(Socket, Timeout, [Payload | Parts])
            end;
        {error, _} = Error ->
            Error
    end.

decode(Payload) ->
    binary_to_term(Payload).

%% A stored value as Python would send it.
value(N) when is_integer(N) -> N;
value(Term) -> term_to_binary(Term).

%% The link has so many subscribers of the topic.
subscribe(Socket, Topic, Count) ->
    call(Socket, ?HB_OP_SUBSCRIBE, {Topic, Count}).

publish(Socket, Topic, Term) ->
    call(Socket, ?HB_OP_PUBLISH, {Topic, term_to_binary(Term)}).

%% The next frame that was pushed: {message, Topic, Term} or {gap, [{Topic, Count}]}.
pushed(Socket) ->
    pushed(Socket, ?WAIT).

pushed(Socket, Timeout) ->
    case recv(Socket, Timeout) of
        {?HB_OP_MESSAGE, 0, 0, Payload} ->
            {Topic, Encoded} = decode(Payload),
            {message, Topic, decode(Encoded)};
        {?HB_OP_GAP, 0, 0, Payload} ->
            {gap, decode(Payload)};
        {error, _} = Error ->
            Error
    end.
