%% The companion as the master runs it: a process of its own that talks to us
%% over its standard input and output.
-module(hornbeam_embedded_SUITE).

-include("hornbeam_link.hrl").

-compile([export_all, nowarn_export_all]).

all() ->
    [
        it_answers_ready_and_serves,
        it_ends_at_end_of_file,
        it_says_why_it_cannot_start,
        another_release_is_refused,
        printing_and_the_log_stay_off_the_channel,
        signals_do_not_end_it,
        it_is_small_when_idle
    ].

init_per_testcase(_Case, Config) ->
    _ = application:load(hornbeam),
    Config.

end_per_testcase(_Case, _Config) ->
    _ = file:delete(hb_node:path()),
    ok.

arguments(Extra) ->
    [
        "-noshell", "-noinput", "-mode", "interactive", "-boot", "no_dot_erlang", "-start_epmd", "false",
        "+S", "2:2", "+SDcpu", "1:1", "+SDio", "1", "+A", "1",
        "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "+Bi",
        "-kernel", "logger", "[{handler,default,undefined}]", "-pa", os:getenv("HORNBEAM_EBIN")
    ] ++ Extra ++ ["-s", "hornbeam_embedded"].

%% Standard error goes to a file beside the socket.
open(Extra) ->
    Erl = os:find_executable(os:getenv("ERL", "erl")),
    open_port({spawn_executable, "/bin/sh"}, [
        {packet, 4}, binary, exit_status,
        {env, [{"HOME", false}, {"ERL_CRASH_DUMP_BYTES", "0"}]},
        {args, ["-c", "exec \"$0\" \"$@\" 3>&1 2>" ++ log() ++ " 1>&2", Erl | arguments(Extra)]}
    ]).

log() -> hb_node:path() ++ ".log".

logged() ->
    {ok, Text} = file:read_file(log()),
    ok = file:delete(log()),
    Text.

configuration(Changes) ->
    maps:merge(
        #{
            link => list_to_binary(hb_node:path()), vsn => hornbeam_status:vsn(), log_level => info,
            state => #{max_keys => 0, max_bytes => 0, max_value => 0}
        },
        Changes
    ).

start(Changes) -> start(Changes, []).

start(Changes, Extra) ->
    Port = open(Extra),
    true = port_command(Port, term_to_binary(configuration(Changes))),
    {Port, answer(Port)}.

answer(Port) ->
    receive
        {Port, {data, Packet}} -> binary_to_term(Packet);
        {Port, {exit_status, Status}} -> {exited, Status}
    after 60000 -> nothing
    end.

ended(Port, Pid) ->
    true = port_close(Port),
    Proc = "/proc/" ++ integer_to_list(Pid),
    hb_node:eventually(fun() -> not filelib:is_dir(Proc) end).

it_answers_ready_and_serves(_Config) ->
    {Port, {ready, Pid}} = start(#{}),
    Socket = hb_client:raw(hb_node:path()),
    {ok, {hello, _, Pid}} = hb_client:hello(Socket),
    {ok, ok} = hb_client:call(Socket, ?HB_OP_SET, {<<"k">>, 1, 0}),
    {ok, 2} = hb_client:call(Socket, ?HB_OP_INCR, {<<"k">>, 1, 0}),
    ended(Port, Pid),
    {error, closed} = hb_client:recv(Socket),
    _ = logged().

it_ends_at_end_of_file(_Config) ->
    {Port, {ready, Pid}} = start(#{}),
    ended(Port, Pid),
    <<>> = logged().

it_says_why_it_cannot_start(_Config) ->
    {Port, {failed, Text}} = start(#{link => <<"/nonexistent/link.sock">>}),
    <<"cannot listen on /nonexistent/link.sock: no such file or directory">> = Text,
    {exited, 1} = answer(Port),
    {Port2, {failed, Long}} = start(#{link => binary:copy(<<"/x">>, 100)}),
    {_, _} = binary:match(Long, <<"cannot">>),
    {exited, 1} = answer(Port2),
    Lines = binary:split(logged(), <<"\n">>, [global, trim]),
    _ = [{match, _} = re:run(L, "^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z (error|info) companion\\[\\d+\\]: ") || L <- Lines],
    ok.

another_release_is_refused(_Config) ->
    {Port, {failed, Text}} = start(#{vsn => <<"9.9.9">>}),
    {_, _} = binary:match(Text, <<"hornbeamd is 9.9.9">>),
    {exited, 1} = answer(Port),
    _ = logged().

%% Whatever some code prints is not taken for packets by the master.
printing_and_the_log_stay_off_the_channel(_Config) ->
    Shout = "timer:apply_after(300, hb_shout, all, [self()])",
    Beams = filename:dirname(code:which(hb_shout)),
    {Port, {ready, Pid}} = start(#{}, ["-pa", Beams, "-eval", Shout]),
    hb_node:eventually(fun() ->
        {ok, Text} = file:read_file(log()),
        lists:all(fun(W) -> binary:match(Text, W) =/= nomatch end, [<<"to user">>, <<"to descriptor 1">>, <<"to the leader">>, <<"to the log">>])
    end),
    receive {Port, {data, Data}} -> error({printed, Data}) after 0 -> ok end,
    ended(Port, Pid),
    _ = logged().

signals_do_not_end_it(_Config) ->
    {Port, {ready, Pid}} = start(#{}),
    _ = [os:cmd(io_lib:format("kill -~s ~b", [Signal, Pid])) || Signal <- ["HUP", "TERM", "INT", "USR1", "USR2"]],
    Socket = hb_client:connect(hb_node:path()),
    {ok, pong} = hb_client:call(Socket, ?HB_OP_PING, []),
    ended(Port, Pid),
    _ = logged().

it_is_small_when_idle(_Config) ->
    {Port, {ready, Pid}} = start(#{}),
    {ok, Status} = file:read_file(["/proc/", integer_to_list(Pid), "/status"]),
    {match, [Kib]} = re:run(Status, "VmRSS:\\s+(\\d+) kB", [{capture, all_but_first, list}]),
    true = list_to_integer(Kib) < 50 * 1024,
    ended(Port, Pid),
    _ = logged().
