/*
 * What the py room needs of the server around it.  The server fills a request
 * in and hands it to hb_py_run(); while the application runs, py answers
 * through the operations.  Nothing here says on which thread that happens:
 * a request belongs to whoever runs it until hb_py_run() says that it is done.
 */
#ifndef HB_PY_SERVER_H
#define HB_PY_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "http/request.h"

struct hb_py;
struct hb_py_app;
struct hb_py_peer;
struct hb_py_place;

struct hb_py_request {
	/* Filled by the server, unchanged until the request is done. */
	const struct hb_http_request *head;
	const unsigned char *data;  /* the spans of head count from here */
	const unsigned char *path;  /* decoded, without the mount */
	size_t path_len;
	struct hb_py_app *app;
	struct hb_py_place *place;  /* of this listener and mount */
	struct hb_py_peer **peer;   /* of the connection: NULL at first, made by py */
	const char *remote_addr;
	const char *remote_port;
	const unsigned char *body;  /* the whole body */
	size_t body_len;

	/* Set by py before its first write: how long the whole body is, -1 when not known. */
	int64_t length;
	/* py's own: the call under way. */
	void *call;
};

struct hb_py_field {
	const char *name;
	const char *value;
	size_t name_len;
	size_t value_len;
};

struct hb_py_head {
	unsigned status;
	const char *reason;
	size_t reason_len;
	const struct hb_py_field *fields;
	size_t count;
};

enum hb_py_fork { HB_PY_FORK_BEFORE, HB_PY_FORK_PARENT, HB_PY_FORK_CHILD };

/* The operations; all but wait and fork are called with the GIL held and never block. */
struct hb_py_server {
	/* Checks and keeps a head; a later one replaces it while nothing has been sent. */
	int (*head)(struct hb_py_request *r, const struct hb_py_head *head, struct hb_error *err);
	/* Whether the head has gone out, or is on its way. */
	bool (*committed)(const struct hb_py_request *r);
	/*
	 * Body bytes; the first ones send the head too.  more: the application is
	 * asked for the next part after these, so they go out at once.  Returns how
	 * many of the n were taken (fewer when the peer is slow: run again when
	 * the server says so), or -1 when nobody wants the rest: the client has
	 * gone, or the response has no body.
	 */
	ssize_t (*write)(struct hb_py_request *r, const void *p, size_t n, bool more);
	/* Blocks until write would take bytes again; -1 when the client is gone or too slow. */
	int (*wait)(struct hb_py_request *r);
	/* The response is whole. */
	void (*finish)(struct hb_py_request *r);
	/* The application failed: 500 where nothing was sent, else the connection is cut. */
	void (*fail)(struct hb_py_request *r);
	/* Around a fork of the application: the child is to have nothing that belongs to the parent. */
	void (*fork)(void *arg, enum hb_py_fork moment);
	void *arg; /* for fork */
};

enum hb_py_step {
	HB_PY_DONE,  /* nothing of the request is used any more */
	HB_PY_PAUSED /* run it again once the peer has taken what was written */
};

#endif
