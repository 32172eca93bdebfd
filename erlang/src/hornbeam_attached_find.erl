%% Finding hornbeamd.
-module(hornbeam_attached_find).

-export([hornbeamd/1]).

%% Not in the PATH of every user.
-define(SBIN, ":/usr/local/sbin:/usr/sbin:/sbin").

%% @doc The one that is wanted; else that of the application's environment
%% (`hornbeamd'), that of the build tree, that of the installation this module
%% belongs to, or the first of PATH and the sbin directories.
-spec hornbeamd(file:filename_all() | default) -> {ok, file:filename_all()} | {error, unicode:chardata()}.
hornbeamd(default) ->
    case application:get_env(hornbeam, hornbeamd) of
        {ok, Path} -> named(Path);
        undefined -> first([build(), beside_ebin("../../hornbeamd"), beside_ebin("../../../../../sbin/hornbeamd"), in_path()])
    end;
hornbeamd(Path) ->
    named(Path).

named(Given) ->
    Path = unicode:characters_to_list(Given),
    case os:find_executable(filename:basename(Path), filename:dirname(Path)) of
        false -> {error, [Path, ": not found, or not executable"]};
        Found -> {ok, filename:absname(Found)}
    end.

first([]) ->
    {error, "hornbeamd: not found; install hornbeam, or name it with the option `hornbeamd`"};
first([none | Others]) ->
    first(Others);
first([Path | Others]) ->
    case named(Path) of
        {ok, Found} -> {ok, Found};
        {error, _} -> first(Others)
    end.

build() ->
    case os:getenv("HORNBEAM_BUILD", "") of
        "" -> none;
        Build -> filename:join(Build, "hornbeamd")
    end.

beside_ebin(Relative) ->
    case code:which(?MODULE) of
        Beam when is_list(Beam) -> filename:join(filename:dirname(filename:absname(Beam)), Relative);
        _ -> none
    end.

in_path() ->
    case os:find_executable("hornbeamd", os:getenv("PATH", "") ++ ?SBIN) of
        false -> none;
        Path -> Path
    end.
