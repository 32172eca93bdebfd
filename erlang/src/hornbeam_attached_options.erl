%% The options of hornbeam:start/1,2, made into hornbeamd's configuration.
%% What a key's value may be is hornbeamd's to say (hornbeam.yaml(5)): here
%% stands which option is which key, and what its units are.
-module(hornbeam_attached_options).

-export([read/1]).
-export_type([settings/0, reason/0]).

-type settings() :: #{
    config := #{binary() => hornbeam_json:json()},
    hooks := map(),
    control := file:filename_all() | default,
    hornbeamd := file:filename_all() | default,
    start_timeout := pos_integer()
}.
-type reason() :: {unknown_option | bad_option, Name :: term(), Text :: binary()}.

-define(START_TIMEOUT_MS, 60000).
%% Beyond it a number of seconds is taken for a mistake: it was meant to be milliseconds.
-define(SECONDS_MAX, 3600).
-define(HOOKS, #{on_request => 1, on_response => 1, on_error => 2}).
%% Sections that are the node's own: there the application's environment has them.
-define(OF_THE_NODE, [<<"control">>, <<"erlang">>, <<"functions">>, <<"group">>, <<"hooks">>, <<"pubsub">>, <<"rpc">>,
                      <<"state">>, <<"user">>]).

%% @doc Checks the options; the first wrong one is the error.
-spec read(map()) -> {ok, settings()} | {error, reason()}.
read(Options) ->
    try
        ok = known(Options, [mounts, config, hooks, control, hornbeamd, start_timeout | maps:keys(keys())]),
        Config = maps:fold(fun set/3, config(maps:get(config, Options, #{})), maps:with(maps:keys(keys()), Options)),
        Hooks = hooks(maps:get(hooks, Options, application:get_env(hornbeam, hooks, #{}))),
        {ok, #{
            config => with_hooks(Hooks, with_access(with_path(with_apps(Options, Config)))),
            hooks => maps:without([when_down], Hooks),
            control => file(control, maps:get(control, Options, default)),
            hornbeamd => file(hornbeamd, maps:get(hornbeamd, Options, default)),
            start_timeout => start_timeout(maps:get(start_timeout, Options, ?START_TIMEOUT_MS))
        }}
    catch
        throw:{Kind, Name, Text} when Kind =:= unknown_option; Kind =:= bad_option ->
            {error, {Kind, Name, unicode:characters_to_binary(Text)}}
    end.

%% Without a path applications are looked for where the node runs, as `hornbeam run` does.
with_path(#{<<"python">> := #{<<"path">> := _}} = Config) ->
    Config;
with_path(Config) ->
    {ok, Here} = file:get_cwd(),
    put_key([<<"python">>, <<"path">>], [path(pythonpath, Here)], Config).

%% An option, its key, and how its value becomes the key's.
keys() ->
    #{
        bind => {[<<"listen">>], fun bind/2},
        workers => {[<<"workers">>], fun plain/2},
        threads => {[<<"threads">>], fun plain/2},
        worker_class => {[], fun interface/2},
        timeout => {[<<"timeouts">>, <<"request">>], fun seconds/2},
        keepalive => {[<<"timeouts">>, <<"keepalive">>], fun seconds/2},
        graceful_timeout => {[<<"timeouts">>, <<"graceful">>], fun seconds/2},
        max_requests => {[<<"max_requests">>], fun plain/2},
        max_requests_jitter => {[<<"max_requests_jitter">>], fun plain/2},
        lifespan => {[<<"lifespan">>], fun plain/2},
        pythonpath => {[<<"python">>, <<"path">>], fun paths/2},
        venv => {[<<"python">>, <<"venv">>], fun path/2},
        ssl => {[], fun no_tls/2},
        certfile => {[], fun no_tls/2},
        keyfile => {[], fun no_tls/2},
        websocket_timeout => {[<<"websocket">>, <<"idle">>], fun seconds/2},
        websocket_max_frame_size => {[<<"websocket">>, <<"max_message">>], fun plain/2},
        access_log => {[<<"log">>, <<"access">>], fun access/2}
    }.

set(Option, Value, Config) ->
    {Path, Convert} = maps:get(Option, keys()),
    Converted = Convert(Option, Value),
    case Path of
        [] -> Config;
        _ -> put_key(Path, Converted, Config)
    end.

put_key([Key], Value, Config) ->
    Config#{Key => Value};
put_key([Section, Key], Value, Config) ->
    case maps:get(Section, Config, #{}) of
        Inner when is_map(Inner) -> Config#{Section => Inner#{Key => Value}};
        _ -> bad(config, [Section, " is a map"])
    end.

known(Options, Names) ->
    case [K || K <- lists:sort(maps:keys(Options)), not lists:member(K, Names)] of
        [] -> ok;
        [Unknown | _] -> throw({unknown_option, Unknown, ["unknown option ", word(Unknown), meant(Unknown, Names)]})
    end.

meant(Unknown, Names) ->
    hornbeam_near:hint(unicode:characters_to_binary(word(Unknown)), [atom_to_binary(N) || N <- Names]).

-spec bad(term(), unicode:chardata()) -> no_return().
bad(Option, Text) ->
    throw({bad_option, Option, [word(Option), ": " | Text]}).

word(Name) when is_atom(Name) -> atom_to_list(Name);
word(Name) -> io_lib:format("~0tp", [Name]).

%% Values.

plain(Option, Value) -> json(Option, Value).

interface(_Option, Value) when Value =:= auto; Value =:= wsgi; Value =:= asgi -> atom_to_binary(Value);
interface(Option, _Value) -> bad(Option, "wsgi or asgi; without it each application is looked at").

%% Numbers are seconds, as gunicorn has them; text has its unit, as hornbeam.yaml(5) has it.
seconds(Option, Value) when is_number(Value), Value > ?SECONDS_MAX ->
    bad(Option, io_lib:format("a number is in seconds, ~b at most; write <<\"~bms\">> for milliseconds, <<\"~bs\">> for "
                              "so many seconds", [?SECONDS_MAX, trunc(Value), trunc(Value)]));
seconds(_Option, Value) when is_number(Value), Value >= 0 ->
    iolist_to_binary([integer_to_list(round(Value * 1000)), "ms"]);
seconds(Option, Value) ->
    case text(Value) of
        {ok, Text} -> Text;
        error -> bad(Option, "seconds, or text such as <<\"500ms\">>")
    end.

bind(Option, Value) when is_list(Value), Value =/= [], not is_integer(hd(Value)) ->
    [address(Option, V) || V <- Value];
bind(Option, Value) ->
    [address(Option, Value)].

address(_Option, Port) when is_integer(Port), Port >= 0, Port < 65536 ->
    iolist_to_binary(["127.0.0.1:", integer_to_list(Port)]);
address(Option, {Ip, Port}) when is_tuple(Ip), is_integer(Port), Port >= 0, Port < 65536 ->
    case {tuple_size(Ip), inet:ntoa(Ip)} of
        {_, {error, _}} -> bad(Option, io_lib:format("~0tp is no address", [Ip]));
        {4, Text} -> iolist_to_binary([Text, $:, integer_to_list(Port)]);
        {8, Text} -> iolist_to_binary([$[, Text, "]:", integer_to_list(Port)])
    end;
address(Option, Value) ->
    case text(Value) of
        {ok, Text} -> Text;
        error -> bad(Option, "\"ADDRESS:PORT\", \"unix:PATH\", a port of 127.0.0.1, {Ip, Port}, or a list of these")
    end.

paths(Option, Value) when is_list(Value), Value =/= [], not is_integer(hd(Value)) ->
    [path(Option, V) || V <- Value];
paths(_Option, []) ->
    [];
paths(Option, Value) ->
    [path(Option, Value)].

path(Option, Value) ->
    case text(Value) of
        {ok, Text} when Text =/= <<>> -> filename:absname(Text);
        _ -> bad(Option, "a path, as a string or a binary")
    end.

access(_Option, off) -> <<"off">>;
access(_Option, logger) -> <<"-">>;
access(Option, Value) ->
    case text(Value) of
        {ok, <<"-">>} -> <<"-">>;
        {ok, <<"off">>} -> <<"off">>;
        {ok, Text} when Text =/= <<>> -> filename:absname(Text);
        _ -> bad(Option, "off, logger, or a file")
    end.

no_tls(ssl, false) ->
    false;
no_tls(Option, _Value) ->
    bad(Option, "TLS is not available in this release; a proxy in front can do it (hornbeam-deploy(7))").

start_timeout(Ms) when is_integer(Ms), Ms > 0, Ms =< 24 * 3600 * 1000 -> Ms;
start_timeout(_) -> bad(start_timeout, "milliseconds, above 0").

file(_Option, default) -> default;
file(Option, Value) -> path(Option, Value).

text(Value) when is_binary(Value) ->
    case unicode:characters_to_binary(Value) of
        Text when is_binary(Text) -> {ok, Text};
        _ -> error
    end;
text([C | _] = Value) when is_integer(C) ->
    try unicode:characters_to_binary(Value) of
        Text when is_binary(Text) -> {ok, Text};
        _ -> error
    catch
        error:badarg -> error
    end;
text([]) ->
    {ok, <<>>};
text(_Value) ->
    error.

%% Any key of hornbeam.yaml(5): atoms are words, lists of characters strings.
json(_Option, Value) when is_number(Value); is_boolean(Value) -> Value;
json(_Option, Value) when Value =:= undefined; Value =:= null -> null;
json(_Option, Value) when is_atom(Value) -> atom_to_binary(Value);
json(Option, Value) when is_map(Value) -> maps:fold(fun(K, V, M) -> M#{key(Option, K) => json(Option, V)} end, #{}, Value);
json(Option, [C | _] = Value) when is_integer(C) ->
    case io_lib:printable_unicode_list(Value) of
        true -> unicode:characters_to_binary(Value);
        false -> items(Option, Value)
    end;
json(Option, Value) when is_list(Value) -> items(Option, Value);
json(Option, Value) ->
    case text(Value) of
        {ok, Text} -> Text;
        error -> bad(Option, io_lib:format("~0tP cannot be in a configuration", [Value, 10]))
    end.

items(Option, Value) ->
    case is_list(Value) andalso length_of(Value) of
        N when is_integer(N) -> [json(Option, V) || V <- Value];
        _ -> bad(Option, "a list ends in []")
    end.

length_of(List) ->
    try length(List) catch error:badarg -> improper end.

key(_Option, Key) when is_atom(Key) -> atom_to_binary(Key);
key(Option, Key) ->
    case text(Key) of
        {ok, Text} -> Text;
        error -> bad(Option, io_lib:format("~0tP is no key", [Key, 10]))
    end.

config(Config) when is_map(Config) ->
    Read = json(config, Config),
    case [K || K <- ?OF_THE_NODE, is_map_key(K, Read)] of
        [] -> Read;
        [Key | _] -> bad(config, [Key, place(Key)])
    end;
config(_Other) ->
    bad(config, "a map of the keys of hornbeam.yaml(5)").

place(<<"control">>) -> ": the option `control` is the path of the socket";
place(<<"hooks">>) -> ": is an option of its own";
place(<<"erlang">>) -> ": this node is the companion";
place(Key) when Key =:= <<"user">>; Key =:= <<"group">> -> ": it is the node's";
place(_Key) -> ": is in the environment of the application hornbeam".

%% Applications.

with_apps(Options, #{<<"apps">> := _} = Config) when not is_map_key(mounts, Options) ->
    Config;
with_apps(Options, Config) ->
    Interface = maps:get(worker_class, Options, none),
    Config#{<<"apps">> => [app(Mount, App, Interface) || {Mount, App} <- mounts(maps:get(mounts, Options, none))]}.

mounts(Mounts) when is_map(Mounts), map_size(Mounts) > 0 ->
    maps:to_list(Mounts);
mounts([_ | _] = Mounts) ->
    case lists:all(fun(M) -> is_tuple(M) andalso tuple_size(M) =:= 2 end, Mounts) of
        true -> Mounts;
        false -> bad(mounts, "a map, or a list of {Mount, Application}")
    end;
mounts(none) ->
    bad(mounts, "there is none; name the application: hornbeam:start(\"module:callable\")");
mounts(_Other) ->
    bad(mounts, "a map, or a list of {Mount, Application}, with an application at least").

app(Mount, App, Interface) ->
    Path =
        case text(Mount) of
            {ok, Text} when Text =/= <<>> -> Text;
            _ -> bad(mounts, io_lib:format("~0tP is no path", [Mount, 10]))
        end,
    Default =
        case Interface of
            none -> #{};
            _ -> #{<<"interface">> => interface(worker_class, Interface)}
        end,
    maps:merge(Default#{<<"mount">> => Path}, app(App)).

app(App) when is_map(App) ->
    ok = known(App, [app, timeout, worker_class, interface]),
    is_map_key(app, App) orelse bad(mounts, "an application has `app`"),
    maps:fold(fun of_app/3, #{}, App);
app(App) ->
    #{<<"app">> => spec(App)}.

of_app(app, Spec, Read) -> Read#{<<"app">> => spec(Spec)};
of_app(timeout, Value, Read) -> Read#{<<"timeout">> => seconds(timeout, Value)};
of_app(Option, Value, Read) -> Read#{<<"interface">> => interface(Option, Value)}.

spec(Spec) ->
    case text(Spec) of
        {ok, Text} when Text =/= <<>> -> Text;
        _ -> bad(app, "\"module:callable\", as a string or a binary")
    end.

%% Lines of the access log are many: they go to the node's logger only where that is asked for.
with_access(Config) ->
    Log = maps:get(<<"log">>, Config, #{}),
    case is_map(Log) of
        true -> Config#{<<"log">> => maps:merge(#{<<"access">> => <<"off">>}, Log)};
        false -> bad(config, "log is a map")
    end.

%% Hooks are funs of this node: hornbeamd is told only that there is one.
hooks(Hooks) when is_map(Hooks) ->
    ok = known(Hooks, [timeout, when_down | maps:keys(?HOOKS)]),
    maps:fold(fun hook/3, #{}, Hooks);
hooks(_Other) ->
    bad(hooks, "a map of on_request, on_response, on_error").

hook(timeout, Ms, Read) when is_integer(Ms), Ms > 0 -> Read#{timeout => Ms};
hook(timeout, _Ms, _Read) -> bad(hooks, "timeout is milliseconds, above 0");
hook(when_down, When, Read) when When =:= refuse; When =:= pass -> Read#{when_down => When};
hook(when_down, _When, _Read) -> bad(hooks, "when_down is refuse or pass");
hook(Name, {M, F}, Read) when is_atom(M), is_atom(F) ->
    Arity = maps:get(Name, ?HOOKS),
    _ = code:ensure_loaded(M),
    %% One that is not there would refuse every request.
    erlang:function_exported(M, F, Arity) orelse
        bad(hooks, io_lib:format("~s: this node has no function ~tp:~tp/~b", [Name, M, F, Arity])),
    Read#{Name => {M, F}};
hook(Name, Fun, Read) ->
    Arity = maps:get(Name, ?HOOKS),
    is_function(Fun, Arity) orelse bad(hooks, io_lib:format("~s is {Module, Function} or a fun with ~b argument~s",
                                                            [Name, Arity, case Arity of 1 -> ""; _ -> "s" end])),
    Read#{Name => Fun}.

with_hooks(Hooks, Config) ->
    Keys = maps:from_list([{atom_to_binary(K), hook_value(K, V)} || {K, V} <- maps:to_list(Hooks)]),
    case map_size(Keys) of
        0 -> Config;
        _ -> Config#{<<"hooks">> => Keys}
    end.

hook_value(timeout, Ms) -> iolist_to_binary([integer_to_list(Ms), "ms"]);
hook_value(when_down, When) -> atom_to_binary(When);
hook_value(_Name, _Hook) -> <<"attached">>.
