%% The prices first, then the web front that asks for them.
-module(shop_sup).
-behaviour(supervisor).

-export([start_link/0, init/1]).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    Children = [
        #{id => prices, start => {shop_prices, start_link, []}},
        #{id => web, start => {shop_web, start_link, []}, shutdown => 60000} %% it drains
    ],
    {ok, {#{strategy => rest_for_one}, Children}}.
