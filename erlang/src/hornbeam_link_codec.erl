%% The link's frames: bytes in, requests out, replies to iodata.  No I/O.
-module(hornbeam_link_codec).

-export([next/1, decode/1, frame/4, parts/1, value/1, answer/1, error/2, keys/1, list/2]).
-export([pushed/2, message/2, message_size/2]).
-export_type([request/0, next/0]).

-include("hornbeam_link.hrl").

-type request() :: {
    Version :: byte(), Op :: byte(), Flags :: byte(), Id :: 0..16#ffffffff, Deadline :: 0..16#ffffffff,
    Payload :: binary()
}.
-type next() ::
    {request, request(), Rest :: binary()}
    | {more, Missing :: pos_integer()}
    | {bad, Id :: 0..16#ffffffff, Op :: byte(), Text :: binary()}.

-define(ATOM(Name, Size), <<131, 119, Size, Name>>).

%% @doc The first frame in some bytes, or how many it lacks at least.
-spec next(binary()) -> next().
next(<<Length:32, Version, Op, Flags, _, Id:32, Deadline:32, Rest/binary>>) when
    Length >= ?HB_LINK_HEADER - 4, Length =< ?HB_LINK_FRAME_MAX
->
    Size = Length - (?HB_LINK_HEADER - 4),
    case Rest of
        <<Payload:Size/binary, More/binary>> ->
            {request, {Version, Op, Flags, Id, Deadline, Payload}, More};
        _ ->
            {more, Size - byte_size(Rest)}
    end;
next(<<Length:32, _, Op, _, _, Id:32, _:32, _/binary>>) ->
    {bad, Id, Op, iolist_to_binary([
        "a frame of ", integer_to_binary(Length), " bytes; it has ",
        integer_to_binary(?HB_LINK_HEADER - 4), " to ", integer_to_binary(?HB_LINK_FRAME_MAX)
    ])};
next(Bytes) ->
    {more, ?HB_LINK_HEADER - byte_size(Bytes)}.

%% @doc The one term of a payload.  No atom is made, nothing is unpacked.
-spec decode(binary()) -> term().
decode(<<131, 109, Size:32, Binary:Size/binary>>) ->
    Binary;
decode(<<131, 80, _/binary>>) ->
    hornbeam_error:throw(protocol, "compressed terms are refused");
decode(<<131, Term/binary>> = Payload) ->
    ok = hornbeam_link_terms:check(Term),
    term(Payload);
decode(_Other) ->
    hornbeam_error:throw(protocol, "the payload is not a term").

term(Payload) ->
    try binary_to_term(Payload, [safe, used]) of
        {Term, Used} when Used =:= byte_size(Payload) -> Term;
        _ -> hornbeam_error:throw(protocol, "the payload is more than one term")
    catch
        error:badarg -> hornbeam_error:throw(protocol, "the payload is not a term, or has an unknown atom")
    end.

-spec frame(byte(), byte(), 0..16#ffffffff, iodata()) -> iodata().
frame(Op, Flags, Id, Payload) ->
    Length = ?HB_LINK_HEADER - 4 + iolist_size(Payload),
    [<<Length:32, ?HB_LINK_VERSION, Op, (Flags bor ?HB_LINK_REPLY), 0, Id:32, 0:32>> | Payload].

%% @doc A frame that answers nothing.
-spec pushed(byte(), iodata()) -> iodata().
pushed(Op, Payload) ->
    [header(Op, iolist_size(Payload)) | Payload].

header(Op, Size) ->
    <<(?HB_LINK_HEADER - 4 + Size):32, ?HB_LINK_VERSION, Op, 0, 0, 0:32, 0:32>>.

%% @doc The frame of a message, in one piece that all links share and that holds nothing else in memory.
-spec message(Topic :: binary(), Encoded :: binary()) -> binary().
message(Topic, Encoded) ->
    Size = message_size(Topic, Encoded) - ?HB_LINK_HEADER,
    <<
        (header(?HB_OP_MESSAGE, Size))/binary, 131, 104, 2, 109, (byte_size(Topic)):32, Topic/binary,
        109, (byte_size(Encoded)):32, Encoded/binary
    >>.

-spec message_size(Topic :: binary(), Encoded :: binary()) -> pos_integer().
message_size(Topic, Encoded) ->
    ?HB_LINK_HEADER + 13 + byte_size(Topic) + byte_size(Encoded).

%% @doc A payload cut into the parts of a reply, most often one.
-spec parts(iodata()) -> [iodata(), ...].
parts(Payload) ->
    case iolist_size(Payload) =< ?HB_LINK_PART_MAX of
        true -> [Payload];
        false -> cut(flatten(Payload, []), ?HB_LINK_PART_MAX, [])
    end.

cut([], _Room, Part) ->
    [lists:reverse(Part)];
cut([Binary | Rest], Room, Part) when byte_size(Binary) =< Room ->
    cut(Rest, Room - byte_size(Binary), [Binary | Part]);
cut(Binaries, 0, Part) ->
    [lists:reverse(Part) | cut(Binaries, ?HB_LINK_PART_MAX, [])];
cut([Binary | Rest], Room, Part) ->
    <<Head:Room/binary, Tail/binary>> = Binary,
    [lists:reverse([Head | Part]) | cut([Tail | Rest], ?HB_LINK_PART_MAX, [])].

%% The binaries of iodata; replies have no bytes outside of binaries but in lists' ends.
flatten(Binary, Tail) when is_binary(Binary) -> [Binary | Tail];
flatten([], Tail) -> Tail;
flatten([Head | Rest], Tail) -> flatten(Head, flatten(Rest, Tail)).

%% @doc A stored value as a payload: a large one is not copied.
-spec value(none | {ok, hornbeam_table:value()}) -> iodata().
value(none) -> ?ATOM("none", 4);
value({ok, Value}) -> [<<131>> | stored(Value)].

stored(Value) when is_binary(Value), byte_size(Value) =< 1024 ->
    [<<109, (byte_size(Value)):32, Value/binary>>];
stored(Value) when is_binary(Value) ->
    [<<109, (byte_size(Value)):32>>, Value];
stored(N) ->
    <<131, Encoded/binary>> = term_to_binary(N),
    [Encoded].

%% @doc The answers other than values.
-spec answer(term()) -> iodata().
answer(ok) -> ?ATOM("ok", 2);
answer(true) -> ?ATOM("true", 4);
answer(false) -> ?ATOM("false", 5);
answer(pong) -> ?ATOM("pong", 4);
answer(none) -> ?ATOM("none", 4);
answer(N) when is_integer(N), N >= 0, N < 256 -> <<131, 97, N>>;
answer({values, Values}) -> list(length(Values), [item(Value) || Value <- Values]);
answer({value, Value}) -> [<<131, 104, 2, 119, 5, "value">> | stored(Value)];
answer({V, Version}) when is_binary(V), is_integer(Version) ->
    [<<131, 104, 2>>, stored(V), stored(Version)];
answer(Term) -> term_to_binary(Term).

item(none) -> <<119, 4, "none">>;
item({ok, Value}) -> stored(Value).

%% @doc The payload of a list of Count items that are encoded already.
-spec list(non_neg_integer(), iodata()) -> iodata().
list(0, _Items) -> <<131, 106>>;
list(Count, Items) -> [<<131, 108, Count:32>>, Items, <<106>>].

%% @doc Keys as items of a list, in one piece.
-spec keys([binary()]) -> binary().
keys(Keys) ->
    << <<109, (byte_size(Key)):32, Key/binary>> || Key <- Keys >>.

-spec error(hornbeam_error:class(), binary()) -> iodata().
error(Class, Text) ->
    term_to_binary({Class, Text}).
