%% What a link has asked its client to run: the Python functions under way
%% there, and who waits for each.  A part of the link's state; callers know of
%% it only the load, which says how much a client has to do.
-module(hornbeam_tasks).

-export([new/0, load/1, send/3, give_up/2, count/1, bytes/1]).
-export([start/2, ran/2, stop/2, gone/2]).
-export_type([tasks/0, load/0, task/0]).

-include("hornbeam_link.hrl").

-define(COUNT, 1).
-define(BYTES, 2).

-opaque load() :: counters:counters_ref().
-type id() :: pos_integer().
-type task() :: #{
    id := id(), reply_to := reference(), caller := pid(), name := binary(), args := binary(),
    until := integer() | infinity
}.

-record(tasks, {
    load :: load(),
    running = #{} :: #{id() => {ReplyTo :: reference(), Monitor :: reference(), Bytes :: non_neg_integer()}},
    callers = #{} :: #{Monitor :: reference() => id()}
}).
-opaque tasks() :: #tasks{}.

-spec new() -> tasks().
new() ->
    #tasks{load = counters:new(2, [])}.

-spec load(tasks()) -> load().
load(#tasks{load = Load}) ->
    Load.

%% @doc How many are under way, or on their way to the link.
-spec count(load()) -> integer().
count(Load) ->
    counters:get(Load, ?COUNT).

-spec bytes(load()) -> integer().
bytes(Load) ->
    counters:get(Load, ?BYTES).

%% @doc Gives a link a task; the answer is {ReplyTo, Outcome}, Outcome a refusal too.
-spec send(pid(), load(), task()) -> ok.
send(Link, Load, #{args := Args} = Task) ->
    ok = counters:add(Load, ?COUNT, 1),
    ok = counters:add(Load, ?BYTES, byte_size(Args)),
    Link ! {task, Task},
    ok.

%% @doc Nobody waits for that one any more.
-spec give_up(pid(), id()) -> ok.
give_up(Link, Id) ->
    Link ! {task_over, Id},
    ok.

%% @doc The frame that asks the client.
-spec start(task(), tasks()) -> {iodata(), tasks()}.
start(#{id := Id, reply_to := ReplyTo, caller := Caller, name := Name, args := Args, until := Until}, Tasks) ->
    #tasks{running = Running, callers = Callers} = Tasks,
    %% Whoever has gone by now is told of at once.
    Monitor = erlang:monitor(process, Caller),
    Frame = hornbeam_link_codec:pushed(?HB_OP_RUN, term_to_binary({Id, Name, Args, left(Until)})),
    {Frame, Tasks#tasks{
        running = Running#{Id => {ReplyTo, Monitor, byte_size(Args)}}, callers = Callers#{Monitor => Id}
    }}.

left(infinity) -> 0;
left(Until) -> max(1, Until - hornbeam_clock:ms()).

%% @doc What the client says of one, which may have been given up meanwhile.
-spec ran(term(), tasks()) -> tasks().
ran({Id, Outcome}, Tasks) when is_integer(Id) ->
    case take(Id, Tasks) of
        {ReplyTo, Others} ->
            ReplyTo ! {ReplyTo, outcome(Outcome)},
            Others;
        none ->
            Tasks
    end;
ran(_Malformed, _Tasks) ->
    hornbeam_error:throw(protocol, "what ran is {Id, Outcome}").

outcome({ok, <<131, Tag, _/binary>>} = Outcome) when Tag =/= 80 ->
    Outcome;
outcome({raised, Type, Text, Traceback} = Outcome) when is_binary(Type), is_binary(Text), is_binary(Traceback) ->
    Outcome;
outcome(_Other) ->
    {refused, protocol, <<"the client's answer is neither a result nor an exception">>}.

%% @doc The frame that tells the client to stop it; none where it is over.
-spec stop(id(), tasks()) -> {iodata(), tasks()} | none.
stop(Id, Tasks) ->
    case take(Id, Tasks) of
        {_ReplyTo, Others} -> {hornbeam_link_codec:pushed(?HB_OP_STOP, term_to_binary(Id)), Others};
        none -> none
    end.

%% @doc The same for whoever's end that is.
-spec gone(Monitor :: reference(), tasks()) -> {iodata(), tasks()} | none.
gone(Monitor, #tasks{callers = Callers} = Tasks) ->
    case Callers of
        #{Monitor := Id} -> stop(Id, Tasks);
        _ -> none
    end.

take(Id, #tasks{load = Load, running = Running, callers = Callers} = Tasks) ->
    case maps:take(Id, Running) of
        {{ReplyTo, Monitor, Bytes}, Others} ->
            erlang:demonitor(Monitor, [flush]),
            ok = counters:sub(Load, ?COUNT, 1),
            ok = counters:sub(Load, ?BYTES, Bytes),
            {ReplyTo, Tasks#tasks{running = Others, callers = maps:remove(Monitor, Callers)}};
        error ->
            none
    end.
