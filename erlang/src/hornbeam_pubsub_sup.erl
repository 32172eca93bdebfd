%% Owns the tables of publish/subscribe, so that they outlive the hub, and
%% supervises the process groups, the couriers to other nodes and the hub.
-module(hornbeam_pubsub_sup).
-behaviour(supervisor).

-export([start_link/0, start_couriers/0, start_courier/1, init/1]).

-define(SCOPE, hornbeam_pubsub).
-define(COURIERS, hornbeam_courier_sup).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, top).

-spec start_couriers() -> {ok, pid()} | {error, term()}.
start_couriers() ->
    supervisor:start_link({local, ?COURIERS}, ?MODULE, couriers).

-spec start_courier(Hub :: pid()) -> {ok, pid()} | {error, term()}.
start_courier(Hub) ->
    supervisor:start_child(?COURIERS, [Hub]).

-spec init(top | couriers) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init(top) ->
    ok = hornbeam_orphans:await([?SCOPE, ?COURIERS, hornbeam_hub]),
    ok = hornbeam_topics:new(),
    Children = [
        #{id => scope, start => {pg, start_link, [?SCOPE]}},
        #{id => couriers, start => {?MODULE, start_couriers, []}, type => supervisor},
        #{id => hub, start => {hornbeam_hub, start_link, []}}
    ],
    {ok, {#{strategy => rest_for_one, intensity => 10, period => 10}, Children}};
init(couriers) ->
    Courier = #{id => courier, start => {hornbeam_courier, start_link, []}, restart => transient},
    {ok, {#{strategy => simple_one_for_one, intensity => 10, period => 10}, [Courier]}}.
