%% Functions of Python, called from Erlang and through the companion: clients
%% that provide them stand for workers here, and speak the link by hand.
-module(hornbeam_python_SUITE).

-include("hornbeam_link.hrl").

-compile([export_all, nowarn_export_all]).

all() ->
    [
        erlang_calls_python,
        python_calls_python,
        what_python_raises_is_raised,
        an_unknown_name_is_missing,
        erlang_comes_before_python,
        calls_are_spread_over_those_who_have_it,
        who_has_much_to_do_gets_less,
        a_client_that_goes_ends_its_calls,
        a_call_that_is_over_is_stopped,
        a_caller_that_dies_stops_its_call,
        a_late_answer_reaches_nobody,
        nobody_has_more_calls_than_the_bound,
        arguments_that_no_frame_holds_are_refused,
        a_timeout_that_is_none_is_refused,
        what_is_no_answer_is_refused,
        what_is_withdrawn_is_not_called,
        names_go_with_their_client,
        a_cast_waits_for_nobody,
        a_function_that_erlang_calls_passes_its_deadline_on
    ].

init_per_testcase(_Case, Config) ->
    [{path, hb_node:start(#{max_keys => 0, max_bytes => 0, max_value => 0}, [])} | Config].

end_per_testcase(_Case, _Config) ->
    _ = hb_node:stop(),
    ok.

connect(Config) ->
    hb_client:connect(proplists:get_value(path, Config)).

provider(Config, Name) ->
    Socket = connect(Config),
    {ok, ok} = hb_client:call(Socket, ?HB_OP_PROVIDE, {Name, true}),
    Socket.

%% What a client is asked to run next.
task(Socket) ->
    {?HB_OP_RUN, 0, 0, Payload} = hb_client:recv(Socket),
    {Id, Name, Args, Ms} = hb_client:decode(Payload),
    {Id, Name, hb_client:decode(Args), Ms}.

ran(Socket, Id, Outcome) ->
    ok = hb_client:send(Socket, ?HB_OP_RAN, 0, 0, term_to_binary({Id, Outcome})).

returns(Socket, Id, Term) ->
    ran(Socket, Id, {ok, term_to_binary(Term)}).

%% The outcome of Fun in a process of its own.
in_background(Fun) ->
    Self = self(),
    spawn(fun() -> Self ! {self(), try {ok, Fun()} catch Class:Reason -> {Class, Reason} end} end).

outcome(Pid) ->
    receive
        {Pid, Outcome} -> Outcome
    after 60000 ->
        ct:fail(no_outcome)
    end.

ask(Socket, Name, Args, Deadline) ->
    Id = erlang:unique_integer([positive]) band 16#ffffffff,
    ok = hb_client:send(Socket, ?HB_OP_CALL, Id, Deadline, term_to_binary({Name, term_to_binary(Args)})),
    Id.

answer(Socket, Id) ->
    {?HB_OP_CALL, Id, _, Payload} = hb_client:recv(Socket),
    hb_client:decode(Payload).

in_ms(Ms) ->
    (hornbeam_clock:ms() + Ms) band 16#ffffffff.

erlang_calls_python(Config) ->
    Worker = provider(Config, <<"total">>),
    Call = in_background(fun() -> hornbeam:call_python(total, [[1, 2], <<"x">>]) end),
    {Id, <<"total">>, [[1, 2], <<"x">>], Ms} = task(Worker),
    true = Ms > 0 andalso Ms =< 5000,
    returns(Worker, Id, #{<<"sum">> => 3}),
    {ok, #{<<"sum">> := 3}} = outcome(Call).

python_calls_python(Config) ->
    Worker = provider(Config, <<"total">>),
    Caller = connect(Config),
    {ok, [{<<"total">>, <<"python">>}]} = hb_client:call(Caller, ?HB_OP_FUNCTIONS, []),
    Id = ask(Caller, <<"total">>, [1], in_ms(60000)),
    {Task, <<"total">>, [1], Ms} = task(Worker),
    true = Ms > 0 andalso Ms =< 60000,
    %% bytes of Python are tag 77, and stay that.
    Bytes = <<131, 77, 3:32, 8, "abc">>,
    ran(Worker, Task, {ok, Bytes}),
    {?HB_OP_CALL, Id, _, <<131, 104, 2, 119, 2, "ok", 77, 3:32, 8, "abc">>} = hb_client:recv(Caller).

what_python_raises_is_raised(Config) ->
    Worker = provider(Config, <<"f">>),
    Call = in_background(fun() -> hornbeam:call_python(<<"f">>, []) end),
    {Task, _, [], _} = task(Worker),
    ran(Worker, Task, {raised, <<"ValueError">>, <<"no">>, <<"Traceback">>}),
    {error, {python_error, <<"ValueError">>, <<"no">>}} = outcome(Call),
    Caller = connect(Config),
    Id = ask(Caller, <<"f">>, [], in_ms(60000)),
    {Other, _, [], _} = task(Worker),
    ran(Worker, Other, {raised, <<"ValueError">>, <<"no">>, <<"Traceback">>}),
    {raised, error, {python_error, <<"ValueError">>, <<"no">>}, <<"Traceback">>} = answer(Caller, Id).

an_unknown_name_is_missing(Config) ->
    _Worker = provider(Config, <<"total">>),
    {missing, Text} = try hornbeam:call_python(totel, []) catch error:Reason -> Reason end,
    {_, _} = binary:match(Text, <<"total">>).

erlang_comes_before_python(Config) ->
    Worker = provider(Config, <<"f">>),
    ok = hornbeam:register_function(f, fun([]) -> from_erlang end),
    Caller = connect(Config),
    Id = ask(Caller, <<"f">>, [], in_ms(60000)),
    {ok, from_erlang} = answer(Caller, Id),
    {error, timeout} = hb_client:recv(Worker, 20).

calls_are_spread_over_those_who_have_it(Config) ->
    Workers = [provider(Config, <<"f">>) || _ <- [1, 2, 3]],
    Calls = [in_background(fun() -> hornbeam:call_python(f, [N]) end) || N <- lists:seq(1, 30)],
    ok = hb_node:eventually(fun() -> lists:sum([element(2, L) || L <- loads()]) =:= 30 end),
    [10, 10, 10] = [Count || {_, Count} <- loads()],
    _ = [[begin {Id, _, [N], _} = task(W), returns(W, Id, N) end || _ <- lists:seq(1, 10)] || W <- Workers],
    Outcomes = [outcome(C) || C <- Calls],
    Outcomes = [{ok, N} || N <- lists:seq(1, 30)],
    [0, 0, 0] = [Count || {_, Count} <- loads()].

loads() ->
    [{Link, hornbeam_tasks:count(Load)} || {{_, Link}, Load} <- ets:tab2list(hornbeam_python)].

who_has_much_to_do_gets_less(Config) ->
    Busy = provider(Config, <<"f">>),
    First = in_background(fun() -> hornbeam:call_python(f, []) end),
    {Held, _, _, _} = task(Busy),
    Idle = provider(Config, <<"f">>),
    _ = [
        begin
            Call = in_background(fun() -> hornbeam:call_python(f, [N]) end),
            {Id, _, [N], _} = task(Idle),
            returns(Idle, Id, N),
            {ok, N} = outcome(Call)
        end
     || N <- lists:seq(1, 10)
    ],
    returns(Busy, Held, held),
    {ok, held} = outcome(First).

a_client_that_goes_ends_its_calls(Config) ->
    Worker = provider(Config, <<"f">>),
    Call = in_background(fun() -> hornbeam:call_python(f, []) end),
    _ = task(Worker),
    hb_client:close(Worker),
    {error, {connect, _}} = outcome(Call),
    ok = hb_node:eventually(fun() -> hornbeam:functions() =:= [] end),
    {error, {missing, _}} = outcome(in_background(fun() -> hornbeam:call_python(f, []) end)).

a_call_that_is_over_is_stopped(Config) ->
    Worker = provider(Config, <<"f">>),
    Call = in_background(fun() -> hornbeam:call_python(f, [], 50) end),
    {Id, _, _, _} = task(Worker),
    {error, {timeout, _}} = outcome(Call),
    {?HB_OP_STOP, 0, 0, Payload} = hb_client:recv(Worker),
    Id = hb_client:decode(Payload).

a_caller_that_dies_stops_its_call(Config) ->
    Worker = provider(Config, <<"f">>),
    Caller = connect(Config),
    _ = ask(Caller, <<"f">>, [], in_ms(60000)),
    {Id, _, _, _} = task(Worker),
    hb_client:close(Caller),
    {?HB_OP_STOP, 0, 0, Payload} = hb_client:recv(Worker),
    Id = hb_client:decode(Payload),
    Other = connect(Config),
    Cancelled = ask(Other, <<"f">>, [], in_ms(60000)),
    {Second, _, _, _} = task(Worker),
    ok = hb_client:send(Other, ?HB_OP_CANCEL, 0, 0, term_to_binary(Cancelled)),
    {?HB_OP_STOP, 0, 0, Again} = hb_client:recv(Worker),
    Second = hb_client:decode(Again),
    [{_, 0}] = loads().

a_late_answer_reaches_nobody(Config) ->
    Worker = provider(Config, <<"f">>),
    Self = self(),
    Waiter = spawn(fun() ->
        Self ! {first, try hornbeam:call_python(f, [1], 20) catch error:{timeout, _} -> late end},
        Self ! {second, hornbeam:call_python(f, [2])}
    end),
    {First, _, [1], _} = task(Worker),
    receive {first, late} -> ok end,
    {?HB_OP_STOP, 0, 0, _} = hb_client:recv(Worker),
    {Second, _, [2], _} = task(Worker),
    returns(Worker, First, one),
    {message_queue_len, 0} = process_info(Waiter, message_queue_len),
    returns(Worker, Second, two),
    receive {second, two} -> ok end.

nobody_has_more_calls_than_the_bound(Config) ->
    Worker = provider(Config, <<"f">>),
    Calls = [in_background(fun() -> hornbeam:call_python(f, [N], 20000) end) || N <- lists:seq(1, 1000)],
    ok = hb_node:eventually(fun() -> loads() =:= [{hd([L || {L, _} <- loads()]), 1000}] end),
    {error, {limit, _}} = outcome(in_background(fun() -> hornbeam:call_python(f, []) end)),
    _ = [begin {Id, _, [N], _} = task(Worker), returns(Worker, Id, N) end || _ <- Calls],
    true = lists:all(fun(C) -> element(1, outcome(C)) =:= ok end, Calls).

arguments_that_no_frame_holds_are_refused(Config) ->
    Worker = provider(Config, <<"f">>),
    Room = ?HB_LINK_FRAME_MAX - 512 - byte_size(term_to_binary([<<>>])),
    {error, {limit, _}} = outcome(in_background(fun() -> hornbeam:call_python(f, [binary:copy(<<1>>, Room + 1)]) end)),
    Asking = connect(Config),
    {limit, _} = answer(Asking, ask(Asking, <<"f">>, [binary:copy(<<1>>, Room + 1)], 0)),
    %% The worker is asked nothing that it cannot take, and has its link still.
    Call = in_background(fun() -> hornbeam:call_python(f, [binary:copy(<<1>>, Room)], 60000) end),
    {Id, _, [Bytes], _} = task(Worker),
    Room = byte_size(Bytes),
    returns(Worker, Id, done),
    {ok, done} = outcome(Call).

a_timeout_that_is_none_is_refused(Config) ->
    Worker = provider(Config, <<"f">>),
    _ = [{type, _} = try hornbeam:call_python(f, [], T) catch error:Reason -> Reason end || T <- [-1, 1.5, soon, 1 bsl 32]],
    {monitors, []} = process_info(self(), monitors),
    Call = in_background(fun() -> hornbeam:call_python(f, [last]) end),
    {Id, _, [last], _} = task(Worker),
    returns(Worker, Id, done),
    {ok, done} = outcome(Call).

what_is_no_answer_is_refused(Config) ->
    Worker = provider(Config, <<"f">>),
    Call = in_background(fun() -> hornbeam:call_python(f, []) end),
    {Id, _, _, _} = task(Worker),
    ran(Worker, Id, {ok, <<131, 80, 0, 0, 0, 1>>}),
    {error, {protocol, _}} = outcome(Call),
    %% Of one that nobody knows: nothing follows.
    returns(Worker, 1, x),
    {ok, pong} = hb_client:call(Worker, ?HB_OP_PING, []),
    ok = hb_client:send(Worker, ?HB_OP_RAN, 0, 0, term_to_binary(rubbish)),
    {error, closed} = hb_client:recv(Worker).

what_is_withdrawn_is_not_called(Config) ->
    [A, B] = [provider(Config, <<"f">>) || _ <- [1, 2]],
    {ok, ok} = hb_client:call(A, ?HB_OP_PROVIDE, {<<"f">>, false}),
    {ok, ok} = hb_client:call(A, ?HB_OP_PROVIDE, {<<"f">>, false}),
    Call = in_background(fun() -> hornbeam:call_python(f, []) end),
    {Id, _, _, _} = task(B),
    returns(B, Id, b),
    {ok, b} = outcome(Call),
    {error, {value, _}} = hb_client:call(A, ?HB_OP_PROVIDE, {<<>>, true}).

names_go_with_their_client(Config) ->
    Worker = provider(Config, <<"f">>),
    {ok, ok} = hb_client:call(Worker, ?HB_OP_PROVIDE, {<<"g">>, true}),
    [{<<"f">>, python}, {<<"g">>, python}] = hornbeam:functions(),
    hb_client:close(Worker),
    ok = hb_node:eventually(fun() -> hornbeam:functions() =:= [] end),
    [] = ets:tab2list(hornbeam_python).

a_cast_waits_for_nobody(Config) ->
    Worker = provider(Config, <<"f">>),
    Caller = connect(Config),
    {ok, ok} = hb_client:call(Caller, ?HB_OP_CAST, {<<"f">>, term_to_binary([1])}),
    {Id, <<"f">>, [1], 0} = task(Worker),
    returns(Worker, Id, done),
    ok = hb_node:eventually(fun() -> hornbeam_casts:count() =:= 0 end).

a_function_that_erlang_calls_passes_its_deadline_on(Config) ->
    Worker = provider(Config, <<"f">>),
    ok = hornbeam:register_function(outer, fun([]) -> hornbeam:call(inner, [], infinity) end),
    ok = hornbeam:register_function(inner, fun([]) -> hornbeam:call_python(f, [], infinity) end),
    Call = in_background(fun() -> hornbeam:call(outer, [], 60000) end),
    {Task, <<"f">>, [], Ms} = task(Worker),
    true = Ms > 0 andalso Ms =< 60000,
    returns(Worker, Task, done),
    {ok, done} = outcome(Call).
