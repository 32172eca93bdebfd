%% What the table of state holds, counted exactly, and the limits on it.
%%
%% The counts are atomics that every writer changes: a limit cannot be passed
%% however many write at once, as what is to come is counted before it comes.
-module(hornbeam_counts).
-compile({no_auto_import, [size/1]}).

-export([new/1, reserve/2, add/2, check/1, size/1, version/0, versions/1]).
-export([earliest/0, reset_earliest/0, lower_earliest/1, hit/1, info/0]).
-export_type([limits/0]).

-type limits() :: #{max_keys => non_neg_integer(), max_bytes => non_neg_integer(), max_value => non_neg_integer()}.

%% Atomics: the last version given out, what the table holds, and a lower
%% bound for the moment at which the next row expires.
-define(VERSION, 1).
-define(KEYS, 2).
-define(BYTES, 3).
-define(TTLS, 4).
-define(EARLIEST, 5).
-define(EXPIRED, 6).
-define(NEVER, 16#7fffffffffffffff).
%% Counters, spread over the schedulers.
-define(HITS, 1).
-define(MISSES, 2).

-define(IS_64(N), (N >= -16#8000000000000000 andalso N =< 16#7fffffffffffffff)).

-record(meta, {
    atomics :: atomics:atomics_ref(),
    counters :: counters:counters_ref(),
    max_keys :: non_neg_integer(),
    max_bytes :: non_neg_integer(),
    max_value :: non_neg_integer()
}).

%% @doc Begins to count.  A limit of 0 is none.
-spec new(limits()) -> ok.
new(Limits) ->
    Atomics = atomics:new(6, [{signed, true}]),
    %% Versions of an earlier run are not given out again: who remembers one has none of this run's.
    ok = atomics:put(Atomics, ?VERSION, erlang:system_time(microsecond)),
    ok = atomics:put(Atomics, ?EARLIEST, ?NEVER),
    persistent_term:put(?MODULE, #meta{
        atomics = Atomics,
        counters = counters:new(2, [write_concurrency]),
        max_keys = maps:get(max_keys, Limits, 0),
        max_bytes = maps:get(max_bytes, Limits, 0),
        max_value = maps:get(max_value, Limits, 0)
    }).

%% @doc Counts keys and bytes that are about to come, before they do, so that no limit is ever
%% passed.  What makes it less is counted afterwards.
-spec reserve(Keys :: 0 | 1, Bytes :: integer()) -> ok.
reserve(Keys, Bytes) ->
    #meta{atomics = Atomics, max_keys = MaxKeys, max_bytes = MaxBytes} = meta(),
    case take(Atomics, ?KEYS, Keys, MaxKeys) of
        false ->
            make_room(<<"state.max_keys">>, MaxKeys, <<"keys">>),
            reserve(Keys, Bytes);
        true ->
            case take(Atomics, ?BYTES, Bytes, MaxBytes) of
                true ->
                    ok;
                false ->
                    add(keys, -Keys),
                    make_room(<<"state.max_bytes">>, MaxBytes, <<"bytes">>),
                    reserve(Keys, Bytes)
            end
    end.

take(_Atomics, _Index, Amount, _Max) when Amount =< 0 ->
    true;
take(Atomics, Index, Amount, 0) ->
    atomics:add(Atomics, Index, Amount),
    true;
take(Atomics, Index, Amount, Max) ->
    take(Atomics, Index, Amount, Max, atomics:get(Atomics, Index)).

%% Never above the limit, not even for a moment: another writer would be refused for nothing.
take(_Atomics, _Index, Amount, Max, Now) when Now + Amount > Max ->
    false;
take(Atomics, Index, Amount, Max, Now) ->
    case atomics:compare_exchange(Atomics, Index, Now, Now + Amount) of
        ok -> true;
        Other -> take(Atomics, Index, Amount, Max, Other)
    end.

%% Keys that have expired do not count: they go first.
make_room(Name, Max, Unit) ->
    case hornbeam_sweeper:make_room() of
        true ->
            ok;
        false ->
            hornbeam_error:throw(limit, [Name, ": the limit of ", integer_to_binary(Max), " ", Unit, " is reached"])
    end.

%% @doc Whether a value is small enough.
-spec check(hornbeam_table:value() | absent) -> ok.
check(Value) ->
    #meta{max_value = Max} = meta(),
    case size(Value) of
        Size when Max =:= 0; Size =< Max ->
            ok;
        Size ->
            hornbeam_error:throw(limit, [
                "state.max_value: the value has ", integer_to_binary(Size),
                " bytes, the limit is ", integer_to_binary(Max)
            ])
    end.

%% @doc The bytes that a value counts for.
-spec size(hornbeam_table:value() | absent) -> non_neg_integer().
size(Value) when is_binary(Value) -> byte_size(Value);
size(absent) -> 0;
size(N) when ?IS_64(N) -> 8;
size(N) -> byte_size(binary:encode_unsigned(abs(N))).

meta() ->
    persistent_term:get(?MODULE).

%% @doc Counts what has been done, or takes back what was reserved.
-spec add(keys | bytes | ttls | expired, integer()) -> ok.
add(_What, 0) ->
    ok;
add(What, Amount) ->
    #meta{atomics = Atomics} = meta(),
    atomics:add(Atomics, index(What), Amount).

index(keys) -> ?KEYS;
index(bytes) -> ?BYTES;
index(ttls) -> ?TTLS;
index(expired) -> ?EXPIRED.

%% @doc A version that no row has had.
-spec version() -> hornbeam_table:version().
version() ->
    versions(1).

%% @doc Count of them: the last, with the others just below.
-spec versions(non_neg_integer()) -> hornbeam_table:version().
versions(Count) ->
    #meta{atomics = Atomics} = meta(),
    atomics:add_get(Atomics, ?VERSION, Count).

%% @doc No row expires before this moment (an atom is above every number: never).
-spec earliest() -> integer() | never.
earliest() ->
    #meta{atomics = Atomics} = meta(),
    case atomics:get(Atomics, ?EARLIEST) of
        ?NEVER -> never;
        Moment -> Moment
    end.

-spec reset_earliest() -> ok.
reset_earliest() ->
    #meta{atomics = Atomics} = meta(),
    atomics:put(Atomics, ?EARLIEST, ?NEVER).

%% @doc Called after the row is in the table, so that a sweep which has not seen the row sees this.
-spec lower_earliest(non_neg_integer()) -> ok.
lower_earliest(0) ->
    ok;
lower_earliest(Moment) ->
    #meta{atomics = Atomics} = meta(),
    lower_earliest(Atomics, atomics:get(Atomics, ?EARLIEST), Moment).

lower_earliest(Atomics, Current, Moment) when Moment < Current ->
    case atomics:compare_exchange(Atomics, ?EARLIEST, Current, Moment) of
        ok -> ok;
        Other -> lower_earliest(Atomics, Other, Moment)
    end;
lower_earliest(_Atomics, _Current, _Moment) ->
    ok.

%% @doc Counts a read that found its key, or one that did not.
-spec hit(none | hornbeam_table:row()) -> ok.
hit(none) ->
    #meta{counters = Counters} = meta(),
    counters:add(Counters, ?MISSES, 1);
hit(_Row) ->
    #meta{counters = Counters} = meta(),
    counters:add(Counters, ?HITS, 1).

-spec info() -> #{atom() => integer()}.
info() ->
    #meta{atomics = Atomics, counters = Counters} = Meta = meta(),
    #{
        keys => atomics:get(Atomics, ?KEYS),
        bytes => atomics:get(Atomics, ?BYTES),
        ttls => atomics:get(Atomics, ?TTLS),
        expired => atomics:get(Atomics, ?EXPIRED),
        hits => counters:get(Counters, ?HITS),
        misses => counters:get(Counters, ?MISSES),
        memory => hornbeam_table:memory(),
        max_keys => Meta#meta.max_keys,
        max_bytes => Meta#meta.max_bytes,
        max_value => Meta#meta.max_value
    }.
