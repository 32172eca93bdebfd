%% The table of state: one ETS ordered_set of rows {Key, Value, Version,
%% ExpiresAt}.
%%
%% Any process reads and writes.  A write replaces exactly the row that its
%% caller has seen (compare and swap by version and expiry) or fails and is
%% tried again, so that the counts (hornbeam_counts) are exact and nothing is
%% lost.  Whoever finds an expired row takes it out before answering "absent":
%% nothing that began earlier can then bring it back to life.
%%
%% A change of several keys at once first locks each row, in key order: its
%% version becomes {locked, Pid, Version}.  Readers still see the old value,
%% writers wait, and the row of a dead locker is unlocked by whoever meets it.
-module(hornbeam_table).

-export([new/0, read/1, update/2, count/2, replace_all/1]).
-export([next/1, expired/2, drop_expired/1, drop_dead_lock/1, memory/0]).
-export_type([key/0, value/0, version/0, row/0]).

-type key() :: binary().
%% An integer, or a term in the external format.
-type value() :: integer() | binary().
-type version() :: non_neg_integer().
-type lock() :: {locked, pid(), version()}.
-type row() :: {key(), value() | absent, version() | lock(), non_neg_integer()}.
%% What Fun of update/2 makes of a row.
-type change() :: keep | drop | {put, value(), version(), non_neg_integer()}.

-define(TABLE, hornbeam_state).
-define(IS_64(N), (N >= -16#8000000000000000 andalso N =< 16#7fffffffffffffff)).

%% @doc Makes the table; the calling process owns it.
-spec new() -> ok.
new() ->
    ?TABLE = ets:new(?TABLE, [
        ordered_set, named_table, public,
        {write_concurrency, true}, {decentralized_counters, false}
    ]),
    ok.

%% @doc The row of a key that is there now.
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
                    _ = drop_expired(Row),
                    read(Key)
            end
    end.

%% @doc Replaces the row of a key by what Fun makes of it, however many others write meanwhile.
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

%% @doc Adds to a counter that is there, in one step: its new value, or none
%% where that is not possible (absent, no integer, locked, above 64 bits).
%%
%% Once it has counted it never says none: until somebody has taken an expired
%% row out nobody has seen it expire, and this came just before.
-spec count(key(), integer()) -> integer() | none.
count(Key, Delta) ->
    case read(Key) of
        {_, N, _, _} when is_integer(N), ?IS_64(N), ?IS_64(Delta), ?IS_64(N + Delta) ->
            Version = hornbeam_counts:version(),
            %% The second operation sets the version, as any version is above -1.
            try ets:update_counter(?TABLE, Key, [{2, Delta}, {3, 0, -1, Version}]) of
                [New, _] ->
                    hornbeam_counts:add(bytes, hornbeam_counts:size(New) - hornbeam_counts:size(New - Delta)),
                    New
            catch
                error:badarg -> none
            end;
        _ ->
            none
    end.

%% @doc Puts all rows or, beyond a limit, none; nobody sees only some of them.
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
    lists:foreach(fun({_, Value, _}) -> hornbeam_counts:check(Value) end, Rows),
    Last = hornbeam_counts:versions(length(Rows)),
    New = lists:zipwith(
        fun({Key, Value, Expires}, Version) -> {Key, Value, Version, Expires} end,
        Rows, lists:seq(Last - length(Rows) + 1, Last)
    ),
    Bytes = sum_sizes(New) - sum_sizes(Locked),
    ok = hornbeam_counts:reserve(0, Bytes),
    true = ets:insert(?TABLE, New),
    hornbeam_counts:add(bytes, min(0, Bytes)),
    hornbeam_counts:add(ttls, count_ttls(New) - count_ttls(Locked)),
    lists:foreach(fun({_, _, _, Expires}) -> hornbeam_counts:lower_earliest(Expires) end, New).

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
                    _ = drop_expired(Row),
                    unlocked(Key, Tries)
            end
    end.

wait(Row, Tries) ->
    case drop_dead_lock(Row) of
        true -> ok;
        false when Tries < 100 -> erlang:yield();
        false -> receive after 1 -> ok end
    end.

%% @doc Unlocks a row whose locker is dead; false if it lives.
-spec drop_dead_lock(row()) -> boolean().
drop_dead_lock({_, _, {locked, Pid, _}, _} = Row) ->
    (not is_process_alive(Pid)) andalso unlock(Row).

%% @doc Takes out a row that has expired, unless it was changed meanwhile.
-spec drop_expired(row()) -> boolean().
drop_expired(Row) ->
    write(Row, none) andalso
        begin
            hornbeam_counts:add(expired, 1),
            true
        end.

%% Every change but a count and the last step of a change of several keys
%% passes here: Old becomes New, or false if the row is no longer Old.
write(_Old, keep) ->
    true;
write(none, none) ->
    true;
write(none, {_, Value, _, Expires} = New) ->
    hornbeam_counts:check(Value),
    Bytes = row_size(New),
    ok = hornbeam_counts:reserve(1, Bytes),
    case ets:insert_new(?TABLE, New) of
        true ->
            hornbeam_counts:add(ttls, count_ttl(New)),
            hornbeam_counts:lower_earliest(Expires),
            true;
        false ->
            hornbeam_counts:add(keys, -1),
            hornbeam_counts:add(bytes, -Bytes),
            false
    end;
write({Key, _, Version, Expires} = Old, none) ->
    case ets:select_delete(?TABLE, [{{Key, '_', Version, Expires}, [], [true]}]) of
        1 ->
            hornbeam_counts:add(keys, -1),
            hornbeam_counts:add(bytes, -row_size(Old)),
            hornbeam_counts:add(ttls, -count_ttl(Old)),
            true;
        0 ->
            false
    end;
write({Key, _, Version, Expires} = Old, {Key, NewValue, NewVersion, NewExpires} = New) ->
    hornbeam_counts:check(NewValue),
    Bytes = row_size(New) - row_size(Old),
    ok = hornbeam_counts:reserve(0, Bytes),
    Body = {{Key, {const, NewValue}, {const, NewVersion}, NewExpires}},
    case ets:select_replace(?TABLE, [{{Key, '_', Version, Expires}, [], [Body]}]) of
        1 ->
            hornbeam_counts:add(bytes, min(0, Bytes)),
            hornbeam_counts:add(ttls, count_ttl(New) - count_ttl(Old)),
            hornbeam_counts:lower_earliest(NewExpires),
            true;
        0 ->
            hornbeam_counts:add(bytes, -max(0, Bytes)),
            false
    end.

row_size({Key, Value, _, _}) -> byte_size(Key) + hornbeam_counts:size(Value).

sum_sizes(Rows) -> lists:sum([row_size(Row) || Row <- Rows]).

count_ttl({_, _, _, 0}) -> 0;
count_ttl(_Row) -> 1.

count_ttls(Rows) -> lists:sum([count_ttl(Row) || Row <- Rows]).

%% @doc The first key in order that is above Key.
-spec next(key()) -> key() | '$end_of_table'.
next(Key) ->
    ets:next(?TABLE, Key).

%% @doc A batch of the rows with a time to live or a lock: rows that have
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

%% @doc The bytes that the table itself takes.
-spec memory() -> non_neg_integer().
memory() ->
    ets:info(?TABLE, memory) * erlang:system_info(wordsize).
