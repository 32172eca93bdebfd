%% @doc The shared state for Erlang code: the keys that Python applications use,
%% with ordinary terms as values.
%%
%% A key is a binary of 1 to 1024 bytes in UTF-8.  A time to live is a number of
%% seconds above 0.  An atom that this node does not know makes reading a
%% value an error, as values are decoded with `safe'.  What cannot be done
%% raises error({Class, Text}), Class one of type, value and limit.  What only
%% Python has, such as a datetime, is {'$py', Kind, Payload}.
-module(hornbeam_state).

-compile({no_auto_import, [get/1]}).
-export([get/1, get/2, gets/1, get_multi/1, exists/1, keys/0, keys/1, keys/2, ttl/1]).
-export([set/2, set/3, add/2, add/3, delete/1, set_multi/1, set_multi/2, cas/3, expire/2]).
-export([incr/1, incr/2, incr/3, decr/1, decr/2, fetch/2, fetch/3, python_atoms/0]).
-export_type([key/0, ttl/0]).

-type key() :: binary().
-type ttl() :: number().

%% @doc The value of a key, undefined if there is none.
%%
%% ```
%%     undefined = hornbeam_state:get(<<"doc:nobody">>).
%% '''
-spec get(key()) -> term().
get(Key) ->
    get(Key, undefined).

%% @doc The value of a key, Default if there is none.
%%
%% ```
%%     0 = hornbeam_state:get(<<"doc:nobody">>, 0).
%% '''
-spec get(key(), Default) -> term() | Default.
get(Key, Default) ->
    case hornbeam_error:run(fun() -> hornbeam_store:get(Key) end) of
        none -> Default;
        {ok, Value} -> decode(Value)
    end.

%% @doc The value of a key with its version for cas/3; {undefined, 0} if there is none.
%%
%% ```
%%     {undefined, 0} = hornbeam_state:gets(<<"doc:nobody">>).
%% '''
-spec gets(key()) -> {term(), non_neg_integer()}.
gets(Key) ->
    case hornbeam_error:run(fun() -> hornbeam_store:gets(Key) end) of
        none -> {undefined, 0};
        {Value, Version} -> {decode(Value), Version}
    end.

%% @doc The values of those keys that are there.
%%
%% ```
%%     ok = hornbeam_state:set(<<"doc:there">>, 1),
%%     #{<<"doc:there">> := 1} = hornbeam_state:get_multi([<<"doc:there">>, <<"doc:nobody">>]).
%% '''
-spec get_multi([key()]) -> #{key() => term()}.
get_multi(Keys) ->
    Values = hornbeam_error:run(fun() -> hornbeam_store:get_multi(Keys) end),
    maps:from_list([{Key, decode(Value)} || {Key, {ok, Value}} <- lists:zip(Keys, Values)]).

%% @doc Whether a key is there.
%%
%% ```
%%     false = hornbeam_state:exists(<<"doc:nobody">>).
%% '''
-spec exists(key()) -> boolean().
exists(Key) ->
    [Exists] = hornbeam_error:run(fun() -> hornbeam_store:exists([Key]) end),
    Exists.

%% @doc All keys, sorted.
%%
%% ```
%%     ok = hornbeam_state:set(<<"doc:all">>, 1),
%%     true = lists:member(<<"doc:all">>, hornbeam_state:keys()).
%% '''
-spec keys() -> [key()].
keys() ->
    keys(<<>>).

%% @doc The keys that start with Prefix, sorted.
%%
%% ```
%%     ok = hornbeam_state:set_multi(#{<<"doc:k:2">> => b, <<"doc:k:1">> => a}),
%%     [<<"doc:k:1">>, <<"doc:k:2">>] = hornbeam_state:keys(<<"doc:k:">>).
%% '''
-spec keys(binary()) -> [key()].
keys(Prefix) ->
    hornbeam_error:run(fun() -> hornbeam_store:keys(Prefix, 0) end).

%% @doc The first Limit of them.
%%
%% ```
%%     ok = hornbeam_state:set_multi(#{<<"doc:l:2">> => b, <<"doc:l:1">> => a}),
%%     [<<"doc:l:1">>] = hornbeam_state:keys(<<"doc:l:">>, 1).
%% '''
-spec keys(binary(), pos_integer()) -> [key()].
keys(Prefix, Limit) when is_integer(Limit), Limit > 0 ->
    hornbeam_error:run(fun() -> hornbeam_store:keys(Prefix, Limit) end);
keys(_Prefix, _Limit) ->
    refuse(value, "a limit is an integer above 0").

%% @doc The seconds that a key has to live, none if it is not there.
%%
%% ```
%%     ok = hornbeam_state:set(<<"doc:session">>, #{}, 60),
%%     Left = hornbeam_state:ttl(<<"doc:session">>),
%%     true = Left > 59 andalso Left =< 60,
%%     none = hornbeam_state:ttl(<<"doc:nobody">>).
%% '''
-spec ttl(key()) -> float() | infinity | none.
ttl(Key) ->
    case hornbeam_error:run(fun() -> hornbeam_store:ttl(Key) end) of
        Ms when is_integer(Ms) -> Ms / 1000;
        Other -> Other
    end.

%% @doc Sets a value for good: a time to live that the key had is gone.
%%
%% ```
%%     ok = hornbeam_state:set(<<"doc:user">>, #{<<"name">> => <<"Alice">>}),
%%     #{<<"name">> := <<"Alice">>} = hornbeam_state:get(<<"doc:user">>).
%% '''
-spec set(key(), term()) -> ok.
set(Key, Value) ->
    hornbeam_error:run(fun() -> hornbeam_store:set(Key, encode(Value), 0) end).

%% @doc Sets a value for so many seconds.
%%
%% ```
%%     ok = hornbeam_state:set(<<"doc:for">>, draft, 0.5).
%% '''
-spec set(key(), term(), ttl()) -> ok.
set(Key, Value, Ttl) ->
    hornbeam_error:run(fun() -> hornbeam_store:set(Key, encode(Value), ms(Ttl)) end).

%% @doc Sets a value if the key is not there; whether it did.
%%
%% ```
%%     true = hornbeam_state:add(<<"doc:first">>, me),
%%     false = hornbeam_state:add(<<"doc:first">>, you).
%% '''
-spec add(key(), term()) -> boolean().
add(Key, Value) ->
    hornbeam_error:run(fun() -> hornbeam_store:add(Key, encode(Value), 0) end).

%% @doc Sets a value for so many seconds if the key is not there; whether it did.
%%
%% ```
%%     true = hornbeam_state:add(<<"doc:lock">>, node(), 30).
%% '''
-spec add(key(), term(), ttl()) -> boolean().
add(Key, Value, Ttl) ->
    hornbeam_error:run(fun() -> hornbeam_store:add(Key, encode(Value), ms(Ttl)) end).

%% @doc Whether there was something to delete.
%%
%% ```
%%     false = hornbeam_state:delete(<<"doc:nobody">>).
%% '''
-spec delete(key()) -> boolean().
delete(Key) ->
    hornbeam_error:run(fun() -> hornbeam_store:delete(Key) end).

%% @doc Sets all values at once; nobody sees only some of them.
%%
%% ```
%%     ok = hornbeam_state:set_multi(#{<<"doc:m">> => 1, <<"doc:n">> => 2}).
%% '''
-spec set_multi(#{key() => term()}) -> ok.
set_multi(Map) ->
    set_multi_ms(Map, 0).

%% @doc Sets all values at once, for so many seconds.
%%
%% ```
%%     ok = hornbeam_state:set_multi(#{<<"doc:o">> => 1, <<"doc:p">> => 2}, 60).
%% '''
-spec set_multi(#{key() => term()}, ttl()) -> ok.
set_multi(Map, Ttl) ->
    hornbeam_error:run(fun() -> set_multi_ms(Map, ms(Ttl)) end).

set_multi_ms(Map, _Ms) when not is_map(Map) ->
    refuse(type, "keys and values are a map");
set_multi_ms(Map, Ms) ->
    Pairs = [{Key, encode(Value)} || {Key, Value} <- maps:to_list(Map)],
    hornbeam_error:run(fun() -> hornbeam_store:set_multi(Pairs, Ms) end).

%% @doc Sets a value if the key still has Version (of gets/1; 0: is not there).
%%
%% ```
%%     true = hornbeam_state:cas(<<"doc:cas">>, [apple], 0),
%%     {Items, Version} = hornbeam_state:gets(<<"doc:cas">>),
%%     true = hornbeam_state:cas(<<"doc:cas">>, [pear | Items], Version),
%%     false = hornbeam_state:cas(<<"doc:cas">>, [], Version).
%% '''
-spec cas(key(), term(), non_neg_integer()) -> boolean().
cas(Key, Value, Version) ->
    hornbeam_error:run(fun() -> hornbeam_store:cas(Key, encode(Value), Version) end).

%% @doc Gives a key another time to live; whether it is there.
%%
%% ```
%%     false = hornbeam_state:expire(<<"doc:nobody">>, infinity).
%% '''
-spec expire(key(), ttl() | infinity) -> boolean().
expire(Key, infinity) ->
    hornbeam_error:run(fun() -> hornbeam_store:expire(Key, 0) end);
expire(Key, Ttl) ->
    hornbeam_error:run(fun() -> hornbeam_store:expire(Key, ms(Ttl)) end).

%% @doc Adds 1 to a counter, which starts at 0; its new value.
%%
%% ```
%%     1 = hornbeam_state:incr(<<"doc:visits">>).
%% '''
-spec incr(key()) -> integer().
incr(Key) ->
    incr(Key, 1).

%% @doc Adds to a counter; its new value.
%%
%% ```
%%     10 = hornbeam_state:incr(<<"doc:views">>, 10).
%% '''
-spec incr(key(), integer()) -> integer().
incr(Key, Delta) ->
    hornbeam_error:run(fun() -> hornbeam_store:incr(Key, Delta, 0) end).

%% @doc Adds to a counter; Ttl applies when this makes the key.
%%
%% ```
%%     1 = hornbeam_state:incr(<<"doc:rate">>, 1, 60).
%% '''
-spec incr(key(), integer(), ttl()) -> integer().
incr(Key, Delta, Ttl) ->
    hornbeam_error:run(fun() -> hornbeam_store:incr(Key, Delta, ms(Ttl)) end).

%% @doc Takes 1 from a counter; its new value.
%%
%% ```
%%     -1 = hornbeam_state:decr(<<"doc:quota">>).
%% '''
-spec decr(key()) -> integer().
decr(Key) ->
    incr(Key, -1).

%% @doc Takes from a counter; its new value.
%%
%% ```
%%     -5 = hornbeam_state:decr(<<"doc:less">>, 5).
%% '''
-spec decr(key(), integer()) -> integer().
decr(Key, Delta) when is_integer(Delta) ->
    incr(Key, -Delta);
decr(Key, Delta) ->
    incr(Key, Delta).

%% @doc The value of a key, computed by Fun if there is none: once, however
%% many callers there are on this node and in Python.  If Fun raises, so does
%% this, and the next caller computes.
%%
%% ```
%%     42 = hornbeam_state:fetch(<<"doc:report">>, fun() -> 42 end).
%% '''
-spec fetch(key(), fun(() -> Value)) -> Value.
fetch(Key, Fun) ->
    fetch_ms(Key, Fun, 0).

%% @doc As fetch/2; what Fun gives is kept for so many seconds.
%%
%% ```
%%     #{} = hornbeam_state:fetch(<<"doc:rates">>, fun() -> #{} end, 60).
%% '''
-spec fetch(key(), fun(() -> Value), ttl()) -> Value.
fetch(Key, Fun, Ttl) ->
    fetch_ms(Key, Fun, hornbeam_error:run(fun() -> ms(Ttl) end)).

fetch_ms(Key, Fun, Ms) ->
    case hornbeam_error:run(fun() -> hornbeam_store:get(Key) end) of
        {ok, Value} ->
            decode(Value);
        none ->
            case ask(fun(From) -> hornbeam_lease:fetch(Key, From, 0) end) of
                {value, Value} -> decode(Value);
                {lease, Token} -> compute(Key, Token, Fun, Ms)
            end
    end.

compute(Key, Token, Fun, Ms) ->
    try Fun() of
        Value ->
            _ = ask(fun(From) -> hornbeam_lease:put(Key, Token, encode(Value), Ms, From) end),
            Value
    catch
        Class:Reason:Stack ->
            ok = ask(fun(From) -> hornbeam_lease:drop(Key, Token, From) end),
            erlang:raise(Class, Reason, Stack)
    end.

%% @private The atoms of Python's own values, {'$py', Kind, Payload}.  That they
%% stand in this module makes them known to the node before one is read.
-spec python_atoms() -> [atom()].
python_atoms() ->
    ['$py', nan, inf, '-inf' | [
        float, complex, set, frozenset, tuple, decimal, uuid, date, time, datetime, timedelta, timezone
    ]].

%% A call of the leases, which answer to links and processes alike.
ask(Request) ->
    Tag = erlang:monitor(process, hornbeam_lease),
    ok = Request({process, self(), Tag}),
    receive
        {hornbeam_lease, Tag, Answer} ->
            erlang:demonitor(Tag, [flush]),
            hornbeam_error:run(fun() -> check(Answer) end);
        {'DOWN', Tag, process, _, Reason} ->
            exit({Reason, {?MODULE, fetch}})
    end.

check({refused, _, _} = Refused) -> throw(Refused);
check(Answer) -> Answer.

-spec refuse(type | value, string()) -> no_return().
refuse(Class, Text) ->
    erlang:error({Class, list_to_binary(Text)}).

encode(Value) when is_integer(Value) -> Value;
encode(Value) -> term_to_binary(Value).

decode(Value) when is_integer(Value) -> Value;
decode(Value) ->
    try
        binary_to_term(Value, [safe])
    catch
        error:badarg -> refuse(value, "the value has an atom that this node does not know")
    end.

ms(Ttl) when is_number(Ttl), Ttl > 0, Ttl < 1.0e11 -> ceil(Ttl * 1000);
ms(_Ttl) -> hornbeam_error:throw(value, "a time to live is a number of seconds above 0").
