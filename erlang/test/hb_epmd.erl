%% In the place of epmd, for the nodes that tests start: a file for each name
%% holds its port, so that no daemon is needed and none is left behind.  Nodes
%% register before their file server runs.
-module(hb_epmd).

-export([start_link/0, register_node/2, register_node/3, port_please/2, port_please/3]).
-export([listen_port_please/2, address_please/3, names/1]).

start_link() -> ignore.

register_node(Name, Port) -> register_node(Name, Port, inet).

register_node(Name, Port, _Family) ->
    ok = prim_file:write_file(path(Name), integer_to_binary(Port)),
    {ok, erlang:unique_integer([positive]) band 16#7fffffff + 4}.

port_please(Name, Host) -> port_please(Name, Host, infinity).

port_please(Name, _Host, _Timeout) ->
    case prim_file:read_file(path(Name)) of
        {ok, Port} -> {port, binary_to_integer(Port), 6};
        {error, _} -> noport
    end.

listen_port_please(_Name, _Host) -> {ok, 0}.

address_please(_Name, _Host, inet) -> {ok, {127, 0, 0, 1}};
address_please(_Name, _Host, _Family) -> {error, eafnosupport}.

names(_Host) -> {error, address}.

path(Name) ->
    filename:join(os:getenv("TMPDIR", "/tmp"), lists:concat(["hornbeam-epmd-", Name])).
