%% The patterns of rpc.allow, and the names that are near another.
-module(hornbeam_rpc_allow_tests).

-include_lib("eunit/include/eunit.hrl").

allows(Patterns, Call) ->
    [Node, Module, Function] = binary:split(Call, <<":">>, [global]),
    hornbeam_rpc_allow:allows(hornbeam_rpc_allow:new(Patterns), Node, Module, Function).

patterns_test_() ->
    [
        {binary_to_list(<<Pattern/binary, " and ", Call/binary>>), ?_assertEqual(Allowed, allows([Pattern], Call))}
     || {Pattern, Call, Allowed} <- [
            {<<"*">>, <<"a@b:m:f">>, true},
            {<<"*:*:*">>, <<"a@b:m:f">>, true},
            {<<"a@b:m:f">>, <<"a@b:m:f">>, true},
            {<<"a@b:m:f">>, <<"a@b:m:ff">>, false},
            {<<"a@b:m:f">>, <<"a@b:mm:f">>, false},
            {<<"a@b:m:f">>, <<"aa@b:m:f">>, false},
            {<<"a@b">>, <<"a@b:m:f">>, true},
            {<<"a@b:m">>, <<"a@b:m:f">>, true},
            {<<"a@b:m">>, <<"a@b:n:f">>, false},
            {<<"a@*:m:f">>, <<"a@b:m:f">>, true},
            {<<"*@b:m:f">>, <<"a@b:m:f">>, true},
            {<<"*@c:m:f">>, <<"a@b:m:f">>, false},
            {<<"*:shop_*:*">>, <<"a@b:shop_db:get">>, true},
            {<<"*:shop_*:*">>, <<"a@b:shop_:get">>, true},
            {<<"*:shop_*:*">>, <<"a@b:xshop_db:get">>, false},
            {<<"*:*:get_*_by_*">>, <<"a@b:m:get_user_by_id">>, true},
            {<<"*:*:get_*_by_*">>, <<"a@b:m:get_by_id">>, false},
            {<<"*:*:get*get">>, <<"a@b:m:get">>, false},
            {<<"*:*:get*get">>, <<"a@b:m:getget">>, true},
            {<<"*:*:**f">>, <<"a@b:m:xf">>, true},
            {<<"*:*:a*b*c">>, <<"a@b:m:abbc">>, true},
            {<<"*:*:a*b*c">>, <<"a@b:m:acb">>, false},
            {<<"">>, <<"a@b:m:f">>, false},
            {<<"::">>, <<"a@b:m:f">>, false}
        ]
    ].

any_pattern_allows_test() ->
    ?assert(allows([<<"x">>, <<"*:m:*">>], <<"a@b:m:f">>)),
    ?assertNot(allows([], <<"a@b:m:f">>)),
    ?assertNot(allows([<<"x">>, <<"y">>], <<"a@b:m:f">>)).

a_functions_name_may_have_colons_test() ->
    Rules = hornbeam_rpc_allow:new([<<"a@b:m:f:g">>]),
    ?assert(hornbeam_rpc_allow:allows(Rules, <<"a@b">>, <<"m">>, <<"f:g">>)),
    ?assertNot(hornbeam_rpc_allow:allows(Rules, <<"a@b">>, <<"m">>, <<"f">>)).

near_names_test_() ->
    Known = [<<"add">>, <<"get_user">>, <<"get_users">>, <<"größe"/utf8>>, <<"validate_token">>],
    [
        ?_assertEqual(unicode:characters_to_binary(Hint), unicode:characters_to_binary(hornbeam_near:hint(Name, Known)))
     || {Name, Hint} <- [
            {<<"ad">>, "; do you mean 'add'?"},
            {<<"get_usr">>, "; do you mean 'get_user' or 'get_users'?"},
            {<<"grösse"/utf8>>, "; do you mean 'größe'?"},
            {<<"validate">>, "; do you mean 'validate_token'?"},
            {<<"nothing_like_it">>, ""},
            {<<>>, ""}
        ]
    ].
