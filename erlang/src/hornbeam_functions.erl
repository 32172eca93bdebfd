%% The registered functions: Erlang code that Python calls by name.  A name that is
%% not registered here may be a function of Python (hornbeam_python).
%%
%% The table is the root supervisor's, so that it outlives every process that uses
%% it.  Reads go straight to it.  What cannot be done throws a refusal.
-module(hornbeam_functions).

-export([new/0, start/0, configure/2, add/2, remove/1, list/0, count/0]).
-export([call/3, cast/2, reply/3, cast_reply/2, late/1]).
-export([name/1]).
-export_type([name/0, code/0]).

-type name() :: atom() | binary() | string().
-type configured() :: {binary(), module(), Function :: atom()}.
%% A fun is called with the list of arguments, a function of a module with the arguments.
-type code() :: fun(([term()]) -> term()) | {module(), Function :: atom()}.

%% @doc Makes the table; the calling process owns it.
-spec new() -> ok.
new() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, {read_concurrency, true}]),
    ok.

%% @doc For the supervisor: registers the functions of the configuration, each of which must be there.
-spec start() -> ignore | {error, {configuration, binary()}}.
start() ->
    {ok, Functions} = application:get_env(hornbeam, functions),
    case configure([], Functions) of
        ok -> ignore;
        {error, Text} -> {error, {configuration, Text}}
    end.

%% @doc Registers the new functions of the configuration, if all of them are there, and
%% removes those of the old ones that are in use no more.
-spec configure([configured()], [configured()]) -> ok | {error, binary()}.
configure(Old, New) ->
    try
        ok = lists:foreach(fun check/1, New),
        _ = [add(Name, {Module, Function}) || {Name, Module, Function} <- New],
        _ = [ets:delete_object(?MODULE, {Name, {Module, Function}}) || {Name, Module, Function} <- Old, not lists:keymember(Name, 1, New)],
        ok
    catch
        throw:{refused, _Class, Text} -> {error, Text}
    end.

check({Name, Module, Function}) ->
    Where = io_lib:format("functions: ~ts: ~ts:~ts", [Name, Module, Function]),
    case code:ensure_loaded(Module) of
        {module, Module} ->
            lists:keymember(Function, 1, Module:module_info(exports)) orelse
                hornbeam_error:throw(value, [Where, ": the module exports no such function"]);
        {error, Reason} ->
            hornbeam_error:throw(value, [Where, ": the module cannot be loaded: ", why(Reason)])
    end.

why(nofile) -> "no such file in erlang.code_path";
why(Reason) -> io_lib:format("~0tp", [Reason]).

%% @doc Registers a function, or another one in its place.
-spec add(name(), code()) -> ok.
add(Name, Function) when is_function(Function, 1) ->
    insert(Name, Function);
add(Name, {Module, Function} = Applied) when is_atom(Module), is_atom(Function) ->
    insert(Name, Applied);
add(_Name, Function) when is_function(Function) ->
    hornbeam_error:throw(type, "a registered fun takes one argument, the list of arguments: fun([A, B]) -> ... end");
add(_Name, _Function) ->
    hornbeam_error:throw(type, "a function is a fun of one argument, or a module and a function").

insert(Name, Function) ->
    Key = name(Name),
    true = ets:insert(?MODULE, {Key, Function}),
    ok.

%% @doc Whether there was such a function.
-spec remove(name()) -> boolean().
remove(Name) ->
    Key = name(Name),
    ets:take(?MODULE, Key) =/= [].

%% @doc The names, sorted, and in what language each is.
-spec list() -> [{binary(), erlang | python}].
list() ->
    Python = maps:from_list([{Name, python} || Name <- hornbeam_python:names()]),
    Erlang = maps:from_list([{Name, erlang} || {Name, _} <- ets:tab2list(?MODULE)]),
    lists:sort(maps:to_list(maps:merge(Python, Erlang))).

-spec count() -> non_neg_integer().
count() ->
    ets:info(?MODULE, size).

%% @doc The one form of a name: `add', `<<"add">>' and `"add"' are one.
-spec name(name()) -> binary().
name(Name) when is_atom(Name) -> checked(atom_to_binary(Name));
name(Name) when is_binary(Name) -> checked(Name);
name(Name) ->
    try unicode:characters_to_binary(Name) of
        Text when is_binary(Text) -> checked(Text);
        _ -> checked(Name)
    catch
        error:_ -> checked(Name)
    end.

checked(Name) ->
    ok = hornbeam_calls:name("function", Name),
    case unicode:characters_to_binary(Name) of
        Name -> Name;
        _ -> hornbeam_error:throw(value, "the name of a function is not in UTF-8")
    end.

%% A name that Erlang code registered is not looked for in Python.
is_python(Name) ->
    not ets:member(?MODULE, Name) andalso hornbeam_python:has(Name).

find(Name) ->
    case ets:lookup(?MODULE, Name) of
        [{_, Function}] -> Function;
        [] -> missing(Name)
    end.

-spec missing(binary()) -> no_return().
missing(Name) ->
    ok = hornbeam_calls:name("function", Name),
    Known = [K || {K, _} <- list()],
    hornbeam_error:throw(missing, ["no function ", hornbeam_error:key(Name), " is registered", hornbeam_near:hint(Name, Known)]).

run({Module, Function}, Arguments) -> apply(Module, Function, Arguments);
run(Function, Arguments) -> Function(Arguments).

%% @doc Calls a function for Erlang code: what it returned, or the exception to raise again.
-spec call(name(), [term()], timeout()) ->
    {returned, term()} | {raised, error | exit | throw, term(), erlang:stacktrace()}.
call(Name, Arguments, Timeout) ->
    ok = hornbeam_calls:check(Arguments, Timeout),
    Key = name(Name),
    case is_python(Key) of
        true -> {returned, hornbeam_python:call(Key, Arguments, Timeout)};
        false -> call_erlang(Key, Arguments, Timeout)
    end.

call_erlang(Key, Arguments, Timeout) ->
    Function = find(Key),
    Alias = alias([reply]),
    Caller = self(),
    Until = hornbeam_calls:until(Timeout),
    {Pid, Monitor} = spawn_monitor(fun() ->
        ok = end_with(Caller),
        ok = hornbeam_calls:limit(Until),
        Alias ! {Alias, caught(Function, Arguments)}
    end),
    receive
        {Alias, Outcome} ->
            true = erlang:demonitor(Monitor, [flush]),
            Outcome;
        {'DOWN', Monitor, process, Pid, Reason} ->
            true = unalias(Alias),
            {raised, exit, Reason, []}
    after Timeout ->
        true = erlang:demonitor(Monitor, [flush]),
        true = exit(Pid, kill),
        case unalias(Alias) of
            true -> hornbeam_error:throw(timeout, (late(Key))(Timeout));
            false -> receive {Alias, Outcome} -> Outcome end
        end
    end.

%% Whoever kills the caller cannot know of this process.
end_with(Caller) ->
    Self = self(),
    _ = spawn(fun() ->
        Callee = erlang:monitor(process, Self),
        Monitor = erlang:monitor(process, Caller),
        receive
            {'DOWN', Callee, process, _, _} -> true;
            {'DOWN', Monitor, process, _, _} -> exit(Self, kill)
        end
    end),
    ok.

caught(Function, Arguments) ->
    try
        {returned, run(Function, Arguments)}
    catch
        Class:Reason:Stack -> {raised, Class, Reason, Stack}
    end.

%% @doc Calls a function and forgets it.
-spec cast(name(), [term()]) -> ok.
cast(Name, Arguments) when is_list(Arguments) ->
    Key = name(Name),
    case is_python(Key) of
        true -> hornbeam_python:cast(Key, term_to_binary(Arguments));
        false -> cast_erlang(Key, Arguments, 0)
    end;
cast(_Name, _Arguments) ->
    hornbeam_error:throw(type, "the arguments of a call are a list").

cast_erlang(Key, Arguments, Bytes) ->
    Function = find(Key),
    hornbeam_casts:start(hornbeam_error:key(Key), Bytes, fun() -> run(Function, Arguments) end).

%% @doc The reply to a client that calls a function and waits for so many milliseconds.
-spec reply(binary(), binary(), timeout()) -> iodata().
reply(Name, Binary, Timeout) ->
    case ets:lookup(?MODULE, Name) of
        [{_, Function}] -> erlang_reply(Name, Function, Binary);
        [] -> python_reply(Name, Binary, Timeout)
    end.

python_reply(Name, Binary, Timeout) ->
    case hornbeam_python:has(Name) of
        true -> hornbeam_python:reply(Name, Binary, Timeout);
        false -> missing(Name)
    end.

erlang_reply(Name, Function, Binary) ->
    Arguments = hornbeam_calls:arguments(Binary),
    Result =
        case hornbeam_calls:outcome(fun() -> run(Function, Arguments) end) of
            {returned, {ok, Value}} -> {ok, Value};
            {returned, {error, Reason}} -> {error, Reason};
            {returned, Value} -> {ok, Value};
            Raised -> Raised
        end,
    hornbeam_calls:reply(Result, hornbeam_error:key(Name)).

-spec cast_reply(binary(), binary()) -> iodata().
cast_reply(Name, Binary) ->
    ok =
        case is_python(Name) of
            true -> hornbeam_python:cast(Name, Binary);
            false -> cast_erlang(Name, hornbeam_calls:arguments(Binary), byte_size(Binary))
        end,
    hornbeam_link_codec:answer(ok).

%% @doc What to say when a function has not answered in time.
-spec late(binary()) -> fun((timeout()) -> iodata()).
late(Name) ->
    fun(Ms) -> [hornbeam_error:key(Name), " gave no answer within ", integer_to_binary(Ms), " ms"] end.
