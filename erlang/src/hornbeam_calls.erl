%% What calls of functions and of other nodes have in common: the code of
%% somebody else run to its end, whatever that is, and the reply to the client.
-module(hornbeam_calls).

-export([outcome/1, reply/2, died/1, raised/3, arguments/1, name/2]).
-export([check/2, limit/1, until/1]).
-export_type([outcome/0]).

-type outcome() :: {returned, term()} | {raised, Class :: error | exit | throw, Reason :: term(), Text :: binary()}.

%% Bytes of a result as it is sent, of an exception's reason and of its text; characters of a term in that.
-define(RESULT_MAX, 67108864).
-define(REASON_MAX, 1048576).
-define(TEXT_MAX, 8000).
-define(TERM_MAX, 400).

%% As receive takes it.
-define(IS_TIMEOUT(T), (T =:= infinity orelse is_integer(T) andalso T >= 0 andalso T < 1 bsl 32)).

%% @doc Throws what is wrong with the arguments or the timeout of a call.
-spec check(Arguments :: term(), Timeout :: term()) -> ok.
check(_Arguments, Timeout) when not ?IS_TIMEOUT(Timeout) ->
    hornbeam_error:throw(type, "a timeout is a number of milliseconds, or infinity");
check(Arguments, _Timeout) when not is_list(Arguments) ->
    hornbeam_error:throw(type, "the arguments of a call are a list");
check(_Arguments, _Timeout) ->
    ok.

%% @doc The calling process is killed at that time: what it has others do is over by then, too.
-spec limit(integer() | infinity) -> ok.
limit(Until) ->
    _ = put(?MODULE, Until),
    ok.

%% @doc When something is over that begins now and may take so long; numbers come before infinity.
-spec until(timeout()) -> integer() | infinity.
until(infinity) -> own_end();
until(Timeout) -> min(own_end(), hornbeam_clock:ms() + Timeout).

own_end() ->
    case get(?MODULE) of
        undefined -> infinity;
        Until -> Until
    end.

-spec outcome(fun(() -> term())) -> outcome().
outcome(Fun) ->
    try
        {returned, Fun()}
    catch
        Class:Reason:Stack -> raised(Class, Reason, Stack)
    end.

-spec raised(error | exit | throw, term(), erlang:stacktrace()) -> outcome().
raised(Class, Reason, Stack) ->
    {raised, Class, Reason, text(Class, Reason, Stack)}.

%% @doc The payload of a reply; What says in an error whose result it is.
-spec reply({ok | error, term()} | outcome(), iodata()) -> iodata().
reply({raised, Class, Reason, Text}, _What) ->
    encode({raised, Class, short(Reason, erlang:external_size(Reason)), Text});
reply(Result, What) ->
    case erlang:external_size(Result) of
        Size when Size > ?RESULT_MAX ->
            hornbeam_error:throw(limit, [
                "the result of ", What, " has about ", integer_to_binary(Size), " bytes; at most ",
                integer_to_binary(?RESULT_MAX), " can be sent"
            ]);
        _ ->
            encode(Result)
    end.

encode(Term) ->
    term_to_binary(Term, [{minor_version, 2}]).

short(Reason, Size) when Size =< ?REASON_MAX -> Reason;
short(_Reason, Size) -> iolist_to_binary(["a reason of about ", integer_to_binary(Size), " bytes"]).

%% @doc The reply for a process that a signal ended before it could say how it ended.
-spec died(term()) -> iodata().
died(Reason) ->
    reply(raised(exit, Reason, []), "").

%% @doc The arguments of a call, a list in the external format.
-spec arguments(binary()) -> [term()].
arguments(Binary) ->
    Arguments = hornbeam_names:decode(Binary),
    try
        _ = length(Arguments),
        Arguments
    catch
        error:badarg -> hornbeam_error:throw(type, "the arguments of a call are a list")
    end.

%% @doc Whether a name of What may be one: 1 to 255 bytes.
-spec name(iodata(), term()) -> ok.
name(_What, Name) when is_binary(Name), Name =/= <<>>, byte_size(Name) =< 255 ->
    ok;
name(What, Name) when is_binary(Name) ->
    hornbeam_error:throw(value, ["the name of a ", What, " has 1 to 255 bytes"]);
name(What, _Name) ->
    hornbeam_error:throw(type, ["the name of a ", What, " is a string"]).

%% As the shell of Erlang would show it, of bounded length.
text(Class, Reason, Stack) ->
    Options = #{
        stack_trim_fun => fun(Module, _Function, _Arity) -> ours(Module) end,
        format_fun => fun(Term, _Column) -> io_lib:format("~0tp", [Term], [{chars_limit, ?TERM_MAX}]) end
    },
    Text =
        try
            erl_error:format_exception(Class, Reason, Stack, Options)
        catch
            _:_ -> io_lib:format("exception ~s: ~0tp", [Class, Reason], [{chars_limit, ?TERM_MAX}])
        end,
    cut(unicode:characters_to_binary(Text)).

ours(Module) ->
    lists:member(Module, [?MODULE, hornbeam_casts, hornbeam_functions, hornbeam_link, hornbeam_rpc]).

cut(Text) when byte_size(Text) =< ?TEXT_MAX ->
    Text;
cut(Text) ->
    case unicode:characters_to_binary(binary:part(Text, 0, ?TEXT_MAX)) of
        {incomplete, Whole, _} -> <<Whole/binary, "...">>;
        Whole -> <<Whole/binary, "...">>
    end.
