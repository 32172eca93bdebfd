%% The bounded queue of whoever is pushed messages: a link, or the courier to
%% another node.  Publishers send to its mailbox themselves, so what waits there
%% is counted beside it: whoever finds the queue full counts a loss for the topic
%% instead of sending, and nobody waits.
%%
%% Once a message was lost all are, until the receiver has come to the word of it
%% ({dropped, Topic}, one for each topic) that stands in its mailbox behind
%% what was let in before: so the gap is told where it is, and once.
-module(hornbeam_push).

-export([new/0, admit/2, written/2, lose/4, resume/1, cost/1]).
-export([gap/2, told_gap/1]).
-export_type([queue/0]).

%% Bytes; one message more may be let in.  A client that reads at all takes as
%% much in a tenth of a second; one that does not holds this and no more.
-define(MAX, 8388608).
%% What a message costs beside its bytes: in a mailbox, and in the parts of a write.
-define(OVERHEAD, 160).

-define(QUEUED, 1).
%% Losses that are being counted, and words of a loss that the receiver has not come to.
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

%% @doc Counts a loss by Count, which says whether there was none before: then the receiver
%% is told, once, that there is a count to take.  Nothing is let in while a loss is being
%% counted, nor between that word and resume/1: so no message stands between two losses
%% that are told as one.
-spec lose(queue(), pid(), binary(), fun(() -> first | more | nowhere)) -> ok.
lose(Queue, Pid, Topic, Count) ->
    ok = atomics:add(Queue, ?LOSING, 1),
    case Count() of
        first ->
            Pid ! {dropped, binary:copy(Topic)},
            ok;
        _ ->
            resume(Queue)
    end.

%% @doc Lets messages in again, unless another word is on its way; called after the count was taken.
-spec resume(queue()) -> ok.
resume(Queue) ->
    atomics:sub(Queue, ?LOSING, 1).

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
