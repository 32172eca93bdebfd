%% Terms as JSON text, for hornbeamd's configuration: JSON is YAML.
-module(hornbeam_json).

-export([encode/1]).
-export_type([json/0]).

-type json() :: null | boolean() | number() | binary() | [json()] | #{binary() => json()}.

%% @doc The text of a term; binaries are UTF-8.
%%
%% ```
%%     <<"{\"a\":[1,true]}">> = iolist_to_binary(hornbeam_json:encode(#{<<"a">> => [1, true]})).
%% '''
-spec encode(json()) -> iodata().
encode(null) -> <<"null">>;
encode(true) -> <<"true">>;
encode(false) -> <<"false">>;
encode(N) when is_integer(N) -> integer_to_binary(N);
encode(F) when is_float(F) -> float_to_binary(F, [short]);
encode(Text) when is_binary(Text) -> [$", [escape(C) || <<C/utf8>> <= Text], $"];
encode(List) when is_list(List) -> [$[, lists:join($,, [encode(E) || E <- List]), $]];
encode(Map) when is_map(Map) ->
    [${, lists:join($,, [[encode(K), $:, encode(V)] || {K, V} <- lists:sort(maps:to_list(Map))]), $}].

escape($") -> <<"\\\"">>;
escape($\\) -> <<"\\\\">>;
escape(C) when C < 32; C =:= 127; C >= 16#80, C < 16#a0; C =:= 16#2028; C =:= 16#2029; C =:= 16#feff ->
    io_lib:format("\\u~4.16.0b", [C]);
escape(C) -> <<C/utf8>>.
