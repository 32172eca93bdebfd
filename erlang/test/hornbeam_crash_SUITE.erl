%% Each process of the tree is killed in its turn, with clients and user code at
%% work: everything is well again afterwards, and nothing stays behind.
-module(hornbeam_crash_SUITE).

-include("hornbeam_link.hrl").

-compile([export_all, nowarn_export_all]).

-define(TOPIC, <<"news">>).

all() ->
    [
        whoever_dies_is_replaced_and_all_is_well,
        the_root_dies_and_the_application_starts_again_at_once,
        a_cast_that_nobody_would_run_is_refused,
        an_application_that_ended_unseen_is_started_again,
        a_link_that_is_killed_takes_its_calls_with_it,
        links_without_their_supervisor_end_what_they_run,
        callers_of_a_client_that_is_cut_are_told,
        a_reload_keeps_what_code_has_registered
    ].

init_per_testcase(Case, Config) ->
    Loud = [whoever_dies_is_replaced_and_all_is_well, the_root_dies_and_the_application_starts_again_at_once],
    _ = [logger:set_primary_config(level, none) || lists:member(Case, Loud)],
    application:set_env(hornbeam, hooks, #{on_request => fun(_) -> {200, <<"hooked">>} end}),
    [{path, start(Case)} | Config].

end_per_testcase(_Case, _Config) ->
    _ = hb_node:stop(),
    application:unset_env(hornbeam, hooks),
    logger:set_primary_config(level, error).

start(callers_of_a_client_that_is_cut_are_told) -> start([{unread_ms, 300}]);
start(Case) when is_atom(Case) -> start([]);
start(Env) -> hb_node:start(#{max_keys => 0, max_bytes => 0, max_value => 0}, Env).

connect(Config) -> hb_client:connect(proplists:get_value(path, Config)).

%% Every process below the root, as the path of names to it.
children(Supervisor) ->
    lists:append([
        [[Id] | [[Id | Path] || Type =:= supervisor, Path <- children(Pid)]]
     || {Id, Pid, Type, _} <- supervisor:which_children(Supervisor), is_pid(Pid)
    ]).

pid([Id], Supervisor) -> element(2, lists:keyfind(Id, 1, supervisor:which_children(Supervisor)));
pid([Id | Path], Supervisor) -> pid(Path, pid([Id], Supervisor)).

whoever_dies_is_replaced_and_all_is_well(Config) ->
    Paths = lists:usort(children(hornbeam_sup)),
    true = lists:member([core, pubsub, hub], Paths) andalso lists:member([core, link, links], Paths),
    %% A fresh tree for each: the root gives up after a few crashes at once.
    _ = [
        begin
            Path = restart(),
            ct:pal("killing ~p", [Victim]),
            Root = whereis(hornbeam_sup),
            survives(Victim, [{path, Path} | Config]),
            Root = whereis(hornbeam_sup)
        end
     || Victim <- Paths
    ].

%% What it leaves behind ends, too, but takes its time.
the_root_dies_and_the_application_starts_again_at_once(Config) ->
    _ = [
        begin
            Pid = hiding(Config),
            Clients = [connect(Config) || _ <- lists:seq(1, 20)],
            _ = [{ok, ok} = hb_client:subscribe(S, ?TOPIC, 1) || S <- Clients],
            ok = hornbeam_pubsub:subscribe(?TOPIC),
            exit(whereis(hornbeam_sup), kill),
            ok = start_again(),
            ok = hornbeam:register_function(add, fun([A, B]) -> A + B end),
            hb_node:eventually(fun() -> try works(Config) catch _:_ -> false end end),
            hb_node:eventually(fun() -> not is_process_alive(Pid) end),
            _ = [hb_client:close(S) || S <- Clients]
        end
     || _ <- lists:seq(1, 10)
    ].

a_cast_that_nobody_would_run_is_refused(_Config) ->
    Self = self(),
    ok = hornbeam:register_function(tell, fun([Text]) -> Self ! {told, Text} end),
    ok = supervisor:terminate_child(hornbeam_core_sup, casts),
    {system, _} = try hornbeam:cast(tell, [lost]) catch error:Reason -> Reason end,
    {ok, _} = supervisor:restart_child(hornbeam_core_sup, casts),
    ok = hornbeam:cast(tell, [heard]),
    receive {told, Text} -> heard = Text after 60000 -> error(not_told) end.

%% It ended between its start and the look at it, or while nobody looked.
an_application_that_ended_unseen_is_started_again(_Config) ->
    Runs = fun() -> lists:keymember(sasl, 1, application:which_applications()) end,
    ok = application:set_env(hornbeam, applications, [sasl]),
    logger:set_primary_config(level, none),
    try
        false = Runs(),
        exit(whereis(hornbeam_applications), kill),
        hb_node:eventually(Runs)
    after
        application:unset_env(hornbeam, applications),
        application:stop(sasl)
    end.

start_again() ->
    case application:start(hornbeam) of
        {error, {already_started, hornbeam}} -> start_again();
        Other -> Other
    end.

restart() ->
    ok = hb_node:stop(),
    start([]).

survives(Victim, Config) ->
    Socket = connect(Config),
    {ok, ok} = hb_client:subscribe(Socket, ?TOPIC, 1),
    {ok, ok} = hb_client:call(Socket, ?HB_OP_PROVIDE, {<<"theirs">>, true}),
    ok = hornbeam_pubsub:subscribe(?TOPIC),
    ok = hornbeam:register_function(add, fun([A, B]) -> A + B end),
    Pid = pid(Victim, hornbeam_sup),
    true = exit(Pid, kill),
    hb_node:eventually(fun() -> replaced(Victim, Pid) end),
    hb_node:eventually(fun() -> try works(Config) catch _:_ -> false end end),
    hb_client:close(Socket),
    hb_node:eventually(fun() -> hornbeam_python:names() =:= [] end),
    ok = hornbeam_pubsub:unsubscribe(?TOPIC),
    hb_node:eventually(fun() -> {[], 0, []} =:= {hornbeam_pubsub:topics(), ets:info(hornbeam_topics, size), hornbeam_links:list()} end).

replaced(Victim, Pid) ->
    try pid(Victim, hornbeam_sup) of
        New -> is_pid(New) andalso New =/= Pid
    catch
        _:_ -> false
    end.

works(Config) ->
    Socket = connect(Config),
    try
        Value = hb_client:value(v),
        {ok, ok} = hb_client:call(Socket, ?HB_OP_SET, {<<"k">>, Value, 0}),
        {ok, Value} = hb_client:call(Socket, ?HB_OP_GET, <<"k">>),
        ok = hornbeam_pubsub:subscribe(?TOPIC),
        {ok, ok} = hb_client:subscribe(Socket, ?TOPIC, 1),
        %% Of another link: the answer would come among the messages.
        Publisher = connect(Config),
        {ok, N} = hb_client:publish(Publisher, ?TOPIC, hello),
        hb_client:close(Publisher),
        true = N >= 2,
        {message, ?TOPIC, hello} = hb_client:pushed(Socket),
        receive {pubsub, ?TOPIC, hello} -> ok after 1000 -> error(no_message) end,
        {ok, {ok, 3}} = hb_client:call(Socket, ?HB_OP_CALL, {<<"add">>, term_to_binary([1, 2])}),
        {ok, ok} = hb_client:call(Socket, ?HB_OP_CAST, {<<"add">>, term_to_binary([1, 2])}),
        {ok, {ok, 5}} = hb_client:call(Socket, ?HB_OP_RPC_CALL, {<<"-">>, <<"erlang">>, <<"length">>, term_to_binary([lists:seq(1, 5)])}),
        {ok, {answer, 200, _, <<"hooked">>}} = hb_client:call(Socket, ?HB_OP_ON_REQUEST, request()),
        {ok, ok} = hb_client:call(Socket, ?HB_OP_PROVIDE, {<<"mine">>, true}),
        true = provided(Socket),
        {ok, #{<<"links">> := [_ | _]}} = hb_client:call(Socket, ?HB_OP_STATUS, []),
        true
    after
        hb_client:close(Socket)
    end.

provided(Socket) ->
    Self = self(),
    Caller = spawn(fun() -> Self ! {self(), hornbeam:call_python(mine, [4])} end),
    {?HB_OP_RUN, 0, 0, Payload} = hb_client:recv(Socket),
    {Id, <<"mine">>, _, _} = hb_client:decode(Payload),
    ok = hb_client:send(Socket, ?HB_OP_RAN, 0, 0, term_to_binary({Id, {ok, term_to_binary(16)}})),
    receive {Caller, Result} -> Result =:= 16 after 5000 -> false end.

request() ->
    {<<"GET">>, <<"/">>, <<>>, <<"1.1">>, <<"http">>, <<"127.0.0.1">>, 4711, <<"/">>, [], <<>>}.

links() -> [Pid || {_, Pid, _, _} <- supervisor:which_children(hornbeam_link_links_sup)].

%% A call that ignores what it can.
hiding(Config) ->
    Tester = self(),
    ok = hornbeam:register_function(hide, fun([]) ->
        process_flag(trap_exit, true),
        Tester ! {hides, self()},
        timer:sleep(infinity)
    end),
    ok = hb_client:send(connect(Config), ?HB_OP_CALL, 1, 0, term_to_binary({<<"hide">>, term_to_binary([])})),
    receive {hides, Pid} -> Pid after 60000 -> error(nobody_hides) end.

a_link_that_is_killed_takes_its_calls_with_it(Config) ->
    ok = hornbeam:register_function(hang, fun([Tester]) -> Tester ! {hides, self()}, timer:sleep(infinity) end),
    ok = hb_client:send(connect(Config), ?HB_OP_CALL, 1, 0, term_to_binary({<<"hang">>, term_to_binary([self()])})),
    Pid = receive {hides, P} -> P after 60000 -> error(nobody_hangs) end,
    _ = [exit(Link, kill) || Link <- links()],
    hb_node:eventually(fun() -> not is_process_alive(Pid) end).

%% Their table has gone with it.
links_without_their_supervisor_end_what_they_run(Config) ->
    Pid = hiding(Config),
    Links = links(),
    _ = [exit(whereis(Name), kill) || Name <- [hornbeam_link_sup, hornbeam_link_links_sup]],
    hb_node:eventually(fun() -> not lists:any(fun is_process_alive/1, [Pid | Links]) end).

%% It does not read what it is asked to run.
callers_of_a_client_that_is_cut_are_told(Config) ->
    Socket = connect(Config),
    {ok, ok} = hb_client:call(Socket, ?HB_OP_PROVIDE, {<<"mine">>, true}),
    Self = self(),
    Bytes = rand:bytes(1 bsl 20),
    Callers = [
        spawn(fun() -> Self ! {self(), try hornbeam:call_python(mine, [Bytes], 20000) catch error:{Class, _} -> Class end} end)
     || _ <- lists:seq(1, 20)
    ],
    [connect = receive {Caller, Class} -> Class after 60000 -> error(not_told) end || Caller <- Callers],
    hb_node:eventually(fun() -> hornbeam_python:names() =:= [] end),
    hb_client:close(Socket).

a_reload_keeps_what_code_has_registered(_Config) ->
    Old = [{<<"a">>, lists, reverse}, {<<"b">>, lists, sort}, {<<"c">>, lists, last}],
    ok = hornbeam_functions:configure([], Old),
    ok = hornbeam:register_function(mine, fun([]) -> 1 end),
    %% Code has put its own in a configured one's place.
    ok = hornbeam:register_function(c, fun([_]) -> 2 end),
    {error, _} = hornbeam_functions:configure(Old, [{<<"a">>, lists, no_such_function}]),
    [3, 2, 1] = hornbeam:call(a, [[1, 2, 3]]),
    ok = hornbeam_functions:configure(Old, [{<<"a">>, lists, sort}]),
    [1, 2, 3] = hornbeam:call(a, [[3, 2, 1]]),
    [{<<"a">>, erlang}, {<<"c">>, erlang}, {<<"mine">>, erlang}] = hornbeam:functions(),
    {1, 2} = {hornbeam:call(mine, []), hornbeam:call(c, [[1]])}.
