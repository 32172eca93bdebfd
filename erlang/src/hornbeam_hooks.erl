%% Hooks: the user's code at a request's start, at its response and where something failed.
%%
%% Each call runs in a process of its own (hornbeam_link): what is here takes the worker's
%% request apart, calls the hook, and says what changed.  The start from Erlang or the
%% application's environment has the hooks: #{on_request => {Module, Function} | fun/1, on_response => the same,
%% on_error => {Module, Function} | fun/2}.  man/hornbeam-hooks.7 has the maps.
-module(hornbeam_hooks).

-export([run/2]).

-include("hornbeam_link.hrl").
-include_lib("kernel/include/logger.hrl").

-define(CONTINUE, <<131, 119, 8, "continue">>).
%% What travels to the worker and back, at most, of an error and of a request's own keys.
-define(ERROR_MAX, 65536).
-define(OWN_MAX, 1048576).
-define(PATH_MAX, 65536).
-define(METHOD_MAX, 32).
%% Lines of the log a second.
-define(LINES_MAX, 20).
-define(REQUEST_KEYS, [method, path, query, version, scheme, headers, client, mount]).
-define(FIXED_KEYS, [version, scheme, client, mount]).

%% @doc Runs the hook of an operation; the reply's payload.
-spec run(Op :: byte(), Sent :: term()) -> iodata().
run(?HB_OP_ON_REQUEST, Sent) ->
    Request = request(Sent),
    reply(call(on_request, [Request], fun(Returned) -> requested(Returned, Request) end));
run(?HB_OP_ON_RESPONSE, {Sent, Status, Fields, Body}) when is_integer(Status), is_list(Fields) ->
    Response = with_body(Body, #{status => Status, headers => response_headers(Fields, #{}), request => request(Sent)}),
    reply(call(on_response, [Response], fun(Returned) -> responded(Returned, Response) end));
run(?HB_OP_ON_ERROR, {Error, Sent}) when is_binary(Error) ->
    reply(call(on_error, [error_of(Error), request(Sent)], fun answer/1));
run(_Op, _Sent) ->
    malformed().

-spec malformed() -> no_return().
malformed() ->
    hornbeam_error:throw(protocol, "the request of a hook is malformed").

reply(continue) -> ?CONTINUE;
reply(Reply) -> term_to_binary(Reply).

%% Calling.

call(Name, Args, Check) ->
    Hook = maps:get(Name, hornbeam_attached_env:hooks(), none),
    try apply_hook(Hook, Args) of
        Returned -> checked(Name, Returned, Check)
    catch
        throw:Thrown:Stack -> failed(Name, Thrown, [reason(throw, Thrown, Stack)]);
        Class:Reason:Stack -> failed(Name, {Class, Reason}, explain(Hook, Class, Reason, Stack))
    end.

apply_hook({Module, Function}, Args) -> apply(Module, Function, Args);
apply_hook(Fun, Args) when is_function(Fun) -> apply(Fun, Args);
apply_hook(none, _Args) -> error(not_configured).

checked(Name, Returned, Check) ->
    try
        Check(Returned)
    catch
        throw:{bad_return, Text} ->
            failed(Name, {bad_return, Returned}, [Text, io_lib:format("; it returned ~0tP", [shown(Returned), 40])])
    end.

%% There are secrets in what a request holds.
shown(Map) when is_map(Map) -> maps:without([headers, query, request, body], Map);
shown(Other) -> Other.

failed(Name, Error, Text) ->
    may_log() andalso ?LOG_ERROR("hooks: ~s: ~ts", [Name, Text]),
    {failed, bounded(Error)}.

explain({Module, Function}, error, undef, [{Module, Function, Args, _} | _]) when is_list(Args) ->
    Why = case code:ensure_loaded(Module) of
        {module, Module} -> "the module does not export it";
        {error, Reason} -> io_lib:format("the module cannot be loaded from erlang.code_path (~0tp)", [Reason])
    end,
    io_lib:format("~ts:~ts/~b is not there: ~ts", [Module, Function, length(Args), Why]);
explain(_Hook, Class, Reason, Stack) ->
    reason(Class, Reason, Stack).

reason(Class, Reason, Stack) ->
    io_lib:format("~ts ~0tP in ~0tP", [Class, Reason, 40, [{M, F, arity(A), L} || {M, F, A, L} <- Stack], 60]).

%% The arguments of a call hold the headers, and with them secrets.
arity(Args) when is_list(Args) -> length(Args);
arity(Arity) -> Arity.

%% A hook that fails each time does not fill the log.
may_log() ->
    Second = erlang:monotonic_time(second),
    Lines = lines(),
    case atomics:exchange(Lines, 1, Second) of
        Second -> ok;
        _ -> atomics:put(Lines, 2, 0)
    end,
    atomics:add_get(Lines, 2, 1) =< ?LINES_MAX.

lines() ->
    case persistent_term:get(?MODULE, none) of
        none ->
            ok = persistent_term:put(?MODULE, atomics:new(2, [])),
            lines();
        Lines ->
            Lines
    end.

bounded(Error) ->
    case erlang:external_size(Error) =< ?ERROR_MAX of
        true -> term_to_binary(Error);
        false -> term_to_binary(shorter(Error))
    end.

shorter({Tag, Value}) when is_atom(Tag) -> {Tag, text_of(Value)};
shorter(Value) -> text_of(Value).

text_of(Value) ->
    unicode:characters_to_binary(io_lib:format("~0tP", [Value, 100])).

%% An error comes back from the worker as it went there, from this very node.
error_of(<<131, Tag, _/binary>> = Bytes) when Tag =/= 80 ->
    try
        binary_to_term(Bytes, [safe])
    catch
        error:badarg -> {error, unknown}
    end;
error_of(_Bytes) ->
    malformed().

%% From the worker.

request({Method, Path, Query, Version, Scheme, Ip, Port, Mount, Fields, Own}) when is_list(Fields) ->
    Known = #{
        method => Method, path => Path, query => Query, version => Version, scheme => Scheme,
        headers => request_headers(Fields, #{}), client => client(Ip, Port), mount => mount(Mount)
    },
    case Own of
        <<>> -> Known;
        _ -> maps:merge(own(error_of(Own)), Known)
    end;
request(_Sent) ->
    malformed().

own(Own) when is_map(Own) -> Own;
own(_Lost) -> #{}.

client(<<>>, _Port) -> undefined;
client(Ip, Port) -> {Ip, Port}.

mount(<<>>) -> undefined;
mount(Mount) -> Mount.

request_headers([Name, Value | Rest], Headers) ->
    request_headers(Rest, case Headers of
        #{Name := Before} -> Headers#{Name := join(Name, Before, Value)};
        _ -> Headers#{Name => Value}
    end);
request_headers([], Headers) ->
    Headers.

join(<<"cookie">>, Before, Value) -> <<Before/binary, "; ", Value/binary>>;
join(_Name, Before, Value) -> <<Before/binary, ", ", Value/binary>>.

response_headers([<<"set-cookie">> = Name, Value | Rest], Headers) ->
    response_headers(Rest, Headers#{Name => maps:get(Name, Headers, []) ++ [Value]});
response_headers([Name, Value | Rest], Headers) ->
    response_headers(Rest, case Headers of
        #{Name := Before} when is_list(Before) -> Headers#{Name := Before ++ [Value]};
        #{Name := Before} -> Headers#{Name := [Before, Value]};
        _ -> Headers#{Name => Value}
    end);
response_headers([], Headers) ->
    Headers.

with_body(Body, Response) when is_binary(Body) -> Response#{body => Body};
with_body([], Response) -> Response;
with_body(_Body, _Response) -> malformed().

%% What a hook returned.

-spec bad(iodata()) -> no_return().
bad(Text) ->
    throw({bad_return, Text}).

requested(Request, Request) ->
    continue;
requested(New, Old) when is_map(New) ->
    {Set, Removed, Ignored} = fields(New, Old, fun is_fixed/1),
    Fixed = [atom_to_binary(Key) || Key <- ?FIXED_KEYS, changed(Key, New, Old)],
    Own = encode_own(maps:without(?REQUEST_KEYS, New)),
    Reply = {
        request, change(method, New, Old, fun method/1), change(path, New, Old, fun path/1),
        change(query, New, Old, fun query/1), Set, Removed, Own, Fixed ++ Ignored
    },
    case Reply of
        {request, same, same, same, [], [], <<>>, []} -> continue;
        _ -> Reply
    end;
requested(Answer, _Old) ->
    answer(Answer).

encode_own(Own) when map_size(Own) =:= 0 ->
    <<>>;
encode_own(Own) ->
    case erlang:external_size(Own) =< ?OWN_MAX of
        true -> term_to_binary(Own);
        false -> bad("the keys that it added have more than 1 MiB")
    end.

responded(Response, Response) ->
    continue;
responded(New, Old) when is_map(New) ->
    {Set, Removed, _} = fields(New, Old, fun(Name) -> Name =:= <<"content-length">> end),
    Status = change(status, New, Old, fun status/1),
    case {Old, New} of
        {#{body := _}, _} -> {response, Status, Set, Removed, change(body, New, Old, fun body/1), []};
        {_, #{body := _}} -> {response, Status, Set, Removed, same, [<<"body">>]};
        _ -> {response, Status, Set, Removed, same, []}
    end;
responded(_New, _Old) ->
    bad("a map was expected").

changed(Key, New, Old) ->
    case New of
        #{Key := Value} -> Value =/= map_get(Key, Old);
        _ -> false
    end.

change(Key, New, Old, Check) ->
    case changed(Key, New, Old) of
        true -> Check(map_get(Key, New));
        false -> same
    end.

%% Names that were set, each with its value and once for each of them; that went; that may not change.
fields(New, Old, IsFixed) ->
    case changed(headers, New, Old) of
        true -> changed_fields(pairs(map_get(headers, New)), map_get(headers, Old), IsFixed);
        false -> {[], [], []}
    end.

changed_fields(Pairs, Old, IsFixed) ->
    Named = maps:from_list([{name(Name), Value} || {Name, Value} <- Pairs]),
    Set = [Pair || {Name, Value} = Pair <- maps:to_list(Named), maps:get(Name, Old, none) =/= Value],
    Removed = [Name || Name <- maps:keys(Old), not is_map_key(Name, Named)],
    {
        flat([Pair || {Name, _} = Pair <- Set, not IsFixed(Name)]),
        [Name || Name <- Removed, not IsFixed(Name)],
        [Name || {Name, _} <- Set, IsFixed(Name)] ++ [Name || Name <- Removed, IsFixed(Name)]
    }.

%% What the connection and the handshake rest on.
is_fixed(<<"host">>) -> true;
is_fixed(<<"content-length">>) -> true;
is_fixed(<<"transfer-encoding">>) -> true;
is_fixed(<<"connection">>) -> true;
is_fixed(<<"keep-alive">>) -> true;
is_fixed(<<"proxy-connection">>) -> true;
is_fixed(<<"upgrade">>) -> true;
is_fixed(<<"te">>) -> true;
is_fixed(<<"trailer">>) -> true;
is_fixed(<<"expect">>) -> true;
is_fixed(<<"sec-websocket-", _/binary>>) -> true;
is_fixed(_Name) -> false.

answer({Status, Body}) ->
    Code = status(Status),
    Bytes = body(Body),
    Type = [[<<"content-type">>, <<"text/plain; charset=utf-8">>] || Bytes =/= <<>>],
    {answer, Code, lists:append(Type), Bytes};
answer({Status, Headers, Body}) ->
    Code = status(Status),
    Named = [{name(Name), Value} || {Name, Value} <- pairs(Headers)],
    {answer, Code, flat([Pair || {Name, _} = Pair <- Named, Name =/= <<"content-length">>]), body(Body)};
answer(_Other) ->
    bad("an answer is {Status, Body} or {Status, Headers, Body}").

pairs(Headers) when is_map(Headers) ->
    maps:to_list(Headers);
pairs(Headers) when is_list(Headers) ->
    lists:all(fun(Header) -> tuple_size_of(Header) =:= 2 end, Headers) orelse bad("a header is {Name, Value}"),
    Headers;
pairs(_Headers) ->
    bad("headers are a map or a list").

tuple_size_of(Tuple) when is_tuple(Tuple) -> tuple_size(Tuple);
tuple_size_of(_Other) -> 0.

flat(Pairs) ->
    lists:append([[Name, Value] || {Name, Values} <- Pairs, Value <- values(Name, Values)]).

name(Name) when is_binary(Name), byte_size(Name) > 0 ->
    is_token(Name) orelse bad(["not a header's name: ", io_lib:format("~0tp", [Name])]),
    lower(Name);
name([_ | _] = Name) ->
    name(text(Name));
name(Name) when is_atom(Name) ->
    name(atom_to_binary(Name));
name(_Name) ->
    bad("a header's name is a binary").

lower(Name) ->
    << <<(if C >= $A, C =< $Z -> C + 32; true -> C end)>> || <<C>> <= Name >>.

%% A list of values, unless it is a string or other iodata.
values(Name, [First | _] = Values) when not is_integer(First) ->
    case lists:all(fun(Value) -> is_binary(Value) orelse is_list(Value) end, Values) of
        true -> [value(Name, Value) || Value <- Values];
        false -> [value(Name, Values)]
    end;
values(<<"set-cookie">>, []) ->
    [];
values(Name, Value) when is_integer(Value) ->
    [value(Name, integer_to_binary(Value))];
values(Name, Value) ->
    [value(Name, Value)].

value(Name, Value) ->
    Bytes = text(Value),
    is_value(Bytes) orelse bad(["control characters in the value of the header ", Name]),
    Bytes.

is_value(<<C, Rest/binary>>) when C >= 32, C =/= 127; C =:= 9 -> is_value(Rest);
is_value(Rest) -> Rest =:= <<>>.

is_token(<<C, Rest/binary>>) when
    C >= $a, C =< $z; C >= $A, C =< $Z; C >= $0, C =< $9;
    C =:= $!; C =:= $#; C =:= $$; C =:= $%; C =:= $&; C =:= $'; C =:= $*; C =:= $+; C =:= $-; C =:= $.;
    C =:= $^; C =:= $_; C =:= $`; C =:= $|; C =:= $~
->
    is_token(Rest);
is_token(Rest) ->
    Rest =:= <<>>.

status(Status) when is_integer(Status), Status >= 200, Status =< 999 -> Status;
status(_Status) -> bad("a status is an integer from 200 to 999").

method(Value) ->
    case text(Value) of
        <<"CONNECT">> -> bad("CONNECT is not served");
        Method when Method =/= <<>>, byte_size(Method) =< ?METHOD_MAX ->
            is_token(Method) orelse bad("not a method"),
            Method;
        _ -> bad("not a method")
    end.

path(Value) ->
    case text(Value) of
        <<$/, _/binary>> = Path when byte_size(Path) =< ?PATH_MAX ->
            binary:match(Path, <<0>>) =:= nomatch orelse bad("a path has no NUL"),
            Path;
        _ -> bad("a path starts with / and has at most 64 KiB")
    end.

query(Value) ->
    Query = text(Value),
    (byte_size(Query) =< ?PATH_MAX andalso is_query(Query)) orelse
        bad("a query has at most 64 KiB, its bytes escaped as in a URL"),
    Query.

is_query(<<C, Rest/binary>>) when C > 32, C < 127, C =/= $", C =/= $#, C =/= $<, C =/= $> -> is_query(Rest);
is_query(Rest) -> Rest =:= <<>>.

text(Value) when is_binary(Value); is_list(Value) -> body(Value);
text(_Value) -> bad("text is a binary or a string").

%% Iodata, or characters.  A list without a binary in it is characters: its numbers above 127 are no bytes.
body(Body) when is_binary(Body) ->
    Body;
body(Body) when is_list(Body) ->
    case has_binary(Body) of
        true -> first(Body, [fun erlang:iolist_to_binary/1, fun characters/1]);
        false -> first(Body, [fun characters/1, fun erlang:iolist_to_binary/1])
    end;
body(_Body) ->
    bad("a body is iodata or a string").

first(Body, [Convert | Others]) ->
    try
        Convert(Body)
    catch
        error:_ -> first(Body, Others)
    end;
first(_Body, []) ->
    bad("a body is iodata or a string").

characters(Body) ->
    Text = unicode:characters_to_binary(Body),
    true = is_binary(Text),
    Text.

has_binary([Head | Tail]) -> has_binary(Head) orelse has_binary(Tail);
has_binary(Other) -> is_binary(Other).
