%% The size and the kinds of a request's term before it is decoded.  A byte can
%% stand for two words, so that a frame of 16 MiB, decoded, could take half a
%% gigabyte; and each external fun that binary_to_term has seen stays in the
%% export table, which is finite.  Only the kinds of terms that requests are
%% made of are known here.
-module(hornbeam_link_terms).

-export([check/1]).

-define(TERMS_MAX, 2000000).

%% @doc Whether a term in the external format, without its version byte, may be decoded.
-spec check(binary()) -> ok.
check(Bytes) ->
    scan(Bytes, 1, ?TERMS_MAX).

%% Bytes, how many terms are to come, and how many there may be.
scan(_Bytes, 0, _Left) ->
    ok;
scan(_Bytes, Pending, Left) when Pending > Left ->
    hornbeam_error:throw(limit, ["a request has at most ", integer_to_binary(?TERMS_MAX), " terms"]);
scan(<<109, Size:32, _:Size/binary, Rest/binary>>, Pending, Left) -> scan(Rest, Pending - 1, Left - 1);
scan(<<104, Arity, Rest/binary>>, Pending, Left) -> scan(Rest, Pending - 1 + Arity, Left - 1);
scan(<<108, Count:32, Rest/binary>>, Pending, Left) -> scan(Rest, Pending + Count, Left - 1);
scan(<<106, Rest/binary>>, Pending, Left) -> scan(Rest, Pending - 1, Left - 1);
scan(<<97, _, Rest/binary>>, Pending, Left) -> scan(Rest, Pending - 1, Left - 1);
scan(<<98, _:32, Rest/binary>>, Pending, Left) -> scan(Rest, Pending - 1, Left - 1);
scan(<<110, Size, _, _:Size/binary, Rest/binary>>, Pending, Left) -> scan(Rest, Pending - 1, Left - 1);
scan(<<111, Size:32, _, _:Size/binary, Rest/binary>>, Pending, Left) -> scan(Rest, Pending - 1, Left - 1);
scan(<<119, Size, _:Size/binary, Rest/binary>>, Pending, Left) -> scan(Rest, Pending - 1, Left - 1);
%% As term_to_binary has them before OTP 26.
scan(<<100, Size:16, _:Size/binary, Rest/binary>>, Pending, Left) -> scan(Rest, Pending - 1, Left - 1);
scan(_Bytes, _Pending, _Left) ->
    hornbeam_error:throw(protocol, "the payload is no term that requests are made of").
