%% The applications of erlang.applications.  One that cannot start is told with
%% its reason.  They are started as temporary: one that ends later does not take
%% the state with it, but is started again, with longer and longer pauses.
-module(hornbeam_applications).
-behaviour(gen_server).

-export([start_link/0, start/1, stop/0, check_path/1, hidden/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include_lib("kernel/include/logger.hrl").

-define(FIRST_MS, 250).
-define(MAX_MS, 30000).
-define(STABLE_MS, 10000). %% who ran this long starts over

-record(running, {monitor :: none | reference(), since :: integer(), pause = 0 :: non_neg_integer()}).
-type running() :: #{atom() => #running{}}.

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Starts them in this order; the first that fails is the end of it.
-spec start([atom()]) -> ok | {error, unicode:chardata()}.
start([]) ->
    ok;
start(Applications) ->
    gen_server:call(?MODULE, {start, Applications}, infinity).

%% @doc Stops them, the last one first.
-spec stop() -> ok.
stop() ->
    lists:foreach(fun(A) -> _ = application:stop(A) end, lists:reverse(started())).

%% @doc A directory of erlang.code_path that holds nothing is a mistake, though nobody may need it.
-spec check_path(file:name_all()) -> ok.
check_path(Directory) ->
    case path_hint(Directory) of
        none -> ok;
        Hint -> ?LOG_WARNING("erlang.code_path: ~ts ~ts", [Directory, Hint])
    end.

%% @doc The files of a directory that take the place of a module of kernel or stdlib.
-spec hidden(file:name_all()) -> [file:filename()].
hidden(Directory) ->
    Own = [atom_to_list(M) || A <- [kernel, stdlib], M <- element(2, application:get_key(A, modules))],
    [filename:join(name(Directory), F) || F <- filelib:wildcard("*.beam", name(Directory)),
        lists:member(filename:rootname(F), Own)].

path_hint(Directory) ->
    Below = filename:join(Directory, "ebin"),
    case {filelib:is_dir(Directory), filelib:wildcard("*.{beam,app}", name(Directory)), filelib:is_dir(Below)} of
        {false, _, _} -> "is no directory";
        {true, [], true} -> ["holds no Erlang code; ", Below, " may be meant"];
        {true, [], false} -> "holds no Erlang code";
        {true, [_ | _], _} -> none
    end.

name(Name) when is_binary(Name) -> unicode:characters_to_list(Name, file:native_name_encoding());
name(Name) -> Name.

%% The names are kept where they outlive this process.
started() ->
    application:get_env(hornbeam, applications, []).

-spec init([]) -> {ok, running()}.
init([]) ->
    {ok, maps:from_list([{A, running(A, 0)} || A <- started()])}.

-spec handle_call(term(), gen_server:from(), running()) -> {reply, term(), running()}.
handle_call({start, Applications}, _From, _Running) ->
    case start_all(Applications) of
        ok ->
            ok = application:set_env(hornbeam, applications, Applications),
            {reply, ok, maps:from_list([{A, running(A, 0)} || A <- Applications])};
        {error, _} = Error ->
            {reply, Error, #{}}
    end;
handle_call(Request, _From, Running) ->
    ?LOG_WARNING("applications: unexpected call ~0tp", [Request]),
    {reply, ok, Running}.

-spec handle_cast(term(), running()) -> {noreply, running()}.
handle_cast(Message, Running) ->
    ?LOG_WARNING("applications: unexpected message ~0tp", [Message]),
    {noreply, Running}.

-spec handle_info(term(), running()) -> {noreply, running()}.
handle_info({'DOWN', Monitor, process, _Pid, Reason}, Running) ->
    case [{A, R} || {A, #running{monitor = M} = R} <- maps:to_list(Running), M =:= Monitor] of
        [{Application, R}] ->
            ?LOG_ERROR("applications: ~ts has ended: ~0tp", [Application, Reason]),
            {noreply, Running#{Application := again(Application, R)}};
        [] ->
            {noreply, Running}
    end;
handle_info({start, Application}, Running) ->
    #{Application := #running{pause = Pause} = R} = Running,
    case start_one(Application) of
        ok ->
            {noreply, Running#{Application := running(Application, Pause)}};
        {error, Text} ->
            ?LOG_ERROR("~ts", [Text]),
            {noreply, Running#{Application := again(Application, R)}}
    end;
handle_info(Message, Running) ->
    ?LOG_WARNING("applications: unexpected message ~0tp", [Message]),
    {noreply, Running}.

%% An application without processes has no master and never ends; one that has ended already has none either.
running(Application, Pause) ->
    R = #running{monitor = none, since = hornbeam_clock:ms(), pause = Pause},
    case application_controller:get_master(Application) of
        undefined ->
            case lists:keymember(Application, 1, application:which_applications(infinity)) of
                true ->
                    R;
                false ->
                    ?LOG_ERROR("applications: ~ts has ended", [Application]),
                    again(Application, R)
            end;
        Master ->
            R#running{monitor = monitor(process, Master)}
    end.

again(Application, #running{since = Since, pause = Pause0} = R) ->
    Pause = case hornbeam_clock:ms() - Since >= ?STABLE_MS of
        true -> 0;
        false -> Pause0
    end,
    _ = erlang:send_after(Pause, self(), {start, Application}),
    R#running{monitor = none, pause = min(max(2 * Pause, ?FIRST_MS), ?MAX_MS)}.

start_all([]) ->
    ok;
start_all([Application | Applications]) ->
    case start_one(Application) of
        ok -> start_all(Applications);
        {error, _} = Error -> Error
    end.

start_one(Application) ->
    ?LOG_NOTICE("applications: starting ~ts", [Application]),
    case application:ensure_all_started(Application, temporary) of
        {ok, _} -> ok;
        {error, {Failed, Reason}} -> {error, ["erlang.applications: ", failed(Application, Failed), why(Reason)]}
    end.

failed(Application, Application) ->
    [atom_to_list(Application), ": "];
failed(Application, Needed) ->
    [atom_to_list(Application), " needs ", atom_to_list(Needed), ": "].

why({"no such file or directory", File}) ->
    ["there is no ", File, " in erlang.code_path or with Erlang itself", hints()];
why({[_ | _] = Text, [_ | _] = File} = Reason) ->
    %% What file:format_error/1 has made of a resource file that cannot be read.
    case io_lib:deep_char_list(Text) andalso io_lib:char_list(File) of
        true -> [File, ":", Text];
        false -> io_lib:format("~0tp", [Reason])
    end;
why({bad_return, {{Module, start, _}, {'EXIT', {Reason, Stack}}}}) when is_list(Stack) ->
    io_lib:format("~ts:start/2 has crashed: ~0tp at ~0tp", [Module, Reason, lists:sublist(Stack, 3)]);
why({bad_return, {{Module, start, _}, {'EXIT', Reason}}}) ->
    io_lib:format("~ts:start/2 has crashed: ~0tp", [Module, Reason]);
why({bad_return, {{Module, start, _}, Returned}}) ->
    io_lib:format("~ts:start/2 has returned ~0tp, not {ok, Pid}", [Module, Returned]);
why({{bad_return, _} = Reason, _}) ->
    why(Reason);
why({Reason, {Module, start, _}}) ->
    io_lib:format("~ts:start/2 has failed: ~ts", [Module, inner(Reason)]);
why(Reason) ->
    io_lib:format("~0tp", [Reason]).

inner({shutdown, Reason}) -> inner(Reason);
inner({failed_to_start_child, Child, Reason}) -> io_lib:format("child ~0tp: ~ts", [Child, inner(Reason)]);
inner({'EXIT', Reason}) -> inner(Reason);
inner({Reason, Stack}) when is_list(Stack), Stack =/= [] -> io_lib:format("~0tp at ~0tp", [Reason, lists:sublist(Stack, 3)]);
inner(Reason) -> io_lib:format("~0tp", [Reason]).

hints() ->
    {ok, Arguments} = init:get_argument(pa),
    [["; ", D, " ", H] || D <- lists:append(Arguments), (H = path_hint(D)) =/= none].
