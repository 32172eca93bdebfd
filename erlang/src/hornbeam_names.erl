%% Atoms for names that come from outside.  An atom is never given back, so
%% those that requests make this node know are counted, and there is an end to
%% them.  Names that the node knows already cost nothing.
%%
%% The count is of the node's life, not the application's: the atoms stay when
%% the application is started anew.  The application's environment has the
%% limit in `names`.
-module(hornbeam_names).

-export([init/0, atom/1, decode/1, made/0, max/0]).

-define(MAX, 10000).
-define(CHARACTERS_MAX, 255).

%% @doc Begins the count, unless the node has one: before there are requests, the
%% first of which, at once, would each begin one of their own.
-spec init() -> ok.
init() ->
    case persistent_term:get(?MODULE, none) of
        none -> persistent_term:put(?MODULE, atomics:new(1, [{signed, true}]));
        _Counter -> ok
    end.

%% @doc The atom of a name in UTF-8.
%%
%% Throws a refusal of the class limit when the node would have to make one
%% atom too many.
%%
%% ```
%%     lists = hornbeam_names:atom(<<"lists">>).
%% '''
-spec atom(binary()) -> atom().
atom(Name) when is_binary(Name) ->
    try
        binary_to_existing_atom(Name)
    catch
        error:_ ->
            ok = admit([Name]),
            binary_to_existing_atom(Name)
    end;
atom(_Name) ->
    hornbeam_error:throw(type, "a name is a string").

%% @doc The term that a binary in the external format holds, 131 in front.
%%
%% Its atoms are admitted as by atom/1, all or none.  Funs, compressed terms,
%% too many terms and terms too deep are refused.
%%
%% ```
%%     [1, <<"a">>] = hornbeam_names:decode(term_to_binary([1, <<"a">>])).
%% '''
-spec decode(binary()) -> term().
decode(<<131, Bytes/binary>> = Binary) ->
    ok = hornbeam_terms:check(Bytes),
    try
        binary_to_term(Binary, [safe])
    catch
        error:badarg ->
            ok = admit(hornbeam_terms:atoms(Bytes)),
            retry(Binary)
    end;
decode(_Other) ->
    hornbeam_error:throw(protocol, "not a term in the external format").

retry(Binary) ->
    try
        binary_to_term(Binary, [safe])
    catch
        error:badarg ->
            hornbeam_error:throw(protocol, "a term cannot be decoded: a map has a key twice, or a number is none")
    end.

%% @doc How many atoms requests have made.
-spec made() -> non_neg_integer().
made() ->
    atomics:get(counter(), 1).

%% @doc How many they may make.
-spec max() -> non_neg_integer().
max() ->
    application:get_env(hornbeam, names, ?MAX).

admit(Names) ->
    case lists:usort([Name || Name <- Names, unknown(Name)]) of
        [] -> ok;
        [First | _] = New -> make(New, length(New), First)
    end.

unknown(Name) ->
    try
        _ = binary_to_existing_atom(Name),
        false
    catch
        error:_ -> ok = sound(Name), true
    end.

sound(Name) ->
    case unicode:characters_to_list(Name) of
        Text when is_list(Text), length(Text) =< ?CHARACTERS_MAX ->
            ok;
        Text when is_list(Text) ->
            hornbeam_error:throw(value, ["a name (an atom) has at most ", integer_to_binary(?CHARACTERS_MAX), " characters"]);
        _ ->
            hornbeam_error:throw(value, "a name (an atom) is not in UTF-8")
    end.

make(Names, Count, First) ->
    Max = max(),
    Counter = counter(),
    case atomics:add_get(Counter, 1, Count) =< Max of
        true ->
            _ = [binary_to_atom(Name) || Name <- Names],
            ok;
        false ->
            ok = atomics:sub(Counter, 1, Count),
            hornbeam_error:throw(limit, [
                "the name (atom) ", hornbeam_error:key(First), " is new to this node, which makes at most ",
                integer_to_binary(Max), " new ones for requests until it is restarted"
            ])
    end.

counter() ->
    case persistent_term:get(?MODULE, none) of
        none ->
            ok = init(),
            counter();
        Counter ->
            Counter
    end.
