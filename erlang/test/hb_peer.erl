%% Other nodes for tests, each a BEAM of its own on the loopback, most with the
%% application in it.  They are talked to over their standard input, so that the
%% test's node needs no name and is in no cluster.
-module(hb_peer).

-export([start/1, start_bare/1, boot/2, stop/1, call/4, connect/2, disconnect/2, signal/2, name/1]).

-define(CALL_MS, 60000).
-define(COOKIE, "hornbeam-test").

%% The peer and the path of its link.
start(Name) ->
    Peer = start_bare(Name),
    {Peer, call(Peer, hb_node, start, [#{max_keys => 0, max_bytes => 0, max_value => 0}])}.

%% Its connections are those that the test makes and breaks: global makes none, and
%% breaks none where not everybody is connected with everybody.
start_bare(Name) ->
    Arguments = [
        "-epmd_module", "hb_epmd", "+sbwt", "none", "+S", "1:1", "-kernel", "dist_auto_connect", "never",
        "-kernel", "prevent_overlapping_partitions", "false", "-kernel", "net_ticktime", "600"
    ],
    {Peer, _Node} = boot(#{name => Name}, Arguments),
    Peer.

%% A node and its name.  Options are those of peer:start/1, and a cookie.
boot(Options, Arguments) ->
    Beams = filename:dirname(code:which(?MODULE)),
    Defaults = #{host => "127.0.0.1", longnames => true, connection => standard_io, wait_boot => 120000},
    Common = [
        "-setcookie", maps:get(cookie, Options, ?COOKIE), "-start_epmd", "false", "-boot", "no_dot_erlang",
        "-pa", os:getenv("HORNBEAM_EBIN"), "-pa", Beams,
        "-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-kernel", "logger_level", "error"
    ],
    {ok, Peer, Node} = peer:start(maps:merge(Defaults, (maps:remove(cookie, Options))#{args => Common ++ Arguments})),
    {Peer, Node}.

stop({Peer, _Path}) -> stop(Peer);
stop(Peer) -> peer:stop(Peer).

call({Peer, _Path}, M, F, A) -> call(Peer, M, F, A);
call(Peer, M, F, A) -> peer:call(Peer, M, F, A, ?CALL_MS).

name(Peer) -> call(Peer, erlang, node, []).

connect(A, B) ->
    true = call(A, net_kernel, connect_node, [name(B)]).

disconnect(A, B) ->
    true = call(A, erlang, disconnect_node, [name(B)]).

%% To a node by its process id: "CONT", or "STOP", which comes back when no thread runs any more.
signal(Pid, Name) ->
    [] = os:cmd("kill -" ++ Name ++ " " ++ Pid),
    Name =:= "CONT" orelse hb_node:eventually(fun() -> lists:usort(states(Pid)) =:= "T" end).

states(Pid) ->
    lists:append([state(File) || File <- filelib:wildcard("/proc/" ++ Pid ++ "/task/*/stat")]).

%% The letter behind the name, which is in parentheses.
state(File) ->
    case file:read_file(File) of
        {ok, Text} ->
            {match, [State]} = re:run(Text, "\\) (\\w) ", [{capture, all_but_first, list}]),
            State;
        {error, _} ->
            ""
    end.
