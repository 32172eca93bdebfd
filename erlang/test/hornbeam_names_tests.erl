%% Terms from outside: what is decoded, what is refused, and how many atoms
%% that makes.  Random terms and mutated bytes beside the cases.
-module(hornbeam_names_tests).

-include_lib("eunit/include/eunit.hrl").

-define(ROUNDS, 3000).

decode(Term) -> hornbeam_names:decode(term_to_binary(Term)).

wrapped(Bytes) -> <<131, 108, 1:32, Bytes/binary, 106>>.

terms_come_back_test_() ->
    [
        ?_assertEqual(Term, decode(Term))
     || Term <- [
            [], [1, -1, 256, 1 bsl 31, 1 bsl 70, -(1 bsl 3000)], 1.5, <<>>, <<"abc">>, <<1:3>>, {}, {a, {b}}, [a | b],
            #{}, #{a => 1, <<"b">> => [2]}, "a string", lists:seq(1, 300), list_to_tuple(lists:seq(1, 300)),
            self(), make_ref(), hd(erlang:ports()), true, undefined, 'an atom', 'ünïcödé', '',
            maps:from_list([{N, N} || N <- lists:seq(1, 100)])
        ]
    ].

old_tags_are_known_test_() ->
    Node = <<100, 13:16, "nonode@nohost">>,
    [
        ?_assertEqual([abc], hornbeam_names:decode(wrapped(<<100, 3:16, "abc">>))),
        ?_assertEqual([abc], hornbeam_names:decode(wrapped(<<115, 3, "abc">>))),
        ?_assertEqual([abc], hornbeam_names:decode(wrapped(<<118, 3:16, "abc">>))),
        ?_assertEqual(['é'], hornbeam_names:decode(wrapped(<<115, 1, 16#e9>>))),
        ?_assertEqual([1.5], hornbeam_names:decode(wrapped(<<99, "1.50000000000000000000e+00", 0:40>>))),
        ?_assertMatch([P] when is_pid(P), hornbeam_names:decode(wrapped(<<103, Node/binary, 1:32, 0:32, 0>>))),
        ?_assertMatch([R] when is_reference(R), hornbeam_names:decode(wrapped(<<101, Node/binary, 1:32, 0>>))),
        ?_assertMatch([R] when is_reference(R), hornbeam_names:decode(wrapped(<<114, 1:16, Node/binary, 0, 1:32>>))),
        ?_assertMatch([P] when is_port(P), hornbeam_names:decode(wrapped(<<102, Node/binary, 1:32, 0>>)))
    ].

pythons_bytes_are_binaries_test_() ->
    [
        ?_assertEqual([<<"abc">>], hornbeam_names:decode(wrapped(<<77, 3:32, 8, "abc">>))),
        ?_assertEqual([<<>>], hornbeam_names:decode(wrapped(<<77, 0:32, 0>>)))
    ].

refused_test_() ->
    Fun = fun() -> ok end,
    Deep = fun(N) -> <<131, (binary:copy(<<104, 1>>, N))/binary, 106>> end,
    Twice = <<131, 116, 2:32, 97, 1, 106, 97, 1, 106>>,
    [
        {Name, ?_assertThrow({refused, Class, _}, hornbeam_names:decode(Bytes))}
     || {Name, Class, Bytes} <- [
            {"nothing", protocol, <<>>},
            {"another version", protocol, <<130, 106>>},
            {"no term", protocol, <<131>>},
            {"not a binary", protocol, 5},
            {"a fun", type, term_to_binary([Fun])},
            {"an external fun", type, term_to_binary(#{a => fun lists:map/2})},
            {"an external fun of no known module", type, <<131, 113, 119, 3, "qqx", 119, 3, "qqy", 97, 1>>},
            {"a compressed term", protocol, term_to_binary(lists:duplicate(1000, a), [compressed])},
            {"a compressed term inside", protocol, wrapped(<<80, 1000:32, "zzzz">>)},
            {"two terms", protocol, <<131, 106, 106>>},
            {"an atom cache reference", protocol, wrapped(<<82, 0>>)},
            {"a cut list", protocol, <<131, 108, 2:32, 106>>},
            {"a cut pid", protocol, wrapped(<<88, 119, 13, "nonode@nohost", 1:32>>)},
            {"a pid of no node", protocol, wrapped(<<88, 97, 1, 1:32, 0:32, 0:32>>)},
            {"a key twice", protocol, Twice},
            {"a number that is none", protocol, wrapped(<<70, 16#7ff8:16, 0:48>>)},
            {"an atom too long", value, wrapped(<<118, 256:16, (binary:copy(<<"x">>, 256))/binary>>)},
            {"an atom that is no text", value, wrapped(<<119, 2, 255, 255>>)},
            {"too deep", limit, Deep(513)},
            {"many terms in a list", limit, <<131, 108, 2000001:32, (binary:copy(<<106>>, 2000002))/binary>>},
            {"a list that claims many", limit, <<131, 108, 16#ffffffff:32, 106>>},
            {"a map that claims many", limit, <<131, 116, 16#ffffffff:32, 106>>},
            {"a tuple that claims many", limit, <<131, 105, 16#ffffffff:32, 106>>},
            {"many strings", limit, wrapped(<<108, 100:32, (binary:copy(<<107, 65535:16, 0:524280>>, 100))/binary, 106>>)}
        ]
    ] ++ [{"just not too deep", ?_assertMatch({_}, hornbeam_names:decode(Deep(512)))}].

%% Names as atoms would have them, without making them here.
new(Prefix, N) ->
    <<(atom_to_binary(?MODULE))/binary, $_, Prefix/binary, (integer_to_binary(N))/binary>>.

%% The rest of the tests go on with the limit as it is.
with_room(Room, Fun) ->
    Before = application:get_env(hornbeam, names),
    ok = application:set_env(hornbeam, names, hornbeam_names:made() + Room),
    try
        Fun()
    after
        case Before of
            undefined -> application:unset_env(hornbeam, names);
            {ok, Max} -> application:set_env(hornbeam, names, Max)
        end
    end.

names_beyond_the_limit_are_refused_and_make_no_atom_test() ->
    with_room(3, fun() ->
        Made = hornbeam_names:made(),
        ?assertEqual(new(<<"a">>, 1), atom_to_binary(hornbeam_names:atom(new(<<"a">>, 1)))),
        ?assertEqual(lists, hornbeam_names:atom(<<"lists">>)),
        ?assertEqual(Made + 1, hornbeam_names:made()),
        Two = wrapped(<< <<119, (byte_size(new(<<"a">>, N))), (new(<<"a">>, N))/binary>> || N <- [2, 2] >>),
        <<131, 108, 1:32, Same/binary>> = Two,
        [Atom, Atom] = hornbeam_names:decode(<<131, 108, 2:32, Same/binary>>),
        ?assertEqual(Made + 2, hornbeam_names:made()),
        Before = erlang:system_info(atom_count),
        Many = << <<119, (byte_size(new(<<"b">>, N))), (new(<<"b">>, N))/binary>> || N <- lists:seq(1, 200) >>,
        {refused, limit, Text} = (catch hornbeam_names:decode(<<131, 108, 200:32, Many/binary, 106>>)),
        ?assertMatch({_, _}, binary:match(Text, <<"new ones for requests until it is restarted">>)),
        ?assertEqual(Before, erlang:system_info(atom_count)),
        ?assertEqual(Made + 2, hornbeam_names:made()),
        _ = hornbeam_names:atom(new(<<"a">>, 3)),
        ?assertThrow({refused, limit, _}, hornbeam_names:atom(new(<<"a">>, 4))),
        ?assertEqual(hornbeam_names:atom(new(<<"a">>, 3)), hornbeam_names:atom(new(<<"a">>, 3)))
    end).

a_name_is_a_binary_of_text_test_() ->
    [
        ?_assertThrow({refused, type, _}, hornbeam_names:atom(lists)),
        ?_assertThrow({refused, value, _}, hornbeam_names:atom(<<255, 254>>)),
        ?_assertThrow({refused, value, _}, hornbeam_names:atom(binary:copy(<<"é"/utf8>>, 256))),
        ?_assert(is_atom(hornbeam_names:atom(binary:copy(<<"é"/utf8>>, 255))))
    ].

random_terms_come_back_test_() ->
    {timeout, 60, fun() ->
        _ = rand:seed(exsss, {1, 2, 3}),
        [
            begin
                Term = term(4),
                Options = lists:nth(rand:uniform(2), [[], [{minor_version, 1}]]),
                ?assertEqual(Term, hornbeam_names:decode(term_to_binary(Term, Options)))
            end
         || _ <- lists:seq(1, ?ROUNDS)
        ]
    end}.

%% Whatever comes: a refusal or a term without funs, and few atoms.
mutated_bytes_are_refused_or_decoded_test_() ->
    {timeout, 60, fun() ->
        _ = rand:seed(exsss, {4, 5, 6}),
        Before = erlang:system_info(atom_count),
        Outcomes = with_room(50, fun() -> [outcome(mutated(term_to_binary(fun_too(term(3))))) || _ <- lists:seq(1, ?ROUNDS)] end),
        ?assert(erlang:system_info(atom_count) =< Before + 50),
        ?assert(lists:member(decoded, Outcomes)),
        ?assert(lists:member(refused, Outcomes))
    end}.

outcome(Bytes) ->
    try hornbeam_names:decode(Bytes) of
        Term ->
            ?assertNot(has_fun(Term)),
            ?assertEqual({Term, byte_size(Bytes)}, binary_to_term(Bytes, [safe, used])),
            decoded
    catch
        throw:{refused, Class, Text} when is_atom(Class), is_binary(Text) -> refused
    end.

fun_too(Term) ->
    case rand:uniform(8) of
        1 -> [Term, fun lists:map/2];
        2 -> {fun() -> Term end};
        _ -> Term
    end.

mutated(<<131, Bytes/binary>>) ->
    <<131, (lists:foldl(fun(_, B) -> mutate(B) end, Bytes, lists:seq(1, rand:uniform(3))))/binary>>.

mutate(<<>>) ->
    <<(rand:uniform(256) - 1)>>;
mutate(Bytes) ->
    Tags = [70, 77, 80, 88, 89, 90, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114,
        115, 116, 117, 118, 119, 120, 121],
    Before = rand:uniform(byte_size(Bytes)) - 1,
    <<Head:Before/binary, Byte, Tail/binary>> = Bytes,
    case rand:uniform(6) of
        1 -> <<Head/binary, (rand:uniform(256) - 1), Tail/binary>>;
        2 -> <<Head/binary, Tail/binary>>;
        3 -> <<Head/binary, (lists:nth(rand:uniform(length(Tags)), Tags)), Byte, Tail/binary>>;
        4 -> <<Head/binary, (lists:nth(rand:uniform(length(Tags)), Tags)), Tail/binary>>;
        5 -> <<Head/binary, Byte>>;
        6 -> <<Head/binary, (Byte bxor (1 bsl (rand:uniform(8) - 1))), Tail/binary>>
    end.

has_fun(Term) when is_function(Term) -> true;
has_fun([Head | Tail]) -> has_fun(Head) orelse has_fun(Tail);
has_fun(Term) when is_tuple(Term) -> lists:any(fun has_fun/1, tuple_to_list(Term));
has_fun(Term) when is_map(Term) -> has_fun(maps:to_list(Term));
has_fun(_Term) -> false.

term(0) ->
    case rand:uniform(12) of
        1 -> rand:uniform(300) - 20;
        2 -> -(1 bsl rand:uniform(100));
        3 -> rand:uniform() * 1.0e10;
        4 -> lists:nth(rand:uniform(4), [true, undefined, 'ünï', ok]);
        5 -> self();
        6 -> make_ref();
        7 -> [];
        8 -> <<5:3>>;
        9 -> lists:seq(1, rand:uniform(20));
        10 -> rand:bytes(rand:uniform(300));
        11 -> 1 bsl (8 * 300);
        12 -> {}
    end;
term(Depth) ->
    Some = fun() -> [term(Depth - 1) || _ <- lists:seq(1, rand:uniform(4))] end,
    case rand:uniform(6) of
        1 -> Some();
        2 -> list_to_tuple(Some());
        3 -> maps:from_list([{term(Depth - 1), V} || V <- Some()]);
        4 -> Some() ++ term(0);
        _ -> term(0)
    end.
