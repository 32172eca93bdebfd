%% What the master sends, put into force: the application's environment, the
%% distribution, the application itself and those of the user, in this order;
%% and later, at a reload, what may change meanwhile.
-module(hornbeam_configuration).

-export([start/1, reload/1]).

-type configuration() :: #{atom() => term()}.

-include_lib("kernel/include/logger.hrl").

-define(LIVE, [functions, hooks, pubsub, rpc, connect]).

-spec start(configuration()) -> ok | {error, unicode:chardata()}.
start(#{link := _, state := _, log_level := Level, vsn := Vsn} = Configuration) ->
    ok = hornbeam_log:open(level(Level)),
    ok = application:load(hornbeam),
    case hornbeam_status:vsn() of
        Vsn -> steps([fun set_all/1, fun code_path/1, fun hooks/1, fun distribute/1, fun start_hornbeam/1, fun start_applications/1], Configuration);
        Ours -> {error, ["the companion is hornbeam ", Ours, ", hornbeamd is ", Vsn]}
    end;
start(_Other) ->
    {error, "the configuration lacks link, state, log_level or vsn"}.

steps([], _Configuration) ->
    ok;
steps([Step | Steps], Configuration) ->
    case Step(Configuration) of
        ok -> steps(Steps, Configuration);
        {error, _} = Error -> Error
    end.

%% @doc Either all of it is in force, or nothing of it.
-spec reload(configuration()) -> ok | {error, unicode:chardata()}.
reload(Configuration) ->
    steps([fun hooks/1, fun functions/1, fun others/1], Configuration).

%% From here on nothing can fail.
functions(#{functions := New}) ->
    {ok, Old} = application:get_env(hornbeam, functions),
    hornbeam_functions:configure(Old, New).

others(#{log_level := Level, rpc := #{allow := Patterns}, connect := Nodes} = Configuration) ->
    ok = set(?LIVE, Configuration),
    ok = logger:set_primary_config(level, level(Level)),
    ok = hornbeam_rpc:configure(Patterns),
    hornbeam_cluster:connect(Nodes).

set_all(Configuration) -> set([link, state | ?LIVE], Configuration).

set(Keys, Configuration) ->
    _ = [application:set_env(hornbeam, K, V) || {K, V} <- maps:to_list(maps:with(Keys, Configuration))],
    ok.

code_path(Configuration) ->
    Directories = maps:get(code_path, Configuration, []),
    lists:foreach(fun hornbeam_applications:check_path/1, Directories),
    case {lists:flatmap(fun hornbeam_applications:hidden/1, Directories), maps:get(distribution, Configuration, none)} of
        {[], _} ->
            ok;
        {Hidden, none} ->
            ?LOG_WARNING("~ts, which is now hidden", [hides(Hidden)]);
        {Hidden, _} ->
            {error, [hides(Hidden), ", which erlang.node may need; rename it"]}
    end.

hides([File | _]) ->
    ["erlang.code_path: ", File, " has the name of a module of Erlang itself"].

distribute(Configuration) ->
    hornbeam_distribution:start(maps:get(distribution, Configuration, none)).

start_hornbeam(_Configuration) ->
    case application:start(hornbeam, permanent) of
        ok -> ok;
        {error, Reason} -> {error, cause(Reason)}
    end.

start_applications(Configuration) ->
    hornbeam_applications:start(maps:get(applications, Configuration, [])).

%% The failing part's own words, out of the reports of the supervisors above it.
cause({Who, Text}) when Who =:= listen; Who =:= configuration ->
    Text;
cause({shutdown, Reason}) ->
    cause(Reason);
cause({failed_to_start_child, _Child, Reason}) ->
    cause(Reason);
cause({Reason, {hornbeam_app, start, _}}) ->
    cause(Reason);
cause(Reason) ->
    io_lib:format("~0tp", [Reason]).

level(Level) when is_binary(Level) -> level(binary_to_existing_atom(Level));
level(Level) when is_atom(Level) -> Level.

%% A hook that is not there would refuse every request.
hooks(#{hooks := Hooks}) ->
    Missing = [missing(Name, Hook, Arity) || {Name, Arity} <- [{on_request, 1}, {on_response, 1}, {on_error, 2}],
        {ok, Hook} <- [maps:find(Name, Hooks)]],
    case [Text || {error, Text} <- Missing] of
        [] -> ok;
        [Text | _] -> {error, Text}
    end;
hooks(#{}) ->
    ok.

missing(Name, {Module, Function}, Arity) ->
    Where = io_lib:format("hooks.~ts: ~ts:~ts/~b: ", [Name, Module, Function, Arity]),
    case code:ensure_loaded(Module) of
        {module, Module} ->
            case erlang:function_exported(Module, Function, Arity) of
                true -> ok;
                false -> {error, [Where, "the module exports no such function"]}
            end;
        {error, nofile} ->
            {error, [Where, "the module is not in erlang.code_path"]};
        {error, Reason} ->
            {error, [Where, io_lib:format("the module cannot be loaded: ~0tp", [Reason])]}
    end.
