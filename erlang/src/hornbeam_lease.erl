%% One computation for many callers: the first that misses a key gets a lease,
%% the others wait for the value that its holder puts.  A lease that is
%% dropped, that is older than 30 s or whose holder is gone goes to the next.
%% Answers are messages {hornbeam_lease, Tag, Answer} to the caller.
-module(hornbeam_lease).
-behaviour(gen_server).

-export([start_link/0, fetch/3, put/5, drop/3, count/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([from/0, answer/0]).

-include_lib("kernel/include/logger.hrl").

-define(LEASE_MS, 30000).

-type key() :: hornbeam_table:key().
-type token() :: pos_integer().
%% A link asks for many callers; a process asks for itself, and would wait for itself.
-type from() :: {link | process, pid(), Tag :: term()}.
-type answer() ::
    {value, hornbeam_table:value()} | {lease, token()} | boolean() | ok
    | {refused, hornbeam_error:class(), binary()}.

-record(lease, {
    token :: token(),
    holder :: from(),
    timer :: reference(),
    waiters :: queue:queue({from(), Deadline :: non_neg_integer()})
}).
-record(state, {
    last :: token(),
    ms :: pos_integer(),
    leases = #{} :: #{key() => #lease{}},
    %% Everyone who holds a lease or waits for one, with the number of times.
    callers = #{} :: #{pid() => {Monitor :: reference(), pos_integer()}}
}).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Answers {value, V} or {lease, Token}; a waiter past its deadline gets no lease.
-spec fetch(key(), from(), Deadline :: 0..16#ffffffff) -> ok.
fetch(Key, From, Deadline) ->
    gen_server:cast(?MODULE, {fetch, Key, From, Deadline}).

%% @doc Answers true, or false if the lease had gone.
-spec put(key(), token(), hornbeam_table:value(), non_neg_integer(), from()) -> ok.
put(Key, Token, Value, Ttl, From) ->
    gen_server:cast(?MODULE, {put, Key, Token, Value, Ttl, From}).

%% @doc Answers ok.
-spec drop(key(), token(), from()) -> ok.
drop(Key, Token, From) ->
    gen_server:cast(?MODULE, {drop, Key, Token, From}).

%% @doc How many leases are held: none while they are restarted.
-spec count() -> non_neg_integer().
count() ->
    try
        gen_server:call(?MODULE, count)
    catch
        exit:{Reason, _} when Reason =/= timeout -> 0
    end.

-spec init([]) -> {ok, #state{}}.
init([]) ->
    %% Tokens of an earlier run are not given out again.
    {ok, #state{
        last = erlang:system_time(microsecond),
        ms = application:get_env(hornbeam, lease_ms, ?LEASE_MS)
    }}.

-spec handle_call(count, gen_server:from(), #state{}) -> {reply, non_neg_integer(), #state{}}.
handle_call(count, _From, State) ->
    {reply, map_size(State#state.leases), State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({fetch, Key, From, Deadline}, State) ->
    {noreply, fetch(Key, From, Deadline, State)};
handle_cast({put, Key, Token, Value, Ttl, From}, #state{leases = Leases} = State) ->
    case Leases of
        #{Key := #lease{token = Token}} ->
            answer(From, stored(fun() -> hornbeam_store:set(Key, Value, Ttl) =:= ok end)),
            {noreply, release(Key, State)};
        _ ->
            answer(From, false),
            {noreply, State}
    end;
handle_cast({drop, Key, Token, From}, #state{leases = Leases} = State) ->
    answer(From, ok),
    case Leases of
        #{Key := #lease{token = Token}} -> {noreply, release(Key, State)};
        _ -> {noreply, State}
    end;
handle_cast(Message, State) ->
    ?LOG_WARNING("leases: unexpected message ~0tp", [Message]),
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({timeout, _Timer, {expired, Key, Token}}, #state{leases = Leases} = State) ->
    case Leases of
        #{Key := #lease{token = Token}} -> {noreply, release(Key, State)};
        _ -> {noreply, State}
    end;
handle_info({'DOWN', _Monitor, process, Pid, _Reason}, State) ->
    {noreply, gone(Pid, State)};
handle_info(Message, State) ->
    ?LOG_WARNING("leases: unexpected message ~0tp", [Message]),
    {noreply, State}.

fetch(Key, {Kind, Pid, _} = From, Deadline, #state{leases = Leases} = State) ->
    case {hornbeam_table:read(Key), Leases} of
        {{_, Value, _, _}, _} ->
            answer(From, {value, Value}),
            State;
        {none, #{Key := #lease{holder = {process, Pid, _}, token = Token}}} when Kind =:= process ->
            answer(From, {lease, Token}),
            State;
        {none, #{Key := #lease{waiters = Waiters} = Lease}} ->
            More = Lease#lease{waiters = queue:in({From, Deadline}, Waiters)},
            watch(Pid, State#state{leases = Leases#{Key := More}});
        {none, _} ->
            grant(Key, From, queue:new(), watch(Pid, State))
    end.

%% From is being watched already.
grant(Key, From, Waiters, #state{last = Last, leases = Leases, ms = Ms} = State) ->
    Token = Last + 1,
    Lease = #lease{
        token = Token,
        holder = From,
        timer = erlang:start_timer(Ms, self(), {expired, Key, Token}),
        waiters = Waiters
    },
    answer(From, {lease, Token}),
    State#state{last = Token, leases = Leases#{Key => Lease}}.

%% Ends a lease: everyone who waits gets the value or, if there is none, the next one the lease.
release(Key, #state{leases = Leases} = State) ->
    {#lease{holder = {_, Pid, _}, timer = Timer, waiters = Waiters}, Others} = maps:take(Key, Leases),
    _ = erlang:cancel_timer(Timer),
    next(Key, hornbeam_table:read(Key), Waiters, unwatch(Pid, State#state{leases = Others})).

next(Key, Row, Waiters, State) ->
    case {queue:out(Waiters), Row} of
        {{empty, _}, _} ->
            State;
        {{{value, {{_, Pid, _} = From, _}}, Rest}, {_, Value, _, _}} ->
            answer(From, {value, Value}),
            next(Key, Row, Rest, unwatch(Pid, State));
        {{{value, {{_, Pid, _} = From, Deadline}}, Rest}, none} ->
            %% Whoever has stopped waiting would hold the lease until it expires.
            case hornbeam_clock:past(Deadline) of
                true ->
                    answer(From, {refused, timeout, <<"no value was computed in time">>}),
                    next(Key, Row, Rest, unwatch(Pid, State));
                false -> grant(Key, From, Rest, State)
            end
    end.

%% A caller's process has ended: what it waited for is forgotten, what it held goes on.
gone(Pid, #state{leases = Leases, callers = Callers} = State) ->
    Others = maps:map(
        fun(_Key, #lease{waiters = Waiters} = Lease) ->
            Lease#lease{waiters = queue:filter(fun({{_, P, _}, _}) -> P =/= Pid end, Waiters)}
        end,
        Leases
    ),
    Held = [Key || {Key, #lease{holder = {_, P, _}}} <- maps:to_list(Leases), P =:= Pid],
    Left = State#state{leases = Others, callers = maps:remove(Pid, Callers)},
    lists:foldl(fun release/2, Left, Held).

watch(Pid, #state{callers = Callers} = State) ->
    {Monitor, N} =
        case Callers of
            #{Pid := Known} -> Known;
            _ -> {erlang:monitor(process, Pid), 0}
        end,
    State#state{callers = Callers#{Pid => {Monitor, N + 1}}}.

unwatch(Pid, #state{callers = Callers} = State) ->
    case Callers of
        #{Pid := {Monitor, 1}} ->
            erlang:demonitor(Monitor, [flush]),
            State#state{callers = maps:remove(Pid, Callers)};
        #{Pid := {Monitor, N}} ->
            State#state{callers = Callers#{Pid := {Monitor, N - 1}}};
        _ ->
            State
    end.

stored(Fun) ->
    try
        Fun()
    catch
        throw:{refused, _, _} = Refused -> Refused
    end.

answer({_Kind, Pid, Tag}, Answer) ->
    Pid ! {hornbeam_lease, Tag, Answer},
    ok.
