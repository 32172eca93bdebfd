/* Every complaint of the configuration, word by word, with its place. */
#include <string.h>

#include "config/config.h"
#include "unit.h"

struct complaint {
	const char *given;
	const char *text;
};

/* Files: the place is FILE:LINE. */
static const struct complaint files[] = {
	/* the form of YAML */
	{ "workers: [1\nthreads: 1\n",
	    "f:2: not valid YAML: while parsing a flow sequence: did not find expected ',' or ']'" },
	{ "a: b: c\n", "f:1: not valid YAML: mapping values are not allowed in this context" },
	{ "workers: 1\nuser: \"a\n", "f:3: not valid YAML: while scanning a quoted scalar: found unexpected end of stream" },
	{ "workers: 1\nuser: \xff\n", "f:2: not valid YAML: invalid leading UTF-8 octet" },
	{ "workers: 1\n---\nworkers: 2\n", "f:2: more than one YAML document" },
	{ "- workers\n", "f:1: expected a mapping of keys, found a list" },
	{ "workers\n", "f:1: expected a mapping of keys, found \"workers\"" },
	{ "python:\n  path: &p [/a]\n", "f:2: python.path: anchors and aliases are not supported" },
	{ "erlang:\n  code_path: *p\n", "f:2: erlang.code_path: anchors and aliases are not supported" },
	{ "workers: !!int 2\n", "f:1: workers: the tag tag:yaml.org,2002:int is not supported" },
	{ "python: {path: !x [a]}\n", "f:1: python.path: the tag !x is not supported" },
	{ "[a]: b\n", "f:1: a key must be a word" },
	{ "python:\n  env:\n    {a: b}: c\n", "f:3: python.env: a key must be a word" },
	{ "a: [[[[[[[[[[]]]]]]]]]]\n", "f:1: a[0][0][0][0][0][0][0]: nested more than 8 deep" },
	{ "user: \"a\\0b\"\n", "f:1: user: a string must not hold a NUL byte" },
	/* keys */
	{ "\nworker: 2\n", "f:2: worker: unknown key; did you mean workers?" },
	{ "limits:\n  body: 1M\n  heder: 1K\n", "f:3: limits.heder: unknown key; did you mean limits.header?" },
	{ "limit: {body: 1M}\n", "f:1: limit: unknown key; did you mean limits?" },
	{ "keepalive: 5s\n", "f:1: keepalive: unknown key; did you mean timeouts.keepalive?" },
	{ "log: {headers: 5}\n", "f:1: log.headers: unknown key; did you mean limits.headers?" },
	{ "log: {zzzzzzzz: 5}\n", "f:1: log.zzzzzzzz: unknown key" },
	{ "quux: 5\n", "f:1: quux: unknown key" },
	{ "bind: \"0.0.0.0:80\"\n", "f:1: bind: unknown key; did you mean listen?" },
	{ "timeout: 30\n", "f:1: timeout: unknown key; did you mean timeouts.request?" },
	{ "processes: 4\n", "f:1: processes: unknown key; did you mean workers?" },
	{ "limits.body: 5\n", "f:1: unknown key \"limits.body\"" },
	{ "workers: 1\nlisten: 127.0.0.1:1\nworkers: 2\n", "f:3: workers: duplicate key" },
	{ "limits:\n  body: 1M\n  body: 2M\n", "f:3: limits.body: duplicate key" },
	{ "apps:\n  - app: a:b\n    app: c:d\n", "f:3: apps[0].app: duplicate key" },
	{ "limits: 5\n", "f:1: limits: expected a mapping, found \"5\"" },
	{ "limits:\n  - body\n", "f:2: limits: expected a mapping, found a list" },
	/* numbers */
	{ "workers: many\n", "f:1: workers: expected auto or a number, found \"many\"" },
	{ "workers: -1\n", "f:1: workers: expected auto or a number, found \"-1\"" },
	{ "workers: [1, 2]\n", "f:1: workers: expected auto or a number, found a list" },
	{ "workers: 0\n", "f:1: workers: 0 is not in the range 1 to 1024" },
	{ "workers: 1025\n", "f:1: workers: 1025 is not in the range 1 to 1024" },
	{ "threads: 0\n", "f:1: threads: 0 is not in the range 1 to 64" },
	{ "threads: 65\n", "f:1: threads: 65 is not in the range 1 to 64" },
	{ "max_requests: -1\n", "f:1: max_requests: expected a number, found \"-1\"" },
	{ "limits:\n  headers: x\n", "f:2: limits.headers: expected a number, found \"x\"" },
	{ "limits:\n  headers:\n", "f:2: limits.headers: expected a number, found nothing" },
	{ "limits:\n  connections: 99999999999999999999\n",
	    "f:2: limits.connections: expected a number, found \"99999999999999999999\"" },
	/* durations and sizes */
	{ "timeouts: {keepalive: soon}\n",
	    "f:1: timeouts.keepalive: expected a duration such as 500ms, 30s, 5m or 1h, found \"soon\"" },
	{ "timeouts: {keepalive: 15}\n", "f:1: timeouts.keepalive: the duration 15 has no unit; did you mean 15s?" },
	{ "timeouts: {header: 0}\n", "f:1: timeouts.header: 0 is not in the range 1ms to 24h" },
	{ "timeouts: {graceful: 25h}\n", "f:1: timeouts.graceful: 25h is not in the range 0 to 24h" },
	{ "limits: {body: 64MB}\n", "f:1: limits.body: expected a size such as 512, 8K, 64M or 1G, found \"64MB\"" },
	{ "limits: {header: {a: b}}\n",
	    "f:1: limits.header: expected a size such as 512, 8K, 64M or 1G, found a mapping" },
	{ "limits: {header: 100}\n", "f:1: limits.header: 100 is not in the range 256 to 16M" },
	{ "state: {max_value: 16M}\n", "f:1: state.max_value: 16M is not in the range 1 to 16380K" },
	{ "timeouts: {request: 0}\n", "f:1: timeouts.request: 0 is not in the range 1ms to 24h" },
	{ "websocket: {max_message: 2G}\n", "f:1: websocket.max_message: 2G is not in the range 1 to 1G" },
	/* words and strings */
	{ "lifespan: yes\n", "f:1: lifespan: expected auto, on or off, found \"yes\"" },
	{ "websocket: {compression: yes}\n",
	    "f:1: websocket.compression: expected true or false, found \"yes\"" },
	{ "log: {level: warn}\n", "f:1: log.level: expected debug, info, warning or error, found \"warn\"" },
	{ "log: {access_format: x}\n", "f:1: log.access_format: expected common, combined or json, found \"x\"" },
	{ "log: {access: access.log}\n",
	    "f:1: log.access: expected off, \"-\" or the absolute path of a file, found \"access.log\"" },
	{ "user: [root]\n", "f:1: user: expected a name, found a list" },
	{ "user: \"\"\n", "f:1: user: expected a name, found \"\"" },
	{ "user: \"a\\tb\"\n", "f:1: user: control characters are not possible here" },
	{ "group: \"a\\tb\"\n", "f:1: group: control characters are not possible here" },
	{ "workers: \"a\\tb\\x7f\"\n", "f:1: workers: expected auto or a number, found \"a?b?\"" },
	{ "workers: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff\xc3\xa9\n",
	    "f:1: workers: expected auto or a number, "
	    "found \"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff...\"" },
	{ "workers: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffffffff\xc3\xa9\n",
	    "f:1: workers: expected auto or a number, "
	    "found \"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffffffff...\"" },
	/* paths */
	{ "control: {socket: []}\n", "f:1: control.socket: expected a path, found a list" },
	{ "control: {socket: \"\"}\n", "f:1: control.socket: expected a path, found \"\"" },
	{ "control:\n  socket: /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaa\n",
	    "f:2: control.socket: longer than 100 bytes" },
	{ "python: {path: {a: b}}\n", "f:1: python.path: expected a list of paths, found a mapping" },
	{ "python: {path: }\n", "f:1: python.path: expected a list of paths, found nothing" },
	{ "python:\n  path:\n    - /a\n    - [/b]\n", "f:4: python.path[1]: expected a path, found a list" },
	{ "python: {path: [\"\"]}\n", "f:1: python.path[0]: expected a path, found \"\"" },
	{ "erlang: {code_path: [~]}\n", "f:1: erlang.code_path[0]: expected a path, found nothing" },
	/* mappings */
	{ "python: {env: [A]}\n", "f:1: python.env: expected a mapping of names to strings, found a list" },
	{ "python: {env: {A: [b]}}\n", "f:1: python.env.A: expected a string, found a list" },
	{ "python: {env: {A: }}\n", "f:1: python.env.A: expected a string, found nothing" },
	{ "python: {env: {A=B: c}}\n", "f:1: python.env.A=B: the name of a variable must not be empty or hold =" },
	{ "python: {env: {\"\": c}}\n", "f:1: python.env.: the name of a variable must not be empty or hold =" },
	{ "python: {env: {\"a\\nb\": c}}\n",
	    "f:1: python.env.a?b: control characters are not possible in the name of a variable" },
	/* listeners */
	{ "listen:\n  - here\n",
	    "f:2: listen[0]: expected an address such as 127.0.0.1:8000, \"[::]:8000\" or unix:/path, found \"here\"" },
	{ "listen: 8000\n",
	    "f:1: listen: expected an address such as 127.0.0.1:8000, \"[::]:8000\" or unix:/path, found \"8000\"" },
	{ "listen: \"::1:8000\"\n",
	    "f:1: listen: \"::1\" is not an IP address (names are not looked up; 127.0.0.1 is this machine alone, 0.0.0.0 and [::] are every address)" },
	{ "listen: localhost:80\n",
	    "f:1: listen: \"localhost\" is not an IP address "
	    "(names are not looked up; 127.0.0.1 is this machine alone, 0.0.0.0 and [::] are every address)" },
	{ "listen: 127.0.0.1:0\n", "f:1: listen: the port 0 is not in the range 1 to 65535" },
	{ "listen: 127.0.0.1:65536\n", "f:1: listen: the port 65536 is not in the range 1 to 65535" },
	{ "listen: unix:run/x\n", "f:1: listen: the path of a unix: address must be absolute" },
	{ "listen: unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	    "f:1: listen: the path of a unix: address is longer than 107 bytes" },
	{ "listen: []\n", "f:1: listen: the list must not be empty" },
	{ "listen:\n", "f:1: listen: expected a list, found nothing" },
	{ "listen: [[a]]\n", "f:1: listen[0]: expected a mapping, found a list" },
	{ "listen:\n  - {adress: 127.0.0.1:1}\n", "f:2: listen[0].adress: unknown key; did you mean address?" },
	{ "listen:\n  - {tls: 127.0.0.1:1}\n", "f:2: listen[0].tls: unknown key" },
	{ "listen:\n  - {mode: \"0660\"}\n", "f:2: listen[0]: the key address is missing" },
	{ "listen:\n  - {address: 127.0.0.1:1, mode: \"0660\"}\n",
	    "f:2: listen[0]: mode is for a unix: address, not for 127.0.0.1:1" },
	{ "listen:\n  - {address: \"unix:/x\", mode: rw}\n",
	    "f:2: listen[0].mode: expected permissions such as \"0660\", found \"rw\"" },
	{ "listen:\n  - {address: \"unix:/x\", mode: 07777}\n",
	    "f:2: listen[0].mode: expected permissions such as \"0660\", found \"07777\"" },
	{ "listen:\n  - {address: \"unix:/x\", mode: 000}\n",
	    "f:2: listen[0].mode: expected permissions such as \"0660\", found \"000\"" },
	{ "listen:\n  - 127.0.0.1:8000\n  - {address: 127.0.0.1:08000}\n",
	    "f:3: listen[1]: the address 127.0.0.1:8000 stands twice" },
	{ "listen:\n  - \"[::1]:80\"\n  - \"[0:0::1]:80\"\n", "f:3: listen[1]: the address [::1]:80 stands twice" },
	/* peers */
	{ "forwarded:\n  trust:\n    - 127.0.0.1\n    - localhost\n",
	    "f:4: forwarded.trust[1]: expected an address, a network such as 10.0.0.0/8, or \"unix:\", "
	    "found \"localhost\"" },
	{ "forwarded: {trust: [\"\"]}\n",
	    "f:1: forwarded.trust[0]: expected an address, a network such as 10.0.0.0/8, or \"unix:\", found \"\"" },
	{ "forwarded: {trust: [\"unix:/x\"]}\n",
	    "f:1: forwarded.trust[0]: expected an address, a network such as 10.0.0.0/8, or \"unix:\", "
	    "found \"unix:/x\"" },
	{ "forwarded: {trust: [\"[::1]\"]}\n",
	    "f:1: forwarded.trust[0]: expected an address, a network such as 10.0.0.0/8, or \"unix:\", "
	    "found \"[::1]\"" },
	{ "forwarded: {trust: {a: b}}\n", "f:1: forwarded.trust: expected a list, found a mapping" },
	{ "forwarded: {trust: }\n", "f:1: forwarded.trust: expected a list, found nothing" },
	{ "forwarded: {trust: 10.0.0.0/33}\n",
	    "f:1: forwarded.trust: the length of the network's prefix is not in the range 0 to 32" },
	{ "forwarded: {trust: 10.0.0.0/}\n",
	    "f:1: forwarded.trust: the length of the network's prefix is not in the range 0 to 32" },
	{ "forwarded: {trust: \"fd00::/129\"}\n",
	    "f:1: forwarded.trust: the length of the network's prefix is not in the range 0 to 128" },
	{ "forwarded: {trust: 10.1.2.3/8}\n",
	    "f:1: forwarded.trust: 10.1.2.3/8 is an address in a network; did you mean 10.0.0.0/8?" },
	/* applications */
	{ "apps:\n  - {mount: /}\n", "f:2: apps[0]: the key app is missing" },
	{ "apps:\n  - {mount: /, app: }\n", "f:2: apps[0].app: expected module:callable or module:factory(), found nothing" },
	{ "apps: shop.wsgi\n", "f:1: apps: expected module:callable or module:factory(), found \"shop.wsgi\"" },
	{ "apps: shop:app(1)\n", "f:1: apps: expected module:callable or module:factory(), found \"shop:app(1)\"" },
	{ "apps: shop..x:app\n", "f:1: apps: expected module:callable or module:factory(), found \"shop..x:app\"" },
	{ "apps: \"shop:\"\n", "f:1: apps: expected module:callable or module:factory(), found \"shop:\"" },
	{ "apps: \"shop:()\"\n", "f:1: apps: expected module:callable or module:factory(), found \"shop:()\"" },
	{ "apps: shop/wsgi.py:app\n", "f:1: apps: expected module:callable or module:factory(), found \"shop/wsgi.py:app\"" },
	{ "apps:\n  - {mount: shop, app: a:b}\n",
	    "f:2: apps[0].mount: expected a path such as / or /shop, found \"shop\"" },
	{ "apps:\n  - {mount: /a//b, app: a:b}\n",
	    "f:2: apps[0].mount: empty, . and .. parts are not possible in a mount" },
	{ "apps:\n  - {mount: /a/.., app: a:b}\n",
	    "f:2: apps[0].mount: empty, . and .. parts are not possible in a mount" },
	{ "apps:\n  - {mount: /a?b, app: a:b}\n",
	    "f:2: apps[0].mount: spaces, control characters, ? and # are not possible in a mount" },
	{ "apps:\n  - {mount: /a b, app: a:b}\n",
	    "f:2: apps[0].mount: spaces, control characters, ? and # are not possible in a mount" },
	{ "apps:\n  - {app: a:b}\n  - {mount: //, app: c:d}\n", "f:3: apps[1]: the mount / stands twice" },
	{ "apps:\n  - {mount: /x, app: a:b}\n  - {mount: /x/, app: c:d}\n", "f:3: apps[1]: the mount /x stands twice" },
	{ "apps:\n  - app: a:b\n    timeout: 0\n", "f:3: apps[0].timeout: 0 is not in the range 1ms to 24h" },
	{ "apps:\n  - app: a:b\n    interface: cgi\n",
	    "f:3: apps[0].interface: expected auto, wsgi or asgi, found \"cgi\"" },
	{ "apps:\n  - app: a:b\n    timeuot: 3s\n", "f:3: apps[0].timeuot: unknown key; did you mean timeout?" },
	/* nodes */
	{ "erlang: {node: shop}\n",
	    "f:1: erlang.node: the name of a node has its host behind an @, such as shop@db1" },
	{ "erlang: {node: \"\"}\n", "f:1: erlang.node: expected a node name such as shop@db1, found \"\"" },
	{ "erlang: {node: \"@db1\"}\n", "f:1: erlang.node: expected a node name such as shop@db1, found \"@db1\"" },
	{ "erlang: {node: shop@}\n", "f:1: erlang.node: expected a node name such as shop@db1, found \"shop@\"" },
	{ "erlang: {node: a@b@c}\n", "f:1: erlang.node: expected a node name such as shop@db1, found \"a@b@c\"" },
	{ "erlang: {node: a.b@c}\n", "f:1: erlang.node: expected a node name such as shop@db1, found \"a.b@c\"" },
	{ "erlang: {node: a@.c}\n", "f:1: erlang.node: expected a node name such as shop@db1, found \"a@.c\"" },
	{ "erlang: {node: a@b..c}\n", "f:1: erlang.node: expected a node name such as shop@db1, found \"a@b..c\"" },
	{ "erlang: {node: \"a b@c\"}\n", "f:1: erlang.node: expected a node name such as shop@db1, found \"a b@c\"" },
	{ "erlang: {node: [a@b]}\n", "f:1: erlang.node: expected a node name such as shop@db1, found a list" },
	{ "erlang:\n  connect: [a@b]\n", "f:2: erlang.connect: needs erlang.node, the name of this node" },
	{ "erlang:\n  node: a@b\n  connect:\n    - c\n",
	    "f:4: erlang.connect[0]: the name of a node has its host behind an @, such as c@db1" },
	{ "erlang:\n  node: a@b\n  connect:\n    - c@d\n    - c@d\n", "f:5: erlang.connect[1]: c@d stands twice" },
	{ "erlang:\n  node: a@b\n  connect: a@b\n", "f:3: erlang.connect: a@b is erlang.node, this node itself" },
	{ "erlang:\n  node: a@b\n  connect: [c@d, e@f.g]\n",
	    "f:3: erlang.connect: e@f.g has a long name (a host with dots), erlang.node a@b has a short one; "
	    "nodes of both sorts cannot connect" },
	{ "erlang:\n  node: a@192.0.2.7\n  connect: c@d\n",
	    "f:3: erlang.connect: c@d has a short name (a host without dots), erlang.node a@192.0.2.7 has a long one; "
	    "nodes of both sorts cannot connect" },
	{ "erlang: {listen: localhost}\n",
	    "f:1: erlang.listen: expected an IP address such as 127.0.0.1, found \"localhost\"" },
	{ "erlang: {listen: 127.0.0.1:4370}\n",
	    "f:1: erlang.listen: expected an IP address such as 127.0.0.1, found \"127.0.0.1:4370\"" },
	{ "erlang: {listen: 127.0.0.0/8}\n",
	    "f:1: erlang.listen: expected an IP address such as 127.0.0.1, found \"127.0.0.0/8\"" },
	{ "erlang: {listen: \"unix:\"}\n",
	    "f:1: erlang.listen: expected an IP address such as 127.0.0.1, found \"unix:\"" },
	{ "erlang: {port: 65536}\n", "f:1: erlang.port: 65536 is not in the range 0 to 65535" },
	{ "erlang: {epmd: yes}\n", "f:1: erlang.epmd: expected true or false, found \"yes\"" },
	{ "erlang: {cookie: x}\n", "f:1: erlang.cookie: unknown key; did you mean erlang.cookie_file?" },
	{ "erlang: {applications: [Shop]}\n",
	    "f:1: erlang.applications[0]: expected the name of an Erlang application such as shop_erl, found \"Shop\"" },
	{ "erlang: {applications: [a, b, a]}\n", "f:1: erlang.applications[2]: a stands twice" },
	{ "erlang: {applications: {a: b}}\n",
	    "f:1: erlang.applications: expected a list of application names, found a mapping" },
	/* functions and hooks */
	{ "functions: [a]\n", "f:1: functions: expected a mapping of names to module:function, found a list" },
	{ "functions: {f: get}\n", "f:1: functions.f: expected an Erlang function as module:function, found \"get\"" },
	{ "functions:\n  a: b:c\n  f: [a]\n",
	    "f:3: functions.f: expected an Erlang function as module:function, found a list" },
	{ "functions: {f: }\n", "f:1: functions.f: expected an Erlang function as module:function, found nothing" },
	{ "functions: {f: \"a:\"}\n", "f:1: functions.f: expected an Erlang function as module:function, found \"a:\"" },
	{ "functions: {f: \":b\"}\n", "f:1: functions.f: expected an Erlang function as module:function, found \":b\"" },
	{ "functions: {f: \"a:b:c\"}\n",
	    "f:1: functions.f: expected an Erlang function as module:function, found \"a:b:c\"" },
	{ "functions: {f: \"a:b/1\"}\n", "f:1: functions.f: module:function stands without a number of arguments" },
	{ "functions: {f: \"a:b()\"}\n", "f:1: functions.f: module:function stands without a number of arguments" },
	{ "functions: {f: \"'a b':c\"}\n", "f:1: functions.f: the names of module and function stand without quotes" },
	{ "functions: {\"\": \"a:b\"}\n", "f:1: functions.: the name of a function must not be empty" },
	{ "functions: {\"a\\tb\": \"a:b\"}\n",
	    "f:1: functions.a?b: control characters are not possible in the name of a function" },
	{ "hooks: {on_request: shop}\n",
	    "f:1: hooks.on_request: expected an Erlang function as module:function, found \"shop\"" },
	{ "hooks: {on_error: \"h:failed/2\"}\n",
	    "f:1: hooks.on_error: module:function stands without a number of arguments" },
	{ "hooks: {on_reqest: \"a:b\"}\n", "f:1: hooks.on_reqest: unknown key; did you mean hooks.on_request?" },
	{ "hooks: {timeout: 0}\n", "f:1: hooks.timeout: 0 is not in the range 1ms to 24h" },
	{ "hooks: {when_down: fail}\n", "f:1: hooks.when_down: expected refuse or pass, found \"fail\"" },
	/* pub/sub and rpc */
	{ "pubsub: {queue: 0}\n", "f:1: pubsub.queue: 0 is not in the range 1 to 1000000" },
	{ "pubsub: {queue: 1000001}\n", "f:1: pubsub.queue: 1000001 is not in the range 1 to 1000000" },
	{ "rpc: {allow: [\"a:b\"]}\n",
	    "f:1: rpc.allow[0]: expected \"*\" or a pattern node:module:function, found \"a:b\"" },
	{ "rpc: {allow: [\"*\", \"a:b:c:d\"]}\n",
	    "f:1: rpc.allow[1]: expected \"*\" or a pattern node:module:function, found \"a:b:c:d\"" },
	{ "rpc: {allow: [\"a::c\"]}\n",
	    "f:1: rpc.allow[0]: expected \"*\" or a pattern node:module:function, found \"a::c\"" },
	{ "rpc: {allow: [\"a:b:c \"]}\n",
	    "f:1: rpc.allow[0]: expected \"*\" or a pattern node:module:function, found \"a:b:c \"" },
	{ "rpc: {allow: }\n", "f:1: rpc.allow: expected a list of patterns, found nothing" },
};

/* --set: the place is the option with its key. */
static const struct complaint sets[] = {
	{ "workers=many", "--set workers: expected auto or a number, found \"many\"" },
	{ "worker=1", "--set worker: unknown key; did you mean workers?" },
	{ "workers=", "--set workers: expected auto or a number, found nothing" },
	{ "workers", "--set workers: expected KEY=VALUE" },
	{ "=1", "--set : expected KEY=VALUE" },
	{ "limits={body: x}",
	    "--set limits: limits.body: expected a size such as 512, 8K, 64M or 1G, found \"x\"" },
	{ "limits={body: 1M", "--set limits: not valid YAML: while parsing a flow mapping: did not find expected ',' or '}'" },
	{ "limits=1", "--set limits: expected a mapping, found \"1\"" },
	{ "limits..body=1", "--set limits..body: limits: unknown key \"\"" },
	{ "apps=[{mount: /}]", "--set apps: apps[0]: the key app is missing" },
	{ "python.env.\xff=x", "--set python.env.\xff: the key is not UTF-8" },
	{ "user=\xff", "--set user: the value is not UTF-8" },
	{ "erlang.connect=a@b", "--set erlang.connect: needs erlang.node, the name of this node" },
	{ "erlang={connect: a@b}", "--set erlang: erlang.connect: needs erlang.node, the name of this node" },
	{ "functions.f=x", "--set functions.f: expected an Erlang function as module:function, found \"x\"" },
};

/* Variables: the place is their name. */
static const struct complaint variables[] = {
	{ "HORNBEAM_WORKERS=many", "HORNBEAM_WORKERS: workers: expected auto or a number, found \"many\"" },
	{ "HORNBEAM_WORKER=1", "HORNBEAM_WORKER: unknown variable; did you mean HORNBEAM_WORKERS?" },
	{ "HORNBEAM_QUUX_QUUX_QUUX=1", "HORNBEAM_QUUX_QUUX_QUUX: unknown variable" },
	{ "HORNBEAM_LISTEN=[1", "HORNBEAM_LISTEN: listen: not valid YAML: while parsing a flow sequence: "
				"did not find expected ',' or ']'" },
};

#define LENGTH(a) (int)(sizeof(a) / sizeof((a)[0]))

START_TEST(error_in_a_file_names_line_key_and_cause)
{
	const struct complaint *c = &files[_i];
	struct hb_error err;

	ck_assert_ptr_null(hb_config_parse(c->given, strlen(c->given), "f", &err));
	ck_assert_str_eq(err.text, c->text);
	ck_assert_int_eq(err.kind, HB_ERROR_CONFIG);
}
END_TEST

START_TEST(error_in_set_names_the_option)
{
	const char *const list[] = { sets[_i].given, NULL };
	struct hb_config_source source = { .sets = list };
	struct hb_error err;

	ck_assert_ptr_null(hb_config_load(&source, &err));
	ck_assert_str_eq(err.text, sets[_i].text);
	ck_assert_int_eq(err.kind, HB_ERROR_CONFIG);
}
END_TEST

START_TEST(error_in_a_variable_names_it)
{
	char *const list[] = { (char *)(uintptr_t)variables[_i].given, NULL };
	struct hb_config_source source = { .environ = list };
	struct hb_error err;

	ck_assert_ptr_null(hb_config_load(&source, &err));
	ck_assert_str_eq(err.text, variables[_i].text);
	ck_assert_int_eq(err.kind, HB_ERROR_CONFIG);
}
END_TEST

START_TEST(name_of_a_variable_has_a_limit)
{
	struct hb_buf text = HB_BUF_INIT;
	struct hb_error err;

	hb_buf_printf(&text, "python: {env: {%0256d: x}}\n", 0);
	ck_assert_ptr_null(hb_config_parse((const char *)text.data, text.len, "f", &err));
	ck_assert_ptr_nonnull(strstr(err.text, ": the name of a variable is longer than 255 bytes"));
	hb_buf_free(&text);
}
END_TEST

START_TEST(more_values_than_the_limit_are_refused)
{
	struct hb_buf text = HB_BUF_INIT;
	struct hb_error err;

	hb_buf_add_str(&text, "python:\n  path:\n");
	for (int i = 0; i < 30000; i++)
		hb_buf_add_str(&text, "  - a\n");
	ck_assert_ptr_null(hb_config_parse((const char *)text.data, text.len, "f", &err));
	ck_assert_ptr_nonnull(strstr(err.text, ": more than 20000 values"));
	hb_buf_free(&text);
}
END_TEST

START_TEST(more_applications_than_the_limit_are_refused)
{
	struct hb_buf text = HB_BUF_INIT;
	struct hb_error err;

	hb_buf_add_str(&text, "apps:\n");
	for (int i = 0; i < 257; i++)
		hb_buf_printf(&text, "  - {mount: /%d, app: a:b}\n", i);
	ck_assert_ptr_null(hb_config_parse((const char *)text.data, text.len, "f", &err));
	ck_assert_str_eq(err.text, "f:2: apps: more than 256 entries");
	hb_buf_free(&text);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("config_errors");
	TCase *t = tcase_create("errors");

	tcase_add_loop_test(t, error_in_a_file_names_line_key_and_cause, 0, LENGTH(files));
	tcase_add_loop_test(t, error_in_set_names_the_option, 0, LENGTH(sets));
	tcase_add_loop_test(t, error_in_a_variable_names_it, 0, LENGTH(variables));
	tcase_add_test(t, name_of_a_variable_has_a_limit);
	tcase_add_test(t, more_values_than_the_limit_are_refused);
	tcase_add_test(t, more_applications_than_the_limit_are_refused);
	suite_add_tcase(s, t);
	return s;
}
