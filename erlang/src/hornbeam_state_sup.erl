%% Owns the table of state, so that it outlives every process that uses it,
%% and supervises the sweeper and the leases.
-module(hornbeam_state_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    {ok, Limits} = application:get_env(hornbeam, state),
    ok = hornbeam_orphans:await([hornbeam_sweeper, hornbeam_lease]),
    ok = hornbeam_counts:new(Limits),
    ok = hornbeam_table:new(),
    Children = [
        #{id => sweeper, start => {hornbeam_sweeper, start_link, []}},
        #{id => lease, start => {hornbeam_lease, start_link, []}}
    ],
    {ok, {#{strategy => one_for_one, intensity => 10, period => 10}, Children}}.
