%% The words that the guest book uses most: Erlang code in the companion, on the
%% same state as the Python application, which calls it by name.
-module(visits_words).

-export([top/1]).

%% In Python call('top_words', 3) is [['tea', 5], ['hello', 2], ['four', 1]].
-spec top(non_neg_integer()) -> [[binary() | pos_integer()]].
top(N) when is_integer(N), N >= 0 ->
    Entries = hornbeam_state:get(<<"guestbook">>, []),
    Words = lists:flatmap(fun(#{<<"text">> := Text}) -> words(Text) end, Entries),
    Counts = lists:foldl(fun(Word, All) -> maps:update_with(Word, fun(C) -> C + 1 end, 1, All) end, #{}, Words),
    Sorted = lists:sort([{-Count, Word} || {Word, Count} <- maps:to_list(Counts)]),
    [[Word, -Count] || {Count, Word} <- lists:sublist(Sorted, N)].

%% Of three letters and more.
words(Text) ->
    case re:run(string:lowercase(Text), "\\pL{3,}", [unicode, ucp, global, {capture, first, binary}]) of
        {match, Found} -> lists:append(Found);
        nomatch -> []
    end.
