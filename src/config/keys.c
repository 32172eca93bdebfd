/* The rows: see keys.h.  Rows of one section stand together. */
#include "config/keys.h"

#include <ctype.h>
#include <string.h>

#include "common/str.h"
#include "config/config.h"
#include "config/items.h"

#define FIELD(s, f) .offset = offsetof(struct s, f), .size = sizeof(((struct s *)0)->f)
#define COUNTED(s, f) .offset = offsetof(struct s, f), .count = offsetof(struct s, f##_count)

enum {
	SECOND = 1000,
	HOUR = 3600 * SECOND,
	DAY = 24 * HOUR,
	K = 1 << 10,
	M = 1 << 20,
	FRAME = 16 * M,
	FRAME_REST = 4 * K,   /* a key of 1 KiB, the operation and the tags around a value */
	CONTROL_PATH_MAX = 100, /* sun_path holds 107, and ".link" comes behind */
	PATH_LENGTH_MAX = 4095,
	NAME_LENGTH_MAX = 255
};
#define G ((int64_t)1 << 30)
#define COUNT_MAX ((int64_t)1 << 53)

static const char *const levels[] = { "debug", "info", "warning", "error", NULL };
static const char *const access_formats[] = { "common", "combined", "json", NULL };
static const char *const interfaces[] = { "auto", "wsgi", "asgi", NULL };
static const char *const when_down[] = { "refuse", "pass", NULL };
static const char *const lifespans[] = { "auto", "on", "off", NULL };

static const struct hb_config_key listen_keys[] = {
	{ "address", .kind = HB_KIND_ADDRESS, FIELD(hb_config_listen, address), .required = true,
	    .about = "IPV4:PORT, [IPV6]:PORT or unix:PATH" },
	{ "mode", "0660", .kind = HB_KIND_MODE, FIELD(hb_config_listen, mode), .min = 1, .max = 0777,
	    .about = "permissions of a Unix socket, octal" },
	{ NULL }
};

static const struct hb_config_items listens = {
	listen_keys, sizeof(struct hb_config_listen), "address", hb_config_check_listen, NULL
};

static const struct hb_config_key app_keys[] = {
	{ "mount", "/", .kind = HB_KIND_MOUNT, FIELD(hb_config_app, mount),
	    .about = "path below which the application answers; the longest wins" },
	{ "app", .kind = HB_KIND_APP, FIELD(hb_config_app, app), .required = true,
	    .about = "MODULE:CALLABLE or MODULE:FACTORY()" },
	{ "interface", "auto", .kind = HB_KIND_ENUM, FIELD(hb_config_app, interface), .names = interfaces,
	    .about = "what the callable speaks" },
	{ "timeout", .kind = HB_KIND_DURATION, FIELD(hb_config_app, timeout), .min = 1, .max = DAY,
	    .about = "in the place of timeouts.request" },
	{ NULL }
};

static const struct hb_config_items apps = {
	app_keys, sizeof(struct hb_config_app), "app", hb_config_check_app, hb_config_compare_apps
};

#define DURATION(name, dflt, low, high, text) \
	{ "timeouts." #name, dflt, text, .kind = HB_KIND_DURATION, FIELD(hb_config, timeouts.name), .min = low, \
	    .max = high }
#define SIZE(section, name, dflt, low, high, text) \
	{ #section "." #name, dflt, text, .kind = HB_KIND_SIZE, FIELD(hb_config, section.name), .min = low, \
	    .max = high }
#define NUMBER(section, name, dflt, low, high, text) \
	{ #section "." #name, dflt, text, .kind = HB_KIND_INT, FIELD(hb_config, section.name), .min = low, \
	    .max = high }

const struct hb_config_key hb_config_keys[] = {
	{ "listen", "127.0.0.1:8000", "addresses to serve HTTP on", .kind = HB_KIND_ITEMS, .items = &listens,
	    COUNTED(hb_config, listen), .min = 1, .max = 64 },
	{ "apps", "[]", "applications and where they are mounted", .kind = HB_KIND_ITEMS, .items = &apps,
	    COUNTED(hb_config, apps), .max = 256 },
	{ "python.path", "[]", "directories in front of Python's module search path", .kind = HB_KIND_PATHS,
	    COUNTED(hb_config, python.path), .max = PATH_LENGTH_MAX },
	{ "python.venv", NULL, "virtual environment of the applications", .kind = HB_KIND_PATH,
	    FIELD(hb_config, python.venv), .max = PATH_LENGTH_MAX },
	{ "python.env", "{}", "environment variables for the applications", .kind = HB_KIND_MAP,
	    COUNTED(hb_config, python.env) },
	{ "workers", "auto", "worker processes", .kind = HB_KIND_WORKERS, FIELD(hb_config, workers), .min = 1,
	    .max = HB_CONFIG_WORKERS_MAX },
	{ "threads", "4", "WSGI calls at once in a worker", .kind = HB_KIND_INT, FIELD(hb_config, threads), .min = 1,
	    .max = HB_CONFIG_THREADS_MAX },
	{ "lifespan", "auto", "whether ASGI applications are told of start and stop", .kind = HB_KIND_ENUM,
	    FIELD(hb_config, lifespan), .names = lifespans },
	{ "max_requests", "0", "requests after which a worker is replaced; 0 is never", .kind = HB_KIND_INT,
	    FIELD(hb_config, max_requests), .max = COUNT_MAX },
	{ "max_requests_jitter", "0", "up to so many more, by chance", .kind = HB_KIND_INT,
	    FIELD(hb_config, max_requests_jitter), .max = COUNT_MAX },
	DURATION(request, "30s", 1, DAY, "from a request to the start of its response"),
	DURATION(keepalive, "15s", 0, DAY, "between two requests of a connection"),
	DURATION(header, "10s", 1, DAY, "for the whole head of a request"),
	DURATION(body, "30s", 1, DAY, "between two parts of a request's body"),
	DURATION(write, "60s", 1, DAY, "between two parts of a response that the client takes"),
	DURATION(idle, "5m", 1, DAY, "between two parts of a response that the application sends"),
	DURATION(graceful, "30s", 0, DAY, "for requests in progress when a worker stops"),
	DURATION(lifespan, "30s", 1, DAY, "for an ASGI application's start, and for its stop"),
	SIZE(limits, request_line, "8K", 64, M, "size of a request line"),
	SIZE(limits, header, "32K", 256, 16 * M, "size of all header fields of a request"),
	NUMBER(limits, headers, "100", 1, 10000, "header fields of a request"),
	SIZE(limits, body, "64M", 1, 1024 * G, "size of a request's body"),
	SIZE(limits, body_memory, "1M", 4 * K, G, "part of a body that is kept in memory"),
	NUMBER(limits, connections, "10000", 1, 1000000, "connections of a worker"),
	SIZE(websocket, max_message, "16M", 1, G, "size of a WebSocket message"),
	{ "websocket.idle", "60s", "silence after which a WebSocket is asked whether it lives",
	    .kind = HB_KIND_DURATION, FIELD(hb_config, websocket.idle), .min = 1, .max = DAY },
	{ "websocket.compression", "true", "whether permessage-deflate is agreed to", .kind = HB_KIND_BOOL,
	    FIELD(hb_config, websocket.compression) },
	{ "forwarded.trust", "[127.0.0.1, '::1', 'unix:']", "peers whose forwarded headers are believed",
	    .kind = HB_KIND_PEERS, COUNTED(hb_config, forwarded.trust), .max = 1024 },
	{ "forwarded.host", "false", "whether these headers stand for Host too", .kind = HB_KIND_BOOL,
	    FIELD(hb_config, forwarded.host) },
	NUMBER(state, max_keys, "0", 0, COUNT_MAX, "keys in the shared state; 0 is no limit"),
	SIZE(state, max_bytes, "0", 0, COUNT_MAX, "size of the shared state; 0 is no limit"),
	SIZE(state, max_value, "8M", 1, FRAME - FRAME_REST, "size of one value"),
	{ "control.socket", HB_RUNDIR "/control.sock", "socket of the command line and of scripts",
	    .kind = HB_KIND_PATH, FIELD(hb_config, control.socket), .max = CONTROL_PATH_MAX },
	{ "control.group", NULL, "group that may use the control socket", .kind = HB_KIND_STRING,
	    FIELD(hb_config, control.group), .max = NAME_LENGTH_MAX },
	{ "log.level", "info", "least severe messages to log", .kind = HB_KIND_ENUM, FIELD(hb_config, log.level),
	    .names = levels },
	{ "log.access", "\"-\"", "access log: off, \"-\" for standard output, or a file", .kind = HB_KIND_ACCESS,
	    FIELD(hb_config, log.access), .max = PATH_LENGTH_MAX },
	{ "log.access_format", "combined", "form of an access log line", .kind = HB_KIND_ENUM,
	    FIELD(hb_config, log.access_format), .names = access_formats },
	{ "erlang.node", NULL, "name of the companion as a node of a cluster", .kind = HB_KIND_NODE,
	    FIELD(hb_config, erlang.node), .max = NAME_LENGTH_MAX },
	{ "erlang.listen", "127.0.0.1", "address that other nodes connect to", .kind = HB_KIND_IP,
	    FIELD(hb_config, erlang.listen) },
	NUMBER(erlang, port, "0", 0, 65535, "port that other nodes connect to; 0 is any"),
	{ "erlang.epmd", "false", "whether the node is registered with epmd", .kind = HB_KIND_BOOL,
	    FIELD(hb_config, erlang.epmd) },
	{ "erlang.cookie_file", HB_STATEDIR "/cookie", "file with the secret that the nodes of a cluster share",
	    .kind = HB_KIND_PATH, FIELD(hb_config, erlang.cookie_file), .max = PATH_LENGTH_MAX },
	{ "erlang.tls", NULL, "file with options for TLS between nodes", .kind = HB_KIND_PATH,
	    FIELD(hb_config, erlang.tls), .max = PATH_LENGTH_MAX },
	{ "erlang.connect", "[]", "nodes that are kept connected", .kind = HB_KIND_NODES,
	    COUNTED(hb_config, erlang.connect), .max = 1024 },
	{ "erlang.code_path", "[]", "directories of compiled Erlang modules for the companion",
	    .kind = HB_KIND_PATHS, COUNTED(hb_config, erlang.code_path), .max = PATH_LENGTH_MAX },
	{ "erlang.applications", "[]", "Erlang applications that run in the companion", .kind = HB_KIND_OTP_APPS,
	    COUNTED(hb_config, erlang.applications), .max = 256 },
	{ "functions", "{}", "Erlang functions that Python calls by name", .kind = HB_KIND_FUNCTIONS,
	    COUNTED(hb_config, functions), .max = 10000 },
	{ "hooks.on_request", NULL, "Erlang function that sees each request first", .kind = HB_KIND_HOOK,
	    FIELD(hb_config, hooks.on_request) },
	{ "hooks.on_response", NULL, "Erlang function that sees each response", .kind = HB_KIND_HOOK,
	    FIELD(hb_config, hooks.on_response) },
	{ "hooks.on_error", NULL, "Erlang function that answers for what failed", .kind = HB_KIND_HOOK,
	    FIELD(hb_config, hooks.on_error) },
	{ "hooks.timeout", "5s", "for a hook", .kind = HB_KIND_DURATION, FIELD(hb_config, hooks.timeout), .min = 1,
	    .max = DAY },
	{ "hooks.when_down", "refuse", "what becomes of requests while no hook can run", .kind = HB_KIND_ENUM,
	    FIELD(hb_config, hooks.when_down), .names = when_down },
	NUMBER(pubsub, queue, "1000", 1, 1000000, "messages that a subscriber may have unread"),
	{ "rpc.allow", "['*']", "patterns of what rpc may call", .kind = HB_KIND_PATTERNS,
	    COUNTED(hb_config, rpc.allow), .max = 1024 },
	{ "user", NULL, "user to become after the start as root", .kind = HB_KIND_STRING, FIELD(hb_config, user),
	    .max = NAME_LENGTH_MAX },
	{ "group", NULL, "group to become after the start as root", .kind = HB_KIND_STRING, FIELD(hb_config, group),
	    .max = NAME_LENGTH_MAX },
	{ NULL }
};

size_t
hb_config_key_rows(void)
{
	return sizeof hb_config_keys / sizeof *hb_config_keys - 1;
}

const struct hb_config_key *
hb_config_key_find(const struct hb_config_key *keys, const char *path)
{
	for (; keys->path != NULL; keys++) {
		if (strcmp(keys->path, path) == 0)
			return keys;
	}
	return NULL;
}

char *
hb_config_key_variable(const struct hb_config_key *key)
{
	char *name = hb_xasprintf("HORNBEAM_%s", key->path);

	for (char *p = name; *p != '\0'; p++)
		*p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
	return name;
}
