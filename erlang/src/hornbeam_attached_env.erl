%% What a start from Erlang makes outside its process, and takes away: the
%% directory, the link's listener, the hooks.  It is noted where the next process
%% finds it if this one is killed; not in the environment of the application,
%% since the application controller sets nothing while it stops an application,
%% be it ours or the one that calls hornbeam:stop().
-module(hornbeam_attached_env).

-export([set/3, clear/0, hooks/0, link/0, set_served/1, served/0, variables/1]).

-define(NOTE(What), {?MODULE, What}).

-spec set(file:filename(), Link :: file:filename_all(), Hooks :: map()) -> ok.
set(Dir, Link, Hooks) ->
    ok = persistent_term:put(?NOTE(made), {Dir, Link}),
    persistent_term:put(?NOTE(hooks), Hooks).

%% @doc Where the start has its link.
-spec link() -> file:filename_all() | undefined.
link() ->
    case persistent_term:get(?NOTE(made), none) of
        {_Dir, Link} -> Link;
        none -> undefined
    end.

%% @doc The hooks of the start; without one, those of the environment.
-spec hooks() -> map().
hooks() ->
    case persistent_term:get(?NOTE(hooks), none) of
        none -> application:get_env(hornbeam, hooks, #{});
        Hooks -> Hooks
    end.

%% @doc Takes away what was made, after hornbeamd has ended.
-spec clear() -> ok.
clear() ->
    case persistent_term:get(?NOTE(made), none) of
        {Dir, Link} ->
            ok = hornbeam_link_sup:unlisten(Link),
            ok = hornbeam_attached_dir:remove(Dir),
            _ = persistent_term:erase(?NOTE(hooks)),
            _ = persistent_term:erase(?NOTE(made)),
            ok;
        none ->
            ok
    end.

%% @doc The start that has succeeded: one that is done again after a crash is not a first one.
-spec set_served(reference()) -> ok.
set_served(Start) ->
    persistent_term:put(?NOTE(served), Start).

-spec served() -> reference() | none.
served() ->
    persistent_term:get(?NOTE(served), none).

%% @doc For hornbeamd: where it reports to, nothing that would change its
%% configuration, and none of the variables that an erl leaves its children.
-spec variables(file:filename()) -> [{string(), string() | false}].
variables(Notify) ->
    Ours = [Name || Name <- names(), lists:prefix("HORNBEAM_", Name), Name =/= "HORNBEAM_BUILD"],
    [{"NOTIFY_SOCKET", Notify} | [{Name, false} || Name <- ["BINDIR", "EMU", "PROGNAME", "ROOTDIR" | Ours]]].

names() ->
    [hd(string:split(Variable, "=")) || Variable <- os:getenv()].
