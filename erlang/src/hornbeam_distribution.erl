%% The companion as a node of a cluster: net_kernel with the name, address and
%% port of the configuration, and with a cause where that does not succeed.
-module(hornbeam_distribution).

-export([start/1]).

-include_lib("kernel/include/logger.hrl").

-type options() :: #{
    node := node(), listen := binary(), port := inet:port_number(), epmd := boolean(),
    tls := none | binary(), cookie_file := binary()
}.

-spec start(none | options()) -> ok | {error, unicode:chardata()}.
start(none) ->
    ok;
start(#{node := Node, listen := Listen} = Options) ->
    {ok, Address} = inet:parse_address(binary_to_list(Listen)),
    ok = application:set_env(kernel, inet_dist_use_interface, Address),
    ok = application:set_env(hornbeam, distribution, Options),
    case check(Options, Address) of
        ok -> started(net_kernel:start(Node, #{name_domain => domain(Node)}), Options, Address);
        {error, _} = Error -> Error
    end.

domain(Node) ->
    case lists:member($., host(Node)) of
        true -> longnames;
        false -> shortnames
    end.

%% net_kernel tells its log what is wrong, and its caller that something is.
check(#{port := Port, tls := Tls, cookie_file := File}, Address) ->
    case {listen(Address, Port), tls(Tls), hornbeam_epmd:cookie(File)} of
        {{error, _} = Error, _, _} -> Error;
        {ok, {error, _} = Error, _} -> Error;
        {ok, ok, {error, _} = Error} -> Error;
        {ok, ok, {ok, _}} -> ok
    end.

listen(Address, Port) ->
    case gen_tcp:listen(Port, [{ip, Address}, {reuseaddr, true}, family(Address)]) of
        {ok, Socket} ->
            gen_tcp:close(Socket);
        {error, Reason} ->
            {error, ["erlang.listen: cannot listen on ", inet:ntoa(Address), " port ", integer_to_list(Port), ": ",
                inet:format_error(Reason)]}
    end.

family(Address) when tuple_size(Address) =:= 4 -> inet;
family(_Address) -> inet6.

tls(none) ->
    ok;
tls(File) ->
    case {code:which(inet_tls_dist), file:consult(File)} of
        {non_existing, _} -> {error, "erlang.tls: Erlang's application ssl is not there; install erlang-ssl"};
        {_, {error, Reason}} -> {error, ["erlang.tls: ", File, ": ", file:format_error(Reason)]};
        {_, {ok, [Options]}} when is_list(Options) -> ok;
        {_, {ok, _}} -> {error, ["erlang.tls: ", File, " is not one list of options, [{server, [...]}, {client, [...]}]."]}
    end.

started({ok, _Pid}, Options, Address) ->
    announce(Options),
    reachable(Options, Address, inet:getaddr(host(node()), family(Address)));
started({error, _}, #{node := Node, epmd := Epmd}, _Address) ->
    {error, ["erlang.node: this cannot become the node ", atom_to_list(Node), failure(Epmd, hornbeam_epmd:failure())]}.

failure(true, duplicate_name) -> ": epmd has a node of this name already";
failure(true, econnrefused) -> ": no epmd answers on this machine";
failure(_Epmd, none) -> "; the log says why";
failure(_Epmd, Reason) -> io_lib:format(": ~0tp", [Reason]).

announce(#{epmd := Epmd, port := Fixed, listen := Listen}) ->
    Found = case {Epmd, Fixed} of
        {true, _} -> "registered with epmd";
        {false, 0} -> "others cannot find it: there is neither erlang.epmd nor erlang.port";
        {false, _} -> "not registered with epmd"
    end,
    ?LOG_NOTICE("cluster: this is the node ~ts, on ~ts port ~b, ~ts", [node(), Listen, hornbeam_epmd:port(), Found]).

%% Debian's /etc/hosts gives 127.0.1.1 to the machine's own name.
reachable(_Options, Any, _Host) when Any =:= {0, 0, 0, 0}; Any =:= {0, 0, 0, 0, 0, 0, 0, 0} ->
    ok;
reachable(_Options, Address, {ok, Address}) ->
    ok;
reachable(#{listen := Listen}, _Address, {ok, Host}) ->
    ?LOG_WARNING("cluster: the host of ~ts is ~ts, but erlang.listen is ~ts: other nodes cannot connect to this one, it can connect to them",
        [node(), inet:ntoa(Host), Listen]);
reachable(#{listen := Listen}, _Address, {error, _}) ->
    ?LOG_WARNING("cluster: the host of ~ts has no address here, and erlang.listen is ~ts", [node(), Listen]).

host(Node) -> tl(lists:dropwhile(fun(C) -> C =/= $@ end, atom_to_list(Node))).
