%% Which functions of which nodes clients may call: patterns
%% "node:module:function" in which `*` stands for any characters, in a part or
%% for a whole one.  What a pattern does not say is `*`.
-module(hornbeam_rpc_allow).

-export([new/1, allows/4]).
-export_type([rules/0]).

-opaque rules() :: all | [{part(), part(), part()}].
%% The text between the stars.
-type part() :: [binary(), ...].

%% @doc The rules that patterns make; any one of them allows.
%%
%% ```
%%     Rules = hornbeam_rpc_allow:new([<<"*:shop_*:get">>]),
%%     true = hornbeam_rpc_allow:allows(Rules, <<"a@b">>, <<"shop_db">>, <<"get">>),
%%     false = hornbeam_rpc_allow:allows(Rules, <<"a@b">>, <<"os">>, <<"cmd">>).
%% '''
-spec new([binary()]) -> rules().
new(Patterns) ->
    Rules = lists:map(fun rule/1, Patterns),
    case lists:member({[<<>>, <<>>], [<<>>, <<>>], [<<>>, <<>>]}, Rules) of
        true -> all;
        false -> Rules
    end.

%% A function's name may have colons.
rule(Pattern) ->
    case binary:split(Pattern, <<":">>) of
        [Node] -> {stars(Node), stars(<<"*">>), stars(<<"*">>)};
        [Node, Rest] ->
            case binary:split(Rest, <<":">>) of
                [Module] -> {stars(Node), stars(Module), stars(<<"*">>)};
                [Module, Function] -> {stars(Node), stars(Module), stars(Function)}
            end
    end.

stars(Part) -> binary:split(Part, <<"*">>, [global]).

%% @doc Whether a call is allowed.
-spec allows(rules(), Node :: binary(), Module :: binary(), Function :: binary()) -> boolean().
allows(all, _Node, _Module, _Function) ->
    true;
allows(Rules, Node, Module, Function) ->
    lists:any(
        fun({N, M, F}) -> fits(N, Node) andalso fits(M, Module) andalso fits(F, Function) end,
        Rules
    ).

%% The first piece begins the name, the last one ends it, and those between follow each other.
fits([Whole], Name) ->
    Whole =:= Name;
fits([First | Pieces], Name) ->
    Size = byte_size(First),
    case Name of
        <<First:Size/binary, Rest/binary>> -> follows(Pieces, Rest);
        _ -> false
    end.

follows([Last], Name) ->
    Skip = byte_size(Name) - byte_size(Last),
    Skip >= 0 andalso binary:part(Name, Skip, byte_size(Last)) =:= Last;
follows([<<>> | Pieces], Name) ->
    follows(Pieces, Name);
follows([Piece | Pieces], Name) ->
    case binary:split(Name, Piece) of
        [_, Rest] -> follows(Pieces, Rest);
        [_] -> false
    end.
