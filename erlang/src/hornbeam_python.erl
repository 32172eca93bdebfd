%% Python functions that clients of the link provide: which client has which,
%% and calls of them from Erlang and, through the companion, from Python.
%%
%% The clients that have a function share its calls: each goes to the one with
%% the fewest under way.  A call is sent once: where its client goes meanwhile
%% nobody knows whether it ran, and it is not sent to another one.
-module(hornbeam_python).
-behaviour(gen_server).

-export([start_link/0, provide/3, withdraw/2, has/1, names/0]).
-export([call/3, reply/3, cast/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([outcome/0]).

-include("hornbeam_link.hrl").
-include_lib("kernel/include/logger.hrl").

-define(TABLE, ?MODULE).
%% What may be under way at one client, which runs a few at once.
-define(CALLS_MAX, 1000).
-define(BYTES_MAX, 67108864).
%% Arguments of one call: in a frame there are the name and some numbers beside them.
-define(ARGUMENTS_MAX, (?HB_LINK_FRAME_MAX - 512)).
%% Functions of one client.
-define(NAMES_MAX, 10000).

%% The result, encoded; or what the function raised: its type, its text, where.
-type outcome() :: {ok, binary()} | {raised, Type :: binary(), Text :: binary(), Traceback :: binary()}.

-record(state, {
    %% The links that provide functions, and how many.
    links = #{} :: #{pid() => {Monitor :: reference(), pos_integer()}}
}).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% @doc The client of Link has the function from now on.
-spec provide(binary(), pid(), hornbeam_tasks:load()) -> ok.
provide(Name, Link, Load) when is_binary(Name), Name =/= <<>>, byte_size(Name) =< 255 ->
    case gen_server:call(?MODULE, {provide, binary:copy(Name), Link, Load}) of
        ok -> ok;
        {refused, Class, Text} -> hornbeam_error:throw(Class, Text)
    end;
provide(_Name, _Link, _Load) ->
    hornbeam_error:throw(value, "the name of a function has 1 to 255 bytes").

%% @doc It has it no longer; what is under way goes on.
-spec withdraw(binary(), pid()) -> ok.
withdraw(Name, Link) ->
    gen_server:call(?MODULE, {withdraw, Name, Link}).

-spec has(binary()) -> boolean().
has(Name) ->
    case ets:next(?TABLE, {Name, 0}) of
        {Name, _} -> true;
        _ -> false
    end.

%% @doc The functions that some client has, sorted.
-spec names() -> [binary()].
names() ->
    lists:usort(ets:select(?TABLE, [{{{'$1', '_'}, '_'}, [], ['$1']}])).

%% @doc Calls a function with a list of arguments and returns what it returns.
%% Raises error({python_error, Type, Text}) with its exception, and throws refusals.
-spec call(binary(), [term()], timeout()) -> term().
call(Name, Args, Timeout) ->
    ok = hornbeam_calls:check(Args, Timeout),
    case run(Name, term_to_binary(Args), Timeout) of
        {ok, Encoded} -> hornbeam_names:decode(Encoded);
        {raised, Type, Text, _Traceback} -> error({python_error, Type, Text})
    end.

%% @doc The reply to a client that calls a function: the result goes through as it came.
-spec reply(binary(), binary(), timeout()) -> iodata().
reply(Name, Args, Timeout) ->
    case run(Name, Args, Timeout) of
        {ok, <<131, Result/binary>>} -> [<<131, 104, 2, 119, 2, "ok">>, Result];
        {raised, Type, Text, Traceback} -> term_to_binary({raised, error, {python_error, Type, Text}, Traceback})
    end.

%% @doc Calls a function and forgets it; what it raises is logged.
-spec cast(binary(), binary()) -> ok.
cast(Name, Args) ->
    hornbeam_casts:start(hornbeam_error:key(Name), byte_size(Args), fun() ->
        case run(Name, Args, infinity) of
            {ok, _} -> ok;
            {raised, Type, Text, _} -> error({python_error, Type, Text})
        end
    end).

run(Name, Args, Timeout) ->
    %% Monotonic ones nobody else takes from: the next call has the next number, and it is the next one's turn.
    Id = erlang:unique_integer([positive, monotonic]),
    {Link, Load} = choose(Name, byte_size(Args), Id),
    ok = check_size(Name, byte_size(Args)),
    Alias = erlang:monitor(process, Link, [{alias, reply_demonitor}]),
    ok = hornbeam_tasks:send(Link, Load, #{
        id => Id, reply_to => Alias, caller => self(), name => Name, args => Args, until => hornbeam_calls:until(Timeout)
    }),
    receive
        {Alias, {refused, Class, Text}} ->
            hornbeam_error:throw(Class, Text);
        {Alias, Outcome} ->
            Outcome;
        {'DOWN', Alias, process, _, _} ->
            hornbeam_error:throw(connect, [
                "the process that was to run ", hornbeam_error:key(Name), " has gone; whether it ran is unknown"
            ])
    after Timeout ->
        ok = hornbeam_tasks:give_up(Link, Id),
        erlang:demonitor(Alias, [flush]),
        receive
            {Alias, _Late} -> ok
        after 0 -> ok
        end,
        hornbeam_error:throw(timeout, (hornbeam_functions:late(Name))(Timeout))
    end.

%% A client that is sent a longer frame takes it for an error and leaves, with all else that it has to do.
check_size(_Name, Bytes) when Bytes =< ?ARGUMENTS_MAX ->
    ok;
check_size(Name, Bytes) ->
    hornbeam_error:throw(limit, [
        "the arguments of ", hornbeam_error:key(Name), " have ", integer_to_binary(Bytes), " bytes; at most ",
        integer_to_binary(?ARGUMENTS_MAX), " can be sent"
    ]).

choose(Name, Bytes, Turn) ->
    Provided = ets:select(?TABLE, [{{{Name, '$1'}, '$2'}, [], [{{'$1', '$2'}}]}]),
    %% The server may not have heard yet of those who are gone.
    case [Row || {Link, _} = Row <- Provided, is_process_alive(Link)] of
        [] ->
            hornbeam_error:throw(missing, [
                "no Python function ", hornbeam_error:key(Name), " is registered", hornbeam_near:hint(Name, names())
            ]);
        Rows ->
            {Before, After} = lists:split(Turn rem length(Rows), Rows),
            least(Name, Bytes, [{hornbeam_tasks:count(Load), hornbeam_tasks:bytes(Load), Row} || {_, Load} = Row <- After ++ Before])
    end.

least(Name, Bytes, Choices) ->
    {Count, Held, Row} = lists:foldl(fun fewer/2, hd(Choices), tl(Choices)),
    case Count < ?CALLS_MAX andalso (Held =:= 0 orelse Held + Bytes =< ?BYTES_MAX) of
        true -> Row;
        false -> hornbeam_error:throw(limit, ["too many calls of ", hornbeam_error:key(Name), " are under way"])
    end.

%% The one whose turn it is stays where another has as many.
fewer({Count, _, _} = Choice, {Least, _, _}) when Count < Least -> Choice;
fewer(_Choice, Least) -> Least.

-spec init([]) -> {ok, #state{}}.
init([]) ->
    ?TABLE = ets:new(?TABLE, [named_table, ordered_set, protected, {read_concurrency, true}]),
    {ok, #state{}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {reply, ok | {refused, hornbeam_error:class(), binary()}, #state{}}.
handle_call({provide, Name, Link, Load}, _From, #state{links = Links} = State) ->
    case {ets:member(?TABLE, {Name, Link}), Links} of
        {true, _} ->
            {reply, ok, State};
        {false, #{Link := {_, ?NAMES_MAX}}} ->
            Text = ["a client provides at most ", integer_to_binary(?NAMES_MAX), " functions"],
            {reply, {refused, limit, iolist_to_binary(Text)}, State};
        {false, _} ->
            true = ets:insert(?TABLE, {{Name, Link}, Load}),
            {reply, ok, State#state{links = more(Link, Links)}}
    end;
handle_call({withdraw, Name, Link}, _From, #state{links = Links} = State) ->
    case ets:take(?TABLE, {Name, Link}) of
        [] -> {reply, ok, State};
        [_] -> {reply, ok, State#state{links = fewer_of(Link, Links)}}
    end.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(Message, State) ->
    ?LOG_WARNING("python: unexpected message ~0tp", [Message]),
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({'DOWN', _Monitor, process, Link, _Reason}, #state{links = Links} = State) ->
    _ = ets:select_delete(?TABLE, [{{{'_', Link}, '_'}, [], [true]}]),
    {noreply, State#state{links = maps:remove(Link, Links)}};
handle_info(Message, State) ->
    ?LOG_WARNING("python: unexpected message ~0tp", [Message]),
    {noreply, State}.

more(Link, Links) ->
    case Links of
        #{Link := {Monitor, Count}} -> Links#{Link := {Monitor, Count + 1}};
        _ -> Links#{Link => {erlang:monitor(process, Link), 1}}
    end.

fewer_of(Link, Links) ->
    case Links of
        #{Link := {Monitor, 1}} ->
            erlang:demonitor(Monitor, [flush]),
            maps:remove(Link, Links);
        #{Link := {Monitor, Count}} ->
            Links#{Link := {Monitor, Count - 1}}
    end.
