%% The root of the supervision tree: the state and publish/subscribe, then the links that use them.
%%
%%   hornbeam_sup
%%     hornbeam_state_sup          owns the table of state
%%       hornbeam_sweeper          gives the memory of expired keys back
%%       hornbeam_lease            one computation for many callers (fetch)
%%     hornbeam_pubsub_sup         owns the tables of topics and subscriptions
%%       hornbeam_pubsub           the scope of pg: which nodes subscribe to what
%%       hornbeam_courier_sup
%%         hornbeam_courier        one process for each other node, to its hub
%%       hornbeam_hub              every change of the tables; messages of other nodes
%%     hornbeam_link_sup           owns the table of links
%%       hornbeam_link_links_sup
%%         hornbeam_link           one process per link
%%       hornbeam_link_listener    the Unix socket
-module(hornbeam_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    Children = [
        #{id => state, start => {hornbeam_state_sup, start_link, []}, type => supervisor},
        #{id => pubsub, start => {hornbeam_pubsub_sup, start_link, []}, type => supervisor},
        #{id => link, start => {hornbeam_link_sup, start_link, []}, type => supervisor}
    ],
    {ok, {#{strategy => rest_for_one, intensity => 3, period => 10}, Children}}.
