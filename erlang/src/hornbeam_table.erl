%% The table of state: one ETS ordered_set of rows {Key, Value, Version,
%% ExpiresAt}, and the counts that the limits are kept by.
%%
%% Any process reads and writes.  A write replaces exactly the row that its
%% caller has seen (compare and swap by version and expiry) or fails and is
%% tried again, so that the counts are exact and nothing is lost.  Whoever
%% finds an expired row takes it out before answering "absent": nothing that
%% began earlier can then bring it back to life.
%%
%% A change of several keys at once first locks each row, in key order: its
%% version becomes {locked, Pid, Version}.  Readers still see the old value,
%% writers wait, and the row of a dead locker is unlocked by whoever meets it.
-module(hornbeam_table).

-export([new/1, read/1, update/2, count/2, replace_all/1, version/0]).
-export([next/1, expired/2, drop_expired/1, drop_dead_lock/1]).
-export([info/0, hit/1, earliest/0, reset_earliest/0, lower_earliest/1]).
-export_type([key/0, value/0, row/0, limits/0]).

-type key() :: binary().
%% An integer, or a term in the external format.
-type value() :: integer() | binary().
-type version() :: non_neg_integer().
-type lock() :: {locked, pid(), version()}.
-type row() :: {key(), value() | absent, version() | lock(), non_neg_integer()}.
-type limits() :: #{max_keys => non_neg_integer(), max_bytes => non_neg_integer(), max_value => non_neg_integer()}.
%% What Fun of update/2 makes of a row.
-type change() :: keep | drop | {put, value(), version(), non_neg_integer()}.

-define(TABLE, hornbeam_state).
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

%% -doc Makes the table; the calling process owns it.  A limit of 0 is none.
-spec new(limits()) -> ok.
new(Limits) ->
    Atomics = atomics:new(6, [{signed, true}]),
    ok = atomics:put(Atomics, ?EARLIEST, ?NEVER),
    Meta = #meta{
        atomics = Atomics,
        counters = counters:new(2, [write_concurrency]),
        max_keys = maps:get(max_keys, Limits, 0),
        max_bytes = maps:get(max_bytes, Limits, 0),
        max_value = maps:get(max_value, Limits, 0)
    },
    ok = persistent_term:put(?MODULE, Meta),
    ?TABLE = ets:new(?TABLE, [
        ordered_set, named_table, public,
        {write_concurrency, true}, {decentralized_counters, false}
    ]),
    ok.

%% -doc The row of a key that is there now.
-spec read(key()) -> none | row().
read(Key) ->
    case ets:lookup(?TABLE, Key) of
        [] ->
            none;
        [{_, absent, _, _}] ->
            none;
        [{_, _, _, 0} = Row] ->
            Row;
        [{_, _, Version, Expires} = Row] ->
            case Expires > hornbeam_clock:ms() of
                true ->
                    Row;
                %% Only the locker can change a locked row, and it does not prolong it.
                false when is_tuple(Version) ->
                    none;
                false ->
                    _ = expire(Row),
                    read(Key)
            end
    end.

%% -doc Replaces the row of a key by what Fun makes of it, however many others write meanwhile.
-spec update(key(), fun((none | row()) -> {Result, change()})) -> Result.
update(Key, Fun) ->
    Row = unlocked(Key, 0),
    {Result, Change} = Fun(Row),
    case write(Row, change(Key, Change)) of
        true -> Result;
        false -> update(Key, Fun)
    end.

change(_Key, keep) -> keep;
change(_Key, drop) -> none;
change(Key, {put, Value, Version, Expires}) -> {Key, Value, Version, Expires}.

%% -doc Adds to a counter that is there, in one step: its new value, or none
%% where that is not possible (absent, no integer, locked, above 64 bits).
%%
%% Once it has counted it never says none: until somebody has taken an expired
%% row out nobody has seen it expire, and this came just before.
-spec count(key(), integer()) -> integer() | none.
count(Key, Delta) ->
    case read(Key) of
        {_, N, _, _} when is_integer(N), ?IS_64(N), ?IS_64(Delta), ?IS_64(N + Delta) ->
            #meta{atomics = Atomics} = meta(),
            Version = atomics:add_get(Atomics, ?VERSION, 1),
            %% The second operation sets the version, as any version is above -1.
            try ets:update_counter(?TABLE, Key, [{2, Delta}, {3, 0, -1, Version}]) of
                [New, _] ->
                    account(Atomics, ?BYTES, value_size(New) - value_size(New - Delta)),
                    New
            catch
                error:badarg -> none
            end;
        _ ->
            none
    end.

%% -doc Puts all rows or, beyond a limit, none; nobody sees only some of them.
-spec replace_all([{key(), value(), non_neg_integer()}]) -> ok.
replace_all(Rows) ->
    %% One order for all, so that two never wait for each other.
    Sorted = lists:ukeysort(1, lists:reverse(Rows)),
    Locked = lock_all(Sorted, []),
    try
        put_all(Sorted, Locked)
    catch
        throw:Refused ->
            lists:foreach(fun unlock/1, Locked),
            throw(Refused)
    end.

put_all(Rows, Locked) ->
    #meta{atomics = Atomics} = Meta = meta(),
    lists:foreach(fun({_, Value, _}) -> check_value(Meta, Value) end, Rows),
    Last = atomics:add_get(Atomics, ?VERSION, length(Rows)),
    New = lists:zipwith(
        fun({Key, Value, Expires}, Version) -> {Key, Value, Version, Expires} end,
        Rows, lists:seq(Last - length(Rows) + 1, Last)
    ),
    Bytes = sum_sizes(New) - sum_sizes(Locked),
    ok = reserve(Meta, 0, Bytes),
    true = ets:insert(?TABLE, New),
    account(Atomics, ?BYTES, min(0, Bytes)),
    account(Atomics, ?TTLS, count_ttls(New) - count_ttls(Locked)),
    lists:foreach(fun({_, _, _, Expires}) -> lower_earliest(Expires) end, New).

lock_all([], Locked) ->
    Locked;
lock_all([{Key, _, _} | Rows], Locked) ->
    try lock(Key) of
        Row -> lock_all(Rows, [Row | Locked])
    catch
        throw:Refused ->
            lists:foreach(fun unlock/1, Locked),
            throw(Refused)
    end.

lock(Key) ->
    {Old, New} =
        case unlocked(Key, 0) of
            none -> {none, {Key, absent, {locked, self(), 0}, 0}};
            {_, Value, Version, Expires} = Row -> {Row, {Key, Value, {locked, self(), Version}, Expires}}
        end,
    case write(Old, New) of
        true -> New;
        false -> lock(Key)
    end.

unlock({_, absent, {locked, _, _}, _} = Row) ->
    write(Row, none);
unlock({Key, Value, {locked, _, Version}, Expires} = Row) ->
    write(Row, {Key, Value, Version, Expires}).

%% The row of a key that nobody has locked.
unlocked(Key, Tries) ->
    case ets:lookup(?TABLE, Key) of
        [] ->
            none;
        [{_, _, {locked, _, _}, _} = Row] ->
            wait(Row, Tries),
            unlocked(Key, Tries + 1);
        [{_, _, _, 0} = Row] ->
            Row;
        [{_, _, _, Expires} = Row] ->
            case Expires > hornbeam_clock:ms() of
                true ->
                    Row;
                false ->
                    _ = expire(Row),
                    unlocked(Key, Tries)
            end
    end.

wait(Row, Tries) ->
    case drop_dead_lock(Row) of
        true -> ok;
        false when Tries < 100 -> erlang:yield();
        false -> receive after 1 -> ok end
    end.

%% -doc Unlocks a row whose locker is dead; false if it lives.
-spec drop_dead_lock(row()) -> boolean().
drop_dead_lock({_, _, {locked, Pid, _}, _} = Row) ->
    (not is_process_alive(Pid)) andalso unlock(Row).

%% -doc Takes out a row that has expired, unless it was changed meanwhile.
-spec drop_expired(row()) -> boolean().
drop_expired(Row) ->
    expire(Row).

expire(Row) ->
    write(Row, none) andalso
        begin
            #meta{atomics = Atomics} = meta(),
            account(Atomics, ?EXPIRED, 1),
            true
        end.

%% Every change but a count and the last step of a change of several keys
%% passes here: Old becomes New, or false if the row is no longer Old.
write(_Old, keep) ->
    true;
write(none, none) ->
    true;
write(none, {_, Value, _, Expires} = New) ->
    Meta = #meta{atomics = Atomics} = meta(),
    check_value(Meta, Value),
    Bytes = row_size(New),
    ok = reserve(Meta, 1, Bytes),
    case ets:insert_new(?TABLE, New) of
        true ->
            account(Atomics, ?TTLS, count_ttl(New)),
            lower_earliest(Expires),
            true;
        false ->
            account(Atomics, ?KEYS, -1),
            account(Atomics, ?BYTES, -Bytes),
            false
    end;
write({Key, _, Version, Expires} = Old, none) ->
    case ets:select_delete(?TABLE, [{{Key, '_', Version, Expires}, [], [true]}]) of
        1 ->
            #meta{atomics = Atomics} = meta(),
            account(Atomics, ?KEYS, -1),
            account(Atomics, ?BYTES, -row_size(Old)),
            account(Atomics, ?TTLS, -count_ttl(Old)),
            true;
        0 ->
            false
    end;
write({Key, _, Version, Expires} = Old, {Key, NewValue, NewVersion, NewExpires} = New) ->
    Meta = #meta{atomics = Atomics} = meta(),
    check_value(Meta, NewValue),
    Bytes = row_size(New) - row_size(Old),
    ok = reserve(Meta, 0, Bytes),
    Body = {{Key, {const, NewValue}, {const, NewVersion}, NewExpires}},
    case ets:select_replace(?TABLE, [{{Key, '_', Version, Expires}, [], [Body]}]) of
        1 ->
            account(Atomics, ?BYTES, min(0, Bytes)),
            account(Atomics, ?TTLS, count_ttl(New) - count_ttl(Old)),
            lower_earliest(NewExpires),
            true;
        0 ->
            account(Atomics, ?BYTES, -max(0, Bytes)),
            false
    end.

%% Counts keys and bytes that are about to come, before they do, so that no limit is ever passed.
reserve(#meta{atomics = Atomics, max_keys = MaxKeys, max_bytes = MaxBytes} = Meta, Keys, Bytes) ->
    case take(Atomics, ?KEYS, Keys, MaxKeys) of
        false ->
            make_room(<<"state.max_keys">>, MaxKeys, <<"keys">>),
            reserve(Meta, Keys, Bytes);
        true ->
            case take(Atomics, ?BYTES, Bytes, MaxBytes) of
                true ->
                    ok;
                false ->
                    account(Atomics, ?KEYS, -Keys),
                    make_room(<<"state.max_bytes">>, MaxBytes, <<"bytes">>),
                    reserve(Meta, Keys, Bytes)
            end
    end.

take(_Atomics, _Index, Amount, _Max) when Amount =< 0 ->
    true;
take(Atomics, Index, Amount, 0) ->
    atomics:add(Atomics, Index, Amount),
    true;
take(Atomics, Index, Amount, Max) ->
    case atomics:add_get(Atomics, Index, Amount) =< Max of
        true ->
            true;
        false ->
            atomics:sub(Atomics, Index, Amount),
            false
    end.

%% Keys that have expired do not count: they go first.
make_room(Name, Max, Unit) ->
    case hornbeam_sweeper:make_room() of
        true ->
            ok;
        false ->
            hornbeam_error:throw(limit, [Name, ": the limit of ", integer_to_binary(Max), " ", Unit, " is reached"])
    end.

check_value(#meta{max_value = 0}, _Value) ->
    ok;
check_value(#meta{max_value = Max}, Value) ->
    case value_size(Value) of
        Size when Size =< Max ->
            ok;
        Size ->
            hornbeam_error:throw(limit, [
                "state.max_value: the value has ", integer_to_binary(Size),
                " bytes, the limit is ", integer_to_binary(Max)
            ])
    end.

row_size({Key, Value, _, _}) -> byte_size(Key) + value_size(Value).

value_size(Value) when is_binary(Value) -> byte_size(Value);
value_size(absent) -> 0;
value_size(N) when ?IS_64(N) -> 8;
value_size(N) -> byte_size(binary:encode_unsigned(abs(N))).

sum_sizes(Rows) -> lists:sum([row_size(Row) || Row <- Rows]).

count_ttl({_, _, _, 0}) -> 0;
count_ttl(_Row) -> 1.

count_ttls(Rows) -> lists:sum([count_ttl(Row) || Row <- Rows]).

account(_Atomics, _Index, 0) -> ok;
account(Atomics, Index, Amount) -> atomics:add(Atomics, Index, Amount).

meta() ->
    persistent_term:get(?MODULE).

%% -doc A version that no row has had.
-spec version() -> version().
version() ->
    #meta{atomics = Atomics} = meta(),
    atomics:add_get(Atomics, ?VERSION, 1).

%% -doc The first key in order that is above Key.
-spec next(key()) -> key() | '$end_of_table'.
next(Key) ->
    ets:next(?TABLE, Key).

%% -doc A batch of the rows with a time to live or a lock: rows that have
%% expired by Now or are locked whole, of the others the moment of expiry.
-spec expired(start | term(), integer()) -> {[row() | integer()], term()} | '$end_of_table'.
expired(start, Now) ->
    ets:select(?TABLE, [
        {{'_', '_', {locked, '_', '_'}, '_'}, [], ['$_']},
        {{'_', '_', '_', '$1'}, [{'>', '$1', 0}, {'=<', '$1', Now}], ['$_']},
        {{'_', '_', '_', '$1'}, [{'>', '$1', Now}], ['$1']}
    ], 500);
expired(Continuation, _Now) ->
    ets:select(Continuation).

%% -doc No row expires before this moment (an atom is above every number: never).
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

%% -doc Called after the row is in the table, so that a sweep which has not seen the row sees this.
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

%% -doc Counts a read that found its key, or one that did not.
-spec hit(none | row()) -> ok.
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
        memory => ets:info(?TABLE, memory) * erlang:system_info(wordsize),
        max_keys => Meta#meta.max_keys,
        max_bytes => Meta#meta.max_bytes,
        max_value => Meta#meta.max_value
    }.
