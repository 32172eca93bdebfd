%% A directory of this node's own, 0700, for its sockets and for hornbeamd's
%% configuration: in $XDG_RUNTIME_DIR, or else in /tmp.
-module(hornbeam_attached_dir).

-export([make/0, make_private/1, remove/1, write/3]).

-include_lib("kernel/include/file.hrl").

-define(PREFIX, "hornbeam-node-").
-define(TRIES, 20).
%% What is left of a socket's path for a directory above it.
-define(BASE_MAX, 50).

%% @doc A new one.  What nodes that were killed have left is taken away.
-spec make() -> {ok, file:filename()} | {error, unicode:chardata()}.
make() ->
    Base = base(),
    ok = sweep(Base),
    make(Base, ?TRIES).

%% @doc Makes this directory, 0700, if there is nothing of that name.
-spec make_private(file:filename_all()) -> ok.
make_private(Dir) ->
    _ = file:make_dir(Dir) =:= ok andalso file:change_mode(Dir, 8#700),
    ok.

-spec remove(file:filename()) -> ok.
remove(Dir) ->
    _ = file:del_dir_r(Dir),
    ok.

%% @doc Writes a new file that its owner alone may read.
-spec write(file:filename(), file:filename(), iodata()) -> {ok, file:filename()} | {error, unicode:chardata()}.
write(Dir, Name, Content) ->
    Path = filename:join(Dir, Name),
    maybe_all([
        fun() -> file:write_file(Path, <<>>, [exclusive]) end,
        fun() -> file:change_mode(Path, 8#600) end,
        fun() -> file:write_file(Path, Content) end
    ], Path).

base() ->
    Runtime = os:getenv("XDG_RUNTIME_DIR", ""),
    case file:read_file_info(Runtime) of
        {ok, #file_info{type = directory, access = read_write}} when length(Runtime) =< ?BASE_MAX, hd(Runtime) =:= $/ -> Runtime;
        _ -> "/tmp"
    end.

%% Nobody else can have made what make_dir makes; in the moment before the mode is set nobody must have put anything in.
make(Base, Tries) ->
    Name = ?PREFIX ++ os:getpid() ++ "-" ++ integer_to_list(rand:uniform(1 bsl 48), 36),
    Dir = filename:join(Base, Name),
    case file:make_dir(Dir) of
        ok -> maybe_all([fun() -> file:change_mode(Dir, 8#700) end, fun() -> empty(Dir) end], Dir);
        {error, eexist} when Tries > 0 -> make(Base, Tries - 1);
        {error, Reason} -> failed(Dir, Reason)
    end.

empty(Dir) ->
    case file:list_dir_all(Dir) of
        {ok, []} -> ok;
        {ok, _} -> {error, eperm};
        {error, Reason} -> {error, Reason}
    end.

maybe_all([], Path) ->
    {ok, Path};
maybe_all([Step | Steps], Path) ->
    case Step() of
        ok -> maybe_all(Steps, Path);
        {error, Reason} -> failed(Path, Reason)
    end.

failed(Path, Reason) ->
    {error, ["cannot make ", Path, ": ", file:format_error(Reason)]}.

sweep(Base) ->
    Uid = uid("/proc/self/task"),
    lists:foreach(
        fun(Dir) ->
            [Pid | _] = string:split(lists:nthtail(length(?PREFIX), filename:basename(Dir)), "-"),
            Gone = not filelib:is_dir(filename:join("/proc", Pid)),
            Gone andalso uid(Dir) =:= Uid andalso remove(Dir)
        end,
        filelib:wildcard(filename:join(Base, ?PREFIX "[0-9]*-*"))
    ).

uid(Path) ->
    case file:read_link_info(Path) of
        {ok, #file_info{type = directory, uid = Uid}} -> Uid;
        _ -> none
    end.
