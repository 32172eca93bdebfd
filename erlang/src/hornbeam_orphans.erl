%% What a supervisor that was killed leaves behind: its children end, too, but
%% by themselves, and those that take their time still have their names when it
%% is started anew.
-module(hornbeam_orphans).

-export([await/1]).

%% A child has a second, and its supervisor one for each after the other at worst.
-define(END_MS, 5000).

%% @doc Returns when nobody has these names any more; for a supervisor's init.
-spec await([atom()]) -> ok.
await(Names) ->
    End = hornbeam_clock:ms() + ?END_MS,
    lists:foreach(fun(Name) -> gone(whereis(Name), End) end, Names).

gone(undefined, _End) ->
    ok;
gone(Pid, End) ->
    Monitor = erlang:monitor(process, Pid),
    receive
        {'DOWN', Monitor, process, _, _} -> ok
    after max(0, End - hornbeam_clock:ms()) ->
        true = exit(Pid, kill),
        receive {'DOWN', Monitor, process, _, _} -> ok end
    end.
