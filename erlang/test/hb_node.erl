%% The application in the test's own node, with a socket of its own.
-module(hb_node).

-export([start/1, start/2, stop/0, path/0, eventually/1]).

start(Limits) ->
    start(Limits, []).

%% Returns the path of the link.
start(Limits, Env) ->
    Path = path(),
    _ = application:load(hornbeam),
    Settings = [{link, list_to_binary(Path)}, {state, Limits}, {unread_ms, 10000}, {lease_ms, 30000}] ++ Env,
    ok = lists:foreach(fun({K, V}) -> application:set_env(hornbeam, K, V) end, Settings),
    ok = application:start(hornbeam),
    Path.

stop() ->
    application:stop(hornbeam).

%% A socket's path has at most 107 bytes, a build directory may have more.
path() ->
    filename:join(os:getenv("TMPDIR", "/tmp"), "hornbeam-test-" ++ os:getpid() ++ ".sock").

%% Waits until Condition() holds; fails after a minute.
eventually(Condition) ->
    eventually(Condition, hornbeam_clock:ms() + 60000).

eventually(Condition, End) ->
    case Condition() of
        true ->
            ok;
        false ->
            hornbeam_clock:ms() < End orelse error({not_in_time, Condition}),
            receive after 5 -> ok end,
            eventually(Condition, End)
    end.
