%% hornbeam_link.hrl and src/link/proto.h tell the same numbers.
-module(hornbeam_link_header_tests).

-include_lib("eunit/include/eunit.hrl").

same_numbers_test() ->
    Source = os:getenv("HORNBEAM_SOURCE"),
    C = numbers(Source ++ "/src/link/proto.h", "\\b(HB_(?:LINK|OP)_\\w+) = ([^,\n/]+)"),
    Erlang = numbers(Source ++ "/erlang/include/hornbeam_link.hrl", "-define\\((HB_\\w+), ([^)]+)\\)"),
    ?assert(length(C) > 25),
    ?assertEqual(C, Erlang).

numbers(File, Pattern) ->
    {ok, Text} = file:read_file(File),
    {match, Found} = re:run(Text, Pattern, [global, {capture, all_but_first, list}]),
    lists:sort([{Name, product(Expression)} || [Name, Expression] <- Found]).

%% "16 * 1024": proto.h writes sizes so.
product(Expression) ->
    lists:foldl(
        fun(Factor, Product) -> Product * list_to_integer(string:trim(Factor)) end,
        1, string:split(Expression, "*", all)
    ).
