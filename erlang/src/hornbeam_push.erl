%% The bounded queue of whoever is pushed messages: a link, or the courier to
%% another node.  Publishers send to its mailbox themselves, so what waits there
%% is counted beside it: whoever finds the queue full counts a loss for the topic
%% instead of sending, and nobody waits.
%%
%% Once a message was lost all are, until the receiver has come to the word of it
%% ({dropped, Topic}) that stands in its mailbox behind what was let in before: so
%% the gap is told when whoever reads comes to it, and once.  What is lost just as
%% the queue opens may be told with the loss before, a few messages too early.
-module(hornbeam_push).

-export([new/0, admit/2, written/2, full/1, tell/4, resume/1, cost/1]).
-export([gap/2, told_gap/1]).
-export_type([queue/0]).

%% Bytes; one message more may be let in.  A client that reads at all takes as
%% much in a tenth of a second; one that does not holds this and no more.
-define(MAX, 8388608).
%% What a message costs beside its bytes: in a mailbox, and in the parts of a write.
-define(OVERHEAD, 160).

-define(QUEUED, 1).
-define(LOSING, 2).
-define(GAPS, 3).
%% Words of a gap that may wait for one receiver: beyond that it knows.
-define(GAPS_MAX, 100).

-opaque queue() :: atomics:atomics_ref().

-spec new() -> queue().
new() ->
    atomics:new(3, []).

%% @doc Whether a message of so many bytes may be sent; then its cost is counted until written/2.
-spec admit(queue(), non_neg_integer()) -> boolean().
admit(Queue, Bytes) ->
    case atomics:get(Queue, ?LOSING) of
        0 ->
            Cost = cost(Bytes),
            atomics:add_get(Queue, ?QUEUED, Cost) - Cost < ?MAX orelse
                begin
                    ok = atomics:sub(Queue, ?QUEUED, Cost),
                    false
                end;
        _ ->
            false
    end.

-spec cost(non_neg_integer()) -> pos_integer().
cost(Bytes) ->
    Bytes + ?OVERHEAD.

%% @doc Messages of this cost have gone.
-spec written(queue(), non_neg_integer()) -> ok.
written(Queue, Cost) ->
    atomics:sub(Queue, ?QUEUED, Cost).

%% @doc Lets no message in from now on; called before a loss is counted.
-spec full(queue()) -> ok.
full(Queue) ->
    atomics:put(Queue, ?LOSING, 1).

%% @doc The receiver learns that there is a count to take, from whoever makes it out of
%% nothing; and again whenever it doubles, as who was to tell may have been killed before.
-spec tell(pid(), binary(), Before :: non_neg_integer(), Now :: pos_integer()) -> ok.
tell(Pid, Topic, Before, Now) when Before bxor Now > Before ->
    Pid ! {dropped, binary:copy(Topic)},
    ok;
tell(_Pid, _Topic, _Before, _Now) ->
    ok.

%% @doc Opens the queue; called after the count was taken.  A publisher that shuts it
%% later counts later, and finds nothing there: it tells again.
-spec resume(queue()) -> ok.
resume(Queue) ->
    atomics:put(Queue, ?LOSING, 0).

%% @doc The receiver learns, in the place where it is, that messages may have been lost that nobody counted.
-spec gap(pid(), queue()) -> ok.
gap(Pid, Queue) ->
    case atomics:add_get(Queue, ?GAPS, 1) =< ?GAPS_MAX of
        true -> Pid ! gap, ok;
        false -> told_gap(Queue)
    end.

-spec told_gap(queue()) -> ok.
told_gap(Queue) ->
    atomics:sub(Queue, ?GAPS, 1).
