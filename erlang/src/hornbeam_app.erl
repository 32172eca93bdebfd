%% The OTP application: starts the supervision tree.  Its environment holds
%% `link` (the path of the link's socket; undefined: none) and `state` (the
%% limits of the store).
-module(hornbeam_app).
-behaviour(application).

-export([start/2, stop/1]).

-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    hornbeam_sup:start_link().

-spec stop(term()) -> ok.
stop(_State) ->
    ok.
