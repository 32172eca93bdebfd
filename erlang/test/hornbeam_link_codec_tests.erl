%% Frames and payloads, without a socket.
-module(hornbeam_link_codec_tests).

-include_lib("eunit/include/eunit.hrl").
-include("hornbeam_link.hrl").

-define(PING, <<15:32, 1, 2, 0, 0, 7:32, 9:32, 131, 106, 0>>).

a_whole_frame_test() ->
    ?assertEqual({request, {1, 2, 0, 7, 9, <<131, 106, 0>>}, <<"x">>}, hornbeam_link_codec:next(<<?PING/binary, "x">>)).

every_shorter_piece_lacks_something_test() ->
    [
        ?assertMatch({more, Missing} when Missing =< byte_size(?PING) - N, hornbeam_link_codec:next(binary:part(?PING, 0, N)))
     || N <- lists:seq(0, byte_size(?PING) - 1)
    ].

lengths_out_of_range_test_() ->
    [
        ?_assertMatch({bad, 7, 2, _}, hornbeam_link_codec:next(<<Length:32, 1, 2, 0, 0, 7:32, 0:32>>))
     || Length <- [0, 11, ?HB_LINK_FRAME_MAX + 1, 16#ffffffff]
    ].

large_payloads_are_counted_before_they_are_decoded_test_() ->
    Count = 3000000,
    Nils = binary:copy(<<106>>, Count),
    Pairs = {[{<<"k", (integer_to_binary(N))/binary>>, N * 1000000000000} || N <- lists:seq(1, 100000)], 0},
    [
        ?_assertThrow({refused, limit, _}, hornbeam_link_codec:decode(<<131, 108, Count:32, Nils/binary, 106>>)),
        ?_assertThrow({refused, limit, _}, hornbeam_link_codec:decode(<<131, (binary:copy(<<104, 1>>, Count))/binary, 106>>)),
        ?_assertThrow({refused, limit, _}, hornbeam_link_codec:decode(<<131, 108, 16#ffffffff:32, Nils/binary>>)),
        ?_assertThrow({refused, protocol, _}, hornbeam_link_codec:decode(<<131, 105, Count:32, Nils/binary>>)),
        ?_assertThrow({refused, protocol, _}, hornbeam_link_codec:decode(<<131, 109, 100000:32, Nils:99999/binary>>)),
        ?_assertThrow({refused, protocol, _}, hornbeam_link_codec:decode(term_to_binary(lists:duplicate(20000, 1.0)))),
        ?_assertEqual(Pairs, hornbeam_link_codec:decode(term_to_binary(Pairs)))
    ].

refused_payloads_test_() ->
    Deep = binary:copy(<<104, 1>>, 10000),
    Compressed = term_to_binary(lists:duplicate(1000, a), [compressed]),
    [
        {Name, ?_assertThrow({refused, protocol, _}, hornbeam_link_codec:decode(Payload))}
     || {Name, Payload} <- [
            {"nothing", <<>>},
            {"no version byte", <<106>>},
            {"another version byte", <<130, 106>>},
            {"two terms", <<131, 106, 106>>},
            {"a compressed term", Compressed},
            {"an unknown atom", <<131, 119, 21, "hornbeam_no_such_atom">>},
            {"a cut binary", <<131, 109, 5:32, "abc">>},
            {"a cut nesting", <<131, Deep/binary>>},
            {"random bytes", <<131, 255, 1, 2, 3>>}
        ]
    ].

parts_make_up_the_whole_test() ->
    Big = binary:copy(<<"0123456789abcdef">>, 200000),
    Payload = hornbeam_link_codec:answer({values, [{ok, Big}, none, {ok, 7}, {ok, <<131, 106>>}, {ok, Big}]}),
    Parts = hornbeam_link_codec:parts(Payload),
    ?assertEqual(7, length(Parts)),
    ?assert(lists:all(fun(P) -> iolist_size(P) =< ?HB_LINK_PART_MAX end, Parts)),
    ?assertEqual([Big, none, 7, <<131, 106>>, Big], binary_to_term(iolist_to_binary(Parts))).

answers_are_terms_test_() ->
    Big = binary:copy(<<"v">>, 3000),
    [
        ?_assertEqual(Term, binary_to_term(iolist_to_binary(hornbeam_link_codec:answer(Answer))))
     || {Answer, Term} <- [
            {ok, ok}, {true, true}, {false, false}, {none, none}, {pong, pong}, {0, 0}, {255, 255}, {-1, -1},
            {1 bsl 100, 1 bsl 100}, {infinity, infinity}, {{value, Big}, {value, Big}}, {{value, 5}, {value, 5}},
            {{lease, 12}, {lease, 12}}, {{Big, 3}, {Big, 3}}, {{5, 3}, {5, 3}}, {{values, []}, []},
            {{values, [none]}, [none]}, {[true, false], [true, false]}
        ]
    ].
