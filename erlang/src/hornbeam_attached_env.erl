%% What start/1,2 changes outside its process, and puts back: the directory, the
%% link's listener, the hooks in the environment of the application.  It is noted
%% where the next process finds it if this one is killed, and not in that
%% environment: the application controller waits, and sets nothing, while the
%% application stops.
-module(hornbeam_attached_env).

-export([set/3, clear/0, set_served/1, served/0, restore_hooks/0, variables/1]).

-define(NOTE(What), {?MODULE, What}).

-spec set(file:filename(), Link :: file:filename_all(), Hooks :: map()) -> ok.
set(Dir, Link, Hooks) ->
    ok = persistent_term:put(?NOTE(made), {Dir, Link}),
    case application:get_env(hornbeam, hooks, #{}) of
        Hooks -> ok;
        _ -> set_hooks(Hooks, persistent_term:get(?NOTE(hooks), none))
    end.

set_hooks(Hooks, none) ->
    ok = persistent_term:put(?NOTE(hooks), {before, application:get_env(hornbeam, hooks)}),
    application:set_env(hornbeam, hooks, Hooks);
set_hooks(Hooks, _Noted) ->
    application:set_env(hornbeam, hooks, Hooks).

%% -doc Takes away what was made, after hornbeamd has ended.
-spec clear() -> ok.
clear() ->
    case persistent_term:get(?NOTE(made), none) of
        {Dir, Link} ->
            ok = hornbeam_link_sup:unlisten(Link),
            ok = hornbeam_attached_dir:remove(Dir),
            _ = persistent_term:erase(?NOTE(made)),
            ok;
        none ->
            ok
    end.

%% -doc The environment's own hooks again; not for a process that ends with the application.
-spec restore_hooks() -> ok.
restore_hooks() ->
    case persistent_term:get(?NOTE(hooks), none) of
        {before, {ok, Hooks}} -> ok = application:set_env(hornbeam, hooks, Hooks);
        {before, undefined} -> ok = application:unset_env(hornbeam, hooks);
        none -> ok
    end,
    _ = persistent_term:erase(?NOTE(hooks)),
    ok.

%% -doc The start that has succeeded: one that is done again after a crash is not a first one.
-spec set_served(reference()) -> ok.
set_served(Start) ->
    persistent_term:put(?NOTE(served), Start).

-spec served() -> reference() | none.
served() ->
    persistent_term:get(?NOTE(served), none).

%% -doc For hornbeamd: where it reports to, nothing that would change its
%% configuration, and none of the variables that an erl leaves its children.
-spec variables(file:filename()) -> [{string(), string() | false}].
variables(Notify) ->
    Ours = [Name || Name <- names(), lists:prefix("HORNBEAM_", Name), Name =/= "HORNBEAM_BUILD"],
    [{"NOTIFY_SOCKET", Notify} | [{Name, false} || Name <- ["BINDIR", "EMU", "PROGNAME", "ROOTDIR" | Ours]]].

names() ->
    [hd(string:split(Variable, "=")) || Variable <- os:getenv()].
