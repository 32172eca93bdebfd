%% Registered functions over a real link: results, exceptions, and code that
%% does whatever it can to those who call it.
-module(hornbeam_calls_SUITE).

-include("hornbeam_link.hrl").

-compile([export_all, nowarn_export_all]).

all() ->
    [
        a_fun_gets_the_list_of_arguments_and_a_function_the_arguments,
        ok_and_error_are_unwrapped_and_other_values_are_themselves,
        a_name_is_one_as_atom_binary_and_string,
        registering_again_replaces,
        what_cannot_be_registered_is_an_error,
        an_unknown_name_suggests_near_ones,
        exceptions_come_with_a_readable_text,
        a_text_and_a_reason_are_bounded,
        whatever_a_function_does_the_link_goes_on,
        a_function_that_hides_ends_at_its_deadline,
        a_deadline_kills_and_names_the_function,
        each_call_ends_at_its_own_deadline,
        a_cancelled_call_is_killed_and_not_answered,
        what_a_client_called_ends_with_it,
        what_a_function_called_ends_with_it,
        a_slow_function_delays_no_other,
        children_of_a_call_outlive_its_return,
        a_client_has_a_bounded_number_of_calls,
        a_client_has_a_bounded_size_of_calls,
        arguments_that_are_none_are_refused,
        names_in_arguments_are_bounded,
        opaque_terms_come_back,
        large_results_come_whole_and_larger_ones_are_refused,
        a_cast_runs_and_fails_in_the_log,
        casts_end_with_their_supervisor,
        functions_are_listed_and_counted,
        registrations_outlive_hornbeams_processes,
        configured_functions_are_there_at_the_start,
        a_configured_function_that_is_none_is_an_error_with_its_name,
        erlang_code_calls_functions,
        erlang_code_gets_exceptions_as_they_were,
        a_call_of_erlang_code_is_killed_at_its_timeout,
        without_the_application_the_error_says_so,
        every_function_of_the_api_is_documented,
        the_examples_of_the_documentation_run
    ].

init_per_testcase(Case, Config) ->
    Env = case Case of
        configured_functions_are_there_at_the_start -> [{functions, [{<<"reverse">>, lists, reverse}]}];
        _ -> [{functions, []}]
    end,
    Path = hb_node:start(#{max_keys => 0, max_bytes => 0, max_value => 0}, Env),
    [{link, hb_client:connect(Path)}, {path, Path} | Config].

end_per_testcase(_Case, _Config) ->
    _ = hb_node:stop(),
    ok.

client(Config) -> proplists:get_value(link, Config).

call(Config, Name, Arguments) ->
    call(Config, Name, Arguments, 0).

call(Config, Name, Arguments, Ms) ->
    hb_client:call(client(Config), ?HB_OP_CALL, {Name, term_to_binary(Arguments)}, deadline(Ms)).

deadline(0) -> 0;
deadline(Ms) -> (hornbeam_clock:ms() + Ms) band 16#ffffffff.

%% A call that is not waited for.
start(Config, Id, Name, Arguments) ->
    ok = hb_client:send(client(Config), ?HB_OP_CALL, Id, 0, term_to_binary({Name, term_to_binary(Arguments)})).

contains(Text, Part) ->
    binary:match(iolist_to_binary(Text), Part) =/= nomatch.

%% Tells the test's process the pid, and never returns.
hang(Tester) ->
    fun(_) ->
        Tester ! {hangs, self()},
        timer:sleep(infinity)
    end.

hanging() ->
    receive
        {hangs, Pid} -> Pid
    after 60000 -> error(nobody_hangs)
    end.

gone(Pid) ->
    hb_node:eventually(fun() -> not is_process_alive(Pid) end).

a_fun_gets_the_list_of_arguments_and_a_function_the_arguments(Config) ->
    ok = hornbeam:register_function(add, fun([A, B]) -> A + B end),
    ok = hornbeam:register_function(reverse, lists, reverse),
    ok = hornbeam:register_function(append, {lists, append}),
    {ok, {ok, 3}} = call(Config, <<"add">>, [1, 2]),
    {ok, {ok, [3, 2, 1]}} = call(Config, <<"reverse">>, [[1, 2, 3]]),
    {ok, {ok, [1, 2]}} = call(Config, <<"append">>, [[1], [2]]).

ok_and_error_are_unwrapped_and_other_values_are_themselves(Config) ->
    ok = hornbeam:register_function(id, fun([X]) -> X end),
    Cases = [
        {{ok, 1}, {ok, 1}}, {{error, nope}, {error, nope}}, {7, {ok, 7}}, {ok, {ok, ok}}, {error, {ok, error}},
        {{ok, 1, 2}, {ok, {ok, 1, 2}}}, {{ok, {ok, 1}}, {ok, {ok, 1}}}, {undefined, {ok, undefined}}, {<<>>, {ok, <<>>}}
    ],
    [{ok, Reply} = call(Config, <<"id">>, [Value]) || {Value, Reply} <- Cases].

a_name_is_one_as_atom_binary_and_string(Config) ->
    Register = fun(Name, Value) -> ok = hornbeam:register_function(Name, fun([]) -> Value end) end,
    [
        begin
            Register(Name, N),
            {ok, {ok, N}} = call(Config, <<"größe"/utf8>>, [])
        end
     || {N, Name} <- [{1, größe}, {2, <<"größe"/utf8>>}, {3, "größe"}]
    ],
    [{<<"größe"/utf8>>, erlang}] = hornbeam:functions(),
    true = hornbeam:unregister_function("größe"),
    false = hornbeam:unregister_function(größe),
    {error, {missing, _}} = call(Config, <<"größe"/utf8>>, []).

registering_again_replaces(Config) ->
    ok = hornbeam:register_function(f, fun([]) -> old end),
    {ok, {ok, old}} = call(Config, <<"f">>, []),
    ok = hornbeam:register_function(f, fun([]) -> new end),
    {ok, {ok, new}} = call(Config, <<"f">>, []).

what_cannot_be_registered_is_an_error(_Config) ->
    Fun = fun([]) -> ok end,
    {type, Arity} = refused(fun() -> hornbeam:register_function(f, fun(A, B) -> A + B end) end),
    true = contains(Arity, <<"the list of arguments">>),
    [
        {Class, _} = refused(fun() -> hornbeam:register_function(Name, Code) end)
     || {Class, Name, Code} <- [
            {type, f, 5}, {type, f, {"m", f}}, {type, 5, Fun}, {type, [a], Fun}, {value, '', Fun}, {value, "", Fun},
            {value, binary:copy(<<"x">>, 256), Fun}, {value, <<255>>, Fun}
        ]
    ],
    [] = hornbeam:functions().

refused(Fun) ->
    try
        Fun()
    catch
        error:{Class, Text} when is_atom(Class), is_binary(Text) -> {Class, Text}
    end.

an_unknown_name_suggests_near_ones(Config) ->
    [ok = hornbeam:register_function(Name, fun(_) -> ok end) || Name <- [get_user, get_users, add, validate_token]],
    {error, {missing, Text}} = call(Config, <<"get_usr">>, []),
    <<"no function 'get_usr' is registered; do you mean 'get_user' or 'get_users'?">> = Text,
    {error, {missing, <<"no function 'ADD' is registered; do you mean 'add'?">>}} = call(Config, <<"ADD">>, []),
    {error, {missing, <<"no function 'validate' is registered; do you mean 'validate_token'?">>}} =
        call(Config, <<"validate">>, []),
    {error, {missing, <<"no function 'zzzz' is registered">>}} = call(Config, <<"zzzz">>, []),
    {error, {missing, _}} = call(Config, binary:copy(<<"x">>, 255), []),
    {error, {value, _}} = call(Config, binary:copy(<<"x">>, 256), []),
    {error, {value, _}} = call(Config, <<>>, []),
    {error, {type, _}} = call(Config, 5, []).

exceptions_come_with_a_readable_text(Config) ->
    ok = hornbeam:register_function(add, fun([A, B]) -> A + B end),
    ok = hornbeam:register_function(throws, fun([X]) -> throw(X) end),
    ok = hornbeam:register_function(exits, fun([X]) -> exit(X) end),
    ok = hornbeam:register_function(none, no_such_module, no_such_function),
    {ok, {raised, error, badarith, Text}} = call(Config, <<"add">>, [1, a]),
    true = contains(Text, <<"an error occurred when evaluating an arithmetic expression">>),
    true = contains(Text, <<"1 + a">>),
    true = contains(Text, <<"hornbeam_calls_SUITE">>),
    false = contains(Text, <<"hornbeam_functions">>),
    {ok, {raised, throw, {not_found, 5}, Thrown}} = call(Config, <<"throws">>, [{not_found, 5}]),
    true = contains(Thrown, <<"exception throw: {not_found,5}">>),
    {ok, {raised, exit, normal, _}} = call(Config, <<"exits">>, [normal]),
    {ok, {raised, error, undef, Undef}} = call(Config, <<"none">>, [1, 2]),
    true = contains(Undef, <<"undefined function no_such_module:no_such_function/2">>),
    {ok, {raised, error, function_clause, _}} = call(Config, <<"add">>, [1]),
    {ok, {raised, throw, {refused, denied, <<"x">>}, _}} = call(Config, <<"throws">>, [{refused, denied, <<"x">>}]).

a_text_and_a_reason_are_bounded(Config) ->
    ok = hornbeam:register_function(exits, fun([N]) -> exit(lists:duplicate(N, <<"some words of it">>)) end),
    ok = hornbeam:register_function(deep, fun([N]) -> deep(N) end),
    {ok, {raised, exit, Reason, Text}} = call(Config, <<"exits">>, [100000]),
    true = is_binary(Reason) andalso contains(Reason, <<"a reason of about 2100">>),
    true = byte_size(Text) < 8100,
    {ok, {raised, exit, [<<"some words of it">>], _}} = call(Config, <<"exits">>, [1]),
    {ok, {raised, error, {badmatch, _}, Deep}} = call(Config, <<"deep">>, [100000]),
    true = byte_size(Deep) < 8100.

deep(0) -> ok = lists:seq(1, 10000);
deep(N) -> [N | deep(N - 1)].

%% What each function does, and how its call ends.
whatever_a_function_does_the_link_goes_on(Config) ->
    whatever_it_does(Config),
    {ok, ok} = hb_client:call(client(Config), ?HB_OP_PROVIDE, {<<"mine">>, true}),
    whatever_it_does(Config).

whatever_it_does(Config) ->
    Links = fun() -> element(2, process_info(self(), links)) end,
    Cases = [
        {fun(_) -> [unlink(P) || P <- Links()], exit(gone) end, gone},
        {fun(_) -> [unlink(P) || P <- Links()], exit(self(), kill) end, killed},
        {fun(_) -> exit(self(), kill), receive never -> ok end end, killed},
        {fun(_) -> spawn_link(fun() -> exit(child) end), receive never -> ok end end, child},
        {fun(_) -> process_flag(trap_exit, true), [exit(P, boom) || P <- Links()], exit(mine) end, mine},
        {fun(_) -> [P ! {'EXIT', self(), junk} || P <- Links()], exit(junk) end, junk},
        {fun(_) -> [P ! {junk} || P <- Links()], exit(more_junk) end, more_junk},
        {fun(_) -> [P ! {timeout, make_ref(), {deadline, P}} || P <- Links()], exit(late) end, late},
        {fun(_) -> erlang:group_leader(self(), self()), exit(leader) end, leader},
        {fun(_) -> throw({ran, self(), 5}) end, {ran, '_', 5}}
    ],
    [
        begin
            ok = hornbeam:register_function(f, Fun),
            {ok, {raised, Class, Raised, _}} = call(Config, <<"f">>, []),
            case Reason of
                {ran, '_', 5} -> {throw, {ran, _, 5}} = {Class, Raised};
                _ -> {exit, Reason} = {Class, Raised}
            end,
            {ok, pong} = hb_client:call(client(Config), ?HB_OP_PING, [])
        end
     || {Fun, Reason} <- Cases
    ],
    nothing_runs(Config).

nothing_runs(Config) ->
    hb_node:eventually(fun() ->
        {ok, #{<<"links">> := Links, <<"casts">> := Casts}} = hb_client:call(client(Config), ?HB_OP_STATUS, []),
        [0] =:= lists:usort([Running || #{<<"running">> := Running} <- Links]) andalso Casts =:= 0
    end).

a_function_that_hides_ends_at_its_deadline(Config) ->
    Tester = self(),
    ok = hornbeam:register_function(f, fun(_) ->
        process_flag(trap_exit, true),
        [unlink(P) || P <- element(2, process_info(self(), links))],
        (hang(Tester))([])
    end),
    {error, {timeout, _}} = call(Config, <<"f">>, [], 1000),
    gone(hanging()).

a_deadline_kills_and_names_the_function(Config) ->
    ok = hornbeam:register_function(slow, hang(self())),
    {error, {timeout, Text}} = call(Config, <<"slow">>, [], 1000),
    {match, _} = re:run(Text, "^'slow' gave no answer within \\d+ ms$"),
    gone(hanging()),
    nothing_runs(Config).

%% The link has one timer for all: an earlier deadline comes first, a later one is not forgotten.
each_call_ends_at_its_own_deadline(Config) ->
    ok = hornbeam:register_function(slow, fun(_) -> timer:sleep(infinity) end),
    Started = hornbeam_clock:ms(),
    Late = [{1, 4000}, {2, 600}, {3, 0}, {4, 2000}, {5, 2000}, {6, 600000}, {7, 1300}],
    Payload = term_to_binary({<<"slow">>, term_to_binary([])}),
    [ok = hb_client:send(client(Config), ?HB_OP_CALL, Id, deadline(Ms), Payload) || {Id, Ms} <- Late],
    Ended = [
        begin
            {?HB_OP_CALL, Id, _, Answer} = hb_client:recv(client(Config)),
            {timeout, _} = hb_client:decode(Answer),
            true = hornbeam_clock:ms() - Started >= proplists:get_value(Id, Late),
            Id
        end
     || _ <- [2, 7, 4, 5, 1]
    ],
    [2, 7, 4, 5, 1] = lists:sublist(Ended, 2) ++ lists:sort(lists:sublist(Ended, 3, 2)) ++ [lists:last(Ended)],
    {error, timeout} = hb_client:recv(client(Config), 0),
    [ok = hb_client:send(client(Config), ?HB_OP_CANCEL, 0, 0, term_to_binary(Id)) || Id <- [3, 6]],
    nothing_runs(Config).

a_cancelled_call_is_killed_and_not_answered(Config) ->
    ok = hornbeam:register_function(slow, hang(self())),
    ok = start(Config, 77, <<"slow">>, []),
    Pid = hanging(),
    ok = hb_client:send(client(Config), ?HB_OP_CANCEL, 1, 0, term_to_binary(77)),
    gone(Pid),
    ok = hb_client:send(client(Config), ?HB_OP_CANCEL, 1, 0, term_to_binary(77)),
    ok = hb_client:send(client(Config), ?HB_OP_CANCEL, 1, 0, term_to_binary({no, id})),
    {ok, pong} = hb_client:call(client(Config), ?HB_OP_PING, []),
    {error, timeout} = hb_client:recv(client(Config), 100),
    nothing_runs(Config).

what_a_client_called_ends_with_it(Config) ->
    Tester = self(),
    ok = hornbeam:register_function(slow, hang(Tester)),
    ok = hornbeam:register_function(traps, fun(_) ->
        process_flag(trap_exit, true),
        [unlink(P) || P <- element(2, process_info(self(), links))],
        (hang(Tester))([])
    end),
    ok = start(Config, 1, <<"slow">>, []),
    ok = start(Config, 2, <<"traps">>, []),
    Pids = [hanging(), hanging()],
    hb_client:close(client(Config)),
    [gone(Pid) || Pid <- Pids].

what_a_function_called_ends_with_it(Config) ->
    ok = hornbeam:register_function(slow, hang(self())),
    ok = hornbeam:register_function(outer, fun([]) -> hornbeam:call(slow, [], infinity) end),
    ok = start(Config, 5, <<"outer">>, []),
    Pid = hanging(),
    ok = hb_client:send(client(Config), ?HB_OP_CANCEL, 1, 0, term_to_binary(5)),
    gone(Pid),
    nothing_runs(Config).

a_slow_function_delays_no_other(Config) ->
    ok = hornbeam:register_function(slow, hang(self())),
    ok = hornbeam:register_function(quick, fun([X]) -> X end),
    [ok = start(Config, Id, <<"slow">>, []) || Id <- lists:seq(1, 100)],
    [{ok, {ok, N}} = call(Config, <<"quick">>, [N]) || N <- lists:seq(1, 100)].

children_of_a_call_outlive_its_return(Config) ->
    Tester = self(),
    ok = hornbeam:register_function(parent, fun(_) -> is_pid(spawn_link(fun() -> (hang(Tester))([]) end)) end),
    {ok, {ok, true}} = call(Config, <<"parent">>, []),
    Child = hanging(),
    nothing_runs(Config),
    true = is_process_alive(Child),
    exit(Child, kill).

a_client_has_a_bounded_number_of_calls(Config) ->
    ok = hornbeam:register_function(slow, timer, sleep),
    Frame = fun(Id) ->
        Payload = term_to_binary({<<"slow">>, term_to_binary([infinity])}),
        [<<(12 + byte_size(Payload)):32, 1, ?HB_OP_CALL, 0, 0, Id:32, 0:32>>, Payload]
    end,
    {ok, Raw} = gen_tcp:connect({local, proplists:get_value(path, Config)}, 0, [binary, {active, false}]),
    Hello = term_to_binary(hb_client:hello_term(hornbeam_status:vsn())),
    ok = gen_tcp:send(Raw, [<<(12 + byte_size(Hello)):32, 1, ?HB_OP_HELLO, 0, 0, 0:32, 0:32>>, Hello]),
    ok = inet:setopts(Raw, [{packet, 4}]),
    {?HB_OP_HELLO, 0, 1, _} = hb_client:recv(Raw),
    ok = inet:setopts(Raw, [{packet, raw}]),
    ok = gen_tcp:send(Raw, [Frame(Id) || Id <- lists:seq(1, 20001)]),
    ok = inet:setopts(Raw, [{packet, 4}]),
    {?HB_OP_CALL, 20001, _, Payload} = hb_client:recv(Raw),
    {limit, <<"this client has 20000 calls under way, of ", _/binary>>} = hb_client:decode(Payload),
    {ok, {ok, ok}} = call(Config, <<"slow">>, [1]),
    hb_client:close(Raw),
    nothing_runs(Config).

a_client_has_a_bounded_size_of_calls(Config) ->
    ok = hornbeam:register_function(slow, fun([_]) -> timer:sleep(infinity) end),
    ok = hornbeam:register_function(id, fun([X]) -> byte_size(X) end),
    Large = binary:copy(<<"x">>, 15000000),
    [ok = start(Config, Id, <<"slow">>, [Large]) || Id <- lists:seq(1, 17)],
    {error, {limit, <<"this client has 17 calls under way, of 2550", _/binary>>}} = call(Config, <<"id">>, [Large]),
    {ok, {ok, 5}} = call(Config, <<"id">>, [<<"small">>]),
    [ok = hb_client:send(client(Config), ?HB_OP_CANCEL, 0, 0, term_to_binary(Id)) || Id <- lists:seq(1, 17)],
    {ok, {ok, 15000000}} = call(Config, <<"id">>, [Large]),
    nothing_runs(Config).

arguments_that_are_none_are_refused(Config) ->
    ok = hornbeam:register_function(id, fun([X]) -> X end),
    {error, {type, <<"the arguments of a call are a list">>}} = call(Config, <<"id">>, #{}),
    {error, {type, _}} = call(Config, <<"id">>, [a | b]),
    {error, {type, <<"a fun cannot be sent to the companion">>}} = call(Config, <<"id">>, [fun erlang:halt/1]),
    {error, {protocol, _}} = hb_client:call(client(Config), ?HB_OP_CALL, {<<"id">>, <<"rubbish">>}),
    {error, {protocol, _}} = hb_client:call(client(Config), ?HB_OP_CALL, {<<"id">>, [1]}),
    {error, {protocol, _}} = hb_client:call(client(Config), ?HB_OP_CALL, {<<"id">>}),
    Packed = term_to_binary([lists:duplicate(10000, 0)], [compressed]),
    {error, {protocol, <<"compressed terms are refused">>}} = hb_client:call(client(Config), ?HB_OP_CALL, {<<"id">>, Packed}),
    {ok, {ok, 1}} = call(Config, <<"id">>, [1]).

names_in_arguments_are_bounded(Config) ->
    ok = hornbeam:register_function(id, fun([X]) -> X end),
    Made = hornbeam_names:made(),
    ok = application:set_env(hornbeam, names, Made + 10),
    try
        Atom = fun(N) -> <<131, 108, 1:32, 119, 25, "hb_calls_suite_made_up_", N, N, 106>> end,
        Call = fun(N) -> hb_client:call(client(Config), ?HB_OP_CALL, {<<"id">>, Atom(N)}) end,
        Replies = [Call(N) || N <- lists:seq($a, $z)],
        10 = length([A || {ok, {ok, A}} <- Replies, is_atom(A)]),
        16 = length([T || {error, {limit, T}} <- Replies, contains(T, <<"hb_calls_suite_made_up_">>)]),
        {ok, {ok, lists}} = call(Config, <<"id">>, [lists])
    after
        application:set_env(hornbeam, names, 10000)
    end.

opaque_terms_come_back(Config) ->
    ok = hornbeam:register_function(id, fun([X]) -> X end),
    Fun = fun() -> 5 end,
    ok = hornbeam:register_function(a_fun, fun([]) -> Fun end),
    Terms = [self(), make_ref(), hd(erlang:ports()), <<5:3>>, [a | b], #{[] => {}}],
    {ok, {ok, Terms}} = call(Config, <<"id">>, [Terms]),
    {ok, {ok, Fun}} = call(Config, <<"a_fun">>, []).

large_results_come_whole_and_larger_ones_are_refused(Config) ->
    ok = hornbeam:register_function(bytes, fun([N]) -> binary:copy(<<"x">>, N) end),
    {ok, {ok, Large}} = call(Config, <<"bytes">>, [20000000]),
    20000000 = byte_size(Large),
    {error, {limit, Text}} = call(Config, <<"bytes">>, [67108865]),
    true = contains(Text, <<"the result of 'bytes' has about 671088">>).

a_cast_runs_and_fails_in_the_log(Config) ->
    Tester = self(),
    Cast = fun(Name, Arguments) -> hb_client:call(client(Config), ?HB_OP_CAST, {Name, term_to_binary(Arguments)}) end,
    ok = hornbeam:register_function(tell, fun([X]) -> Tester ! {told, X} end),
    ok = hornbeam:register_function(fails, fun([]) -> error(on_purpose) end),
    ok = hornbeam:register_function(dies, fun([]) -> exit(self(), kill) end),
    {ok, ok} = Cast(<<"tell">>, [5]),
    receive {told, 5} -> ok after 60000 -> error(not_told) end,
    {error, {missing, _}} = Cast(<<"tel">>, []),
    {error, {type, _}} = Cast(<<"tell">>, 5),
    ok = logger:add_handler(?MODULE, ?MODULE, #{config => #{to => Tester}, level => warning}),
    Level = logger:get_primary_config(),
    ok = logger:set_primary_config(level, warning),
    try
        {ok, ok} = Cast(<<"fails">>, []),
        Failed = logged(),
        true = contains(Failed, <<"cast of 'fails': exception error: on_purpose">>),
        {ok, ok} = Cast(<<"dies">>, []),
        Died = logged(),
        true = contains(Died, <<"cast of 'dies': ended by killed">>)
    after
        ok = logger:set_primary_config(Level),
        ok = logger:remove_handler(?MODULE)
    end,
    nothing_runs(Config).

log(#{msg := {Format, Arguments}}, #{config := #{to := Pid}}) ->
    Pid ! {logged, unicode:characters_to_binary(io_lib:format(Format, Arguments))};
log(_Event, _Config) ->
    ok.

logged() ->
    receive {logged, Text} -> Text after 60000 -> error(not_logged) end.

casts_end_with_their_supervisor(Config) ->
    ok = hornbeam:register_function(slow, hang(self())),
    {ok, ok} = hb_client:call(client(Config), ?HB_OP_CAST, {<<"slow">>, term_to_binary([])}),
    Pid = hanging(),
    {ok, #{<<"casts">> := 1}} = hb_client:call(client(Config), ?HB_OP_STATUS, []),
    Server = whereis(hornbeam_casts),
    exit(Server, kill),
    gone(Pid),
    hb_node:eventually(fun() -> not lists:member(whereis(hornbeam_casts), [undefined, Server]) end),
    0 = hornbeam_casts:count().

functions_are_listed_and_counted(Config) ->
    {ok, []} = hb_client:call(client(Config), ?HB_OP_FUNCTIONS, []),
    [ok = hornbeam:register_function(Name, lists, seq) || Name <- [b, a, c]],
    {ok, [{<<"a">>, <<"erlang">>}, {<<"b">>, <<"erlang">>}, {<<"c">>, <<"erlang">>}]} =
        hb_client:call(client(Config), ?HB_OP_FUNCTIONS, []),
    {ok, #{<<"functions">> := 3, <<"names">> := #{<<"made">> := _, <<"max">> := 10000}}} =
        hb_client:call(client(Config), ?HB_OP_STATUS, []),
    ok = hornbeam:register_function(slow, hang(self())),
    ok = start(Config, 1, <<"slow">>, []),
    _ = hanging(),
    {ok, #{<<"links">> := [#{<<"running">> := 1}]}} = hb_client:call(client(Config), ?HB_OP_STATUS, []).

registrations_outlive_hornbeams_processes(Config) ->
    ok = hornbeam:register_function(mine, fun([]) -> still_there end),
    [
        begin
            %% It may just be made anew, after one before it.
            hb_node:eventually(fun() -> is_pid(whereis(Name)) end),
            Old = whereis(Name),
            exit(Old, kill),
            hb_node:eventually(fun() -> not lists:member(whereis(Name), [undefined, Old]) end)
        end
     || Name <- [hornbeam_state_sup, hornbeam_casts, hornbeam_link_listener]
    ],
    Path = proplists:get_value(path, Config),
    hb_node:eventually(fun() -> element(1, gen_tcp:connect({local, Path}, 0, [])) =:= ok end),
    Again = hb_client:connect(Path),
    {ok, {ok, still_there}} = hb_client:call(Again, ?HB_OP_CALL, {<<"mine">>, term_to_binary([])}).

configured_functions_are_there_at_the_start(Config) ->
    {ok, {ok, [2, 1]}} = call(Config, <<"reverse">>, [[1, 2]]),
    ok = hornbeam:register_function(reverse, fun([_]) -> mine end),
    State = whereis(hornbeam_state_sup),
    exit(State, kill),
    hb_node:eventually(fun() -> not lists:member(whereis(hornbeam_state_sup), [undefined, State]) end),
    mine = hornbeam:call(reverse, [[1, 2]]).

a_configured_function_that_is_none_is_an_error_with_its_name(_Config) ->
    [
        begin
            ok = hb_node:stop(),
            ok = application:set_env(hornbeam, functions, [{<<"get_user">>, Module, Function}]),
            {error, Reason} = application:start(hornbeam),
            ok = application:set_env(hornbeam, functions, []),
            ok = application:start(hornbeam),
            true = contains(io_lib:format("~tp", [Reason]), Text)
        end
     || {Module, Function, Text} <- [
            {no_such_module, get, <<"functions: get_user: no_such_module:get: the module cannot be loaded: no such file">>},
            {lists, gett, <<"functions: get_user: lists:gett: the module exports no such function">>}
        ]
    ].

erlang_code_calls_functions(_Config) ->
    ok = hornbeam:register_function(add, fun([A, B]) -> A + B end),
    ok = hornbeam:register_function(who, fun([]) -> self() end),
    ok = hornbeam:register_function(wrapped, fun([X]) -> {ok, X} end),
    3 = hornbeam:call(add, [1, 2]),
    3 = hornbeam:call(<<"add">>, [1, 2], infinity),
    {ok, 5} = hornbeam:call(wrapped, [5]),
    false = self() =:= hornbeam:call(who, []),
    {missing, <<"no function 'ad' is registered; do you mean 'add'?">>} = refused(fun() -> hornbeam:call(ad, []) end),
    {type, _} = refused(fun() -> hornbeam:call(add, 5) end),
    [{type, _} = refused(fun() -> hornbeam:call(add, [1, 2], Timeout) end) || Timeout <- [-1, 1.5, never, 1 bsl 32]],
    Tester = self(),
    ok = hornbeam:register_function(tell, fun([X]) -> Tester ! {told, X} end),
    ok = hornbeam:cast(tell, [5]),
    receive {told, 5} -> ok after 60000 -> error(not_told) end,
    {missing, _} = refused(fun() -> hornbeam:cast(tel, []) end),
    {messages, []} = process_info(self(), messages).

erlang_code_gets_exceptions_as_they_were(_Config) ->
    ok = hornbeam:register_function(raise, fun([Class, Reason]) -> erlang:raise(Class, Reason, []) end),
    ok = hornbeam:register_function(killed, fun([]) -> exit(self(), kill) end),
    [
        {Class, Reason} = try hornbeam:call(raise, [Class, Reason]) catch C:R -> {C, R} end
     || {Class, Reason} <- [{error, badarg}, {exit, normal}, {throw, {refused, limit, <<"mine">>}}]
    ],
    killed = try hornbeam:call(killed, []) catch exit:R -> R end,
    ok = hornbeam:register_function(add, fun([A, B]) -> A + B end),
    {badarith, [{erlang, '+', [1, a], _} | _]} = try hornbeam:call(add, [1, a]) catch error:E:S -> {E, S} end.

a_call_of_erlang_code_is_killed_at_its_timeout(_Config) ->
    ok = hornbeam:register_function(slow, hang(self())),
    {timeout, <<"'slow' gave no answer within 50 ms">>} = refused(fun() -> hornbeam:call(slow, [], 50) end),
    gone(hanging()),
    {messages, []} = process_info(self(), messages).

without_the_application_the_error_says_so(_Config) ->
    ok = hb_node:stop(),
    [
        {system, <<"the application hornbeam does not run in this node">>} = refused(Fun)
     || Fun <- [
            fun() -> hornbeam:register_function(f, lists, seq) end, fun() -> hornbeam:unregister_function(f) end,
            fun hornbeam:functions/0, fun() -> hornbeam:call(f, []) end, fun() -> hornbeam:cast(f, []) end,
            fun() -> hornbeam:call_python(f, []) end, fun() -> hornbeam_pubsub:publish(<<"t">>, 1) end,
            fun hornbeam_pubsub:topics/0, fun() -> hornbeam_state:get(<<"k">>) end,
            fun() -> hornbeam_state:set(<<"k">>, 1) end
        ]
    ].

%% As edoc reads it, an example with each.
every_function_of_the_api_is_documented(_Config) ->
    [
        begin
            {ok, Text} = file:read_file(filename:join([os:getenv("HORNBEAM_SOURCE"), "erlang/src", [Module, ".erl"]])),
            {match, Specs} = re:run(Text, "^((?:%%.*\n)*)-spec (\\w+)", [multiline, global, {capture, [1, 2], binary}]),
            Exported = [atom_to_binary(F) || {F, _} <- (list_to_atom(Module)):module_info(exports), F =/= module_info],
            Documented = [Name || [Comment, Name] <- Specs, is_documented(Comment)],
            {Module, []} = {Module, Exported -- Documented}
        end
     || Module <- ["hornbeam", "hornbeam_pubsub", "hornbeam_state"]
    ].

is_documented(Comment) ->
    re:run(Comment, "^%% @private ") =/= nomatch orelse
        re:run(Comment, "^%% @doc .*\n%% ```\n%% {5}.*^%% '''\n", [multiline, dotall]) =/= nomatch.

the_examples_of_the_documentation_run(_Config) ->
    Comments = [
        Example
     || Module <- ["hornbeam", "hornbeam_names", "hornbeam_near", "hornbeam_pubsub", "hornbeam_rpc_allow", "hornbeam_state"],
        Example <- blocks("erlang/src/" ++ Module ++ ".erl", "^%% {5}(.*)$")
    ],
    true = length(Comments) >= 42,
    Page = blocks("man/hornbeam.3", "^((?!\\.|.*(import|except|try:|call\\(')).*)$"),
    true = length(Page) >= 3,
    lists:foreach(fun run/1, Comments ++ Page).

%% The runs of lines that match, of those that are whole expressions of Erlang and need neither Python nor a daemon.
blocks(File, Pattern) ->
    {ok, Text} = file:read_file(filename:join(os:getenv("HORNBEAM_SOURCE"), File)),
    Lines = [
        case re:run(Line, Pattern, [{capture, [1], list}]) of
            {match, [Code]} -> Code;
            nomatch -> ""
        end
     || Line <- binary:split(Text, <<"\n">>, [global])
    ],
    Blocks = string:split(lists:join("\n", Lines), "\n\n", all),
    [B || B <- [string:trim(Block) || Block <- Blocks], re:run(B, "= .*hornbeam") =/= nomatch, lists:suffix(".", B),
        re:run(B, "call_python|:start\\(|:stop\\(") =:= nomatch].

run(Example) ->
    {ok, Tokens, _} = erl_scan:string(Example),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, _, _} = erl_eval:exprs(Expressions, []).
