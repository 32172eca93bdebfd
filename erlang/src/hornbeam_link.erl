%% One link: the process that serves one client.  It handles what is in its
%% mailbox, then writes all the replies at once.
%%
%% Nothing a client does makes it grow without bound: while a write waits for
%% a client that does not read, nothing more is read from it, and after the
%% listener's send timeout it is cut.  Long replies go out in parts, one at a
%% time, with whatever else is to be said in between.
%%
%% A link that subscribes is pushed messages from then on, and is not cut: what
%% it does not read in time is dropped by those who publish (hornbeam_push) and
%% told in a gap frame.
-module(hornbeam_link).

-export([start_link/1, go/1, init/2]).

-include("hornbeam_link.hrl").
-include_lib("kernel/include/logger.hrl").

%% Messages from the socket before it stops.  It is asked for more when half of
%% them have come: a socket that stops is taken out of the schedulers' poll set,
%% and the next requests take the longer way over the poll thread.
-define(ACTIVE, 100).
%% Replies are written when there are so many bytes of them, or nothing else to do.
-define(BATCH, 262144).
%% With so many bytes in parts to write, or so many answers to come, no more requests are taken.
-define(PARTS_MAX, 33554432).
-define(JOBS_MAX, 8).
%% Of one client: its calls of functions, of other nodes and of hooks that run at once.
-define(RUNS_MAX, 20000).
-define(RUNS_BYTES_MAX, 268435456).
-define(PENDING_MAX, 10000).
-define(RUNNER, [link, monitor, {min_heap_size, 376}]).
%% Words; a request of 16 MiB and its reply stay far below.
-define(HEAP_MAX, 67108864).

-record(run, {
    kind :: job | run,
    op :: byte(),
    id :: non_neg_integer(),
    bytes = 0 :: non_neg_integer(),
    %% Its deadline, and how many milliseconds it had.
    until = infinity :: integer() | infinity,
    ms = infinity :: timeout(),
    late = fun late/1 :: fun((timeout()) -> iodata())
}).
-record(link, {
    parent :: pid(),
    socket :: gen_tcp:socket(),
    %% The start of a frame: chunks, last first, and how many bytes it lacks at least.
    input = [] :: [binary()],
    missing = 0 :: integer(),
    %% Messages since the socket was last asked.
    taken = 0 :: non_neg_integer(),
    out = [] :: iodata(),
    out_size = 0 :: non_neg_integer(),
    %% Replies in parts, served in turn.
    parts = [] :: [{byte(), Flags :: byte(), non_neg_integer(), [iodata(), ...]}],
    parts_size = 0 :: non_neg_integer(),
    %% The processes that answer requests: see runner/1.
    jobs = 0 :: non_neg_integer(),
    runs = 0 :: non_neg_integer(),
    %% One timer for all of them: starting and stopping one for each call costs more than its process.
    alarm :: undefined | reference(),
    alarm_at = infinity :: integer() | infinity,
    %% What their requests hold, and how long the one that is looked at is.
    runs_bytes = 0 :: non_neg_integer(),
    bytes = 0 :: non_neg_integer(),
    %% Requests that the leases will answer, and the monitor of those.
    pending = #{} :: #{non_neg_integer() => byte()},
    leases :: undefined | reference(),
    %% Once it has subscribed: its queue, the cost of its messages in `out`, and of what to tell the loss.
    queue :: undefined | hornbeam_push:queue(),
    pushed = 0 :: non_neg_integer(),
    gaps = #{} :: #{binary() => pos_integer()},
    %% Once it has provided a function of its own: what it was asked to run.
    tasks :: undefined | hornbeam_tasks:tasks(),
    ops :: counters:counters_ref(),
    peer :: undefined | hornbeam_links:peer()
}).

-spec start_link(gen_tcp:socket()) -> {ok, pid()}.
start_link(Socket) ->
    Options = [
        link, {min_heap_size, 2584}, {fullsweep_after, 20},
        {max_heap_size, #{size => ?HEAP_MAX, kill => true, error_logger => true}}
    ],
    {ok, proc_lib:spawn_opt(?MODULE, init, [self(), Socket], Options)}.

%% @doc The process owns its socket now.
-spec go(pid()) -> ok.
go(Pid) ->
    Pid ! go,
    ok.

-spec init(pid(), gen_tcp:socket()) -> ok.
init(Parent, Socket) ->
    %% What runs for the client ends with the link, but not the link with it.
    _ = process_flag(trap_exit, true),
    receive
        go -> ok;
        {'EXIT', Parent, Reason} -> exit(Reason)
    end,
    try
        ask(Socket, ?ACTIVE),
        loop(#link{parent = Parent, socket = Socket, ops = counters:new(2, [])})
    catch
        throw:closed -> ok;
        throw:unread -> ?LOG_WARNING("link: cut a client that left its replies unread");
        throw:{cut, Text} -> ?LOG_WARNING("link: ~ts", [Text])
    after
        gen_tcp:close(Socket),
        kill_runners(),
        hornbeam_links:remove()
    end,
    ok.

%% The process dictionary has what each runner answers, and which one a request's id means: of
%% thousands it is cheaper than maps, and whatever is thrown to end this process has no state.
-spec runner(pid()) -> #run{} | undefined.
runner(Pid) ->
    get(Pid).

runners() ->
    [{Pid, Run} || {Pid, #run{} = Run} <- get()].

%% Their link would not end them where this process ends normally, nor where their code unlinks or
%% traps exits.
kill_runners() ->
    _ = [exit(Pid, kill) || {Pid, _} <- runners()],
    ok.

loop(#link{parts = []} = Link) ->
    receive
        Message -> batch(message(Message, Link))
    end;
loop(Link) ->
    batch(Link).

%% What is in the mailbox, up to a fair share, before the replies are written.
batch(#link{out_size = Size} = Link) when Size >= ?BATCH ->
    loop(flush(Link));
batch(Link) ->
    receive
        Message -> batch(message(Message, Link))
    after 0 ->
        loop(flush(Link))
    end.

message({tcp, Socket, Bytes}, #link{socket = Socket, taken = Taken} = Link) when Taken < ?ACTIVE div 2 ->
    input(Bytes, Link#link{taken = Taken + 1});
message({tcp, Socket, Bytes}, #link{socket = Socket, taken = Taken} = Link) ->
    ask(Socket, Taken),
    input(Bytes, Link#link{taken = 1});
message({pushed, Frame}, Link) ->
    #link{out = Out, out_size = Size, pushed = Pushed} = Told = tell_gaps(Link),
    Cost = hornbeam_push:cost(byte_size(Frame)),
    grown(Told#link{out = [Out, Frame], out_size = Size + byte_size(Frame), pushed = Pushed + Cost});
message({dropped, Topic}, #link{queue = Queue, gaps = Gaps} = Link) ->
    Dropped = hornbeam_topics:dropped(Topic, self()),
    ok = hornbeam_push:resume(Queue),
    case Dropped of
        0 -> Link;
        _ -> Link#link{gaps = Gaps#{Topic => Dropped + maps:get(Topic, Gaps, 0)}}
    end;
message(gap, #link{queue = Queue} = Link) ->
    ok = hornbeam_push:told_gap(Queue),
    push(hornbeam_link_codec:pushed(?HB_OP_GAP, term_to_binary([])), tell_gaps(Link));
message({hornbeam_lease, Id, Answer}, #link{pending = Pending} = Link) ->
    case maps:take(Id, Pending) of
        {Op, Others} -> reply(Op, Id, lease_answer(Answer), Link#link{pending = Others});
        error -> Link
    end;
message({ran, Pid, Outcome}, Link) ->
    ran(Pid, Outcome, Link);
message({'EXIT', Parent, Reason}, #link{parent = Parent}) ->
    exit(Reason);
message({'EXIT', _Pid, _Reason}, Link) ->
    Link;
message({timeout, Alarm, deadlines}, #link{alarm = Alarm} = Link) ->
    deadlines(hornbeam_clock:ms(), Link#link{alarm = undefined, alarm_at = infinity});
message({timeout, _Old, deadlines}, Link) ->
    Link;
message({tcp_passive, Socket}, #link{socket = Socket} = Link) ->
    %% All that was asked for has come; the messages before this one ask for more as they are taken.
    Link;
message({tcp_closed, Socket}, #link{socket = Socket}) ->
    throw(closed);
message({tcp_error, Socket, _Reason}, #link{socket = Socket}) ->
    throw(closed);
message({task, Task}, #link{tasks = Tasks} = Link) ->
    {Frame, Others} = hornbeam_tasks:start(Task, Tasks),
    push(Frame, Link#link{tasks = Others});
message({task_over, Id}, #link{tasks = Tasks} = Link) ->
    task_over(hornbeam_tasks:stop(Id, Tasks), Link);
message({'DOWN', Monitor, process, _, _}, #link{leases = Monitor, pending = Pending} = Link) ->
    Failed = {refused, system, <<"the leases were lost: the companion has restarted them">>},
    maps:fold(
        fun(Id, Op, L) -> reply(Op, Id, Failed, L) end,
        Link#link{leases = undefined, pending = #{}},
        Pending
    );
message({'DOWN', Monitor, process, Pid, Reason}, Link) ->
    down(runner(Pid), Monitor, Pid, Reason, Link);
message(Message, Link) ->
    ?LOG_WARNING("link: unexpected message ~0tp", [Message]),
    Link.

%% A runner had no time to say how it ended: it was killed, or was linked to what was.
down(#run{} = Run, _Monitor, Pid, Reason, Link) ->
    answered(Run, {reply, hornbeam_calls:died(Reason)}, forget(Pid, Run, Link));
down(undefined, Monitor, _Pid, _Reason, #link{tasks = Tasks} = Link) when Tasks =/= undefined ->
    task_over(hornbeam_tasks:gone(Monitor, Tasks), Link);
down(undefined, _Monitor, _Pid, _Reason, Link) ->
    Link.

task_over({Frame, Tasks}, Link) -> push(Frame, Link#link{tasks = Tasks});
task_over(none, Link) -> Link.

push(Frame, #link{out = Out, out_size = Size} = Link) ->
    grown(Link#link{out = [Out | Frame], out_size = Size + iolist_size(Frame)}).

lease_answer({refused, _, _} = Refused) -> Refused;
lease_answer(Answer) -> {reply, hornbeam_link_codec:answer(Answer)}.

%% So many messages more.
ask(Socket, Count) ->
    case inet:setopts(Socket, [{active, Count}]) of
        ok -> ok;
        {error, _} -> throw(closed)
    end.

input(Bytes, #link{input = []} = Link) ->
    requests(Bytes, Link);
input(Bytes, #link{input = Input, missing = Missing} = Link) when byte_size(Bytes) < Missing ->
    Link#link{input = [Bytes | Input], missing = Missing - byte_size(Bytes)};
input(Bytes, #link{input = Input} = Link) ->
    requests(iolist_to_binary(lists:reverse(Input, [Bytes])), Link#link{input = []}).

requests(<<>>, Link) ->
    Link;
requests(Bytes, #link{parts_size = Size} = Link) when Size > ?PARTS_MAX ->
    requests(Bytes, flush(Link));
requests(Bytes, Link) ->
    case hornbeam_link_codec:next(Bytes) of
        {request, Request, Rest} ->
            requests(Rest, request(Request, Link));
        {more, Missing} ->
            Link#link{input = [Bytes], missing = Missing};
        {bad, Id, Op, Text} ->
            close(reply(Op, Id, {refused, protocol, Text}, Link), Text)
    end.

request({_, Op, _, Id, _, _} = Request, #link{peer = undefined} = Link) ->
    case hornbeam_link_hello:check(Request) of
        {ok, Peer, Reply} ->
            Known = Peer#{ops => Link#link.ops},
            ok = hornbeam_links:add(Known),
            reply(Op, Id, {reply, Reply}, Link#link{peer = Known});
        {refused, _, Text} = Refused ->
            close(reply(Op, Id, Refused, Link), Text)
    end;
request({Version, Op, Flags, Id, _, _}, Link) when Version =/= ?HB_LINK_VERSION; Flags =/= 0 ->
    Text = <<"a frame of another version, or with flags">>,
    close(reply(Op, Id, {refused, protocol, Text}, Link), Text);
request({_, ?HB_OP_CANCEL, _, _, _, Payload}, Link) ->
    cancel(guard(fun() -> hornbeam_link_codec:decode(Payload) end), Link);
request({_, ?HB_OP_MISSED, _, _, _, Payload}, Link) ->
    case guard(fun() -> missed(hornbeam_link_codec:decode(Payload)) end) of
        {refused, _, Text} -> close(Link, Text);
        ok -> Link
    end;
request({_, ?HB_OP_RAN, _, _, _, Payload}, #link{tasks = Tasks} = Link) when Tasks =/= undefined ->
    case guard(fun() -> hornbeam_tasks:ran(hornbeam_link_codec:decode(Payload), Tasks) end) of
        {refused, _, Text} -> close(Link, Text);
        Others -> Link#link{tasks = Others}
    end;
request({_, Op, _, Id, Deadline, Payload}, #link{ops = Ops} = Link) ->
    counters:add(Ops, 1, 1),
    case hornbeam_clock:past(Deadline) of
        true -> Link;
        false -> outcome(Op, Id, Deadline, run(Op, Payload, Id, Deadline), Link#link{bytes = byte_size(Payload)})
    end.

%% Subscribers behind this link had no room for so many, or it had none.
missed({Topic, Count}) when is_binary(Topic), is_integer(Count), Count > 0 ->
    hornbeam_topics:missed_there(Topic, Count);
missed(_Malformed) ->
    hornbeam_error:throw(protocol, "what was missed is {Topic, Count}").

run(Op, Payload, Id, Deadline) ->
    guard(fun() -> hornbeam_link_ops:run(Op, Payload, Id, Deadline) end).

guard(Fun) ->
    try
        Fun()
    catch
        throw:{refused, _, _} = Refused ->
            Refused;
        Class:Reason:Stack ->
            ?LOG_ERROR("link: ~0tp", [{Class, Reason, Stack}]),
            {refused, system, <<"internal error in the companion">>}
    end.

outcome(Op, Id, _Deadline, {wait, Ask}, #link{pending = Pending} = Link) when map_size(Pending) < ?PENDING_MAX ->
    %% Watched first: leases that end before they are asked are known to have ended.
    Watching = watch_leases(Link#link{pending = Pending#{Id => Op}}),
    ok = Ask(),
    Watching;
outcome(_Op, _Id, _Deadline, {wait, _Ask}, _Link) ->
    throw({cut, "cut a client with too many requests that wait"});
outcome(Op, Id, _Deadline, {job, Fun}, #link{jobs = Jobs} = Link) when Jobs < ?JOBS_MAX ->
    spawn_runner(Fun, #run{kind = job, op = Op, id = Id}, 0, Link#link{jobs = Jobs + 1});
outcome(Op, Id, _Deadline, {job, Fun}, Link) ->
    reply(Op, Id, guard(fun() -> {reply, Fun()} end), Link);
outcome(Op, Id, Deadline, {run, Fun}, Link) ->
    start_run(Fun, #run{kind = run, op = Op, id = Id}, Deadline, Link);
outcome(Op, Id, Deadline, {run, Fun, Late}, Link) ->
    start_run(Fun, #run{kind = run, op = Op, id = Id, late = Late}, Deadline, Link);
outcome(Op, Id, _Deadline, {subscribe, Topic, Count}, Link) ->
    #link{queue = Queue} = Pushing = pushing(tell_gaps(Link)),
    Subscribe = fun() -> {reply, hornbeam_link_codec:answer(hornbeam_hub:subscribe(Topic, self(), Count, Queue))} end,
    reply(Op, Id, guard(Subscribe), Pushing);
outcome(Op, Id, _Deadline, {provide, Name, true}, Link) ->
    #link{tasks = Tasks} = Providing = providing(Link),
    Provide = fun() -> hornbeam_python:provide(Name, self(), hornbeam_tasks:load(Tasks)) end,
    reply(Op, Id, guard(fun() -> {reply, hornbeam_link_codec:answer(Provide())} end), Providing);
outcome(Op, Id, _Deadline, {provide, Name, false}, Link) ->
    reply(Op, Id, guard(fun() -> {reply, hornbeam_link_codec:answer(hornbeam_python:withdraw(Name, self()))} end), Link);
outcome(Op, Id, _Deadline, Outcome, Link) ->
    reply(Op, Id, Outcome, Link).

providing(#link{tasks = undefined} = Link) -> Link#link{tasks = hornbeam_tasks:new()};
providing(Link) -> Link.

start_run(Fun, Run, Deadline, #link{runs = Runs, runs_bytes = Sum, bytes = Bytes} = Link) when
    Runs < ?RUNS_MAX, Sum + Bytes =< ?RUNS_BYTES_MAX
->
    spawn_runner(Fun, Run#run{bytes = Bytes}, Deadline, Link#link{runs = Runs + 1, runs_bytes = Sum + Bytes});
start_run(_Fun, #run{op = Op, id = Id}, _Deadline, #link{runs = Runs, runs_bytes = Sum} = Link) ->
    Text = [
        "this client has ", integer_to_binary(Runs), " calls under way, of ", integer_to_binary(Sum),
        " bytes; it may have ", integer_to_binary(?RUNS_MAX), ", of ", integer_to_binary(?RUNS_BYTES_MAX)
    ],
    reply(Op, Id, {refused, limit, iolist_to_binary(Text)}, Link).

%% From now on a write may wait for the client as long as it takes, with a bounded mailbox.
pushing(#link{queue = undefined, socket = Socket} = Link) ->
    _ = process_flag(message_queue_data, off_heap),
    _ = inet:setopts(Socket, [{send_timeout, infinity}]),
    Link#link{queue = hornbeam_push:new()};
pushing(Link) ->
    Link.

%% One frame for all topics of which messages were dropped, in its place between the messages.
tell_gaps(#link{gaps = Gaps} = Link) when map_size(Gaps) =:= 0 ->
    Link;
tell_gaps(#link{gaps = Gaps, out = Out, out_size = Size} = Link) ->
    Frame = hornbeam_link_codec:pushed(?HB_OP_GAP, term_to_binary(maps:to_list(Gaps))),
    Link#link{gaps = #{}, out = [Out | Frame], out_size = Size + iolist_size(Frame)}.

%% Fun's result is the reply.
spawn_runner(Fun, #run{kind = job} = Run, _Deadline, Link) ->
    _ = put(spawn_for(Fun), Run),
    Link;
spawn_runner(Fun, #run{kind = run, id = Id} = Run, Deadline, #link{ops = Ops} = Link) ->
    Ms = hornbeam_clock:left(Deadline),
    Until = until(Ms),
    Pid = spawn_for(fun() -> ok = hornbeam_calls:limit(Until), Fun() end),
    _ = put(Pid, Run#run{ms = Ms, until = Until}),
    _ = put(Id, Pid),
    ok = counters:add(Ops, 2, 1),
    set_alarm(Until, Link).

spawn_for(Fun) ->
    Self = self(),
    {Pid, _Monitor} = spawn_opt(fun() -> Self ! {ran, self(), guard(fun() -> {reply, Fun()} end)} end, ?RUNNER),
    Pid.

until(infinity) -> infinity;
until(Ms) -> hornbeam_clock:ms() + Ms.

set_alarm(Until, #link{alarm_at = At} = Link) when Until >= At ->
    Link;
set_alarm(Until, #link{alarm = Old} = Link) ->
    ok = hornbeam_clock:stop(Old),
    Alarm = hornbeam_clock:start(max(1, Until - hornbeam_clock:ms()), deadlines),
    Link#link{alarm = Alarm, alarm_at = Until}.

%% Whoever is late is killed; the alarm is for the next one, but with many not again at once.
deadlines(Now, Link) ->
    Runners = runners(),
    {Late, Others} = lists:partition(fun({_, #run{until = Until}}) -> Until =< Now end, Runners),
    Pause = 1 + length(Runners) div 1000,
    Next = lists:min([infinity | [Until || {_, #run{until = Until}} <- Others]]),
    set_alarm(max(Next, Now + Pause), lists:foldl(fun late/2, Link, Late)).

%% A runner has come to its end.
ran(Pid, Outcome, Link) ->
    case runner(Pid) of
        undefined -> Link;
        Run -> answered(Run, Outcome, forget(Pid, Run, Link))
    end.

late({Pid, #run{late = Late, ms = Ms} = Run}, Link) ->
    true = exit(Pid, kill),
    answered(Run, {refused, timeout, iolist_to_binary(Late(Ms))}, forget(Pid, Run, Link)).

late(Ms) ->
    ["no answer within ", integer_to_binary(Ms), " ms"].

answered(#run{op = Op, id = Id}, Outcome, Link) ->
    reply(Op, Id, Outcome, Link).

forget(Pid, #run{kind = job}, #link{jobs = Jobs} = Link) ->
    _ = erase(Pid),
    Link#link{jobs = Jobs - 1};
forget(Pid, #run{id = Id, bytes = Bytes}, #link{ops = Ops, runs = Runs, runs_bytes = Sum} = Link) ->
    _ = erase(Pid),
    _ = erase(Id),
    ok = counters:sub(Ops, 2, 1),
    Link#link{runs = Runs - 1, runs_bytes = Sum - Bytes}.

%% The client does not want the answer any more, which may be on its way.
cancel(Id, Link) when is_integer(Id) ->
    case get(Id) of
        undefined ->
            Link;
        Pid ->
            true = exit(Pid, kill),
            forget(Pid, runner(Pid), Link)
    end;
cancel(_Malformed, Link) ->
    Link.

watch_leases(#link{leases = undefined} = Link) ->
    Link#link{leases = erlang:monitor(process, hornbeam_lease)};
watch_leases(Link) ->
    Link.

reply(Op, Id, {refused, Class, Text}, Link) ->
    append(Op, ?HB_LINK_ERROR, Id, hornbeam_link_codec:error(Class, Text), Link);
reply(Op, Id, {reply, Payload}, Link) ->
    case hornbeam_link_codec:parts(Payload) of
        [One] ->
            append(Op, 0, Id, One, Link);
        Parts ->
            #link{parts = Others, parts_size = Size} = Link,
            Link#link{parts = Others ++ [{Op, 0, Id, Parts}], parts_size = Size + iolist_size(Payload)}
    end.

append(Op, Flags, Id, Payload, #link{out = Out, out_size = Size} = Link) ->
    Frame = hornbeam_link_codec:frame(Op, Flags, Id, Payload),
    grown(Link#link{out = [Out | Frame], out_size = Size + iolist_size(Frame)}).

%% A message can hold many requests: their replies do not pile up.
grown(#link{out_size = Size} = Link) when Size >= 4 * ?BATCH ->
    flush(Link);
grown(Link) ->
    Link.

%% Writes the replies and one part of one long reply.
flush(Link) ->
    flush_part(tell_gaps(Link)).

flush_part(#link{parts = []} = Link) ->
    write(Link);
flush_part(#link{parts = [{Op, Flags, Id, [Last]} | Others], parts_size = Size} = Link) ->
    Left = Link#link{parts = Others, parts_size = Size - iolist_size(Last)},
    write(add_part(Op, Flags, Id, Last, Left));
flush_part(#link{parts = [{Op, Flags, Id, [Part | Rest]} | Others], parts_size = Size} = Link) ->
    Left = Link#link{parts = Others ++ [{Op, Flags, Id, Rest}], parts_size = Size - iolist_size(Part)},
    write(add_part(Op, Flags bor ?HB_LINK_MORE, Id, Part, Left)).

add_part(Op, Flags, Id, Part, #link{out = Out} = Link) ->
    Link#link{out = [Out | hornbeam_link_codec:frame(Op, Flags, Id, Part)]}.

write(#link{out = []} = Link) ->
    Link;
write(#link{socket = Socket, out = Out} = Link) ->
    case gen_tcp:send(Socket, Out) of
        ok -> written(Link#link{out = [], out_size = 0});
        {error, timeout} -> throw(unread);
        {error, _} -> throw(closed)
    end.

written(#link{pushed = 0} = Link) ->
    Link;
written(#link{queue = Queue, pushed = Pushed} = Link) ->
    ok = hornbeam_push:written(Queue, Pushed),
    Link#link{pushed = 0}.

-spec close(#link{}, iodata()) -> no_return().
close(Link, Text) ->
    _ = write(Link),
    throw({cut, ["refused: ", Text]}).
