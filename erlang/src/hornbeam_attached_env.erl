%% What start/1,2 changes outside its process, and puts back: the environment
%% of the application, the link's listener, the directory.  It is noted in the
%% application's environment, so that the next process finds what one that was
%% killed has left.
-module(hornbeam_attached_env).

-export([set/2, clear/0, variables/1]).

-spec set(file:filename(), map()) -> ok.
set(Dir, Hooks) ->
    ok = application:set_env(hornbeam, attached, {Dir, application:get_env(hornbeam, hooks)}),
    application:set_env(hornbeam, hooks, Hooks).

-spec clear() -> ok.
clear() ->
    case application:get_env(hornbeam, attached) of
        {ok, {Dir, Hooks}} ->
            ok = hornbeam_link_sup:unlisten(),
            ok =
                case Hooks of
                    undefined -> application:unset_env(hornbeam, hooks);
                    {ok, Before} -> application:set_env(hornbeam, hooks, Before)
                end,
            ok = hornbeam_attached_dir:remove(Dir),
            application:unset_env(hornbeam, attached);
        undefined ->
            ok
    end.

%% -doc For hornbeamd: where it reports to, nothing that would change its
%% configuration, and none of the variables that an erl leaves its children.
-spec variables(file:filename()) -> [{string(), string() | false}].
variables(Notify) ->
    Ours = [Name || Name <- names(), lists:prefix("HORNBEAM_", Name), Name =/= "HORNBEAM_BUILD"],
    [{"NOTIFY_SOCKET", Notify} | [{Name, false} || Name <- ["BINDIR", "EMU", "PROGNAME", "ROOTDIR" | Ours]]].

names() ->
    [hd(string:split(Variable, "=")) || Variable <- os:getenv()].
