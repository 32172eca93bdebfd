"""Erlang hooks for tests, compiled into a directory, and applications that show what reaches them.

The header X-Hook says what on_request does, X-Response what on_response does, X-Error
what on_error does; without them nothing is changed.  X-Dir names a directory for marks.
"""

import os
import subprocess

from harness import Daemon

ERLC = os.environ.get("ERLC", "erlc")

HOOKS = r"""
-module(shop_hooks).
-export([request/1, response/1, failed/2, pass/1]).

pass(Map) -> Map.

request(#{headers := #{<<"x-hook">> := What}} = R) -> request(What, R);
request(R) -> R.

request(<<"own">>, R) ->
    R#{told => R, user => #{id => 7, <<"name">> => <<"Zo", 235/utf8>>}, list => [1, 2.5, undefined, true]};
request(<<"change">>, #{headers := H} = R) ->
    R#{method := <<"PUT">>, path := <<"/chang", 233/utf8, "d path">>, query := <<"a=b&c">>,
       headers := (maps:remove(<<"x-secret">>, H))#{<<"x-added">> => <<"1">>, <<"X-Many">> => [<<"a">>, "b"],
                                                    <<"user-agent">> => <<"hooked">>}};
request(<<"path">>, R) -> R#{path := <<"/elsewhere">>};
request(<<"query">>, R) -> R#{query := <<"q=2">>};
request(<<"method">>, R) -> R#{method := <<"REPORT">>};
request(<<"mount">>, R) -> R#{path := <<"/other/page">>};
request(<<"fixed">>, #{headers := H} = R) ->
    R#{scheme := <<"gopher">>,
       headers := (maps:remove(<<"connection">>, H))#{<<"host">> => <<"evil">>, <<"content-length">> => <<"3">>,
                    <<"transfer-encoding">> => <<"chunked">>, <<"x-fine">> => <<"1">>}};
request(<<"answer">>, _R) -> {403, [8658, " no entry"]};
request(<<"string">>, _R) -> {500, "Internal Error"};
request(<<"empty">>, _R) -> {204, <<>>};
request(<<"map">>, _R) ->
    {302, #{<<"location">> => <<"/login">>, <<"set-cookie">> => [<<"a=1">>, <<"b=2">>], <<"content-length">> => 99}, ""};
request(<<"list">>, _R) ->
    {200, [{"X-List", "yes"}, {<<"set-cookie">>, <<"a=1">>}, {<<"set-cookie">>, <<"b=2">>}], ["io", <<"data">>, [10, 255]]};
request(<<"throw">>, _R) -> throw(stop);
request(<<"error">>, _R) -> error(oops);
request(<<"exit">>, _R) -> exit(gone);
request(<<"kill">>, _R) -> exit(self(), kill), receive after infinity -> ok end;
request(<<"rubbish">>, _R) -> {ok, 42};
request(<<"bad method">>, R) -> R#{method := 42};
request(<<"bad path">>, R) -> R#{path := <<"no slash">>};
request(<<"bad query">>, R) -> R#{query := <<"a b">>};
request(<<"bad header">>, #{headers := H} = R) -> R#{headers := H#{<<"x-a">> => <<"a\r\nx-b: 1">>}};
request(<<"bad status">>, _R) -> {42, <<"x">>};
request(<<"bad body">>, _R) -> {200, 42};
request(<<"split">>, _R) -> {200, #{<<"x-a">> => <<"a\r\nx-b: 1">>}, <<"x">>};
request(<<"huge">>, R) -> R#{blob => binary:copy(<<"x">>, 2000000)};
request(<<"collide">>, R) -> R#{1 => a, true => b};
request(<<"big error">>, _R) -> error(lists:duplicate(200000, reason));
request(<<"sleep">>, _R) -> timer:sleep(60000);
request(<<"hold">>, #{headers := #{<<"x-dir">> := Dir}} = R) -> hold(Dir, R);
request(_Other, R) -> R.

hold(Dir, Map) ->
    Self = self(),
    _ = spawn(fun() ->
        Monitor = monitor(process, Self),
        ok = file:write_file(filename:join(Dir, "begun"), <<>>),
        receive {'DOWN', Monitor, process, _, Reason} -> file:write_file(filename:join(Dir, "ended"), io_lib:format("~p", [Reason])) end
    end),
    until(filename:join(Dir, "go")),
    Map.

until(File) ->
    case filelib:is_regular(File) of
        true -> ok;
        false -> timer:sleep(5), until(File)
    end.

response(#{request := #{headers := #{<<"x-response">> := What}}} = R) -> response(What, R);
response(R) -> R.

response(<<"tell">>, #{headers := H, status := S} = R) ->
    Body = case R of #{body := B} -> integer_to_binary(byte_size(B)); _ -> <<"none">> end,
    Own = maps:get(user, maps:get(request, R), none),
    R#{headers := H#{<<"x-body">> => Body, <<"x-status">> => S,
                     <<"x-headers">> => io_lib:format("~0p", [maps:to_list(maps:without([<<"date">>], H))]),
                     <<"x-path">> => maps:get(path, maps:get(request, R)), <<"x-own">> => io_lib:format("~0p", [Own])}};
response(<<"change">>, #{headers := H} = R) ->
    R#{status := 201, body => <<"changed by the hook\n">>,
       headers := (maps:remove(<<"x-app">>, H))#{<<"x-new">> => [<<"1">>, <<"2">>], <<"content-type">> => <<"text/x">>,
                   <<"content-length">> => <<"1">>}};
response(<<"cookie">>, #{headers := #{<<"set-cookie">> := C} = H} = R) when is_list(C) ->
    R#{headers := H#{<<"set-cookie">> := C ++ [<<"hook=1">>]}};
response(<<"none">>, R) -> R#{status := 204};
response(<<"long">>, R) -> R#{body := binary:copy(<<"y">>, 1000000)};
response(<<"throw">>, _R) -> throw(late);
response(<<"rubbish">>, _R) -> <<"rubbish">>;
response(<<"bad header">>, #{headers := H} = R) -> R#{headers := H#{<<"x-a">> => <<"a\nb">>}};
response(<<"sleep">>, _R) -> timer:sleep(60000);
response(<<"hold">>, #{request := #{headers := #{<<"x-dir">> := Dir}}} = R) -> hold(Dir, R).

failed(Error, #{headers := #{<<"x-error">> := What}} = R) -> failed(What, Error, R);
failed(Error, #{path := Path}) ->
    {599, #{<<"x-failed">> => Path}, io_lib:format("caught ~0p", [Error])}.

failed(<<"throw">>, _Error, _R) -> throw(again);
failed(<<"rubbish">>, _Error, _R) -> nonsense;
failed(<<"request">>, _Error, R) -> R;
failed(<<"sleep">>, _Error, _R) -> timer:sleep(60000);
failed(<<"mark">>, Error, #{headers := #{<<"x-dir">> := Dir}}) ->
    ok = file:write_file(filename:join(Dir, "failed"), io_lib:format("~0p", [Error])),
    {599, <<"not seen where the response has begun">>}.
"""

#: The same paths in both: what the application does.
APPS = r"""
import io, json, os

COOKIES = [('Set-Cookie', 'one=1'), ('Set-Cookie', 'two=2')]
FILE = os.path.join(os.path.dirname(__file__), 'file')
with open(FILE, 'wb') as f:
    f.write(b'f' * 300000)


def plain(value):
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, (list, tuple)) else value


def stream():
    for i in range(3):
        yield b'part %d\n' % i


def late():
    yield b'begun\n'
    raise ValueError('too late')


def wsgi(environ, start_response):
    path = environ['PATH_INFO']
    headers = [('Content-Type', 'text/plain'), ('X-App', 'yes')]
    if path == '/stream':
        start_response('200 Fine', headers)
        return stream()
    if path == '/whole':
        start_response('200 OK', [*headers, ('Content-Length', '6')])
        return iter([b'whole\n'])
    if path.startswith('/size/'):
        start_response('200 OK', headers)
        return [b's' * int(path[6:])]
    if path == '/large':
        start_response('200 OK', headers)
        return [b'l' * 200000]
    if path == '/parts':
        start_response('200 OK', headers)
        return [b'one ', b'two ', b'three']
    if path == '/file':
        start_response('200 OK', headers)
        return environ['wsgi.file_wrapper'](open(FILE, 'rb'))
    if path == '/write':
        write = start_response('200 OK', headers)
        write(b'written ')
        write(b'w' * 100000)
        return [b' returned']
    if path == '/empty':
        start_response('204 No Content', [('X-App', 'yes')])
        return []
    if path == '/unmodified':
        start_response('304 Not Modified', [('ETag', '"1"')])
        return []
    if path == '/cookies':
        start_response('200 OK', headers + COOKIES)
        return [b'cookies']
    if path == '/raise':
        raise ValueError('bo\u00f6m')
    if path == '/late':
        start_response('200 OK', headers)
        return late()
    seen = {
        'method': environ['REQUEST_METHOD'], 'path': path.encode('latin-1').decode(), 'query': environ['QUERY_STRING'],
        'uri': environ['REQUEST_URI'], 'mount': environ['SCRIPT_NAME'],
        'headers': {k[5:].lower().replace('_', '-'): v for k, v in environ.items() if k.startswith('HTTP_')},
        'length': environ.get('CONTENT_LENGTH'), 'own': plain(environ.get('hornbeam.request')),
        'body': len(environ['wsgi.input'].read()), 'multithread': environ['wsgi.multithread'],
    }
    start_response('200 OK', [*headers, ('Content-Type', 'application/json')])
    return [json.dumps(seen).encode()]


async def asgi(scope, receive, send):
    if scope['type'] == 'lifespan':
        while True:
            message = await receive()
            await send({'type': message['type'] + '.complete'})
            if message['type'] == 'lifespan.shutdown':
                return
    if scope['type'] == 'websocket':
        return await websocket(scope, receive, send)
    path = scope['path']
    headers = [(b'content-type', b'text/plain'), (b'x-app', b'yes')]

    async def start(status=200, more=()):
        await send({'type': 'http.response.start', 'status': status, 'headers': [*headers, *more]})

    async def body(part, more=False):
        await send({'type': 'http.response.body', 'body': part, 'more_body': more})

    if path == '/stream':
        await start()
        for part in stream():
            await body(part, True)
        return await body(b'')
    if path == '/whole':
        await start(200, [(b'content-length', b'6')])
        await body(b'whole\n', True)
        return await body(b'')
    if path.startswith('/size/'):
        await start()
        return await body(b's' * int(path[6:]))
    if path == '/large':
        await start()
        return await body(b'l' * 200000)
    if path in ('/empty', '/unmodified'):
        headers = [(b'x-app', b'yes')]
        await start(204 if path == '/empty' else 304)
        return await body(b'')
    if path == '/cookies':
        await start(200, [(k.encode(), v.encode()) for k, v in COOKIES])
        return await body(b'cookies')
    if path == '/endless':
        await start()
        try:
            while True:
                await body(b'e' * 1000, True)
        finally:
            open(FILE + '.ended', 'w').close()
    if path == '/raise':
        raise ValueError('bo\u00f6m')
    if path == '/late':
        await start()
        await body(b'begun\n', True)
        raise ValueError('too late')
    size = 0
    while True:
        message = await receive()
        size += len(message.get('body', b''))
        if not message.get('more_body'):
            break
    seen = {
        'method': scope['method'], 'path': path, 'query': scope['query_string'].decode(),
        'uri': scope['raw_path'].decode(), 'mount': scope['root_path'],
        'headers': {}, 'own': plain(scope['extensions'].get('hornbeam')), 'body': size,
    }
    for name, value in scope['headers']:
        name, value = name.decode(), value.decode()
        seen['headers'][name] = f"{seen['headers'][name]}, {value}" if name in seen['headers'] else value
    seen['length'] = seen['headers'].get('content-length')
    await start(200, [(b'content-type', b'application/json')])
    await body(json.dumps(seen).encode())


async def websocket(scope, receive, send):
    await receive()
    if scope['path'] == '/raise':
        raise ValueError('no')
    if scope['path'] == '/deny':
        await send({'type': 'websocket.http.response.start', 'status': 401, 'headers': [(b'x-app', b'yes')]})
        return await send({'type': 'websocket.http.response.body', 'body': b'denied'})
    await send({'type': 'websocket.accept'})
    if scope['path'] == '/late':
        raise ValueError('too late')
    await send({'type': 'websocket.send', 'text': json.dumps([scope['path'], plain(scope['extensions'].get('hornbeam'))])})
    await receive()
"""

#: How an application is served: its name in APPS and the number of threads.
KINDS = {"in place": ("wsgi", 1), "pool": ("wsgi", 4), "asgi": ("asgi", 1)}
ALL = {"on_request": "shop_hooks:request", "on_response": "shop_hooks:response", "on_error": "shop_hooks:failed"}


def compile_module(directory, name, source):
    """Compiles an Erlang module into a directory."""
    path = directory / f"{name}.erl"
    path.write_text(source, encoding="utf-8")
    subprocess.run([ERLC, "-o", str(directory), str(path)], check=True, timeout=60)


def daemon(directory, kind, hooks=None, **more):
    """A Daemon whose requests have the hooks of HOOKS."""
    if not (directory / "shop_hooks.beam").exists():
        compile_module(directory, "shop_hooks", HOOKS)
    app, threads = KINDS[kind]
    config = {
        "threads": threads,
        "hooks": {"timeout": "60s", **(ALL if hooks is None else hooks)},
        "erlang": {"code_path": [str(directory)]},
        **more.pop("config", {}),
    }
    return Daemon(f"apps:{app}", files={"apps.py": APPS}, config=config, **more)
