/*
 * What hornbeam_erlang's "current process" is in a worker: the request, the
 * WebSocket or the lifespan whose context Python code runs in.  The context
 * variable exists from hornbeam_erlang's import on; its value is the call
 * object, which has one slot for what hornbeam_erlang keeps.  The extension
 * finds struct hb_py_current in sys, as a capsule; it is not linked with the worker.
 */
#ifndef HB_PY_CURRENT_H
#define HB_PY_CURRENT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stddef.h>

#define HB_PY_CURRENT "_hornbeam_current" /* in sys, and the capsule's name */

struct hb_py;

/* In each call object. */
struct hb_py_kept {
	PyObject *object; /* of hornbeam_erlang; NULL: nothing */
	bool left;        /* the client has gone */
	bool over;
};

/* Everything is called with the GIL held, and none of it runs Python code of the application. */
struct hb_py_current {
	struct hb_py *py;
	size_t queue; /* pubsub.queue */
	/* From now on calls are known by their contexts; the one that runs here is, too. */
	int (*enable)(struct hb_py *py);
	/* That of the current call; NULL: there is none. */
	struct hb_py_kept *(*find)(struct hb_py *py);
	/* For a thread that waits in a WSGI call, which nobody else tells: looks whether its client has gone. */
	void (*look)(struct hb_py *py);
	/* Set by hornbeam_erlang: the client has gone, the call has ended. */
	void (*left)(PyObject *object);
	void (*ended)(PyObject *object);
	PyObject *disconnected; /* what hornbeam_erlang raises where the client has gone; borrowed */
};

/* The room's side. */
int hb_py_current_init(struct hb_py *py, size_t queue);
void hb_py_current_clear(struct hb_py *py);
/* In the context of a call that begins. */
int hb_py_current_set(struct hb_py *py, PyObject *call);
/* The call whose code this thread runs, until the next one of these; returns the one before. */
PyObject *hb_py_current_run(PyObject *call);
/* Clears the pending exception and returns true if it is no more than that the client has gone. */
bool hb_py_kept_take_left(struct hb_py *py, const struct hb_py_kept *kept);
void hb_py_kept_left(struct hb_py *py, struct hb_py_kept *kept);
void hb_py_kept_end(struct hb_py *py, struct hb_py_kept *kept);

#endif
