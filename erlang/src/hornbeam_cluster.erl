%% The nodes of erlang.connect, kept connected: a node that is away is tried
%% again with longer and longer pauses.  Each change is one line in the log, and
%% so is each new reason why a node cannot be reached.
-module(hornbeam_cluster).
-behaviour(gen_server).

-export([start_link/0, connect/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include_lib("kernel/include/logger.hrl").

-define(FIRST_MS, 250).
-define(MAX_MS, 30000).

-record(peer, {
    told = none :: none | binary(),
    pause = ?FIRST_MS :: pos_integer(),
    timer = none :: none | reference(),
    attempt = none :: none | pid()
}).
-type peers() :: #{node() => #peer{}}.

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc From now on these are the nodes to keep connected.  The others are left as they are.
-spec connect([node()]) -> ok.
connect(Nodes) ->
    gen_server:call(?MODULE, {connect, Nodes}, infinity).

-spec init([]) -> {ok, peers()}.
init([]) ->
    ok = net_kernel:monitor_nodes(true, [nodedown_reason, {node_type, all}]),
    {ok, keep(application:get_env(hornbeam, connect, []), #{})}.

-spec handle_call(term(), gen_server:from(), peers()) -> {reply, term(), peers()}.
handle_call({connect, Nodes}, _From, Peers) ->
    {reply, ok, keep(Nodes, Peers)};
handle_call(Request, _From, Peers) ->
    ?LOG_WARNING("cluster: unexpected call ~0tp", [Request]),
    {reply, ok, Peers}.

-spec handle_cast(term(), peers()) -> {noreply, peers()}.
handle_cast(Message, Peers) ->
    ?LOG_WARNING("cluster: unexpected message ~0tp", [Message]),
    {noreply, Peers}.

-spec handle_info(term(), peers()) -> {noreply, peers()}.
handle_info({nodeup, Node, _Info}, Peers) ->
    ?LOG_NOTICE("cluster: ~ts is connected", [Node]),
    {noreply, update(Node, fun(P) -> up(P) end, Peers)};
handle_info({nodedown, Node, Info}, Peers) ->
    Reason = proplists:get_value(nodedown_reason, Info, unknown),
    ?LOG_WARNING("cluster: ~ts has gone: ~0tp", [Node, Reason]),
    {noreply, update(Node, fun(P) -> again(Node, P#peer{pause = ?FIRST_MS}) end, Peers)};
handle_info({timeout, Timer, Node}, Peers) ->
    case Peers of
        #{Node := #peer{timer = Timer} = P} -> {noreply, Peers#{Node := attempt(Node, P#peer{timer = none})}};
        #{} -> {noreply, Peers}
    end;
handle_info({attempted, _Pid, _Node, connected}, Peers) ->
    {noreply, Peers}; %% its nodeup says the rest
handle_info({attempted, Pid, Node, Cause}, Peers) ->
    {noreply, update(Node, fun(P) -> failed(Node, Pid, Cause, P) end, Peers)};
handle_info(Message, Peers) ->
    ?LOG_WARNING("cluster: unexpected message ~0tp", [Message]),
    {noreply, Peers}.

keep(Nodes, Peers) ->
    _ = [erlang:cancel_timer(T) || {N, #peer{timer = T}} <- maps:to_list(Peers), T =/= none, not lists:member(N, Nodes)],
    maps:from_list([{N, kept(N, maps:find(N, Peers))} || N <- Nodes]).

kept(_Node, {ok, Peer}) ->
    Peer;
kept(Node, error) ->
    case lists:member(Node, nodes(connected)) of
        true -> #peer{};
        false -> attempt(Node, #peer{})
    end.

update(Node, Change, Peers) ->
    case Peers of
        #{Node := Peer} -> Peers#{Node := Change(Peer)};
        #{} -> Peers
    end.

up(#peer{timer = Timer} = Peer) ->
    _ = Timer =:= none orelse erlang:cancel_timer(Timer),
    Peer#peer{told = none, timer = none, attempt = none, pause = ?FIRST_MS}.

%% By chance up to half as long again, so that the nodes of a cluster do not all try at once.
again(Node, #peer{pause = Pause} = Peer) ->
    Timer = erlang:start_timer(Pause + rand:uniform(Pause div 2), self(), Node),
    Peer#peer{timer = Timer, pause = min(2 * Pause, ?MAX_MS)}.

%% A process of its own: the attempt may hang for as long as net_kernel lets it.
attempt(Node, Peer) ->
    Server = self(),
    Pid = spawn_link(fun() -> Server ! {attempted, self(), Node, try_once(Node)} end),
    Peer#peer{attempt = Pid}.

try_once(Node) ->
    Started = hornbeam_clock:ms(),
    case net_kernel:connect_node(Node) of
        true -> connected;
        _ -> hornbeam_reach:cause(Node, hornbeam_clock:ms() - Started)
    end.

failed(Node, Pid, Cause, #peer{attempt = Pid, told = Told} = Peer) ->
    _ = Cause =:= Told orelse ?LOG_WARNING("cluster: ~ts; it is tried again", [Cause]),
    again(Node, Peer#peer{told = Cause, attempt = none});
failed(_Node, _Other, _Cause, Peer) ->
    Peer.
