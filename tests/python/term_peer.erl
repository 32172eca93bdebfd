%% The BEAM's side of the property tests, {packet, 4} on standard input and output:
%%   <<"echo", Bin>>      -> term_to_binary(binary_to_term(Bin)), or <<"error">>
%%   <<"make", Seed:32>>  -> a random term
%%   <<"same", N:32, A:N/binary, B/binary>> -> <<"true">> if both are the same term
%%   <<"like", N:32, A:N/binary, B/binary>> -> as same, with nil and none taken for undefined
%%   <<"open", Bin>>      -> <<"true">> if it holds no pid, port, reference or fun
%%   <<"scan", N:32, A:N/binary, Text/binary>> -> <<"true">> if Text is A in Erlang's syntax
-module(term_peer).
-export([main/0]).

main() ->
    loop(open_port({fd, 0, 1}, [{packet, 4}, binary, eof])).

loop(Port) ->
    receive
        {Port, {data, Data}} ->
            Answer = try answer(Data) catch _:Reason -> failed(Reason) end,
            port_command(Port, Answer),
            loop(Port);
        {Port, eof} ->
            halt(0)
    end.

failed(Reason) ->
    [<<"error ">>, io_lib:format("~0tp", [Reason])].

answer(<<"echo", Bin/binary>>) ->
    term_to_binary(binary_to_term(Bin));
answer(<<"make", Seed:32>>) ->
    rand:seed(exsss, Seed),
    term_to_binary(term(4), [{minor_version, rand:uniform(3) - 1}]);
answer(<<"same", N:32, A:N/binary, B/binary>>) ->
    atom_to_binary(binary_to_term(A) =:= binary_to_term(B));
answer(<<"like", N:32, A:N/binary, B/binary>>) ->
    atom_to_binary(blend(binary_to_term(A)) =:= blend(binary_to_term(B)));
answer(<<"open", Bin/binary>>) ->
    atom_to_binary(is_open(binary_to_term(Bin)));
answer(<<"scan", N:32, A:N/binary, Text/binary>>) ->
    {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Text) ++ "."),
    {ok, Term} = erl_parse:parse_term(Tokens),
    atom_to_binary(binary_to_term(A) =:= Term).

blend(A) when A =:= nil; A =:= none -> undefined;
blend([H | T]) -> [blend(H) | blend(T)];
blend(T) when is_tuple(T) -> list_to_tuple(blend(tuple_to_list(T)));
blend(M) when is_map(M) -> maps:from_list(blend(maps:to_list(M)));
blend(T) -> T.

is_open([H | T]) -> is_open(H) andalso is_open(T);
is_open(T) when is_tuple(T) -> is_open(tuple_to_list(T));
is_open(M) when is_map(M) -> is_open(maps:to_list(M));
is_open(T) -> not (is_pid(T) orelse is_port(T) orelse is_reference(T) orelse is_function(T)).

term(0) ->
    leaf(rand:uniform(14));
term(Depth) ->
    case rand:uniform(9) of
        1 -> list_to_tuple(terms(Depth - 1));
        2 -> terms(Depth - 1);
        3 -> maps:from_list([{term(Depth - 1), term(Depth - 1)} || _ <- lists:seq(1, rand:uniform(5) - 1)]);
        4 -> maps:from_list([{text(), term(Depth - 1)} || _ <- lists:seq(1, rand:uniform(case Depth of 1 -> 40; _ -> 5 end) - 1)]);
        5 -> [term(0) | terms(Depth - 1) ++ leaf(1)];
        _ -> leaf(rand:uniform(14))
    end.

terms(Depth) ->
    [term(Depth) || _ <- lists:seq(1, rand:uniform(6) - 1)].

leaf(1) -> atom();
leaf(2) -> lists:nth(rand:uniform(5), [true, false, undefined, nil, none]);
leaf(3) -> rand:uniform(256) - 1;
leaf(4) -> (rand:uniform(3) - 2) * rand:uniform(1 bsl rand:uniform(70));
leaf(5) -> (rand:uniform(3) - 2) * rand:uniform(1 bsl rand:uniform(5000));
leaf(6) -> float();
leaf(7) -> text();
leaf(8) -> rand:bytes(rand:uniform(40) - 1);
leaf(9) -> N = rand:uniform(70), <<(rand:uniform(1 bsl N) - 1):N>>;
leaf(10) -> [rand:uniform(256) - 1 || _ <- lists:seq(1, rand:uniform(30))];
leaf(11) -> lists:nth(rand:uniform(3), [self(), make_ref(), hd(erlang:ports())]);
leaf(12) -> lists:nth(rand:uniform(3), [fun erlang:self/0, fun lists:map/2, fun() -> {self(), make_ref()} end]);
leaf(13) -> X = {text(), rand:uniform(1 bsl 80)}, fun(Y) -> {X, Y} end;
leaf(14) -> [].

float() ->
    case rand:uniform(4) of
        1 -> float(rand:uniform(1000));
        2 -> -rand:uniform() * math:pow(10, rand:uniform(600) - 300);
        3 -> lists:nth(rand:uniform(4), [0.0, -0.0, 1.7976931348623157e308, 5.0e-324]);
        4 ->
            case rand:bytes(8) of
                <<F/float>> -> F;
                _ -> 1.5
            end
    end.

atom() ->
    binary_to_atom(string:slice(text(), 0, 255)).

text() ->
    unicode:characters_to_binary([character(rand:uniform(6)) || _ <- lists:seq(1, rand:uniform(20) - 1)]).

character(1) -> rand:uniform(128) - 1;
character(2) -> rand:uniform(16#d7ff);
character(3) -> 16#e000 + rand:uniform(16#10ffff - 16#e000);
character(_) -> $a + rand:uniform(26) - 1.
