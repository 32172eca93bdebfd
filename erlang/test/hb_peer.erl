%% Other nodes for tests, each a BEAM of its own with the application in it.  The
%% test's node is in no cluster: it talks to them over their standard input.
-module(hb_peer).

-export([start/1, start_bare/1, stop/1, call/4, connect/2, disconnect/2, signal/2, name/1]).

-define(CALL_MS, 20000).

%% The peer and the path of its link.
start(Name) ->
    Peer = start_bare(Name),
    {Peer, call(Peer, hb_node, start, [#{max_keys => 0, max_bytes => 0, max_value => 0}])}.

start_bare(Name) ->
    Ebin = os:getenv("HORNBEAM_EBIN"),
    Beams = filename:dirname(code:which(?MODULE)),
    {ok, Peer, _Node} = peer:start(#{
        name => Name, host => "127.0.0.1", longnames => true, connection => standard_io,
        args => [
            "-epmd_module", "hb_epmd", "-start_epmd", "false", "-setcookie", "hornbeam_test", "-boot", "no_dot_erlang",
            "-pa", Ebin, "-pa", Beams, "+sbwt", "none", "+S", "1:1",
            "-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-kernel", "logger_level", "error",
            "-kernel", "dist_auto_connect", "never"
        ]
    }),
    Peer.

stop({Peer, _Path}) -> stop(Peer);
stop(Peer) -> peer:stop(Peer).

call({Peer, _Path}, M, F, A) -> call(Peer, M, F, A);
call(Peer, M, F, A) -> peer:call(Peer, M, F, A, ?CALL_MS).

name(Peer) -> call(Peer, erlang, node, []).

connect(A, B) ->
    true = call(A, net_kernel, connect_node, [name(B)]).

disconnect(A, B) ->
    true = call(A, erlang, disconnect_node, [name(B)]).

%% "STOP", "CONT", "KILL".
signal(Peer, Name) when is_pid(Peer); is_tuple(Peer) ->
    signal(call(Peer, os, getpid, []), Name);
signal(Pid, Name) ->
    [] = os:cmd("kill -" ++ Name ++ " " ++ Pid).
