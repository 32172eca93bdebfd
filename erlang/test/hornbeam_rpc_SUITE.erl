%% Calls of other nodes: real ones, that answer, hang, die, have another cookie
%% or are not there, and what a client is told of each.
-module(hornbeam_rpc_SUITE).

-include("hornbeam_link.hrl").

-compile([export_all, nowarn_export_all]).

all() ->
    [
        a_function_of_another_node_answers,
        the_own_node_has_three_names,
        exceptions_of_another_node_have_class_reason_and_stack,
        a_function_that_is_not_exported_is_named,
        what_is_not_allowed_is_denied_by_name,
        names_that_cannot_be_meant_are_refused,
        ten_thousand_made_up_modules_come_to_an_end,
        a_node_that_hangs_is_a_timeout,
        a_node_that_hangs_before_it_is_connected_is_a_timeout,
        a_node_that_hangs_and_is_waited_for_is_told_to_hang,
        a_node_that_dies_during_the_call_is_a_lost_connection,
        nodes_that_cannot_be_reached_differ_in_their_messages,
        an_epmd_that_hangs_is_told,
        without_distribution_other_nodes_are_out_of_reach,
        short_and_long_names_do_not_mix,
        a_cancelled_call_ends_on_the_other_node,
        a_call_ends_on_the_other_node_with_its_client,
        a_call_past_its_deadline_ends_on_the_other_node,
        a_process_that_is_killed_there_is_an_exit,
        large_results_and_arguments_cross,
        a_cast_reaches_the_node,
        node_and_nodes_are_told,
        another_call_goes_on_while_one_node_hangs
    ].

init_per_suite(Config) ->
    _ = application:load(hornbeam),
    Cluster = hb_cluster:start(),
    Here = hb_cluster:node(Cluster, here),
    There = hb_cluster:node(Cluster, there),
    Path = hb_cluster:companion(Here, []),
    [{cluster, Cluster}, {here, Here}, {there, There}, {path, Path} | Config].

end_per_suite(Config) ->
    [hb_cluster:end_node(node_of(Which, Config)) || Which <- [here, there]],
    hb_cluster:stop(proplists:get_value(cluster, Config)).

init_per_testcase(_Case, Config) ->
    [{client, hb_client:connect(proplists:get_value(path, Config))} | Config].

end_per_testcase(_Case, Config) ->
    hb_client:close(client(Config)),
    hb_cluster:call(node_of(here, Config), hornbeam_rpc, configure, [[<<"*">>]]).

client(Config) -> proplists:get_value(client, Config).

node_of(Which, Config) -> proplists:get_value(Which, Config).

there(Config) -> hb_cluster:name(node_of(there, Config)).

call(Config, Node, Module, Function, Arguments) ->
    call(Config, Node, Module, Function, Arguments, 0).

call(Config, Node, Module, Function, Arguments, Ms) ->
    Deadline = case Ms of 0 -> 0; _ -> (hornbeam_clock:ms() + Ms) band 16#ffffffff end,
    hb_client:call(client(Config), ?HB_OP_RPC_CALL, {Node, Module, Function, term_to_binary(Arguments)}, Deadline).

contains(Text, Part) ->
    binary:match(Text, Part) =/= nomatch.

%% A node for one case, which it may break.
with_node(Config, Name, Options, Fun) ->
    Node = hb_cluster:node(proplists:get_value(cluster, Config), Name, Options),
    try
        Fun(Node)
    after
        hb_cluster:end_node(Node)
    end.

a_function_of_another_node_answers(Config) ->
    There = there(Config),
    Atom = binary_to_atom(There),
    {ok, {ok, Atom}} = call(Config, There, <<"erlang">>, <<"node">>, []),
    {ok, {ok, [2, 1]}} = call(Config, There, <<"lists">>, <<"reverse">>, [[1, 2]], 60000),
    %% What the function returns is the value, whatever it looks like.
    {ok, {ok, {ok, <<"x">>}}} = call(Config, There, <<"erlang">>, <<"binary_to_term">>, [term_to_binary({ok, <<"x">>})]),
    {ok, {ok, {error, nope}}} = call(Config, There, <<"erlang">>, <<"binary_to_term">>, [term_to_binary({error, nope})]).

the_own_node_has_three_names(Config) ->
    Own = hb_cluster:name(node_of(here, Config)),
    Atom = binary_to_atom(Own),
    [{ok, {ok, Atom}} = call(Config, Name, <<"erlang">>, <<"node">>, []) || Name <- [<<"-">>, <<"local">>, Own]],
    {ok, {raised, error, badarith, Text}} = call(Config, <<"-">>, <<"erlang">>, <<"+">>, [1, a]),
    true = contains(Text, <<"1 + a">>),
    {error, {timeout, Late}} = call(Config, <<"-">>, <<"timer">>, <<"sleep">>, [infinity], 1000),
    {match, _} = re:run(Late, "^no answer from timer:sleep within \\d+ ms$").

exceptions_of_another_node_have_class_reason_and_stack(Config) ->
    There = there(Config),
    {ok, {raised, error, function_clause, Text}} = call(Config, There, <<"lists">>, <<"seq">>, [a, b]),
    true = contains(Text, <<"no function clause matching lists:seq(a,b)">>),
    {ok, {raised, throw, ball, _}} = call(Config, There, <<"erlang">>, <<"throw">>, [ball]),
    {ok, {raised, exit, normal, _}} = call(Config, There, <<"erlang">>, <<"exit">>, [normal]),
    {ok, {raised, exit, {shutdown, <<"x">>}, _}} = call(Config, There, <<"erlang">>, <<"exit">>, [{shutdown, <<"x">>}]),
    {ok, {raised, exit, noconnection, _}} = call(Config, There, <<"erlang">>, <<"exit">>, [noconnection]).

a_function_that_is_not_exported_is_named(Config) ->
    [
        begin
            {ok, {raised, error, undef, Text}} = call(Config, Node, Module, <<"no_such">>, [1, 2]),
            true = contains(Text, <<"undefined function ", Module/binary, ":no_such/2">>)
        end
     || Node <- [<<"-">>, there(Config)], Module <- [<<"lists">>, <<"no_such_module">>]
    ].

what_is_not_allowed_is_denied_by_name(Config) ->
    There = there(Config),
    Allow = fun(Patterns) -> ok = hb_cluster:call(node_of(here, Config), hornbeam_rpc, configure, [Patterns]) end,
    Allow([<<"there@*:lists:*">>]),
    {ok, {ok, [1]}} = call(Config, There, <<"lists">>, <<"reverse">>, [[1]]),
    {error, {denied, Text}} = call(Config, There, <<"os">>, <<"cmd">>, [<<"true">>]),
    <<"rpc.allow does not permit there@127.0.0.1:os:cmd">> = Text,
    {error, {denied, <<"rpc.allow does not permit here@127.0.0.1:lists:reverse">>}} =
        call(Config, <<"-">>, <<"lists">>, <<"reverse">>, [[1]]),
    Made = hb_cluster:call(node_of(here, Config), hornbeam_names, made, []),
    {error, {denied, _}} = call(Config, <<"made@up">>, <<"also_made">>, <<"up_to_be_denied">>, [made_up_to_be_denied]),
    Made = hb_cluster:call(node_of(here, Config), hornbeam_names, made, []),
    {error, {denied, _}} = hb_client:call(client(Config), ?HB_OP_RPC_CAST, {There, <<"os">>, <<"cmd">>, term_to_binary([])}),
    Allow([]),
    {error, {denied, _}} = call(Config, There, <<"lists">>, <<"reverse">>, [[1]]).

names_that_cannot_be_meant_are_refused(Config) ->
    Long = binary:copy(<<"x">>, 256),
    [
        {error, {Class, _}} = call(Config, Node, Module, Function, Arguments)
     || {Class, Node, Module, Function, Arguments} <- [
            {value, <<"nohost">>, <<"m">>, <<"f">>, []}, {value, <<"a@">>, <<"m">>, <<"f">>, []},
            {value, <<"@b">>, <<"m">>, <<"f">>, []}, {value, <<"a@b@c">>, <<"m">>, <<"f">>, []},
            {value, <<>>, <<"m">>, <<"f">>, []}, {value, Long, <<"m">>, <<"f">>, []},
            {value, <<"-">>, Long, <<"f">>, []}, {value, <<"-">>, <<"m">>, <<>>, []},
            {type, '-', <<"m">>, <<"f">>, []}, {type, <<"-">>, 5, <<"f">>, []}, {type, <<"-">>, <<"m">>, [], []},
            {value, <<"-">>, <<255>>, <<"f">>, []}, {type, <<"-">>, <<"m">>, <<"f">>, 5}
        ]
    ],
    {error, {protocol, _}} = hb_client:call(client(Config), ?HB_OP_RPC_CALL, {<<"-">>, <<"m">>, <<"f">>, []}),
    {ok, pong} = hb_client:call(client(Config), ?HB_OP_PING, []).

ten_thousand_made_up_modules_come_to_an_end(Config) ->
    with_node(Config, names, #{}, fun(Node) ->
        Client = hb_client:connect(hb_cluster:companion(Node, [])),
        Atoms = fun() -> hb_cluster:call(Node, erlang, system_info, [atom_count]) end,
        Before = Atoms(),
        Call = fun(N) ->
            Module = <<"made_up_", (integer_to_binary(N))/binary>>,
            hb_client:call(Client, ?HB_OP_RPC_CAST, {<<"-">>, <<"lists">>, Module, term_to_binary([])})
        end,
        ok = hb_cluster:call(Node, logger, set_primary_config, [level, none]),
        Replies = [Call(N) || N <- lists:seq(1, 11000)],
        Refused = [Text || {error, {limit, Text}} <- Replies],
        true = length(Refused) >= 1000,
        true = contains(lists:last(Refused), <<"the name (atom) 'made_up_11000' is new to this node, which makes at most 10000">>),
        true = Atoms() - Before < 10500,
        {ok, {ok, [1]}} = hb_client:call(Client, ?HB_OP_RPC_CALL, {<<"-">>, <<"lists">>, <<"reverse">>, term_to_binary([[1]])}),
        {ok, #{<<"names">> := #{<<"made">> := 10000}}} = hb_client:call(Client, ?HB_OP_STATUS, [])
    end).

a_node_that_hangs_is_a_timeout(Config) ->
    with_node(Config, hangs, #{}, fun(Node) ->
        Name = hb_cluster:name(Node),
        {ok, {ok, _}} = call(Config, Name, <<"erlang">>, <<"node">>, []),
        hb_cluster:signal(Node, "STOP"),
        {error, {timeout, Text}} = call(Config, Name, <<"erlang">>, <<"node">>, [], 1000),
        {match, _} = re:run(Text, "^no answer from hangs@127.0.0.1 within \\d+ ms$"),
        hb_cluster:signal(Node, "CONT"),
        {ok, {ok, _}} = call(Config, Name, <<"erlang">>, <<"node">>, [], 60000)
    end).

a_node_that_hangs_before_it_is_connected_is_a_timeout(Config) ->
    with_node(Config, deaf, #{}, fun(Node) ->
        hb_cluster:signal(Node, "STOP"),
        {error, {timeout, <<"no answer from deaf@127.0.0.1 within ", _/binary>>}} =
            call(Config, hb_cluster:name(Node), <<"erlang">>, <<"node">>, [], 1000)
    end).

%% net_kernel gives up before the call does.
a_node_that_hangs_and_is_waited_for_is_told_to_hang(Config) ->
    with_node(Config, impatient, #{setup => 1}, fun(Here) ->
        with_node(Config, mute, #{}, fun(Node) ->
            hb_cluster:signal(Node, "STOP"),
            Client = hb_client:connect(hb_cluster:companion(Here, [])),
            Request = {hb_cluster:name(Node), <<"erlang">>, <<"node">>, term_to_binary([])},
            {error, {connect, <<"mute@127.0.0.1 is there but does not answer: it hangs">>}} =
                hb_client:call(Client, ?HB_OP_RPC_CALL, Request)
        end)
    end).

a_node_that_dies_during_the_call_is_a_lost_connection(Config) ->
    with_node(Config, dies, #{}, fun(Node) ->
        Name = hb_cluster:name(Node),
        {ok, {ok, _}} = call(Config, Name, <<"erlang">>, <<"node">>, []),
        {error, {connect, <<"the connection to dies@127.0.0.1 was lost during the call">>}} =
            call(Config, Name, <<"erlang">>, <<"halt">>, [0]),
        {error, {connect, <<"dies@127.0.0.1 does not run: epmd on 127.0.0.1 knows no node dies">>}} =
            call(Config, Name, <<"erlang">>, <<"node">>, [])
    end).

nodes_that_cannot_be_reached_differ_in_their_messages(Config) ->
    Failed = fun(Name) ->
        {error, {connect, Text}} = call(Config, Name, <<"erlang">>, <<"node">>, []),
        Text
    end,
    with_node(Config, stranger, #{cookie => "another"}, fun(Node) ->
        ok = hb_cluster:call(Node, logger, set_primary_config, [level, none]),
        Text = Failed(hb_cluster:name(Node)),
        <<"stranger@127.0.0.1 is there but refuses to connect: most likely its cookie is not ours">> = Text
    end),
    <<"nobody@127.0.0.1 does not run: epmd on 127.0.0.1 knows no node nobody">> = Failed(<<"nobody@127.0.0.1">>),
    <<"a@127.9.9.9 does not run: no epmd answers on 127.9.9.9">> = Failed(<<"a@127.9.9.9">>),
    <<"cannot reach a@no-such-host.invalid: the host no-such-host.invalid has no address">> =
        Failed(<<"a@no-such-host.invalid">>),
    <<"a@short is a short node name and here@127.0.0.1 a long one: such nodes cannot connect">> = Failed(<<"a@short">>).

%% It takes the connection and says nothing.
an_epmd_that_hangs_is_told(Config) ->
    #{port := Port} = proplists:get_value(cluster, Config),
    {ok, Epmd} = gen_tcp:listen(Port, [{ip, {127, 9, 9, 9}}]),
    ok = hb_cluster:call(node_of(here, Config), application, set_env, [kernel, net_setuptime, 1]),
    try
        {error, {connect, <<"cannot reach a@127.9.9.9: epmd on 127.9.9.9 does not answer">>}} =
            call(Config, <<"a@127.9.9.9">>, <<"erlang">>, <<"node">>, [])
    after
        ok = hb_cluster:call(node_of(here, Config), application, unset_env, [kernel, net_setuptime]),
        gen_tcp:close(Epmd)
    end.

without_distribution_other_nodes_are_out_of_reach(_Config) ->
    Path = hb_node:start(#{max_keys => 0, max_bytes => 0, max_value => 0}),
    try
        Client = hb_client:connect(Path),
        Request = {<<"worker@gpu-server">>, <<"m">>, <<"f">>, term_to_binary([])},
        {error, {connect, Text}} = hb_client:call(Client, ?HB_OP_RPC_CALL, Request),
        true = contains(Text, <<"cannot reach worker@gpu-server: this node has no distribution">>),
        {error, {connect, Text}} = hb_client:call(Client, ?HB_OP_RPC_CAST, Request),
        {ok, {ok, [1]}} = hb_client:call(Client, ?HB_OP_RPC_CALL, {<<"-">>, <<"lists">>, <<"reverse">>, term_to_binary([[1]])}),
        {ok, <<"nonode@nohost">>} = hb_client:call(Client, ?HB_OP_NODE, []),
        {ok, []} = hb_client:call(Client, ?HB_OP_NODES, [])
    after
        hb_node:stop()
    end.

short_and_long_names_do_not_mix(Config) ->
    with_node(Config, short, #{host => "localhost", short => true}, fun(Node) ->
        Client = hb_client:connect(hb_cluster:companion(Node, [])),
        Request = {there(Config), <<"erlang">>, <<"node">>, term_to_binary([])},
        {error, {connect, Text}} = hb_client:call(Client, ?HB_OP_RPC_CALL, Request),
        <<"there@127.0.0.1 is a long node name and short@localhost a short one: such nodes cannot connect">> = Text,
        {error, {connect, Text}} = hb_client:call(Client, ?HB_OP_RPC_CAST, Request)
    end).

%% A call that hangs there, and whether its process still does.
start_hanging(Config, Id, Deadline) ->
    Request = {there(Config), <<"timer">>, <<"sleep">>, term_to_binary([infinity])},
    ok = hb_client:send(client(Config), ?HB_OP_RPC_CALL, Id, Deadline, term_to_binary(Request)),
    hb_node:eventually(fun() -> sleepers(Config) =:= 1 end).

sleepers(Config) ->
    Functions = hb_cluster:call(node_of(there, Config), ?MODULE, current_functions, []),
    length([F || F <- Functions, F =:= {timer, sleep, 1}]).

current_functions() ->
    [F || Pid <- processes(), {current_function, F} <- [process_info(Pid, current_function)]].

a_cancelled_call_ends_on_the_other_node(Config) ->
    start_hanging(Config, 7, 0),
    ok = hb_client:send(client(Config), ?HB_OP_CANCEL, 1, 0, term_to_binary(7)),
    hb_node:eventually(fun() -> sleepers(Config) =:= 0 end),
    {ok, pong} = hb_client:call(client(Config), ?HB_OP_PING, []).

a_call_ends_on_the_other_node_with_its_client(Config) ->
    start_hanging(Config, 7, 0),
    hb_client:close(client(Config)),
    hb_node:eventually(fun() -> sleepers(Config) =:= 0 end).

a_call_past_its_deadline_ends_on_the_other_node(Config) ->
    start_hanging(Config, 7, (hornbeam_clock:ms() + 4000) band 16#ffffffff),
    {?HB_OP_RPC_CALL, 7, _, Payload} = hb_client:recv(client(Config)),
    {timeout, _} = hb_client:decode(Payload),
    hb_node:eventually(fun() -> sleepers(Config) =:= 0 end).

kill_itself() ->
    exit(self(), kill).

a_process_that_is_killed_there_is_an_exit(Config) ->
    {ok, {raised, exit, killed, Text}} = call(Config, there(Config), atom_to_binary(?MODULE), <<"kill_itself">>, []),
    <<"exception exit: killed">> = Text.

large_results_and_arguments_cross(Config) ->
    There = there(Config),
    Large = rand:bytes(10000000),
    {ok, {ok, Large}} = call(Config, There, <<"lists">>, <<"last">>, [[Large]]),
    {ok, {ok, Twice}} = call(Config, There, <<"binary">>, <<"copy">>, [Large, 3]),
    30000000 = byte_size(Twice),
    {error, {limit, Text}} = call(Config, There, <<"binary">>, <<"copy">>, [Large, 7]),
    true = contains(Text, <<"the result of binary:copy has about 70000">>).

a_cast_reaches_the_node(Config) ->
    [
        begin
            Request = {Node, <<"persistent_term">>, <<"put">>, term_to_binary([Key, cast])},
            {ok, ok} = hb_client:call(client(Config), ?HB_OP_RPC_CAST, Request),
            hb_node:eventually(fun() -> hb_cluster:call(Where, persistent_term, get, [Key, none]) =:= cast end)
        end
     || {Node, Where, Key} <- [{there(Config), node_of(there, Config), a_key}, {<<"-">>, node_of(here, Config), own_key}]
    ].

node_and_nodes_are_told(Config) ->
    {ok, <<"here@127.0.0.1">>} = hb_client:call(client(Config), ?HB_OP_NODE, []),
    {ok, {ok, _}} = call(Config, there(Config), <<"erlang">>, <<"node">>, []),
    {ok, Nodes} = hb_client:call(client(Config), ?HB_OP_NODES, []),
    true = lists:member(<<"there@127.0.0.1">>, Nodes),
    Nodes = lists:sort(Nodes),
    {error, {protocol, _}} = hb_client:call(client(Config), ?HB_OP_NODES, 5).

another_call_goes_on_while_one_node_hangs(Config) ->
    with_node(Config, stuck, #{}, fun(Node) ->
        Name = hb_cluster:name(Node),
        {ok, {ok, _}} = call(Config, Name, <<"erlang">>, <<"node">>, []),
        hb_cluster:signal(Node, "STOP"),
        Request = term_to_binary({Name, <<"erlang">>, <<"node">>, term_to_binary([])}),
        [ok = hb_client:send(client(Config), ?HB_OP_RPC_CALL, Id, 0, Request) || Id <- lists:seq(1, 200)],
        [{ok, {ok, [1]}} = call(Config, there(Config), <<"lists">>, <<"reverse">>, [[1]]) || _ <- lists:seq(1, 50)]
    end).
