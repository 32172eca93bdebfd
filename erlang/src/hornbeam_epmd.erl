%% How nodes find each other, in erl_epmd's place (-epmd_module).  The node is
%% registered with epmd only where erlang.epmd says so.  Others are asked for at
%% the epmd of their host; those that it does not know are looked for at
%% erlang.port, where a cluster without epmd has one port for all.
%%
%% The cookie is set in register_node, which comes when the socket is there and
%% before anything is accepted: at no time does another cookie hold.
-module(hornbeam_epmd).

-export([cookie/1, port/0, common_port/0, failure/0]).
-export([start_link/0, register_node/2, register_node/3, port_please/2, port_please/3, listen_port_please/2]).
-export([address_please/3, names/0, names/1]).

-define(EPMD_MS, 5000). %% for an epmd that starts at the same time
-define(LOOKUP_MS, 2000).
-define(DIST_VERSION, 5).
-define(COOKIE_MAX, 255).

%% @doc The cookie in a file.
-spec cookie(file:name_all()) -> {ok, atom()} | {error, unicode:chardata()}.
cookie(File) ->
    case file:read_file(File) of
        {ok, Text} -> cookie(File, string:trim(Text, trailing, "\r\n"));
        {error, Reason} -> {error, ["erlang.cookie_file: cannot read ", File, ": ", file:format_error(Reason)]}
    end.

cookie(_File, Cookie) when Cookie =/= <<>>, byte_size(Cookie) =< ?COOKIE_MAX -> {ok, binary_to_atom(Cookie, latin1)};
cookie(File, _Other) -> {error, ["erlang.cookie_file: ", File, " holds no cookie of 1 to 255 bytes"]}.

%% @doc Where the distribution listens; 0: not yet.
-spec port() -> inet:port_number().
port() ->
    application:get_env(hornbeam, distribution_port, 0).

%% @doc Why the last registration with epmd has failed.
-spec failure() -> term().
failure() ->
    application:get_env(hornbeam, epmd_failure, none).

-spec start_link() -> {ok, pid()} | ignore | {error, term()}.
start_link() ->
    erl_epmd:start_link().

-spec register_node(atom() | string(), inet:port_number()) -> {ok, integer()} | {error, term()}.
register_node(Name, Port) ->
    register_node(Name, Port, inet).

-spec register_node(atom() | string(), inet:port_number(), atom()) -> {ok, integer()} | {error, term()}.
register_node(Name, Port, Family) ->
    #{cookie_file := File, epmd := Epmd} = options(),
    ok = application:set_env(hornbeam, distribution_port, Port),
    case cookie(File) of
        {ok, Cookie} ->
            true = erlang:set_cookie(Cookie),
            register_node(Epmd, Name, Port, Family, hornbeam_clock:ms() + ?EPMD_MS);
        {error, _} ->
            {error, cookie}
    end.

%% Without epmd any creation will do.
register_node(false, _Name, _Port, _Family, _End) ->
    {ok, -1};
register_node(true, Name, Port, Family, End) ->
    case erl_epmd:register_node(Name, Port, Family) of
        {ok, _} = Registered ->
            Registered;
        Error ->
            case Error =:= {error, econnrefused} andalso hornbeam_clock:ms() < End of
                true ->
                    receive after 20 -> ok end,
                    register_node(true, Name, Port, Family, End);
                false ->
                    failed(Error)
            end
    end.

failed({error, Reason} = Error) ->
    ok = application:set_env(hornbeam, epmd_failure, Reason),
    Error.

-spec port_please(atom() | string(), atom() | string() | inet:ip_address()) -> term().
port_please(Name, Host) ->
    port_please(Name, Host, infinity).

-spec port_please(atom() | string(), atom() | string() | inet:ip_address(), timeout()) -> term().
port_please(Name, Host, Timeout) ->
    case common_port() of
        0 ->
            erl_epmd:port_please(Name, Host, Timeout);
        Port ->
            case erl_epmd:port_please(Name, Host, min(Timeout, ?LOOKUP_MS)) of
                {port, _, _} = Found -> Found;
                _ -> {port, Port, ?DIST_VERSION}
            end
    end.

%% @doc Where a node is looked for that no epmd knows; 0: nowhere.
-spec common_port() -> inet:port_number().
common_port() ->
    case options() of
        #{epmd := false, port := Port} -> Port;
        #{epmd := true} -> 0
    end.

-spec listen_port_please(atom() | string(), atom() | string() | inet:ip_address()) -> {ok, inet:port_number()}.
listen_port_please(_Name, _Host) ->
    #{port := Port} = options(),
    {ok, Port}.

-spec address_please(atom() | string(), string() | inet:ip_address(), inet | inet6) -> {ok, inet:ip_address()} | {error, term()}.
address_please(Name, Host, Family) ->
    erl_epmd:address_please(Name, Host, Family).

-spec names() -> {ok, [{string(), inet:port_number()}]} | {error, term()}.
names() ->
    erl_epmd:names().

-spec names(atom() | string() | inet:ip_address()) -> {ok, [{string(), inet:port_number()}]} | {error, term()}.
names(Host) ->
    erl_epmd:names(Host).

options() ->
    {ok, Options} = application:get_env(hornbeam, distribution),
    Options.
