%% Calls that nobody waits for: each in a process of its own, of bounded number.
%% This process knows them, logs how they fail and takes them with it.
-module(hornbeam_casts).
-behaviour(gen_server).

-export([start_link/0, start/3, count/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include_lib("kernel/include/logger.hrl").

-define(MAX, 20000).
-define(BYTES_MAX, 268435456).
%% In the counter.
-define(COUNT, 1).
-define(BYTES, 2).

-type running() :: #{pid() => {What :: iodata(), Bytes :: non_neg_integer()}}.

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Runs Fun, which holds so many bytes of a client; What says in the log whose failure it is.
-spec start(iodata(), non_neg_integer(), fun(() -> term())) -> ok.
start(What, Bytes, Fun) ->
    Server = server(),
    Counter = counter(),
    Count = atomics:add_get(Counter, ?COUNT, 1),
    Sum = atomics:add_get(Counter, ?BYTES, Bytes),
    case Count =< ?MAX andalso Sum =< ?BYTES_MAX of
        true ->
            Pid = spawn(fun() -> run(Server, What, Fun) end),
            gen_server:cast(Server, {watch, Pid, {What, Bytes}});
        false ->
            ok = take(Bytes),
            hornbeam_error:throw(limit, [
                "too many casts are under way; there may be ", integer_to_binary(?MAX), ", of ",
                integer_to_binary(?BYTES_MAX), " bytes"
            ])
    end.

%% It is made anew in a moment; a cast to nobody would be lost without a word.
server() ->
    case whereis(?MODULE) of
        undefined -> hornbeam_error:throw(system, "casts are not run just now");
        Server -> Server
    end.

take(Bytes) ->
    ok = atomics:sub(counter(), ?COUNT, 1),
    ok = atomics:sub(counter(), ?BYTES, Bytes).

%% @doc How many are under way.
-spec count() -> non_neg_integer().
count() ->
    atomics:get(counter(), ?COUNT).

%% Not before it is watched: nobody would hear how it ended.  The server that was asked to do that
%% may have died: another one would never say so.
run(Server, What, Fun) ->
    true = link(Server),
    receive
        ?MODULE -> ok
    end,
    case hornbeam_calls:outcome(Fun) of
        {returned, _} -> ok;
        {raised, _, _, Text} -> ?LOG_WARNING("cast of ~ts: ~ts", [What, Text])
    end.

-spec init([]) -> {ok, running()}.
init([]) ->
    _ = process_flag(trap_exit, true),
    ok = atomics:put(counter(), ?COUNT, 0),
    ok = atomics:put(counter(), ?BYTES, 0),
    {ok, #{}}.

counter() ->
    case persistent_term:get(?MODULE, none) of
        none ->
            ok = persistent_term:put(?MODULE, atomics:new(2, [{signed, true}])),
            counter();
        Counter ->
            Counter
    end.

-spec handle_call(term(), gen_server:from(), running()) -> {noreply, running()}.
handle_call(Request, _From, Running) ->
    ?LOG_WARNING("casts: unexpected request ~0tp", [Request]),
    {noreply, Running}.

-spec handle_cast({watch, pid(), {iodata(), non_neg_integer()}}, running()) -> {noreply, running()}.
handle_cast({watch, Pid, Cast}, Running) ->
    _ = erlang:monitor(process, Pid),
    Pid ! ?MODULE,
    {noreply, Running#{Pid => Cast}}.

-spec handle_info(term(), running()) -> {noreply, running()}.
handle_info({'DOWN', _Monitor, process, Pid, Reason}, Running) when is_map_key(Pid, Running) ->
    {{What, Bytes}, Others} = maps:take(Pid, Running),
    ok = take(Bytes),
    Reason =:= normal orelse ?LOG_WARNING("cast of ~ts: ended by ~0tp", [What, Reason]),
    {noreply, Others};
handle_info({'EXIT', _Pid, _Reason}, Running) ->
    {noreply, Running};
handle_info(Message, Running) ->
    ?LOG_WARNING("casts: unexpected message ~0tp", [Message]),
    {noreply, Running}.

-spec terminate(term(), running()) -> ok.
terminate(_Reason, Running) ->
    _ = [exit(Pid, kill) || Pid <- maps:keys(Running)],
    ok.
