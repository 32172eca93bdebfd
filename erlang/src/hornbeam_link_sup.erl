%% Owns the table of links and supervises the listener and the links.
-module(hornbeam_link_sup).
-behaviour(supervisor).

-export([start_link/0, start_links/0, start_one/1, listen/1, unlisten/1, init/1]).

-define(LINKS, hornbeam_link_links_sup).

-spec start_link() -> {ok, pid()} | {error, term()}.
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, top).

-spec start_links() -> {ok, pid()} | {error, term()}.
start_links() ->
    supervisor:start_link({local, ?LINKS}, ?MODULE, links).

%% @doc A process for an accepted connection.
-spec start_one(gen_tcp:socket()) -> {ok, pid()} | {error, term()}.
start_one(Socket) ->
    supervisor:start_child(?LINKS, [Socket]).

%% @doc Listens at Path from now on, where the application was started without a link.
-spec listen(file:filename_all()) -> ok | {error, unicode:chardata()}.
listen(Path) ->
    case application:get_env(hornbeam, link, undefined) of
        undefined ->
            listening(supervisor:start_child(?MODULE, listener(Path)));
        Other ->
            {error, ["the application's environment has a link already, ", Other, "; leave it out"]}
    end.

listening({ok, _Pid}) ->
    ok;
listening({error, {already_started, _Pid}}) ->
    ok; %% by init/1
listening({error, Reason}) ->
    case Reason of
        {{listen, Text}, _Child} -> {error, Text};
        _ -> {error, io_lib:format("~0tp", [Reason])}
    end.

%% @doc Ends what listen/1 began.
-spec unlisten(file:filename_all()) -> ok.
unlisten(Path) ->
    try
        _ = supervisor:terminate_child(?MODULE, listener),
        _ = supervisor:delete_child(?MODULE, listener),
        _ = file:delete(Path),
        ok
    catch
        exit:_ -> ok %% the whole tree ends
    end.

%% That of the configuration or, where this is not the first such process, of hornbeam:start.
listeners() ->
    case {application:get_env(hornbeam, link, undefined), hornbeam_attached_env:link()} of
        {undefined, undefined} -> [];
        {undefined, Path} -> [listener(Path)];
        {Path, _} -> [listener(Path)]
    end.

listener(Path) ->
    #{id => listener, start => {hornbeam_link_listener, start_link, [Path]}}.

-spec init(top | links) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init(top) ->
    ok = hornbeam_orphans:await([?LINKS]),
    ok = hornbeam_links:new(),
    Links = #{id => links, start => {?MODULE, start_links, []}, type => supervisor},
    {ok, {#{strategy => one_for_one, intensity => 5, period => 10}, [Links | listeners()]}};
init(links) ->
    Link = #{id => link, start => {hornbeam_link, start_link, []}, restart => temporary, shutdown => 1000},
    {ok, {#{strategy => simple_one_for_one}, [Link]}}.
