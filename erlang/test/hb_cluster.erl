%% Nodes of hb_peer with an epmd of their own, which find each other by it as
%% nodes do: by name, once somebody calls.
-module(hb_cluster).

-export([start/0, stop/1, node/2, node/3, name/1, call/4, signal/2, end_node/1, companion/2]).

%% An epmd on a free port; it ends with the test's node, too.
start() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    Script = "epmd -port \"$0\" -address 127.0.0.1 & pid=$!; read -r _; kill $pid",
    Holder = spawn(fun() ->
        Arguments = ["-c", Script, integer_to_list(Port)],
        Epmd = open_port({spawn_executable, "/bin/sh"}, [{args, Arguments}, exit_status, stderr_to_stdout]),
        receive stop -> port_close(Epmd) end
    end),
    hb_node:eventually(fun() -> listens(Port) end),
    #{port => Port, holder => Holder}.

listens(Port) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, []) of
        {ok, Socket} -> gen_tcp:close(Socket) =:= ok;
        {error, _} -> false
    end.

stop(#{port := Port, holder := Holder}) ->
    Holder ! stop,
    hb_node:eventually(fun() -> not listens(Port) end).

%% A node NAME@127.0.0.1.
node(Cluster, Name) ->
    node(Cluster, Name, #{}).

%% With another cookie, another host, short for a short name, or the seconds that setting up a connection may take.
node(#{port := Port}, Name, Options) ->
    Peer = #{
        name => Name,
        longnames => not maps:get(short, Options, false),
        env => [{"ERL_EPMD_PORT", integer_to_list(Port)}]
    },
    Setup = ["-kernel", "net_setuptime", integer_to_list(maps:get(setup, Options, 7))],
    {Pid, Node} = hb_peer:boot(maps:merge(Peer, maps:with([cookie, host], Options)), Setup),
    #{peer => Pid, node => Node, pid => hb_peer:call(Pid, os, getpid, [])}.

name(#{node := Node}) -> atom_to_binary(Node).

call(#{peer := Peer}, M, F, A) -> hb_peer:call(Peer, M, F, A).

signal(#{pid := Pid}, Signal) -> hb_peer:signal(Pid, Signal).

%% Also one that is stopped, or is gone already.
end_node(#{peer := Peer, pid := Pid}) ->
    _ = os:cmd("kill -KILL " ++ Pid),
    Monitor = erlang:monitor(process, Peer),
    receive {'DOWN', Monitor, process, _, _} -> ok after 60000 -> error(peer_stays) end.

%% Runs the application in a node and returns its link's path.
companion(Node, Env) ->
    call(Node, hb_node, start, [#{max_keys => 0, max_bytes => 0, max_value => 0}, Env]).
