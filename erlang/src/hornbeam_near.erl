%% Names that are nearly the one that somebody asked for.
-module(hornbeam_near).

-export([hint/2]).

-define(SHOWN, 3).

%% @doc What to add to an error's text: the nearest of the known names, nothing if none is near.
%%
%% ```
%%     <<"; do you mean 'add'?">> = iolist_to_binary(hornbeam_near:hint(<<"ad">>, [<<"add">>, <<"get_user">>])).
%% '''
-spec hint(binary(), [binary()]) -> iodata().
hint(Name, Known) ->
    Wanted = characters(Name),
    Bound = max(1, length(Wanted) div 3),
    Near = lists:sort([{Distance, K} || K <- Known, Distance <- distance(Wanted, characters(K), Bound)]),
    case [[$', K, $'] || {_, K} <- lists:sublist(Near, ?SHOWN)] of
        [] -> [];
        Names -> ["; do you mean ", lists:join(" or ", Names), "?"]
    end.

characters(Name) ->
    case unicode:characters_to_list(Name) of
        Text when is_list(Text) -> string:lowercase(Text);
        _ -> binary_to_list(Name)
    end.

%% The edits from A to B if they are few; what A begins is near, too.
distance(A, B, Bound) when abs(length(A) - length(B)) =< Bound ->
    case lists:last(rows(A, B, lists:seq(0, length(B)))) of
        Distance when Distance =< Bound -> [Distance];
        _ -> []
    end;
distance(A, B, Bound) ->
    case length(A) >= 3 andalso lists:prefix(A, B) of
        true -> [Bound + 1];
        false -> []
    end.

%% Levenshtein's table, row by row.
rows([], _B, Row) -> Row;
rows([C | A], B, [First | _] = Row) -> rows(A, B, row(C, B, Row, [First + 1])).

row(_C, [], _Above, Row) ->
    lists:reverse(Row);
row(C, [D | B], [Diagonal | [Up | _] = Above], [Left | _] = Row) ->
    Cost = case C =:= D of true -> 0; false -> 1 end,
    row(C, B, Above, [min(Diagonal + Cost, 1 + min(Up, Left)) | Row]).
