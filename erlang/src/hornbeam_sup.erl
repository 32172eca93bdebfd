%% The root of the supervision tree.  It owns the table of functions: what user
%% code has registered is there as long as the application.
%%
%%   hornbeam_sup
%%     hornbeam_core_sup           what the links use, then the links
%%       functions                 no process: registers those of the configuration
%%       hornbeam_state_sup        owns the table of state
%%         hornbeam_sweeper        gives the memory of expired keys back
%%         hornbeam_lease          one computation for many callers (fetch)
%%       hornbeam_pubsub_sup       owns the tables of topics and subscriptions
%%         hornbeam_pubsub         the scope of pg: which nodes subscribe to what
%%         hornbeam_courier_sup
%%           hornbeam_courier      one process for each other node, to its hub
%%         hornbeam_hub            every change of the tables; messages of other nodes
%%       hornbeam_python           functions of Python: which link has which
%%       hornbeam_casts            calls that nobody waits for
%%       hornbeam_link_sup         owns the table of links
%%         hornbeam_link_links_sup
%%           hornbeam_link         one process per link
%%         hornbeam_link_listener  the Unix socket
%%       hornbeam_cluster          keeps other nodes connected
%%       hornbeam_applications     keeps the user's applications running
%%     hornbeam_attached           hornbeamd as a port, after hornbeam:start
-module(hornbeam_sup).
-behaviour(supervisor).

-export([start_link/0, attach/1, detach/0, init/1]).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

%% @doc Adds the last child, hornbeam_attached.
-spec attach(term()) -> {ok, pid()} | {error, term()}.
attach(Arg) ->
    Child = #{
        id => attached, start => {hornbeam_attached, start_link, [Arg]}, restart => transient,
        shutdown => infinity %% it drains, and has a deadline of its own
    },
    case supervisor:start_child(?MODULE, Child) of
        {error, already_present} ->
            _ = supervisor:delete_child(?MODULE, attached),
            attach(Arg);
        Result ->
            Result
    end.

-spec detach() -> ok.
detach() ->
    try
        _ = supervisor:terminate_child(?MODULE, attached),
        _ = supervisor:delete_child(?MODULE, attached),
        ok
    catch
        exit:_ -> ok %% the application has stopped meanwhile
    end.

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    ok = hornbeam_functions:new(),
    Core = #{id => core, start => {hornbeam_core_sup, start_link, []}, type => supervisor},
    %% hornbeamd serves on while the companion is made anew: it knows a companion that dies.
    {ok, {#{strategy => one_for_one, intensity => 3, period => 10}, [Core]}}.
