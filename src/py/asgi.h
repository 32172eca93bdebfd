/*
 * ASGI inside the py room.  A call is one run of an application: a request, a
 * WebSocket or a lifespan.  It is the coroutine that the application's Task
 * runs, so that it sees the end of the application, whichever way it ends.
 */
#ifndef HB_PY_ASGI_H
#define HB_PY_ASGI_H

#include <sys/queue.h>

#include "py/asgi_names.h"
#include "py/state.h"

struct hb_py_asgi_call;
struct hb_py_await;
struct hb_py_lifetime;
TAILQ_HEAD(hb_py_awaits, hb_py_await);

enum hb_py_response {
	HB_PY_RESPONSE_START, /* is expected */
	HB_PY_RESPONSE_BODY,
	HB_PY_RESPONSE_DONE   /* the last part of the body was sent */
};

enum hb_py_end {
	HB_PY_END_RETURNED,
	HB_PY_END_CANCELLED,
	HB_PY_END_RAISED /* the exception is set, and is to be cleared */
};

/* What differs between the protocols. */
struct hb_py_asgi_kind {
	/* 1: *message, owned; 0: there is none yet; -1: an exception. */
	int (*receive)(struct hb_py_asgi_call *c, PyObject **message);
	/* 1: done, or at least kept, and where c->blocked is set then the sender waits; -1: an exception. */
	int (*send)(struct hb_py_asgi_call *c, PyObject *message);
	void (*notify)(struct hb_py_asgi_call *c, unsigned events);
	void (*ended)(struct hb_py_asgi_call *c, enum hb_py_end how);
};

struct hb_py_asgi_call {
	PyObject_HEAD
	struct hb_py *py;
	const struct hb_py_asgi_kind *kind;
	struct hb_py_app *app;
	struct hb_py_request *r; /* NULL: the request is over, or there is none */
	TAILQ_ENTRY(hb_py_asgi_call) link; /* in asgi->calls, which owns a reference */
	PyObject *receive; /* the functions that the application gets; each refers to the call */
	PyObject *send;
	PyObject *scope;    /* until the application is called */
	PyObject *iter;     /* the application's coroutine */
	PyObject *task;     /* what runs beyond its first step */
	PyObject *method;   /* for the log, when the request is over */
	PyObject *raw_path;
	PyObject *pending;  /* bytes that the peer has not taken yet */
	Py_ssize_t pending_off;
	struct hb_py_awaits receivers; /* who waits */
	struct hb_py_awaits senders;
	struct hb_py_kept kept;
	void *data;         /* of the kind */
	int state;          /* of the kind */
	unsigned code;      /* of a WebSocket's end */
	unsigned burst;     /* sends since the last one that waited, or since the clock was asked */
	int64_t burst_at;   /* when they began, microseconds; 0: it was not asked yet */
	enum hb_py_response response;
	bool linked;
	bool starting;      /* inside hb_py_run */
	bool ended;         /* the application */
	bool stepping;      /* its code runs */
	bool blocked;       /* senders wait */
	bool lost;          /* the client has gone, and the application was told or will be */
	bool bodyless;      /* nobody wants the response's body */
	bool wrote;         /* the first part of it was written */
	bool read_all;      /* the whole body of the request was received */
};

/* What all calls share, made with the first ASGI application. */
struct hb_py_asgi {
	unsigned long thread; /* of the loop */
	struct hb_py_asgi_names names;
	PyTypeObject *call_type;
	PyTypeObject *await_type;
	PyObject *disconnected; /* the exception of a send() after the client has gone */
	PyObject *cancelled;    /* asyncio.CancelledError */
	PyObject *not_started;  /* the exception of a start that failed */
	PyObject *version[3];       /* scope["asgi"], for each enum hb_py_scope */
	PyObject *request_event;    /* templates of what receive gives most */
	PyObject *disconnect_event;
	struct hb_py_lifetime *lifespans;
	TAILQ_HEAD(hb_py_asgi_calls, hb_py_asgi_call) calls;
	struct hb_py_asgi_call *spare_calls[32];
	struct hb_py_await *spare_awaits[32];
	unsigned spare_calls_count;
	unsigned spare_awaits_count;
};

extern const struct hb_py_asgi_kind hb_py_asgi_http;
extern const struct hb_py_asgi_kind hb_py_asgi_websocket;

int hb_py_asgi_init(struct hb_py *py);
void hb_py_asgi_clear(struct hb_py *py);
enum hb_py_step hb_py_asgi_run(struct hb_py *py, struct hb_py_request *r);

/* Takes scope; a call that is not started yet, for hb_py_asgi_start. */
struct hb_py_asgi_call *hb_py_asgi_call_new(struct hb_py *py, const struct hb_py_asgi_kind *kind,
    struct hb_py_app *app, PyObject *scope);
/* Takes the call and runs the application's first step.  False: it has ended, and the call is gone. */
bool hb_py_asgi_start(struct hb_py_asgi_call *c);
/* The application is about to be freed. */
void hb_py_asgi_forget(struct hb_py *py, const struct hb_py_app *app);
void hb_py_asgi_cancel(struct hb_py_asgi_call *c);
/* Drops the call where neither application nor request needs it any more. */
void hb_py_asgi_release(struct hb_py_asgi_call *c);
/* Finish and fail of the server; the call has no request from then on. */
void hb_py_asgi_finish(struct hb_py_asgi_call *c);
void hb_py_asgi_fail(struct hb_py_asgi_call *c);
/* Logs the exception, or the text, with the request line. */
void hb_py_asgi_log_exception(struct hb_py_asgi_call *c, const char *when);
void hb_py_asgi_log(struct hb_py_asgi_call *c, const char *text);
/* ClientDisconnected.  Returns -1. */
int hb_py_asgi_raise_lost(struct hb_py_asgi_call *c);
/* Clears the pending exception and returns true if it is no more than that the client has gone. */
bool hb_py_asgi_take_lost(struct hb_py_asgi_call *c);

/* asgi_coroutine.c */
int hb_py_asgi_call_init(struct hb_py_asgi *asgi);
/* A new call, blank but for its functions. */
struct hb_py_asgi_call *hb_py_asgi_call_alloc(struct hb_py *py);

/* awaitable.c */
int hb_py_await_init(struct hb_py_asgi *asgi);
/* The awaitable of receive(), or with a message of send(message). */
PyObject *hb_py_await_new(struct hb_py_asgi_call *c, PyObject *message);
void hb_py_await_wake(struct hb_py_asgi_call *c, struct hb_py_awaits *waiting);
void hb_py_await_clear(struct hb_py_asgi *asgi);

#endif
