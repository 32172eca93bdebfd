%% @doc Hornbeam for Erlang code: the start of Python applications in this node, and
%% the functions that Python calls by name.
%%
%% ```
%%     {ok, _} = hornbeam:start("shop.wsgi:application", #{bind => "0.0.0.0:8080", workers => 4}).
%%
%%     ok = hornbeam:register_function(add, fun([A, B]) -> A + B end),
%%     ok = hornbeam:register_function(get_user, user_db, get),
%%     3 = hornbeam:call(add, [1, 2]).
%% '''
%%
%% and in Python
%%
%% ```
%%     from hornbeam_erlang import call
%%     call('add', 1, 2)
%% '''
%%
%% A name is an atom, a binary or a string: `add', `<<"add">>' and `"add"' are one.
%% What cannot be done raises error({Class, Text}), as in hornbeam_state: Class is
%% missing for a function that is not registered, timeout for one that did not
%% answer in time, type or value for arguments that cannot be meant.
-module(hornbeam).

-export([start/1, start/2, stop/0]).
-export([register_function/2, register_function/3, unregister_function/1, functions/0]).
-export([call/2, call/3, cast/2, call_python/2, call_python/3]).

-define(TIMEOUT, 5000).

%% @doc Serves a Python application, with `mounts' several: start/2 without other options.
%%
%% ```
%%     {ok, _} = hornbeam:start("shop.wsgi:application").
%%     {ok, _} = hornbeam:start(#{mounts => #{"/" => "shop:app", "/admin" => "shop.admin:app"}}).
%% '''
-spec start(string() | binary() | map()) -> {ok, pid()} | {error, hornbeam_attached:reason()}.
start(Options) when is_map(Options) -> hornbeam_attached:start(Options);
start(AppSpec) -> hornbeam_attached:start(AppSpec, #{}).

%% @doc Serves a Python application until stop/0 or the end of this node, which is its
%% companion; hornbeam_attached:start/1 tells the options and the errors.
%%
%% ```
%%     {ok, _} = hornbeam:start("shop.wsgi:application", #{bind => "0.0.0.0:8080", workers => 4}).
%% '''
-spec start(string() | binary(), map()) -> {ok, pid()} | {error, hornbeam_attached:reason()}.
start(AppSpec, Options) -> hornbeam_attached:start(AppSpec, Options).

%% @doc Ends what start/1,2 began, once the requests in progress are done.
%%
%% ```
%%     ok = hornbeam:stop().
%% '''
-spec stop() -> ok | {error, not_started}.
stop() -> hornbeam_attached:stop().

%% @doc Registers a fun, which is called with the list of arguments, or {Module, Function}, which
%% is applied to them.
%%
%% A call runs in a process of its own.  For Python {ok, Value} is Value, {error, Reason} raises
%% CallError, an exception raises RemoteError, and anything else is the value itself.  To register
%% a name again puts the new function in the old one's place.
%%
%% ```
%%     ok = hornbeam:register_function(validate, fun
%%         ([<<"secret">>]) -> {ok, 42};
%%         ([_Other]) -> {error, invalid_token}
%%     end).
%% '''
-spec register_function(hornbeam_functions:name(), hornbeam_functions:code()) -> ok.
register_function(Name, Function) ->
    hornbeam_error:run(fun() -> hornbeam_functions:add(Name, Function) end).

%% @doc Registers a function of a module, which is applied to the arguments.
%%
%% ```
%%     ok = hornbeam:register_function(reverse, lists, reverse),
%%     [3, 2, 1] = hornbeam:call(reverse, [[1, 2, 3]]).
%% '''
-spec register_function(hornbeam_functions:name(), module(), Function :: atom()) -> ok.
register_function(Name, Module, Function) ->
    hornbeam_error:run(fun() -> hornbeam_functions:add(Name, {Module, Function}) end).

%% @doc Takes a function away; whether it was there.
%%
%% ```
%%     false = hornbeam:unregister_function(nobody).
%% '''
-spec unregister_function(hornbeam_functions:name()) -> boolean().
unregister_function(Name) ->
    hornbeam_error:run(fun() -> hornbeam_functions:remove(Name) end).

%% @doc The registered functions, sorted, and in what language each is.
%%
%% ```
%%     ok = hornbeam:register_function(reversed, lists, reverse),
%%     {_, erlang} = lists:keyfind(<<"reversed">>, 1, hornbeam:functions()).
%% '''
-spec functions() -> [{binary(), erlang | python}].
functions() ->
    hornbeam_error:run(fun hornbeam_functions:list/0).

%% @doc Calls a function with the list of its arguments, as Python would, and waits 5 seconds.
%% A name that is only Python's is called as by call_python/2.
%%
%% ```
%%     ok = hornbeam:register_function(hypot, fun([A, B]) -> math:sqrt(A * A + B * B) end),
%%     5.0 = hornbeam:call("hypot", [3, 4]).
%% '''
-spec call(hornbeam_functions:name(), [term()]) -> term().
call(Name, Arguments) ->
    call(Name, Arguments, ?TIMEOUT).

%% @doc Calls a function and waits for so many milliseconds.
%%
%% Returns what the function returned, {ok, Value} and {error, Reason} too, and raises what it
%% raised.  It runs in a process of its own, which is killed when the time is over.
%%
%% ```
%%     ok = hornbeam:register_function(slow, fun([]) -> timer:sleep(infinity) end),
%%     {timeout, _} = try hornbeam:call(slow, [], 10) catch error:Reason -> Reason end.
%% '''
-spec call(hornbeam_functions:name(), [term()], timeout()) -> term().
call(Name, Arguments, Timeout) ->
    case hornbeam_error:run(fun() -> hornbeam_functions:call(Name, Arguments, Timeout) end) of
        {returned, Value} -> Value;
        {raised, Class, Reason, Stack} -> erlang:raise(Class, Reason, Stack)
    end.

%% @doc Calls a function in a process of its own and does not wait; an exception is logged.
%%
%% ```
%%     ok = hornbeam:register_function(note, fun([Text]) -> hornbeam_state:set(<<"doc:note">>, Text) end),
%%     ok = hornbeam:cast(note, [<<"done">>]).
%% '''
-spec cast(hornbeam_functions:name(), [term()]) -> ok.
cast(Name, Arguments) ->
    hornbeam_error:run(fun() -> hornbeam_functions:cast(Name, Arguments) end).

%% @doc Calls a function that a Python process registered, and waits 5 seconds.
%%
%% ```
%%     <<"b">> = hornbeam:call_python(pick, [[<<"a">>, <<"b">>], 1]).
%% '''
-spec call_python(hornbeam_functions:name(), [term()]) -> term().
call_python(Name, Arguments) ->
    call_python(Name, Arguments, ?TIMEOUT).

%% @doc Calls a function that a Python process registered and waits for so many milliseconds.
%%
%% In Python, in a worker or any other process:
%%
%% ```
%%     import hornbeam_erlang
%%     hornbeam_erlang.register('total', lambda prices: sum(prices))
%% '''
%%
%% and then here
%%
%% ```
%%     6 = hornbeam:call_python(total, [[1, 2, 3]]).
%% '''
%%
%% Returns what the function returned.  Raises error({python_error, Type, Text}) with its exception,
%% both binaries; error({connect, Text}) where its process ended meanwhile, and whether it ran is
%% unknown; error({limit, Text}) where too many calls of it are under way, or where its arguments have
%% 16 MiB or more.  In a function that was itself called with a deadline, the Python function has that
%% one where it is the earlier one.
-spec call_python(hornbeam_functions:name(), [term()], timeout()) -> term().
call_python(Name, Arguments, Timeout) ->
    hornbeam_error:run(fun() -> hornbeam_python:call(hornbeam_functions:name(Name), Arguments, Timeout) end).
