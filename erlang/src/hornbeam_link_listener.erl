%% The link's Unix socket: makes it, accepts, and starts a process per link.
%% Only root and the companion's own user may connect: the mode says so, and
%% the peer's credentials are checked as well.
-module(hornbeam_link_listener).

-export([start_link/1, init/2]).

-include_lib("kernel/include/file.hrl").
-include_lib("kernel/include/logger.hrl").

%% getsockopt(2): SOL_SOCKET, SO_PEERCRED, and the size of struct ucred.
-define(PEERCRED, {raw, 1, 17, 12}).
%% A receive buffer: what one message from the socket holds at most.
-define(BUFFER, 65536).
%% A client that leaves replies unread for so long is cut.
-define(UNREAD_MS, 10000).
-define(CLOSE_TRIES, 50).
-define(CLOSE_WAIT_MS, 10).

-spec start_link(file:filename_all()) -> {ok, pid()} | {error, term()}.
start_link(Path) ->
    proc_lib:start_link(?MODULE, init, [self(), Path]).

-spec init(pid(), file:filename_all()) -> no_return().
init(Parent, Path) ->
    true = register(?MODULE, self()),
    case listen(Path) of
        {ok, Listen, Uid} ->
            proc_lib:init_ack(Parent, {ok, self()}),
            accept(Listen, Uid);
        {error, Text} ->
            proc_lib:init_ack(Parent, {error, {listen, unicode:characters_to_binary(Text)}}),
            exit(normal)
    end.

listen(Path) ->
    Options = [
        {ifaddr, {local, Path}}, binary, {active, false}, {packet, raw}, {backlog, 1024},
        {buffer, ?BUFFER}, {send_timeout, unread_ms()}, {send_timeout_close, true}
    ],
    try
        ok = clear(Path),
        Listen = check("listen on", Path, gen_tcp:listen(0, Options)),
        ok = check("set the mode of", Path, file:change_mode(Path, 8#600)),
        #file_info{uid = Uid} = check("read", "/proc/self", file:read_file_info("/proc/self")),
        {ok, Listen, Uid}
    catch
        throw:{listen, Text} -> {error, Text}
    end.

unread_ms() ->
    application:get_env(hornbeam, unread_ms, ?UNREAD_MS).

%% Takes a stale socket away; anything else that stands there is an error.  The
%% socket of a listener that just ended here may take a moment to close.
clear(Path) ->
    clear(Path, ?CLOSE_TRIES).

clear(Path, Tries) ->
    case file:read_link_info(Path) of
        {error, enoent} ->
            ok;
        {ok, #file_info{type = other}} ->
            case gen_tcp:connect({local, Path}, 0, [], 1000) of
                {ok, Socket} when Tries > 0 ->
                    gen_tcp:close(Socket),
                    receive after ?CLOSE_WAIT_MS -> ok end,
                    clear(Path, Tries - 1);
                {ok, Socket} ->
                    gen_tcp:close(Socket),
                    throw({listen, ["another process listens on ", Path]});
                {error, _} ->
                    check("remove", Path, file:delete(Path))
            end;
        {ok, _} ->
            throw({listen, [Path, " exists and is not a socket"]});
        {error, Reason} ->
            refuse("look at", Path, Reason)
    end.

check(_What, _Path, ok) ->
    ok;
check(_What, _Path, {ok, Result}) ->
    Result;
check(What, Path, {error, Reason}) ->
    refuse(What, Path, Reason).

-spec refuse(string(), file:filename_all(), file:posix()) -> no_return().
refuse(What, Path, Reason) ->
    throw({listen, ["cannot ", What, " ", Path, ": ", inet:format_error(Reason)]}).

accept(Listen, Uid) ->
    case gen_tcp:accept(Listen) of
        {ok, Socket} ->
            admit(Socket, Uid),
            accept(Listen, Uid);
        {error, Reason} when Reason =:= emfile; Reason =:= enfile; Reason =:= enomem; Reason =:= enobufs ->
            ?LOG_ERROR("link: cannot accept: ~ts", [inet:format_error(Reason)]),
            receive after 100 -> ok end,
            accept(Listen, Uid);
        {error, econnaborted} ->
            accept(Listen, Uid);
        {error, Reason} ->
            exit({accept, Reason})
    end.

admit(Socket, Uid) ->
    case inet:getopts(Socket, [?PEERCRED]) of
        {ok, [{raw, _, _, <<_Pid:32/native, Peer:32/native, _Gid:32/native>>}]} when Peer =:= Uid; Peer =:= 0 ->
            {ok, Link} = hornbeam_link_sup:start_one(Socket),
            hand_over(Socket, Link);
        {ok, [{raw, _, _, <<Pid:32/native, Peer:32/native, _Gid:32/native>>}]} ->
            ?LOG_WARNING("link: refused process ~b of user ~b", [Pid, Peer]),
            gen_tcp:close(Socket);
        _ ->
            gen_tcp:close(Socket)
    end.

hand_over(Socket, Link) ->
    case gen_tcp:controlling_process(Socket, Link) of
        ok -> hornbeam_link:go(Link);
        {error, _} -> exit(Link, shutdown), gen_tcp:close(Socket)
    end.
