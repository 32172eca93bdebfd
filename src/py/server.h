/*
 * What the py room needs of the server around it.  The server fills a request
 * in and hands it to hb_py_run(); py answers through the operations.  A
 * request belongs to py from then on until it calls finish or fail, once;
 * after that call the request is not touched any more, whatever the
 * application still does.
 *
 * A WSGI request has its whole body when it starts.  It runs on the thread
 * that called hb_py_run(), to its end or to a pause.  An ASGI request starts
 * when its head is there, on the loop's thread; hb_py_run() returns when the
 * application waits for the first time, and hb_py_notify() says what has come
 * since.
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

struct hb_py_text {
	const char *p;
	size_t len;
};

struct hb_py_request {
	/* Filled by the server, unchanged until the request is over. */
	const struct hb_http_request *head;
	const unsigned char *data;  /* the spans of head count from here */
	const unsigned char *path;  /* decoded, whole: the first mount_len bytes are the mount */
	size_t path_len;
	size_t mount_len;
	struct hb_py_app *app;
	struct hb_py_place *place;  /* of this listener and mount */
	struct hb_py_peer **peer;   /* of the connection: NULL at first, made by py */
	const char *remote_addr;    /* "": a Unix socket */
	const char *remote_port;
	bool forwarded;             /* remote_addr and remote_port are of this request, not of the connection */
	bool secure;                /* https, or wss */
	bool websocket;             /* a valid handshake */
	struct hb_py_text subprotocols; /* offered: names, each ended by a NUL */
	const unsigned char *body;  /* WSGI: the whole body */
	size_t body_len;
	const unsigned char *own;   /* what a hook has added, a map as a term; NULL: nothing */
	size_t own_len;

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

struct hb_py_part {
	const unsigned char *p;
	size_t len;
};

enum hb_py_message_kind {
	HB_PY_MESSAGE_NONE,   /* nothing has come: HB_PY_READABLE will say when */
	HB_PY_MESSAGE_TEXT,   /* UTF-8, checked */
	HB_PY_MESSAGE_BINARY,
	HB_PY_MESSAGE_CLOSED  /* no more will come: code and, in p, the reason */
};

struct hb_py_message {
	enum hb_py_message_kind kind;
	const unsigned char *p; /* until the next operation on the request */
	size_t len;
	unsigned code;          /* 1005: none came; 1006: the connection was lost */
};

/* See send_file. */
enum { HB_PY_READ_IT = -2 };

enum hb_py_fork { HB_PY_FORK_BEFORE, HB_PY_FORK_PARENT, HB_PY_FORK_CHILD };

/* The operations; all but wait, send_file and fork are called with the GIL held and never block. */
struct hb_py_server {
	/* Checks and keeps a head; a later one replaces it while nothing has been sent. */
	int (*head)(struct hb_py_request *r, const struct hb_py_head *head, struct hb_error *err);
	/* Whether the head has gone out, or is on its way. */
	bool (*committed)(const struct hb_py_request *r);
	/*
	 * Body bytes; the first ones, even none, send the head too.  more: the application is
	 * asked for the next part after these, so they go out soon.  Returns how
	 * many of the n were taken (fewer when the peer is slow: run again when
	 * the server says so, or after HB_PY_WRITABLE), or -1 when nobody wants
	 * the rest: the client has gone, or the response has no body.
	 */
	ssize_t (*write)(struct hb_py_request *r, const void *p, size_t n, bool more);
	/*
	 * WSGI: n bytes of a file from off on, or as many as its Content-Length
	 * lets; returns what write does, and where it returns fewer it is run again
	 * later.  HB_PY_READ_IT: this file, or this connection, takes bytes by write
	 * only; nothing of it was sent.  Called without the GIL, since disks are slow.
	 */
	ssize_t (*send_file)(struct hb_py_request *r, int fd, off_t off, size_t n);
	/* Blocks until write would take bytes again; -1 when the client is gone or too slow. */
	int (*wait)(struct hb_py_request *r);
	/* WSGI: whether the client has gone, or closed its side, as a look at its connection tells now. */
	bool (*hung_up)(struct hb_py_request *r);
	/* The response is whole. */
	void (*finish)(struct hb_py_request *r);
	/* The application failed: 500 where nothing was sent, else the connection is cut (a WebSocket: 1011). */
	void (*fail)(struct hb_py_request *r);
	/* Before fail: the exception that the application has raised, in UTF-8.  NULL: nobody wants to know. */
	void (*raised)(struct hb_py_request *r, const char *type, const char *text, size_t len);

	/* ASGI only, on the loop's thread. */

	/* An interim response (103). */
	int (*interim)(struct hb_py_request *r, const struct hb_py_head *head, struct hb_error *err);
	/*
	 * What has come of the body since: up to most parts, which stay until the
	 * next operation; *last: it ends with them.  0 and not *last: nothing,
	 * HB_PY_READABLE says when.  -1: no more will come, the client has gone.
	 * The first call sends 100 Continue where the client waits for it.
	 */
	int (*read)(struct hb_py_request *r, struct hb_py_part *parts, int most, bool *last);
	/* Whether the client has gone, or closed its side; from now on HB_PY_GONE says when it does. */
	bool (*gone)(struct hb_py_request *r);

	/* The WebSocket handshake succeeds; fields beside those of the protocol.  subprotocol.p NULL: none. */
	int (*accept)(struct hb_py_request *r, struct hb_py_text subprotocol, const struct hb_py_field *fields,
	    size_t count, struct hb_error *err);
	/* The next message, in order.  After CLOSED nothing is sent any more. */
	void (*receive)(struct hb_py_request *r, struct hb_py_message *m);
	/* Takes the whole message.  1: HB_PY_WRITABLE will say when the next one should come; -1: the client has gone. */
	int (*send)(struct hb_py_request *r, const void *p, size_t n, bool text);
	/* Begins the closing handshake.  Before accept: refuses with 403. */
	void (*close)(struct hb_py_request *r, unsigned code, struct hb_py_text reason);

	/* Around a fork of the application: the child is to have nothing that belongs to the parent. */
	void (*fork)(void *arg, enum hb_py_fork moment);
	void *arg; /* for fork */
};

enum hb_py_step {
	HB_PY_DONE,    /* nothing of the request is used any more */
	HB_PY_PAUSED,  /* WSGI: run it again once the peer has taken what was written */
	HB_PY_RUNNING  /* ASGI: it goes on by itself, finish or fail ends it */
};

/* What hb_py_notify says, of a request that is still py's. */
enum hb_py_event {
	HB_PY_READABLE = 1, /* read or receive has something */
	HB_PY_WRITABLE = 2, /* write takes bytes again */
	HB_PY_GONE = 4,     /* the client has gone, or closed its side */
	HB_PY_TIMEOUT = 8,  /* it took too long and was answered for: the application is cancelled, and where it waits logged */
	HB_PY_ENDED = 16    /* the server ends: the same, which is nobody's fault */
};

#endif
