%% Other nodes on the loopback for tests, with an epmd of their own.  They are
%% talked to over their standard input, so that the test's node needs no name
%% and a node that is stopped does not hang the test.
-module(hb_cluster).

-export([start/0, stop/1, node/2, node/3, name/1, call/4, signal/2, end_node/1, companion/2]).

-define(COOKIE, "hornbeam-test").

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
    Paths = [P || P <- code:get_path(), P =/= ".", string:prefix(P, code:lib_dir()) =:= nomatch],
    Peer = #{
        name => Name,
        host => maps:get(host, Options, "127.0.0.1"),
        longnames => not maps:get(short, Options, false),
        connection => standard_io,
        wait_boot => 30000,
        env => [{"ERL_EPMD_PORT", integer_to_list(Port)}],
        args =>
            ["-setcookie", maps:get(cookie, Options, ?COOKIE), "-start_epmd", "false", "-boot", "no_dot_erlang"] ++
            ["-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-kernel", "logger_level", "error"] ++
            ["-kernel", "net_setuptime", integer_to_list(maps:get(setup, Options, 7)), "-pa" | Paths]
    },
    {ok, Pid, Node} = peer:start(Peer),
    #{peer => Pid, node => Node, pid => peer:call(Pid, os, getpid, [])}.

name(#{node := Node}) -> atom_to_binary(Node).

call(#{peer := Peer}, M, F, A) ->
    peer:call(Peer, M, F, A, 15000).

%% STOP comes back when no thread runs any more; CONT.
signal(#{pid := Pid}, Signal) ->
    [] = os:cmd("kill -" ++ Signal ++ " " ++ Pid),
    Signal =:= "CONT" orelse hb_node:eventually(fun() -> lists:usort(states(Pid)) =:= "T" end).

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

%% Also one that is stopped, or is gone already.
end_node(#{peer := Peer, pid := Pid}) ->
    _ = os:cmd("kill -KILL " ++ Pid),
    Monitor = erlang:monitor(process, Peer),
    receive {'DOWN', Monitor, process, _, _} -> ok after 15000 -> error(peer_stays) end.

%% Runs the application in a node and returns its link's path.
companion(Node, Env) ->
    call(Node, hb_node, start, [#{max_keys => 0, max_bytes => 0, max_value => 0}, Env]).
