%% The operations of the shared state, on keys and stored values as the link
%% carries them.  Times to live are milliseconds, 0 for none.  Each may throw
%% {refused, Class, Text} (hornbeam_error).
-module(hornbeam_store).

-compile({no_auto_import, [get/1]}).
-export([get/1, gets/1, get_multi/1, exists/1, ttl/1, keys/2, keys_from/3, keys_start/1]).
-export([set/3, add/3, replace/3, delete/1, incr/3, set_multi/2, cas/3, expire/2]).
-export_type([cursor/0]).

-type key() :: hornbeam_table:key().
-type value() :: hornbeam_table:value().
-type ttl() :: non_neg_integer().
-opaque cursor() :: {at, key()} | {above, key()}.

-spec get(key()) -> {ok, value()} | none.
get(Key) ->
    Row = hornbeam_table:read(check_key(Key)),
    hornbeam_counts:hit(Row),
    case Row of
        none -> none;
        {_, Value, _, _} -> {ok, Value}
    end.

-spec gets(key()) -> {value(), non_neg_integer()} | none.
gets(Key) ->
    Row = hornbeam_table:read(check_key(Key)),
    hornbeam_counts:hit(Row),
    case Row of
        none -> none;
        {_, Value, {locked, _, Version}, _} -> {Value, Version};
        {_, Value, Version, _} -> {Value, Version}
    end.

-spec get_multi([key()]) -> [{ok, value()} | none].
get_multi(Keys) ->
    [get(Key) || Key <- Keys].

-spec exists([key()]) -> [boolean()].
exists(Keys) ->
    [hornbeam_table:read(check_key(Key)) =/= none || Key <- Keys].

-spec ttl(key()) -> pos_integer() | infinity | none.
ttl(Key) ->
    case hornbeam_table:read(check_key(Key)) of
        none -> none;
        {_, _, _, 0} -> infinity;
        {_, _, _, Expires} -> max(1, Expires - hornbeam_clock:ms())
    end.

-spec set(key(), value(), ttl()) -> ok.
set(Key, Value, Ttl) ->
    put(Key, Value, Ttl, fun(_Row) -> true end),
    ok.

-spec add(key(), value(), ttl()) -> boolean().
add(Key, Value, Ttl) ->
    put(Key, Value, Ttl, fun(Row) -> Row =:= none end).

-spec replace(key(), value(), ttl()) -> boolean().
replace(Key, Value, Ttl) ->
    put(Key, Value, Ttl, fun(Row) -> Row =/= none end).

put(Key, Value, Ttl, Condition) ->
    Expires = hornbeam_clock:expires(check_ttl(Ttl)),
    Own = own(check_value(Value)),
    hornbeam_table:update(new_key(Key), fun(Row) ->
        case Condition(Row) of
            true -> {true, {put, Own, hornbeam_counts:version(), Expires}};
            false -> {false, keep}
        end
    end).

-spec delete(key()) -> boolean().
delete(Key) ->
    hornbeam_table:update(check_key(Key), fun
        (none) -> {false, keep};
        (_Row) -> {true, drop}
    end).

%% @doc Ttl applies when this makes the key.
-spec incr(key(), integer(), ttl()) -> integer().
incr(Key, Delta, Ttl) when is_integer(Delta) ->
    check_ttl(Ttl),
    case hornbeam_table:count(check_key(Key), Delta) of
        none -> incr_row(new_key(Key), Delta, Ttl);
        N -> N
    end;
incr(_Key, _Delta, _Ttl) ->
    hornbeam_error:throw(type, "the increment is not an integer").

incr_row(Key, Delta, Ttl) ->
    hornbeam_table:update(Key, fun
        (none) ->
            {Delta, {put, Delta, hornbeam_counts:version(), hornbeam_clock:expires(Ttl)}};
        ({_, N, _, Expires}) when is_integer(N) ->
            {N + Delta, {put, N + Delta, hornbeam_counts:version(), Expires}};
        ({_, Value, _, _}) ->
            hornbeam_error:throw(type, [
                "the value of ", hornbeam_error:key(Key), " is ", kind(Value), ", not an integer"
            ])
    end).

-spec set_multi([{key(), value()}], ttl()) -> ok.
set_multi(Pairs, Ttl) ->
    Expires = hornbeam_clock:expires(check_ttl(Ttl)),
    hornbeam_table:replace_all([
        {new_key(Key), own(check_value(Value)), Expires}
     || {Key, Value} <- Pairs
    ]).

%% @doc Version 0 makes the key; any other keeps its time to live.
-spec cas(key(), value(), non_neg_integer()) -> boolean().
cas(Key, Value, 0) ->
    add(Key, Value, 0);
cas(Key, Value, Version) when is_integer(Version), Version > 0 ->
    Own = own(check_value(Value)),
    hornbeam_table:update(new_key(Key), fun
        ({_, _, V, Expires}) when V =:= Version ->
            {true, {put, Own, hornbeam_counts:version(), Expires}};
        (_Row) ->
            {false, keep}
    end);
cas(_Key, _Value, _Version) ->
    hornbeam_error:throw(value, "a version is an integer, 0 or more").

%% @doc Changes when a key expires, not its version.
-spec expire(key(), ttl()) -> boolean().
expire(Key, Ttl) ->
    Expires = hornbeam_clock:expires(check_ttl(Ttl)),
    hornbeam_table:update(own(check_key(Key)), fun
        (none) -> {false, keep};
        ({_, Value, Version, _}) -> {true, {put, Value, Version, Expires}}
    end).

%% @doc The keys that start with Prefix, sorted, at most Limit (0: all).
-spec keys(binary(), non_neg_integer()) -> [key()].
keys(Prefix, Limit) ->
    {Keys, _} = keys_from(keys_start(Prefix), Prefix, case Limit of 0 -> infinity; _ -> Limit end),
    Keys.

-spec keys_start(binary()) -> cursor().
keys_start(Prefix) when is_binary(Prefix) ->
    {at, Prefix};
keys_start(_Prefix) ->
    hornbeam_error:throw(type, "a prefix is a binary").

%% @doc At most Count keys from a place in the order on, and the place behind them.
-spec keys_from(cursor(), binary(), pos_integer() | infinity) -> {[key()], cursor() | done}.
keys_from({at, Key}, Prefix, Count) ->
    keys_from(Key, Prefix, Count, []);
keys_from({above, Key}, Prefix, Count) ->
    keys_from(hornbeam_table:next(Key), Prefix, Count, []).

keys_from('$end_of_table', _Prefix, _Count, Keys) ->
    {lists:reverse(Keys), done};
keys_from(Key, Prefix, Count, Keys) ->
    Size = byte_size(Prefix),
    case Key of
        <<Prefix:Size/binary, _/binary>> when Count > 0 ->
            case hornbeam_table:read(Key) of
                none -> keys_from(hornbeam_table:next(Key), Prefix, Count, Keys);
                _ -> keys_from(hornbeam_table:next(Key), Prefix, less(Count), [Key | Keys])
            end;
        <<Prefix:Size/binary, _/binary>> ->
            {lists:reverse(Keys), {at, Key}};
        _ ->
            {lists:reverse(Keys), done}
    end.

less(infinity) -> infinity;
less(Count) -> Count - 1.

check_key(Key) when is_binary(Key), Key =/= <<>>, byte_size(Key) =< 1024 ->
    Key;
check_key(Key) when is_binary(Key) ->
    hornbeam_error:throw(value, [
        "a key has 1 to 1024 bytes, not ", integer_to_binary(byte_size(Key))
    ]);
check_key(_Key) ->
    hornbeam_error:throw(type, "a key is a binary").

%% A key as it is stored: text, so that every client can name it.
new_key(Key) ->
    Own = own(check_key(Key)),
    case unicode:bin_is_7bit(Own) orelse unicode:characters_to_binary(Own) =:= Own of
        true -> Own;
        false -> hornbeam_error:throw(value, "a key must be UTF-8 text")
    end.

check_ttl(Ttl) when is_integer(Ttl), Ttl >= 0, Ttl < 16#1000000000000 -> Ttl;
check_ttl(_Ttl) -> hornbeam_error:throw(value, "a time to live is a number of milliseconds, 0 for none").

check_value(Value) when is_integer(Value) -> Value;
check_value(<<131, 80, _/binary>>) -> hornbeam_error:throw(protocol, "compressed terms are refused");
check_value(<<131, _, _/binary>> = Value) -> Value;
check_value(_Value) -> hornbeam_error:throw(protocol, "a stored value is an integer or a term in the external format").

%% A part of a frame would keep the whole frame in memory.
own(Binary) when is_binary(Binary) ->
    case binary:referenced_byte_size(Binary) > byte_size(Binary) of
        true -> binary:copy(Binary);
        false -> Binary
    end;
own(Integer) ->
    Integer.

%% What a stored value is, by its tag in the external format, in words for Python and Erlang alike.
kind(<<131, 70, _/binary>>) -> "a float";
kind(<<131, 77, _/binary>>) -> "bytes";
kind(<<131, 109, _/binary>>) -> "a string";
kind(<<131, Tag, _/binary>>) when Tag >= 106, Tag =< 108 -> "a list";
kind(<<131, 104, 3, 119, 3, "$py", 119, Size, Kind:Size/binary, _/binary>>) -> named("a ", Kind, "a tuple");
kind(<<131, Tag, _/binary>>) when Tag =:= 104; Tag =:= 105 -> "a tuple";
kind(<<131, 116, _/binary>>) -> "a map";
kind(<<131, 100, Size:16, Name:Size/binary>>) -> atom(Name);
kind(<<131, 118, Size:16, Name:Size/binary>>) -> atom(Name);
kind(<<131, 115, Size, Name:Size/binary>>) -> atom(Name);
kind(<<131, 119, Size, Name:Size/binary>>) -> atom(Name);
kind(_) -> "of another type".

atom(<<"undefined">>) -> "undefined (None)";
atom(Bool) when Bool =:= <<"true">>; Bool =:= <<"false">> -> "a boolean";
atom(Name) -> named("the atom ", Name, "an atom").

%% A name comes from a client: only what is plain text is shown.
named(Text, Name, Unnamed) ->
    case lists:all(fun(C) -> C > $\s andalso C < 127 end, binary_to_list(Name)) of
        true -> [Text, Name];
        false -> Unnamed
    end.
