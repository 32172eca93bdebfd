%% A walk over a term in the external format before it is decoded: whether it
%% may be, and which atoms it names.  binary_to_term's `safe` is not enough: it
%% lets external funs (which enter the export table for good) and compressed
%% terms through, and says nothing of size.
-module(hornbeam_terms).

-export([check/1, atoms/1]).

%% As src/term/term.h has it.
-define(DEPTH_MAX, 512).
-define(TERMS_MAX, 2000000).

%% @doc Whether a term, without its version byte, may be decoded, its atoms aside.
-spec check(binary()) -> ok.
check(Bytes) ->
    walk(Bytes, 1, [], ?DEPTH_MAX, ?TERMS_MAX, skip).

%% @doc The names, in UTF-8, of the atoms of a term that check/1 has passed.
-spec atoms(binary()) -> [binary()].
atoms(Bytes) ->
    walk(Bytes, 1, [], ?DEPTH_MAX, ?TERMS_MAX, []).

%% Bytes; the terms to come in this container, and in those around it; how many
%% containers more may be opened in this one, and terms seen at all; the atoms.
walk(<<>>, 0, [], _Room, _Left, skip) ->
    ok;
walk(<<>>, 0, [], _Room, _Left, Atoms) ->
    Atoms;
walk(<<_/binary>>, 0, [], _Room, _Left, _Atoms) ->
    hornbeam_error:throw(protocol, "more than one term");
walk(<<Rest/binary>>, 0, [N | Outer], Room, Left, Atoms) ->
    walk(Rest, N, Outer, Room + 1, Left, Atoms);
walk(<<109, Size:32, _:Size/binary, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, Atoms);
walk(<<97, _, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, Atoms);
walk(<<98, _:32, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, Atoms);
walk(<<70, _:64, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, Atoms);
walk(<<106, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, Atoms);
walk(<<77, Size:32, _Bits, _:Size/binary, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, Atoms);
walk(<<119, Size, _:Size/binary, Rest/binary>>, N, Outer, Room, Left, skip) ->
    walk(Rest, N - 1, Outer, Room, Left, skip);
walk(<<119, Size, Name:Size/binary, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, [Name | Atoms]);
walk(<<118, Size:16, Name:Size/binary, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, atom(Name, Atoms));
walk(<<115, Size, Name:Size/binary, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, latin1(Name, Atoms));
walk(<<100, Size:16, Name:Size/binary, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, latin1(Name, Atoms));
walk(<<108, Count:32, Rest/binary>>, N, Outer, Room, Left, Atoms) when Room > 0, Count < Left ->
    walk(Rest, Count + 1, [N - 1 | Outer], Room - 1, Left - Count, Atoms);
walk(<<104, Count, Rest/binary>>, N, Outer, Room, Left, Atoms) when Room > 0, Count =< Left ->
    walk(Rest, Count, [N - 1 | Outer], Room - 1, Left - Count, Atoms);
walk(<<116, Count:32, Rest/binary>>, N, Outer, Room, Left, Atoms) when Room > 0, 2 * Count =< Left ->
    walk(Rest, 2 * Count, [N - 1 | Outer], Room - 1, Left - 2 * Count, Atoms);
walk(<<105, Count:32, Rest/binary>>, N, Outer, Room, Left, Atoms) when Room > 0, Count =< Left ->
    walk(Rest, Count, [N - 1 | Outer], Room - 1, Left - Count, Atoms);
walk(<<107, Size:16, _:Size/binary, Rest/binary>>, N, Outer, Room, Left, Atoms) when Size =< Left ->
    walk(Rest, N - 1, Outer, Room, Left - Size, Atoms);
walk(<<110, Size, _, _:Size/binary, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, Atoms);
walk(<<111, Size:32, _, _:Size/binary, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, Atoms);
walk(<<99, _:31/binary, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    walk(Rest, N - 1, Outer, Room, Left, Atoms);
walk(<<88, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    node(Rest, 12, N, Outer, Room, Left, Atoms);
walk(<<103, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    node(Rest, 9, N, Outer, Room, Left, Atoms);
walk(<<90, Words:16, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    node(Rest, 4 + 4 * Words, N, Outer, Room, Left, Atoms);
walk(<<114, Words:16, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    node(Rest, 1 + 4 * Words, N, Outer, Room, Left, Atoms);
walk(<<Tag, Rest/binary>>, N, Outer, Room, Left, Atoms) when Tag =:= 101; Tag =:= 102 ->
    node(Rest, 5, N, Outer, Room, Left, Atoms);
walk(<<89, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    node(Rest, 8, N, Outer, Room, Left, Atoms);
walk(<<120, Rest/binary>>, N, Outer, Room, Left, Atoms) ->
    node(Rest, 12, N, Outer, Room, Left, Atoms);
walk(Bytes, _N, _Outer, Room, _Left, _Atoms) ->
    refuse(Bytes, Room).

%% The node of a pid, reference or port, and the rest of that.
node(<<119, Size, Name:Size/binary, Rest/binary>>, Skip, N, Outer, Room, Left, Atoms) ->
    node_rest(Rest, Skip, N, Outer, Room, Left, atom(Name, Atoms));
node(<<118, Size:16, Name:Size/binary, Rest/binary>>, Skip, N, Outer, Room, Left, Atoms) ->
    node_rest(Rest, Skip, N, Outer, Room, Left, atom(Name, Atoms));
node(<<115, Size, Name:Size/binary, Rest/binary>>, Skip, N, Outer, Room, Left, Atoms) ->
    node_rest(Rest, Skip, N, Outer, Room, Left, latin1(Name, Atoms));
node(<<100, Size:16, Name:Size/binary, Rest/binary>>, Skip, N, Outer, Room, Left, Atoms) ->
    node_rest(Rest, Skip, N, Outer, Room, Left, latin1(Name, Atoms));
node(_Bytes, _Skip, _N, _Outer, _Room, _Left, _Atoms) ->
    malformed().

node_rest(Bytes, Skip, N, Outer, Room, Left, Atoms) ->
    case Bytes of
        <<_:Skip/binary, Rest/binary>> -> walk(Rest, N - 1, Outer, Room, Left, Atoms);
        _ -> malformed()
    end.

atom(_Name, skip) -> skip;
atom(Name, Atoms) -> [Name | Atoms].

latin1(_Name, skip) -> skip;
latin1(Name, Atoms) -> [unicode:characters_to_binary(Name, latin1) | Atoms].

-spec refuse(binary(), non_neg_integer()) -> no_return().
refuse(<<Tag, _/binary>>, _Room) when Tag =:= 112; Tag =:= 113; Tag =:= 117 ->
    hornbeam_error:throw(type, "a fun cannot be sent to the companion");
refuse(<<80, _/binary>>, _Room) ->
    hornbeam_error:throw(protocol, "compressed terms are refused");
refuse(<<104, _, _/binary>>, Room) ->
    too_large(Room);
refuse(<<Tag, _:32, _/binary>>, Room) when Tag =:= 105; Tag =:= 108; Tag =:= 116 ->
    too_large(Room);
refuse(<<107, Size:16, _:Size/binary, _/binary>>, _Room) ->
    too_large(1);
refuse(_Bytes, _Room) ->
    malformed().

-spec too_large(non_neg_integer()) -> no_return().
too_large(0) ->
    hornbeam_error:throw(limit, ["a term is nested at most ", integer_to_binary(?DEPTH_MAX), " deep"]);
too_large(_Room) ->
    hornbeam_error:throw(limit, ["a request has at most ", integer_to_binary(?TERMS_MAX), " terms"]).

-spec malformed() -> no_return().
malformed() ->
    hornbeam_error:throw(protocol, "a term is cut short, or of an unknown kind").
