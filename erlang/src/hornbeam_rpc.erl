%% Calls of any function of any node of the cluster, as far as rpc.allow lets
%% clients.  The own node, `-` or `local`, needs no distribution.
%%
%% The process that calls another node is linked to the one that runs there, so
%% that a call that is cancelled, or past its deadline, ends there too.
-module(hornbeam_rpc).

-export([configure/1, reply/4, cast_reply/4, late/3, node/0, nodes/0]).

-compile({no_auto_import, [node/0, nodes/0]}).

%% @doc From now on these are the patterns of rpc.allow.
-spec configure([binary()]) -> ok.
configure(Patterns) ->
    persistent_term:put(?MODULE, hornbeam_rpc_allow:new(Patterns)).

-spec node() -> binary().
node() ->
    atom_to_binary(erlang:node()).

%% @doc The nodes that this one is connected to, sorted.
-spec nodes() -> [binary()].
nodes() ->
    lists:sort([atom_to_binary(Node) || Node <- erlang:nodes()]).

%% @doc The reply to a client that calls a function of a node.
-spec reply(binary(), binary(), binary(), binary()) -> iodata().
reply(Node, Module, Function, Binary) ->
    {Target, M, F, Arguments} = admit(Node, Module, Function, Binary),
    Result =
        case run(Target, M, F, Arguments) of
            {returned, Value} -> {ok, Value};
            Raised -> Raised
        end,
    hornbeam_calls:reply(Result, [Module, $:, Function]).

%% @doc The reply to a client that does not wait for the call.
-spec cast_reply(binary(), binary(), binary(), binary()) -> iodata().
cast_reply(Node, Module, Function, Binary) ->
    ok =
        case admit(Node, Module, Function, Binary) of
            {local, M, F, Arguments} ->
                hornbeam_casts:start([Module, $:, Function], byte_size(Binary), fun() -> apply(M, F, Arguments) end);
            {Target, M, F, Arguments} ->
                ok = hornbeam_reach:check(Target),
                erpc:cast(Target, M, F, Arguments)
        end,
    hornbeam_link_codec:answer(ok).

%% @doc What to say when the answer has not come in time.
-spec late(binary(), binary(), binary()) -> fun((timeout()) -> iodata()).
late(Node, Module, Function) ->
    fun(Ms) ->
        Who = case own(Node) of true -> [Module, $:, Function]; false -> Node end,
        ["no answer from ", Who, " within ", integer_to_binary(Ms), " ms"]
    end.

%% Names become atoms when the call is known to be allowed.
admit(Node, Module, Function, Binary) ->
    ok = hornbeam_calls:name("node", Node),
    ok = hornbeam_calls:name("module", Module),
    ok = hornbeam_calls:name("function", Function),
    Full = case own(Node) of true -> node(); false -> Node end,
    Rules = persistent_term:get(?MODULE),
    hornbeam_rpc_allow:allows(Rules, Full, Module, Function) orelse
        hornbeam_error:throw(denied, ["rpc.allow does not permit ", Full, $:, Module, $:, Function]),
    Arguments = hornbeam_calls:arguments(Binary),
    {target(Node), hornbeam_names:atom(Module), hornbeam_names:atom(Function), Arguments}.

own(<<"-">>) -> true;
own(<<"local">>) -> true;
own(Name) -> Name =:= node().

target(Node) ->
    case own(Node) orelse binary:split(Node, <<"@">>, [global]) of
        true -> local;
        [Name, Host] when Name =/= <<>>, Host =/= <<>> -> other(Node);
        _ -> hornbeam_error:throw(value, [hornbeam_error:key(Node), " is no node: a node is name@host, or - for the own one"])
    end.

%% Without distribution there is no use for the atom.
other(Node) ->
    case is_alive() of
        true -> hornbeam_names:atom(Node);
        false -> hornbeam_error:throw(connect, hornbeam_reach:alone(Node))
    end.

run(local, Module, Function, Arguments) ->
    hornbeam_calls:outcome(fun() -> apply(Module, Function, Arguments) end);
run(Node, Module, Function, Arguments) ->
    ok = hornbeam_reach:connect(Node),
    _ = process_flag(trap_exit, true),
    Reference = make_ref(),
    Request = spawn_request(Node, erpc, execute_call, [Reference, Module, Function, Arguments], [link, {reply, error_only}]),
    await(Node, Reference, Request).

%% How erpc's own side of the other node ends: its exit reason is the result.
await(Node, Reference, Request) ->
    receive
        {'EXIT', _, {Reference, return, Value}} ->
            {returned, Value};
        {'EXIT', _, {Reference, error, Reason, Stack}} ->
            hornbeam_calls:raised(error, Reason, Stack);
        {'EXIT', _, {Reference, Class, Reason}} ->
            hornbeam_calls:raised(Class, Reason, []);
        {'EXIT', Pid, noconnection} when erlang:node(Pid) =:= Node ->
            lost(Node);
        {'EXIT', Pid, Reason} when erlang:node(Pid) =:= Node ->
            hornbeam_calls:raised(exit, Reason, []);
        {'EXIT', _Link, Reason} ->
            exit(Reason);
        {spawn_reply, Request, error, noconnection} ->
            lost(Node);
        {spawn_reply, Request, error, Reason} ->
            hornbeam_error:throw(connect, ["no process could be started on ", atom_to_binary(Node), ": ", atom_to_binary(Reason)])
    end.

-spec lost(node()) -> no_return().
lost(Node) ->
    hornbeam_error:throw(connect, ["the connection to ", atom_to_binary(Node), " was lost during the call"]).
