%% Who is connected: one row per link that has said hello, for status.
-module(hornbeam_links).

-export([new/0, add/1, remove/0, list/0]).
-export_type([peer/0]).

-type peer() :: #{
    role := binary(),
    name := binary(),
    uid := integer(),
    gid := integer(),
    pid := integer(),
    ops := counters:counters_ref()
}.

%% @doc Makes the table; the calling process owns it.
-spec new() -> ok.
new() ->
    ?MODULE = ets:new(?MODULE, [named_table, public, {write_concurrency, true}]),
    ok.

%% @doc The calling process is a link to Peer from now on.
-spec add(peer()) -> ok.
add(Peer) ->
    true = ets:insert(?MODULE, {self(), hornbeam_clock:ms(), Peer}),
    ok.

-spec remove() -> ok.
remove() ->
    try
        true = ets:delete(?MODULE, self()),
        ok
    catch
        error:badarg -> ok %% the table went first, with its supervisor
    end.

%% @doc The links, oldest first, with the operations that each has asked for.
-spec list() -> [#{binary() => binary() | integer()}].
list() ->
    Now = hornbeam_clock:ms(),
    Rows = [Row || {Pid, _, _} = Row <- ets:tab2list(?MODULE), alive(Pid)],
    [
        #{
            <<"role">> => maps:get(role, Peer),
            <<"name">> => maps:get(name, Peer),
            <<"uid">> => maps:get(uid, Peer),
            <<"gid">> => maps:get(gid, Peer),
            <<"pid">> => maps:get(pid, Peer),
            <<"ops">> => counters:get(maps:get(ops, Peer), 1),
            <<"running">> => counters:get(maps:get(ops, Peer), 2),
            <<"uptime_ms">> => Now - Since
        }
     || {_, Since, Peer} <- lists:keysort(2, Rows)
    ].

%% A link that was killed could not take its row out.
alive(Pid) ->
    is_process_alive(Pid) orelse
        begin
            true = ets:delete(?MODULE, Pid),
            false
        end.
