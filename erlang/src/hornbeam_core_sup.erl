%% The companion itself: what the links use, then the links, then what keeps other
%% nodes and applications.  Whoever dies takes with it those that come later, since
%% they hold what it knew of them; hornbeamd, which a node may have started, is none of
%% these (hornbeam_sup).
-module(hornbeam_core_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    Children = [
        #{id => functions, start => {hornbeam_functions, start, []}},
        #{id => state, start => {hornbeam_state_sup, start_link, []}, type => supervisor},
        #{id => pubsub, start => {hornbeam_pubsub_sup, start_link, []}, type => supervisor},
        #{id => python, start => {hornbeam_python, start_link, []}},
        #{id => casts, start => {hornbeam_casts, start_link, []}},
        #{id => link, start => {hornbeam_link_sup, start_link, []}, type => supervisor},
        #{id => cluster, start => {hornbeam_cluster, start_link, []}},
        #{id => applications, start => {hornbeam_applications, start_link, []}}
    ],
    ok = hornbeam_orphans:await([Module || #{start := {Module, start_link, _}} <- Children]),
    {ok, {#{strategy => rest_for_one, intensity => 3, period => 10}, Children}}.
