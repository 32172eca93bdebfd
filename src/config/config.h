/*
 * The configuration: hornbeam.yaml, conf.d, HORNBEAM_ variables and --set,
 * loaded and checked through the one table of keys in keys.c.
 */
#ifndef HB_CONFIG_CONFIG_H
#define HB_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/log.h"

#define HB_CONFIG_WORKERS_MAX 1024
#define HB_CONFIG_THREADS_MAX 64

struct hb_config_listen {
	char *address; /* "127.0.0.1:8000", "[::1]:8000", "unix:/path" */
	unsigned mode; /* of a Unix socket; 0 for the others */
};

enum hb_config_interface { HB_INTERFACE_AUTO, HB_INTERFACE_WSGI, HB_INTERFACE_ASGI };

struct hb_config_app {
	char *mount; /* "" for "/", else "/x" without a slash at its end */
	char *app;   /* "module:callable" or "module:factory()" */
	enum hb_config_interface interface;
	int64_t timeout; /* milliseconds; 0: timeouts.request */
};

/* An entry of a mapping of names to strings. */
struct hb_config_pair {
	char *name;
	char *value;
};

enum hb_config_lifespan { HB_LIFESPAN_AUTO, HB_LIFESPAN_ON, HB_LIFESPAN_OFF };

/* What becomes of a request whose hooks cannot run. */
enum hb_config_when_down { HB_WHEN_DOWN_REFUSE, HB_WHEN_DOWN_PASS };
/* In the place of a hook's "module:function": a fun in the node that hornbeamd is attached to. */
#define HB_CONFIG_ATTACHED "attached"

enum hb_log_format { HB_LOG_FORMAT_TEXT, HB_LOG_FORMAT_JSON };
enum hb_access_format { HB_ACCESS_COMMON, HB_ACCESS_COMBINED, HB_ACCESS_JSON };

struct hb_config {
	struct hb_config_listen *listen;
	size_t listen_count;
	struct hb_config_app *apps; /* longest mount first */
	size_t apps_count;
	struct {
		char **path;
		size_t path_count;
		char *venv; /* NULL: none */
		struct hb_config_pair *env;
		size_t env_count;
	} python;
	unsigned workers; /* already resolved from auto */
	unsigned threads;
	enum hb_config_lifespan lifespan;
	uint64_t max_requests, max_requests_jitter; /* 0: none */
	struct {
		int64_t request, keepalive, header, body, write, idle, graceful, lifespan; /* milliseconds */
	} timeouts;
	struct {
		uint64_t request_line, header, headers, body, body_memory, connections;
	} limits;
	struct {
		uint64_t max_message; /* bytes */
		int64_t idle;         /* milliseconds */
		bool compression;
	} websocket;
	struct {
		char **trust; /* "10.0.0.0/8", "::1", "unix:" */
		size_t trust_count;
		bool host; /* they also say which host was asked for */
	} forwarded;
	struct {
		uint64_t max_keys, max_bytes; /* 0: none */
		uint64_t max_value;
	} state;
	struct {
		char *socket;
		char *group; /* NULL: none */
	} control;
	struct {
		enum hb_log_level level;
		char *access; /* "off", "-" or a file */
		enum hb_access_format access_format;
	} log;
	struct {
		char *node;        /* "name@host"; NULL: no distribution */
		char *listen;      /* IP address of the distribution */
		unsigned port;     /* 0: any */
		bool epmd;
		char *cookie_file;
		char *tls;         /* file of options of ssl; NULL: no TLS */
		char **connect;    /* "name@host" */
		size_t connect_count;
		char **code_path;
		size_t code_path_count;
		char **applications;
		size_t applications_count;
	} erlang;
	struct hb_config_pair *functions; /* the value is "module:function" */
	size_t functions_count;
	struct {
		char *on_request, *on_response, *on_error; /* "module:function" or HB_CONFIG_ATTACHED; NULL: none */
		int64_t timeout;                           /* milliseconds */
		enum hb_config_when_down when_down;
	} hooks;
	struct {
		unsigned queue; /* messages of a subscriber */
	} pubsub;
	struct {
		char **allow; /* "node:module:function" patterns */
		size_t allow_count;
	} rpc;
	char *user;  /* NULL: as started */
	char *group; /* NULL: as started */
	struct hb_config_place *places; /* of the loader: where each row was set last */
};

struct hb_config_source {
	const char *file;        /* NULL: no file, defaults only */
	bool conf_d;             /* also DIR_OF_FILE/conf.d/x.yaml, in the order of their names */
	const char *const *sets; /* "KEY=VALUE" of --set, NULL at the end; may be NULL */
	char *const *environ;    /* for HORNBEAM_ variables; may be NULL */
};

/* Loads and checks everything.  Returns owned, or NULL with `FILE:LINE: KEY: cause` in err. */
struct hb_config *hb_config_load(const struct hb_config_source *source, struct hb_error *err) HB_WARN_UNUSED;
/* The same from YAML text (what a worker finds in its memfd); name stands for FILE. */
struct hb_config *hb_config_parse(const char *text, size_t len, const char *name,
    struct hb_error *err) HB_WARN_UNUSED;
void hb_config_free(struct hb_config *config);

enum hb_config_form { HB_CONFIG_YAML, HB_CONFIG_JSON };
/* Appends the whole configuration; the YAML form loads to an equal one. */
void hb_config_dump(const struct hb_config *config, enum hb_config_form form, struct hb_buf *out);

/*
 * The path of the next key, from row *row of the table on, whose values differ;
 * *row goes behind it.  NULL: there is none.
 */
const char *hb_config_difference(const struct hb_config *a, const struct hb_config *b, size_t *row);

#endif
