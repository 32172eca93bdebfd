%% The OTP application: starts the supervision tree.  Its environment holds
%% `link` (the path of the link's socket; undefined: none), `state` (the
%% limits of the store), `functions` ([{Name, Module, Function}], registered at
%% the start), `rpc` (#{allow => [Pattern]}) and `names` (how many atoms requests
%% may make).
-module(hornbeam_app).
-behaviour(application).

-export([start/2, stop/1]).

-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    {ok, #{allow := Patterns}} = application:get_env(hornbeam, rpc),
    ok = hornbeam_rpc:configure(Patterns),
    ok = hornbeam_names:init(),
    %% What a tree that was killed has left.
    ok = hornbeam_attached_env:clear(),
    hornbeam_sup:start_link().

-spec stop(term()) -> ok.
stop(_State) ->
    ok.
