%% Gives the memory of expired keys back.  It looks at the table in small
%% batches, at most a tenth of the time, and only when something can have
%% expired; a writer that meets a limit has it look at once.
-module(hornbeam_sweeper).
-behaviour(gen_server).

-export([start_link/0, make_room/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include_lib("kernel/include/logger.hrl").

-define(INTERVAL, 1000).
%% A writer that died between its two steps can leave the bound of the earliest expiry too high.
-define(ALWAYS, 60000).

-record(state, {swept :: integer()}).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc Whether expired keys have given place now.
-spec make_room() -> boolean().
make_room() ->
    try
        gen_server:call(?MODULE, make_room, infinity)
    catch
        exit:_ -> false
    end.

-spec init([]) -> {ok, #state{}}.
init([]) ->
    _ = erlang:send_after(?INTERVAL, self(), sweep),
    {ok, #state{swept = hornbeam_clock:ms()}}.

-spec handle_call(make_room, gen_server:from(), #state{}) -> {reply, boolean(), #state{}}.
handle_call(make_room, _From, State) ->
    Now = hornbeam_clock:ms(),
    case hornbeam_counts:earliest() =< Now of
        true -> {reply, sweep(Now) > 0, State#state{swept = Now}};
        false -> {reply, false, State}
    end.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(Message, State) ->
    ?LOG_WARNING("sweeper: unexpected message ~0tp", [Message]),
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info(sweep, #state{swept = Swept} = State) ->
    Now = hornbeam_clock:ms(),
    Due = hornbeam_counts:earliest() =< Now orelse Swept + ?ALWAYS =< Now,
    Due andalso sweep(Now),
    Took = hornbeam_clock:ms() - Now,
    _ = erlang:send_after(max(?INTERVAL, 10 * Took), self(), sweep),
    {noreply, case Due of true -> State#state{swept = Now}; false -> State end};
handle_info(Message, State) ->
    ?LOG_WARNING("sweeper: unexpected message ~0tp", [Message]),
    {noreply, State}.

sweep(Now) ->
    ok = hornbeam_counts:reset_earliest(),
    {Dropped, Earliest} = sweep(hornbeam_table:expired(start, Now), Now, 0, never),
    Earliest =:= never orelse hornbeam_counts:lower_earliest(Earliest),
    Dropped.

sweep('$end_of_table', _Now, Dropped, Earliest) ->
    {Dropped, Earliest};
sweep({Batch, Continuation}, Now, Dropped0, Earliest0) ->
    {Dropped, Earliest} = lists:foldl(fun drop/2, {Dropped0, Earliest0}, Batch),
    sweep(hornbeam_table:expired(Continuation, Now), Now, Dropped, Earliest).

drop(Expires, {Dropped, Earliest}) when is_integer(Expires) ->
    {Dropped, min(Expires, Earliest)};
drop({_, _, {locked, _, _}, Expires} = Row, {Dropped, Earliest}) ->
    _ = hornbeam_table:drop_dead_lock(Row),
    {Dropped, case Expires of 0 -> Earliest; _ -> min(Expires, Earliest) end};
drop(Row, {Dropped, Earliest}) ->
    case hornbeam_table:drop_expired(Row) of
        true -> {Dropped + 1, Earliest};
        %% Changed meanwhile: whoever did has lowered the bound if need be.
        false -> {Dropped, Earliest}
    end.
