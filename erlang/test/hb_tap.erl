%% Runs the eunit modules and the common_test suites of this directory and
%% writes a TAP line for each case into a file.
-module(hb_tap).
-behaviour(eunit_listener).

%% For `erl -s`.
-export([main/1]).
%% eunit's listener.
-export([start/1, init/1, handle_begin/3, handle_end/3, handle_cancel/3, terminate/2]).
%% The common_test hook.
-export([init/2, post_end_per_testcase/5, on_tc_fail/4, on_tc_skip/4, terminate/1]).

-define(RESULTS, hb_tap_results).

main([Tap, Beams, Logs]) ->
    ?RESULTS = ets:new(?RESULTS, [named_table, public, ordered_set]),
    Modules = [
        list_to_atom(filename:basename(F, ".beam"))
     || F <- lists:sort(filelib:wildcard(filename:join(atom_to_list(Beams), "*.beam")))
    ],
    Units = [M || M <- Modules, lists:suffix("_tests", atom_to_list(M))],
    Suites = [M || M <- Modules, lists:suffix("_SUITE", atom_to_list(M))],
    _ = eunit:test(Units, [no_tty, {report, {?MODULE, []}}]),
    _ = ct:run_test([
        {dir, atom_to_list(Beams)}, {suite, Suites}, {logdir, atom_to_list(Logs)}, {auto_compile, false},
        {ct_hooks, [?MODULE]}, {abort_if_missing_suites, true}, {verbosity, 0}
    ]),
    Results = [Result || {_, Result} <- ets:tab2list(?RESULTS)],
    ok = file:write_file(atom_to_list(Tap), lists:zipwith(fun line/2, lists:seq(1, length(Results)), Results)),
    ok = file:write_file(atom_to_list(Tap), io_lib:format("1..~b~n", [length(Results)]), [append]),
    halt(0).

line(N, {ok, Name}) ->
    io_lib:format("ok ~b - ~ts~n", [N, Name]);
line(N, {skip, Name}) ->
    io_lib:format("ok ~b - ~ts # SKIP~n", [N, Name]);
line(N, {failed, Name, Reason}) ->
    Lines = string:split(io_lib:format("~tp", [Reason]), "\n", all),
    [io_lib:format("not ok ~b - ~ts~n", [N, Name]) | [["# ", L, $\n] || L <- Lines]].

result(Result) ->
    ets:insert(?RESULTS, {erlang:unique_integer([monotonic]), Result}).

%% eunit
start(Options) ->
    eunit_listener:start(?MODULE, Options).

init(_Options) ->
    receive
        {start, _Reference} -> none
    end.

handle_begin(_Kind, _Data, State) ->
    State.

handle_end(test, Data, State) ->
    _ = case proplists:get_value(status, Data) of
        ok -> result({ok, name(Data)});
        {skipped, _} -> result({skip, name(Data)});
        {error, Reason} -> result({failed, name(Data), Reason})
    end,
    State;
handle_end(group, _Data, State) ->
    State.

handle_cancel(_Kind, Data, State) ->
    Reason = proplists:get_value(reason, Data),
    Reason =:= undefined orelse result({failed, name(Data), Reason}),
    State.

terminate(_Result, _State) ->
    ok.

%% The module and what the case says that it is: its description, else its function.
name(Data) ->
    {Module, Function} =
        case proplists:get_value(source, Data) of
            {M, F, _} -> {atom_to_list(M), atom_to_list(F)};
            _ -> {"eunit", "a group"}
        end,
    case proplists:get_value(desc, Data) of
        "module" ++ _ -> [Module, ": ", string:replace(Function, "_", " ", all)];
        Text when is_list(Text), Text =/= "" -> [Module, ": ", Text];
        _ -> [Module, ": ", string:replace(Function, "_", " ", all)]
    end.

%% common_test: a failure is told after the end of its case.
init(_Id, _Options) ->
    {ok, []}.

post_end_per_testcase(Suite, Case, _Config, Return, State) ->
    {Return, [{ok, {Suite, Case}} | State]}.

on_tc_fail(Suite, Case, Reason, [{ok, {Suite, Case}} | State]) ->
    [{failed, {Suite, Case}, Reason} | State];
on_tc_fail(Suite, Case, Reason, State) ->
    [{failed, {Suite, Case}, Reason} | State].

on_tc_skip(Suite, Case, Reason, State) ->
    [{failed, {Suite, Case}, {skipped, Reason}} | State].

terminate(State) ->
    Name = fun({Suite, Case}) -> [atom_to_list(Suite), ": ", string:replace(io_lib:format("~tp", [Case]), "_", " ", all)] end,
    lists:foreach(
        fun
            ({ok, Where}) -> result({ok, Name(Where)});
            ({failed, Where, Reason}) -> result({failed, Name(Where), Reason})
        end,
        lists:reverse(State)
    ).
