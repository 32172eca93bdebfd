%% A Python application served from this node: hornbeamd as a port of the
%% node, whose companion the node itself is.
%%
%% This process is a child of hornbeam_sup.  It starts hornbeamd again when it
%% has ended by itself, at once the first time and then with a growing pause, and
%% drains it when the application hornbeam stops.  hornbeamd ends with its
%% standard input: with this process, and with the node, however these end.
-module(hornbeam_attached).
-behaviour(gen_server).

-export([start/1, start/2, stop/0, info/0]).
-export([start_link/1, init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).
-export_type([reason/0]).

-include_lib("kernel/include/logger.hrl").

-type reason() ::
    {already_started, pid()}
    | hornbeam_attached_options:reason()
    | hornbeam_attached_reason:reason().

-type start() :: fun(() -> {hornbeam_attached_options:settings(), file:filename(), reference()}).

-define(LINE_MAX, 4096).
%% Beyond timeouts.graceful, until a hornbeamd that drains is killed; it does so by itself sooner.
-define(DRAIN_EXTRA_MS, 10000).
-define(GRACEFUL_MS, 30000).
-define(POLL_MS, 1000).
-define(PAUSE_MIN_MS, 100).
-define(PAUSE_MAX_MS, 5000).
-define(LIVED_MS, 10000).
-define(UNCLAIMED_MS, 5000).

-record(s, {
    start_ms :: pos_integer(),
    graceful_ms :: non_neg_integer(),
    exe :: file:filename(),
    dir = none :: none | file:filename(),
    control = <<>> :: file:filename_all(),
    file = <<>> :: file:filename_all(),
    notify = none :: none | gen_udp:socket(),
    log :: hornbeam_attached_log:log(),
    port = none :: none | port(),
    os_pid = 0 :: non_neg_integer(),
    %% starting: not ready yet; pausing: ended, until the next start; failed: it never was ready.
    status = starting :: starting | ready | pausing | draining | {failed, hornbeam_attached_reason:reason()} | stopped,
    start :: reference(),
    served = false :: boolean(), %% this start, if not this process
    waiting = [] :: [gen_server:from()],
    timer = none :: none | reference(),
    since = 0 :: integer(),
    pause = 0 :: non_neg_integer(),
    restarts = 0 :: non_neg_integer(),
    last = hornbeam_attached_reason:none() :: hornbeam_attached_reason:last(),
    cut = false :: boolean()
}).

%% @doc Serves one Python application at "/".
%%
%% AppSpec is "module:callable", or "module:factory()".  The options are those of
%% start/1 without `mounts'.
-spec start(string() | binary(), map()) -> {ok, pid()} | {error, reason()}.
start(_AppSpec, Options) when is_map_key(mounts, Options) ->
    {error, {bad_option, mounts, <<"mounts: the application is named already">>}};
start(AppSpec, Options) when is_map(Options) ->
    start(Options#{mounts => #{"/" => AppSpec}});
start(_AppSpec, _Options) ->
    {error, {bad_option, options, <<"options: a map, such as #{workers => 4}">>}}.

%% @doc Serves Python applications until stop/0, or the end of the node.
%%
%% Starts the application hornbeam if it does not run.  Returns when the applications
%% are imported and HTTP is served, or with the cause: {bad_option | unknown_option,
%% Name, Text}; {already_started, Pid}; or {Kind, Text}, Kind one of configuration,
%% application (it cannot be imported), address (in use), permission, companion (of
%% another release), not_found (hornbeamd), timeout, system and ended.
%%
%% ```
%%     {ok, _} = hornbeam:start(#{
%%         mounts => #{"/" => "shop:app", "/admin" => #{app => "shop.admin:app", timeout => 120}},
%%         bind => ["0.0.0.0:8080", "unix:/run/shop/http.sock"],
%%         pythonpath => "/srv/shop",
%%         hooks => #{on_request => fun(Request) -> Request end}
%%     }).
%% '''
%%
%% Options, and the keys of hornbeam.yaml(5) that they set.  Text is a string or a
%% binary.  A time is a number of seconds (3600 at most, fractions are fine), or text
%% with its unit, such as "500ms" or "2h".
%%
%% ```
%%     mounts        #{Path => App} or [{Path, App}]: what is served where.  App is
%%                   "module:callable", or a map: app, and of its own timeout
%%                   and worker_class
%%     bind          listen: "ADDRESS:PORT", "unix:PATH", a port of 127.0.0.1, {Ip, Port},
%%                   or a list of these; "127.0.0.1:8000"
%%     workers       processes: a number, or auto: one for each processor
%%     threads       WSGI calls at once in a worker
%%     worker_class  wsgi or asgi, for all applications; without it they are looked at
%%     timeout       timeouts.request, to the start of a response: a time
%%     keepalive     timeouts.keepalive, between two requests: a time
%%     graceful_timeout  timeouts.graceful, for a drain: a time
%%     max_requests, max_requests_jitter   as there
%%     lifespan      auto, on or off
%%     pythonpath    python.path: a directory or a list of directories
%%     venv          python.venv: a directory
%%     websocket_timeout         websocket.idle: a time
%%     websocket_max_frame_size  websocket.max_message: bytes, or text such as "16M"
%%     ssl, certfile, keyfile    refused: TLS is not available in this release
%%     access_log    log.access: off (the default), logger (a notice for each request),
%%                   or a file
%%     hooks         #{on_request, on_response => {M, F} or fun/1, on_error => {M, F} or
%%                   fun/2, timeout => milliseconds, when_down => refuse | pass};
%%                   without it the hooks of the application's environment
%%     config        #{Key => Value}: any other key, in nested maps: #{limits => #{body =>
%%                   "1G"}}.  Atoms are words, undefined is null; the options above win
%%     control       where the control socket is: hornbeam -s PATH status.  The default is
%%                   in the node's private directory; info/0 names it
%%     hornbeamd     the program; else that of the environment of the application, of the
%%                   build tree (HORNBEAM_BUILD), of the installation, or of PATH
%%     start_timeout milliseconds until all must serve: 60000
%% '''
%%
%% Variables HORNBEAM_* of the node do not reach hornbeamd: the options are all.
-spec start(map()) -> {ok, pid()} | {error, reason()}.
start(Options) when is_map(Options) ->
    case running() of
        {ok, Pid} -> {error, {already_started, Pid}};
        none ->
            _ = application:load(hornbeam),
            checked(hornbeam_attached_options:read(Options))
    end.

%% @doc Drains and ends hornbeamd; returns when it has ended.
-spec stop() -> ok | {error, not_started}.
stop() ->
    case running() of
        {ok, Pid} ->
            try
                ok = gen_server:call(Pid, stop, infinity)
            catch
                exit:_ -> ok
            end,
            hornbeam_sup:detach();
        none ->
            {error, not_started}
    end.

%% @doc What runs: the process id of hornbeamd, its control socket, its state and
%% how often it had to be started again.
%%
%% ```
%%     #{control := Socket} = hornbeam_attached:info().
%% '''
-spec info() -> #{os_pid := integer(), control := binary(), status := atom(), restarts := integer()} | {error, not_started}.
info() ->
    case running() of
        {ok, Pid} -> gen_server:call(Pid, info);
        none -> {error, not_started}
    end.

running() ->
    case whereis(?MODULE) of
        undefined -> none;
        Pid -> {ok, Pid}
    end.

checked({error, Reason}) ->
    {error, Reason};
checked({ok, #{hornbeamd := Wanted} = Settings}) ->
    case hornbeam_attached_find:hornbeamd(Wanted) of
        {ok, Exe} -> ensured(application:ensure_all_started(hornbeam), {Settings, Exe});
        {error, Text} -> {error, {not_found, unicode:characters_to_binary(Text)}}
    end.

ensured({error, Reason}, _Arg) ->
    {error, {system, unicode:characters_to_binary(io_lib:format("the application hornbeam cannot start: ~0tp", [Reason]))}};
ensured({ok, _}, {Settings, Exe}) ->
    case hornbeam_sup:attach(concealed({Settings, Exe, make_ref()})) of
        {ok, Pid} -> awaited(Pid);
        {error, {already_started, Pid}} -> {error, {already_started, Pid}};
        {error, Reason} -> {error, {system, unicode:characters_to_binary(io_lib:format("~0tp", [Reason]))}}
    end.

%% Reports of supervisors show the arguments of their children, and a configuration may hold secrets.
concealed(Start) -> fun() -> Start end.

%% It answers within start_timeout.
awaited(Pid) ->
    try gen_server:call(Pid, await, infinity) of
        {ok, Pid} ->
            {ok, Pid};
        {error, Reason} ->
            ok = hornbeam_sup:detach(),
            {error, Reason}
    catch
        exit:{Reason, _} ->
            {error, {ended, unicode:characters_to_binary(io_lib:format("stopped meanwhile: ~0tP", [Reason, 20]))}}
    end.

-spec start_link(start()) -> gen_server:start_ret().
start_link(Arg) ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, Arg, []).

-spec init(start()) -> {ok, #s{}, {continue, {prepare, fun(() -> hornbeam_attached_options:settings())}}}.
init(Concealed) ->
    process_flag(trap_exit, true),
    {Settings, Exe, Start} = Concealed(),
    #{config := Config, start_timeout := StartMs} = Settings,
    S = #s{
        start_ms = StartMs,
        graceful_ms = graceful(Config),
        exe = Exe,
        log = hornbeam_attached_log:start_link(),
        start = Start,
        served = hornbeam_attached_env:served() =:= Start
    },
    {ok, S, {continue, {prepare, fun() -> Settings end}}}.

-spec handle_continue({prepare, fun(() -> hornbeam_attached_options:settings())}, #s{}) -> {noreply, #s{}}.
handle_continue({prepare, Concealed}, S) ->
    ok = hornbeam_attached_env:clear(),
    case prepare(Concealed(), S) of
        {ok, Prepared} -> {noreply, launch(Prepared)};
        {error, Text, Prepared} -> {noreply, failed({system, unicode:characters_to_binary(Text)}, Prepared)}
    end.

-spec handle_call(await | stop | info, gen_server:from(), #s{}) -> {reply, term(), #s{}} | {noreply, #s{}}.
handle_call(await, _From, #s{status = {failed, Reason}} = S) ->
    {reply, {error, Reason}, S};
handle_call(await, From, #s{served = false, waiting = Waiting} = S) ->
    {noreply, S#s{waiting = [From | Waiting]}};
handle_call(await, _From, S) ->
    {reply, {ok, self()}, S};
handle_call(stop, _From, #s{port = none} = S) ->
    {reply, ok, set_timer(none, 0, ended_start(S#s{status = stopped}))};
handle_call(stop, From, #s{waiting = Waiting} = S) ->
    {noreply, (drain(S))#s{waiting = [From | Waiting]}};
handle_call(info, _From, S) ->
    {reply, #{os_pid => S#s.os_pid, control => iolist_to_binary(S#s.control), status => status(S), restarts => S#s.restarts}, S}.

status(#s{status = {failed, _}}) -> failed;
status(#s{status = Status}) -> Status.

-spec handle_cast(term(), #s{}) -> {noreply, #s{}}.
handle_cast(Message, S) ->
    ?LOG_WARNING("attached: unexpected cast ~0tP", [Message, 20]),
    {noreply, S}.

-spec handle_info(term(), #s{}) -> {noreply, #s{}} | {stop, normal, #s{}}.
handle_info({Port, {data, {End, Line}}}, #s{port = Port} = S) ->
    {noreply, heard(End, Line, S)};
handle_info({Port, {exit_status, Status}}, #s{port = Port} = S) ->
    {noreply, ended(Status, S)};
handle_info({'EXIT', Port, _Reason}, #s{port = Port} = S) ->
    {noreply, ended(unknown, S)};
handle_info({'EXIT', Port, _Reason}, S) when is_port(Port) ->
    {noreply, S};
handle_info({Port, _}, S) when is_port(Port) ->
    {noreply, S};
handle_info({udp, Notify, _, _, Message}, #s{notify = Notify} = S) ->
    {noreply, told(Message, S)};
handle_info({timeout, Timer, What}, #s{timer = Timer} = S) ->
    late(What, S#s{timer = none});
handle_info({timeout, _Timer, {poll, Port}}, S) ->
    {noreply, polled(Port, S)};
handle_info({timeout, _Old, _What}, S) ->
    {noreply, S};
handle_info(Message, S) ->
    ?LOG_WARNING("attached: unexpected message ~0tP", [Message, 20]),
    {noreply, S}.

-spec terminate(term(), #s{}) -> ok.
terminate(Reason, S) ->
    Orderly = Reason =:= normal orelse Reason =:= shutdown orelse (is_tuple(Reason) andalso element(1, Reason) =:= shutdown),
    Ended =
        case S of
            #s{port = none} -> S;
            _ when Orderly -> wait_for_end(drain(S));
            _ -> close_port(S)
        end,
    ok = hornbeam_attached_log:stop(Ended#s.log),
    hornbeam_attached_env:clear().

%% The directory, the link, the configuration and the socket that hornbeamd reports to.

prepare(Settings, S) ->
    case hornbeam_attached_dir:make() of
        {ok, Dir} -> prepare(Dir, Settings, S#s{dir = Dir});
        {error, Text} -> {error, Text, S}
    end.

prepare(Dir, #{config := Config, hooks := Hooks, control := Control}, S) ->
    Path =
        case Control of
            default -> unicode:characters_to_binary(filename:join(Dir, "control.sock"));
            _ -> Control
        end,
    Whole = Config#{<<"control">> => #{<<"socket">> => Path}},
    Notify = filename:join(Dir, "notify"),
    Link = <<Path/binary, ".link">>,
    ok = hornbeam_attached_env:set(Dir, Link, Hooks),
    ok = hornbeam_attached_dir:make_private(filename:dirname(Path)),
    Steps = [
        fun(P) -> listening(P, hornbeam_link_sup:listen(Link)) end,
        fun(P) -> written(P, hornbeam_attached_dir:write(Dir, "hornbeam.json", hornbeam_json:encode(Whole))) end,
        fun(P) -> opened(P, gen_udp:open(0, [{ifaddr, {local, Notify}}, binary, {active, true}])) end
    ],
    all(Steps, S#s{control = Path}).

all([], S) ->
    {ok, S};
all([Step | Steps], S) ->
    case Step(S) of
        {ok, Next} -> all(Steps, Next);
        {error, Text} -> {error, Text, S}
    end.

listening(S, ok) -> {ok, S};
listening(_S, {error, Text}) -> {error, Text}.

written(S, {ok, File}) -> {ok, S#s{file = File}};
written(_S, {error, Text}) -> {error, Text}.

opened(S, {ok, Socket}) -> {ok, S#s{notify = Socket}};
opened(_S, {error, Reason}) -> {error, ["notify: ", inet:format_error(Reason)]}.

%% hornbeamd's life.

launch(#s{exe = Exe, file = File, dir = Dir, start_ms = Ms} = S) ->
    Options = [
        {args, ["--attached", "-c", File]},
        {env, hornbeam_attached_env:variables(filename:join(Dir, "notify"))},
        {line, ?LINE_MAX}, binary, exit_status, stderr_to_stdout, use_stdio, hide
    ],
    try open_port({spawn_executable, Exe}, Options) of
        Port ->
            Pid =
                case erlang:port_info(Port, os_pid) of
                    {os_pid, OsPid} -> OsPid;
                    undefined -> 0
                end,
            _ = erlang:start_timer(?POLL_MS, self(), {poll, Port}),
            Started = S#s{
                port = Port, os_pid = Pid, status = starting, since = hornbeam_clock:ms(), cut = false,
                last = hornbeam_attached_reason:none()
            },
            set_timer(start, Ms, Started)
    catch
        error:Reason ->
            Text = io_lib:format("~ts cannot be started: ~ts", [Exe, file:format_error(Reason)]),
            over({system, unicode:characters_to_binary(Text)}, S#s{since = hornbeam_clock:ms()})
    end.

told(Message, #s{status = starting} = S) ->
    case binary:match(Message, <<"READY=1">>) of
        nomatch -> S;
        _ -> ready(S)
    end;
told(_Message, S) ->
    S.

ready(#s{waiting = Waiting, served = Served} = S) ->
    ok = hornbeam_attached_env:set_served(S#s.start),
    Served orelse ?LOG_INFO("attached: hornbeamd serves, process ~b, control socket ~ts", [S#s.os_pid, S#s.control]),
    reply(Waiting, {ok, self()}),
    set_timer(none, 0, S#s{status = ready, served = true, waiting = []}).

%% A program that an application has started may hold hornbeamd's output open, and the port then tells no end.
polled(Port, #s{port = Port, os_pid = Pid} = S) ->
    case is_alive(Pid) of
        true ->
            _ = erlang:start_timer(?POLL_MS, self(), {poll, Port}),
            S;
        false ->
            ended(unknown, S)
    end;
polled(_Gone, S) ->
    S.

is_alive(Pid) ->
    case file:read_file(["/proc/", integer_to_list(Pid), "/stat"]) of
        {ok, Stat} ->
            [State | _] = binary:split(lists:last(binary:split(Stat, <<") ">>, [global])), <<" ">>),
            State =/= <<"Z">> andalso State =/= <<"X">>;
        {error, _} ->
            false
    end.

ended(Status, #s{status = draining} = S) ->
    ?LOG_INFO("attached: hornbeamd, process ~b, has ended: ~ts", [S#s.os_pid, hornbeam_attached_reason:exit_text(Status)]),
    stopped(close_port(S));
ended(Status, S) ->
    over(hornbeam_attached_reason:of_end(Status, S#s.file, S#s.last), close_port(S)).

stopped(#s{waiting = Waiting} = S) ->
    reply(Waiting, ok),
    set_timer(none, 0, S#s{status = stopped, waiting = []}).

%% It has ended, or could not begin.
over(Reason, #s{served = false} = S) ->
    failed(Reason, S);
over({_, Text}, #s{pause = Pause, since = Since} = S) ->
    Wait =
        case hornbeam_clock:ms() - Since >= ?LIVED_MS of
            true -> 0;
            false -> Pause
        end,
    ?LOG_ERROR("attached: hornbeamd, process ~b, has ended (~ts); starting another in ~b ms", [S#s.os_pid, Text, Wait]),
    Next = min(?PAUSE_MAX_MS, max(?PAUSE_MIN_MS, 2 * Wait)),
    set_timer(launch, Wait, S#s{status = pausing, pause = Next}).

%% Who called start/1,2 tears this down; nobody is left to do so where that process has gone.
failed(Reason, S) ->
    set_timer(unclaimed, ?UNCLAIMED_MS, (ended_start(S, {error, Reason}))#s{status = {failed, Reason}}).

ended_start(S) ->
    ended_start(S, {error, {ended, <<"stopped meanwhile">>}}).

ended_start(#s{waiting = Waiting} = S, Answer) ->
    reply(Waiting, Answer),
    S#s{waiting = []}.

late(launch, S) ->
    {noreply, launch(S#s{restarts = S#s.restarts + 1})};
late(start, #s{start_ms = Ms} = S) ->
    Text = io_lib:format("hornbeamd did not serve within ~b ms~ts", [Ms, hornbeam_attached_reason:last_words(S#s.last)]),
    {noreply, over({timeout, unicode:characters_to_binary(Text)}, close_port(killed(S)))};
late(drain, S) ->
    ?LOG_WARNING("attached: hornbeamd, process ~b, did not end by itself; killing it", [S#s.os_pid]),
    {noreply, killed(S)};
late(unclaimed, S) ->
    {stop, normal, S}.

%% Its standard input asks for the drain; the end of it ends hornbeamd at once.
drain(#s{status = draining} = S) ->
    S;
drain(#s{port = Port, graceful_ms = Ms} = S) ->
    try
        true = port_command(Port, <<"D">>)
    catch
        error:badarg -> true
    end,
    set_timer(drain, Ms + ?DRAIN_EXTRA_MS, (ended_start(S))#s{status = draining}).

wait_for_end(#s{port = none} = S) ->
    S;
wait_for_end(#s{port = Port, timer = Timer} = S) ->
    receive
        {Port, {data, {End, Line}}} -> wait_for_end(heard(End, Line, S));
        {Port, {exit_status, Status}} -> ended(Status, S);
        {'EXIT', Port, _} -> ended(unknown, S);
        {timeout, _, {poll, Port}} -> wait_for_end(polled(Port, S));
        {timeout, Timer, drain} -> wait_for_end(element(2, late(drain, S#s{timer = none})))
    end.

close_port(#s{port = none} = S) ->
    S;
close_port(#s{port = Port} = S) ->
    try
        true = port_close(Port)
    catch
        error:badarg -> true
    end,
    S#s{port = none}.

%% For one that its standard input does not reach any more: stopped, or in a loop.
killed(#s{os_pid = Pid} = S) ->
    _ = is_alive(Pid) andalso os:cmd("kill -KILL " ++ integer_to_list(Pid)),
    S.

graceful(#{<<"timeouts">> := #{<<"graceful">> := Text}}) when is_binary(Text) ->
    case string:to_integer(Text) of
        {N, <<"ms">>} when is_integer(N) -> N;
        {N, <<"s">>} when is_integer(N) -> N * 1000;
        {N, <<"m">>} when is_integer(N) -> N * 60000;
        {N, <<"h">>} when is_integer(N) -> N * 3600000;
        _ -> ?GRACEFUL_MS
    end;
graceful(_Config) ->
    ?GRACEFUL_MS.

set_timer(What, Ms, #s{timer = Old} = S) ->
    _ = Old =:= none orelse erlang:cancel_timer(Old),
    case What of
        none -> S#s{timer = none};
        _ -> S#s{timer = erlang:start_timer(Ms, self(), What)}
    end.

reply(Waiting, Answer) ->
    lists:foreach(fun(From) -> gen_server:reply(From, Answer) end, Waiting).

%% What it says.

heard(noeol, _Line, #s{cut = true} = S) ->
    S;
heard(eol, _Line, #s{cut = true} = S) ->
    S#s{cut = false};
heard(End, Line, #s{log = Log} = S) ->
    Parsed = hornbeam_attached_log:parse(Line),
    Cut = End =:= noeol,
    Whole =
        case {Cut, Parsed} of
            {true, #{text := Text}} -> Parsed#{text := [Text, "..."]};
            {false, _} -> Parsed
        end,
    Last = hornbeam_attached_reason:heard(Whole, S#s.last),
    ok = hornbeam_attached_log:line(Whole, Log),
    S#s{last = Last, cut = Cut}.
