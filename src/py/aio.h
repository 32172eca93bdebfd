/*
 * Inside the py room: the module _hornbeam_loop, an asyncio loop whose hot
 * paths are in C.  It is built into the worker, and as an extension for tests.
 * Handles are asyncio's own objects, filled through the offsets of their slots,
 * so that every attribute and method that Python code knows is there.
 */
#ifndef HB_PY_AIO_H
#define HB_PY_AIO_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "py/selector.h"

#define HB_AIO_SLOT(object, offset) (*(PyObject **)((char *)(object) + (offset)))

/* Where asyncio.Handle and asyncio.TimerHandle keep what they keep. */
struct hb_aio_offsets {
	Py_ssize_t callback;
	Py_ssize_t args;
	Py_ssize_t cancelled;
	Py_ssize_t loop;
	Py_ssize_t source_traceback;
	Py_ssize_t repr;
	Py_ssize_t context;
	Py_ssize_t scheduled;
	Py_ssize_t when;
};

/* The offsets of a stream transport's slots (loop.py). */
struct hb_aio_stream {
	Py_ssize_t loop;
	Py_ssize_t fd;
	Py_ssize_t protocol;
	Py_ssize_t buffer;
	Py_ssize_t conn_lost;
	Py_ssize_t eof;
	Py_ssize_t empty_waiter;
	Py_ssize_t buffered;
};

/* The state of the module. */
struct hb_aio {
	PyTypeObject *selector_type;
	PyTypeObject *core_type;
	PyTypeObject *stream_core;
	PyTypeObject *handle;
	PyTypeObject *timer;
	PyTypeObject *future;
	PyTypeObject *task;
	PyObject *base_loop;    /* asyncio.BaseEventLoop */
	PyObject *current_tasks; /* of asyncio.tasks: the task that runs, by loop */
	PyObject *all_tasks;     /* of asyncio.tasks */
	PyObject *selector_key; /* selectors.SelectorKey */
	PyObject *report;       /* report(handle, exception), loop.py */
	PyObject *no_args;
	PyObject *names_loop; /* ("loop",) */
	PyObject *names_task; /* ("loop", "name", "context") */
	PyObject *append;
	PyObject *popleft;
	PyObject *fileno;
	PyObject *data_received;
	PyObject *fatal_error;
	char *scratch; /* where a stream's bytes are read to */
	struct hb_aio_offsets at;
	struct hb_aio_stream stream;
};

/* A loop's part in C: the base class of loop.py's Loop. */
struct hb_aio_core {
	PyObject_HEAD
	struct hb_aio *aio;
	PyObject *ready;     /* _ready, a deque */
	PyObject *scheduled; /* _scheduled, a heap of timers in a list */
	PyObject *selector;  /* _selector */
	PyObject *debug;
	PyObject *closed;
	PyObject *stopping;
	Py_ssize_t timers_cancelled;
	PyObject *starting;  /* the context of the task that hb_aio_start makes */
	PyObject *step;      /* its first step */
	uint64_t calls;      /* tasks that hb_aio_start has made */
	struct hb_py_watch_mark *mark; /* NULL: nobody watches the loop */
	bool serving;        /* SystemExit and KeyboardInterrupt end no more than their callback */
};

/* As PyInit__hornbeam_loop. */
PyObject *hb_aio_module(void);
struct hb_aio *hb_aio_of(PyTypeObject *type);
bool hb_aio_is_true(PyObject *object);

/* aio_handle.c */
int hb_aio_handle_init(struct hb_aio *aio);
/* Where an object of the type has what its __slots__ call name. */
int hb_aio_slot(PyTypeObject *type, const char *name, Py_ssize_t *offset);
/* Takes args, a tuple.  context NULL: a copy of the current one.  when NULL: a plain handle. */
PyObject *hb_aio_handle_new(struct hb_aio_core *core, PyObject *callback, PyObject *args, PyObject *context,
    PyObject *when);
bool hb_aio_handle_cancelled(const struct hb_aio *aio, PyObject *handle);
int hb_aio_handle_cancel(PyObject *handle);
/* Runs what is not cancelled.  -1: an exception that ends the loop. */
int hb_aio_handle_run(struct hb_aio_core *core, PyObject *handle);
/* The exception that is set goes to the loop's exception handler.  -1: it ends the loop. */
int hb_aio_handle_failed(struct hb_aio_core *core, PyObject *handle);

/* aio_tasks.c: asyncio.tasks._all_tasks learns to add and to remove faster. */
int hb_aio_tasks_init(PyObject *all);

/* aio_timers.c */
int hb_aio_timers_push(struct hb_aio_core *core, PyObject *timer);
/* Drops cancelled timers; when the first of the rest is due, or infinity. */
int hb_aio_timers_first(struct hb_aio_core *core, double *when);
/* Moves what is due before end to the ready ones. */
int hb_aio_timers_run(struct hb_aio_core *core, double end);
double hb_aio_time(void);

/* aio_core.c */
extern PyType_Spec hb_aio_core_spec;
int hb_aio_ready(struct hb_aio_core *core, PyObject *handle);
/* Starts a coroutine as a task in a context of its own; its first step has run when this returns. */
PyObject *hb_aio_start(struct hb_aio_core *core, PyObject *coro);
PyObject *hb_aio_future(struct hb_aio_core *core);

/* The standard library's method of this name. */
PyObject *hb_aio_call_base(struct hb_aio_core *core, const char *name, PyObject *const *args, Py_ssize_t n,
    PyObject *names);
PyObject *hb_aio_args(const struct hb_aio *aio, PyObject *const *args, Py_ssize_t n);

/* aio_watch.c */
/* NULL: the loop has another selector, or none any more. */
struct hb_selector *hb_aio_selector(const struct hb_aio_core *core);
/* What is ready goes to the ready handles. */
int hb_aio_watch_take(struct hb_aio_core *core, struct hb_selector *s);
PyObject *hb_aio_add_reader(PyObject *self, PyObject *const *args, Py_ssize_t n);
PyObject *hb_aio_add_writer(PyObject *self, PyObject *const *args, Py_ssize_t n);
PyObject *hb_aio_remove_reader(PyObject *self, PyObject *fileobj);
PyObject *hb_aio_remove_writer(PyObject *self, PyObject *fileobj);

/* aio_stream.c: the hot methods of loop.py's StreamTransport, whose slots type has */
extern PyType_Spec hb_aio_stream_spec;
int hb_aio_stream_init(struct hb_aio *aio, PyTypeObject *type);

#endif
