/*
 * The embedded interpreter for the rooms above, who know nothing of Python.h.
 * Every function but hb_py_start and hb_py_enter wants the interpreter entered.
 */
#ifndef HB_PY_PY_H
#define HB_PY_PY_H

#include "py/server.h"

enum hb_py_interface { HB_PY_AUTO, HB_PY_WSGI, HB_PY_ASGI };
enum hb_py_lifespan { HB_PY_LIFESPAN_AUTO, HB_PY_LIFESPAN_ON, HB_PY_LIFESPAN_OFF };

struct hb_py_waiting;

struct hb_py_options {
	const char *const *path; /* in front of sys.path */
	size_t path_count;
	const char *venv;        /* NULL: none */
	const char *module_dir;  /* behind sys.path: where hornbeam_erlang is */
	const char *link_path;   /* the companion's socket, for hornbeam_erlang */
	bool multiprocess;       /* wsgi.multiprocess */
	bool multithread;        /* wsgi.multithread */
	enum hb_py_lifespan lifespan;
	int64_t lifespan_timeout; /* milliseconds */
	size_t pubsub_queue;     /* messages that a subscriber keeps */
	const struct hb_py_waiting *waiting; /* borrowed for good, as the next */
	const struct hb_py_server *server;
};

/* Starts the interpreter and enters it.  NULL: err says why (HB_ERROR_CONFIG: the venv). */
struct hb_py *hb_py_start(const struct hb_py_options *options, struct hb_error *err) HB_WARN_UNUSED;
/* Ends the interpreter: atexit functions run. */
void hb_py_stop(struct hb_py *py);

/* Takes the GIL, and gives it up around a wait. */
void hb_py_enter(struct hb_py *py);
void hb_py_leave(struct hb_py *py);

/*
 * Imports "module:callable" or "module:factory()", and tells with HB_PY_AUTO
 * what it speaks.  Failure is logged with its traceback; err has the line.
 */
struct hb_py_app *hb_py_app_load(struct hb_py *py, const char *spec, enum hb_py_interface interface,
    struct hb_error *err) HB_WARN_UNUSED;
void hb_py_app_free(struct hb_py *py, struct hb_py_app *app);
bool hb_py_app_is_async(const struct hb_py_app *app);

struct hb_py_listener {
	const char *name; /* SERVER_NAME */
	const char *port; /* SERVER_PORT */
	const char *path; /* of a Unix socket, else NULL */
};

/* The constant part of the environ, and of the scope, for a listener and a mount. */
struct hb_py_place *hb_py_place_new(struct hb_py *py, const struct hb_py_listener *listener,
    const char *script_name, struct hb_error *err) HB_WARN_UNUSED;
void hb_py_place_free(struct hb_py *py, struct hb_py_place *place);

/*
 * The asyncio loop, whose selector is the event base: it calls wait without
 * the GIL, until an event comes (one that it has set itself, too) or not at
 * all, then work with it.  ready is called once, when every lifespan has started; from
 * then on requests may be run.
 */
struct hb_py_loop_hooks {
	void (*wait)(void *arg, bool block);
	void (*work)(void *arg);
	void (*ready)(void *arg);
	void *arg;
};
struct event_base;
/* Until hb_py_loop_stop, and the end of the lifespans.  -1: a lifespan did not start; err has the line. */
int hb_py_loop_run(struct hb_py *py, struct event_base *base, const struct hb_py_loop_hooks *hooks,
    struct hb_error *err) HB_WARN_UNUSED;
/* From inside work. */
void hb_py_loop_stop(struct hb_py *py);
/* The descriptor of its clock. */
int hb_py_loop_fd(const struct hb_py *py);

/*
 * A thread that Python knows by its name: calls run(arg) there, without the
 * GIL, which the other two take and give up on such a thread.
 */
int hb_py_thread_start(struct hb_py *py, const char *name, void (*run)(void *arg), void *arg, struct hb_error *err)
    HB_WARN_UNUSED;
void hb_py_thread_enter(void);
void hb_py_thread_leave(void);

/*
 * Logs title and the Python stack of every thread.  From any thread, with the
 * interpreter entered or not; it ends soon even where hung C code keeps the GIL.
 */
void hb_py_stacks(struct hb_py *py, const char *title);

/* Before the first request: what the applications have made until now is not looked at by the collector again. */
void hb_py_settle(struct hb_py *py);

/* Gives back what py keeps of a connection. */
void hb_py_peer_free(struct hb_py *py, struct hb_py_peer *peer);

/* Starts a request, or continues a WSGI one that has paused. */
enum hb_py_step hb_py_run(struct hb_py *py, struct hb_py_request *r);
/*
 * A WSGI request that hangs on its thread was answered for: its subscriptions
 * end, and waits for them with these.  With the interpreter entered or not.
 */
void hb_py_abandon(struct hb_py *py, struct hb_py_request *r);
/* Something came for an ASGI request that is py's: enum hb_py_event, any of them at once. */
void hb_py_notify(struct hb_py *py, struct hb_py_request *r, unsigned events);

#endif
