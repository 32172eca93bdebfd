%% Why another node cannot be reached: net_kernel says only that it cannot, so
%% this looks at each step of the way again.  A step can take as long as the
%% host's resolver does; the caller has a deadline.
-module(hornbeam_reach).

-export([alone/1, check/1, connect/1, cause/2]).

%% For the port of a node that its epmd knows.
-define(CONNECT_MS, 1000).
%% For an epmd, which may hang: erl_epmd waits for it as long as that takes.
-define(EPMD_MS, 2000).

%% @doc What to say where this node has no distribution.
-spec alone(binary()) -> iodata().
alone(Name) ->
    ["cannot reach ", Name, ": this node has no distribution; erlang.node in the configuration gives it a name"].

%% @doc Whether this node may connect to that one at all: throws what is wrong with its name.
-spec check(node()) -> ok.
check(Node) ->
    case is_connected(Node) of
        true -> ok;
        false -> same_kind(Node, net_kernel:longnames(), long(host(Node)))
    end.

is_connected(Node) -> lists:member(Node, nodes(connected)).

%% @doc Connects with that node, or throws why it cannot: what fails after that is a connection that was lost.
-spec connect(node()) -> ok.
connect(Node) ->
    ok = check(Node),
    Started = hornbeam_clock:ms(),
    case is_connected(Node) orelse net_kernel:connect_node(Node) of
        true -> ok;
        _ -> hornbeam_error:throw(connect, cause(Node, hornbeam_clock:ms() - Started))
    end.

same_kind(Node, true, false) -> hornbeam_error:throw(connect, mixed(Node, "short", "long"));
same_kind(Node, false, true) -> hornbeam_error:throw(connect, mixed(Node, "long", "short"));
same_kind(_Node, _Ours, _Theirs) -> ok.

mixed(Node, Theirs, Ours) ->
    [name(Node), " is a ", Theirs, " node name and ", name(node()), " a ", Ours, " one: such nodes cannot connect"].

long(Host) -> lists:member($., Host) orelse lists:member($:, Host).

%% @doc Why an attempt of Ms milliseconds to connect has failed; it can always say something.
-spec cause(node(), non_neg_integer()) -> binary().
cause(Node, Ms) ->
    Text =
        try
            looked_up(Node, host(Node), Ms)
        catch
            _:_ -> ["cannot connect to ", name(Node)]
        end,
    unicode:characters_to_binary(Text).

looked_up(Node, Host, Ms) ->
    case inet:getaddr(Host, family()) of
        {ok, Address} -> listening(Node, Address, net_kernel:epmd_module(), Ms);
        {error, _} -> ["cannot reach ", name(Node), ": the host ", Host, " has no address"]
    end.

listening(Node, Address, erl_epmd, Ms) ->
    case erl_epmd:listen_port_please([], host(Node)) of
        {ok, 0} -> registered(Node, names(Address), Address, Ms);
        {ok, Port} -> answers(Node, Address, Port, Ms)
    end;
listening(Node, Address, hornbeam_epmd, Ms) ->
    case {names(Address), hornbeam_epmd:common_port()} of
        {Names, 0} -> registered(Node, Names, Address, Ms);
        {Names, Port} -> answers(Node, Address, registered_port(short(Node), Names, Port), Ms)
    end;
listening(Node, _Address, _Other, _Ms) ->
    ["cannot connect to ", name(Node)].

names(Address) ->
    Alias = alias([reply]),
    {Pid, Monitor} = spawn_opt(fun() -> Alias ! {Alias, erl_epmd:names(Address)} end, [link, monitor]),
    receive
        {Alias, Names} ->
            true = erlang:demonitor(Monitor, [flush]),
            Names;
        {'DOWN', Monitor, process, Pid, Reason} ->
            {error, Reason}
    after ?EPMD_MS ->
        _ = unalias(Alias),
        true = unlink(Pid),
        true = erlang:demonitor(Monitor, [flush]),
        true = exit(Pid, kill),
        {error, timeout}
    end.

registered(Node, {ok, Names}, Address, Ms) ->
    case lists:keyfind(short(Node), 1, Names) of
        {_, Port} -> answers(Node, Address, Port, Ms);
        false -> [name(Node), " does not run: epmd on ", host(Node), " knows no node ", short(Node)]
    end;
registered(Node, {error, timeout}, _Address, _Ms) ->
    ["cannot reach ", name(Node), ": epmd on ", host(Node), " does not answer"];
registered(Node, {error, _}, _Address, _Ms) ->
    [name(Node), " does not run: no epmd answers on ", host(Node)].

registered_port(Name, {ok, Names}, Default) -> proplists:get_value(Name, Names, Default);
registered_port(_Name, {error, _}, Default) -> Default.

answers(Node, Address, Port, Ms) ->
    case gen_tcp:connect(Address, Port, [], ?CONNECT_MS) of
        {ok, Socket} ->
            ok = gen_tcp:close(Socket),
            refused(Node, Ms > setup_ms());
        {error, Reason} ->
            ["cannot reach ", name(Node), " at port ", integer_to_binary(Port), ": ", inet:format_error(Reason)]
    end.

refused(Node, true) ->
    [name(Node), " is there but does not answer: it hangs"];
refused(Node, false) ->
    [name(Node), " is there but refuses to connect: most likely its cookie is not ours"].

%% Half a second short of the time that net_kernel gives to an attempt.
setup_ms() -> 1000 * application:get_env(kernel, net_setuptime, 7) - 500.

family() ->
    case init:get_argument(proto_dist) of
        {ok, [["inet6" ++ _]]} -> inet6;
        _ -> inet
    end.

name(Node) -> atom_to_binary(Node).

host(Node) -> tl(lists:dropwhile(fun(C) -> C =/= $@ end, atom_to_list(Node))).

short(Node) -> lists:takewhile(fun(C) -> C =/= $@ end, atom_to_list(Node)).
