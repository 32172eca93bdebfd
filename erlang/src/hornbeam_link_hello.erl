%% The first request on a link: who the client is, and whether both sides are
%% of one release.
-module(hornbeam_link_hello).

-export([check/1]).

-include("hornbeam_link.hrl").

-spec check(hornbeam_link_codec:request()) ->
    {ok, map(), Reply :: iodata()} | {refused, hornbeam_error:class(), binary()}.
check({Version, ?HB_OP_HELLO, Flags, _Id, _Deadline, Payload}) ->
    Ours = hornbeam_status:vsn(),
    case {Version, Flags, hello(Payload)} of
        {?HB_LINK_VERSION, 0, {hello, Ours, Role, Name, Uid, Gid, Pid}} when
            is_binary(Role), is_binary(Name), is_integer(Uid), is_integer(Gid), is_integer(Pid)
        ->
            peer(Ours, #{role => Role, name => Name, uid => Uid, gid => Gid, pid => Pid});
        {_, _, {hello, Theirs, _, _, _, _, _}} when
            is_binary(Theirs), Theirs =/= Ours; is_binary(Theirs), Version =/= ?HB_LINK_VERSION
        ->
            mismatch(Ours, Theirs, Version);
        {_, _, _} when Version =/= ?HB_LINK_VERSION ->
            mismatch(Ours, <<"of an unknown release">>, Version);
        _ ->
            {refused, protocol, <<"a malformed hello">>}
    end;
check(_Request) ->
    {refused, protocol, <<"a link starts with hello">>}.

hello(Payload) ->
    try
        hornbeam_link_codec:decode(Payload)
    catch
        throw:{refused, _, _} -> malformed
    end.

peer(Ours, #{role := Role, name := Name} = Peer) when
    byte_size(Name) =< 255, Role =:= <<"worker">> orelse Role =:= <<"client">> orelse Role =:= <<"cli">>
->
    Known = Peer#{role := binary:copy(Role), name := binary:copy(Name)},
    {ok, Known, term_to_binary({hello, Ours, list_to_integer(os:getpid())})};
peer(_Ours, _Peer) ->
    {refused, value, <<"a role is worker, client or cli, a name at most 255 bytes">>}.

mismatch(Ours, Theirs, Version) ->
    Text = io_lib:format(
        "the companion is hornbeam ~ts (link version ~b), the client is hornbeam ~ts (link version ~b)",
        [Ours, ?HB_LINK_VERSION, printable(Theirs), Version]
    ),
    {refused, version, unicode:characters_to_binary(Text)}.

printable(Text) ->
    << <<(case C > 31 andalso C < 127 of true -> C; false -> $? end)>> || <<C>> <= binary:part(Text, 0, min(64, byte_size(Text))) >>.
