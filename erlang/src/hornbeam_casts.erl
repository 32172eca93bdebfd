%% Calls that nobody waits for: each in a process of its own, of bounded number.
%% This process knows them, logs how they fail and takes them with it.
-module(hornbeam_casts).
-behaviour(gen_server).

-export([start_link/0, start/2, count/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include_lib("kernel/include/logger.hrl").

-define(MAX, 20000).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% -doc Runs Fun; What says in the log whose failure it is.
-spec start(iodata(), fun(() -> term())) -> ok.
start(What, Fun) ->
    Counter = counter(),
    case atomics:add_get(Counter, 1, 1) =< ?MAX of
        true ->
            Pid = spawn(fun() -> run(What, Fun) end),
            gen_server:cast(?MODULE, {watch, Pid, What});
        false ->
            ok = atomics:sub(Counter, 1, 1),
            hornbeam_error:throw(limit, [integer_to_binary(?MAX), " casts are under way; there may be no more"])
    end.

%% -doc How many are under way.
-spec count() -> non_neg_integer().
count() ->
    atomics:get(counter(), 1).

%% Not before it is watched: nobody would hear how it ended.
run(What, Fun) ->
    true = link(whereis(?MODULE)),
    receive
        ?MODULE -> ok
    end,
    case hornbeam_calls:outcome(Fun) of
        {returned, _} -> ok;
        {raised, _, _, Text} -> ?LOG_WARNING("cast of ~ts: ~ts", [What, Text])
    end.

-spec init([]) -> {ok, #{pid() => iodata()}}.
init([]) ->
    _ = process_flag(trap_exit, true),
    ok = atomics:put(counter(), 1, 0),
    {ok, #{}}.

counter() ->
    case persistent_term:get(?MODULE, none) of
        none ->
            ok = persistent_term:put(?MODULE, atomics:new(1, [{signed, true}])),
            counter();
        Counter ->
            Counter
    end.

-spec handle_call(term(), gen_server:from(), map()) -> {noreply, map()}.
handle_call(Request, _From, Running) ->
    ?LOG_WARNING("casts: unexpected request ~0tp", [Request]),
    {noreply, Running}.

-spec handle_cast({watch, pid(), iodata()}, map()) -> {noreply, map()}.
handle_cast({watch, Pid, What}, Running) ->
    _ = erlang:monitor(process, Pid),
    Pid ! ?MODULE,
    {noreply, Running#{Pid => What}}.

-spec handle_info(term(), map()) -> {noreply, map()}.
handle_info({'DOWN', _Monitor, process, Pid, Reason}, Running) when is_map_key(Pid, Running) ->
    {What, Others} = maps:take(Pid, Running),
    ok = atomics:sub(counter(), 1, 1),
    Reason =:= normal orelse ?LOG_WARNING("cast of ~ts: ended by ~0tp", [What, Reason]),
    {noreply, Others};
handle_info({'EXIT', _Pid, _Reason}, Running) ->
    {noreply, Running};
handle_info(Message, Running) ->
    ?LOG_WARNING("casts: unexpected message ~0tp", [Message]),
    {noreply, Running}.

-spec terminate(term(), map()) -> ok.
terminate(_Reason, Running) ->
    _ = [exit(Pid, kill) || Pid <- maps:keys(Running)],
    ok.
