/*
 * Publish/subscribe for the extension module: the "current process" of the
 * specification, its subscribers, and who waits for their messages, in a
 * thread or on an asyncio loop.
 */
#ifndef HB_PYTHON_PUBSUB_H
#define HB_PYTHON_PUBSUB_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <sys/queue.h>

#include "link/push.h"
#include "py/current.h"

struct hb_module;
struct hb_process;
struct hb_awaited;
struct hb_loop_watch;

enum hb_end {
	HB_END_NONE,
	HB_END_CLOSED, /* by its user */
	HB_END_LEFT,   /* the client has gone, its request goes on */
	HB_END_OVER    /* the request, or the thread */
};

/* A queue of messages; `subscriber` is NULL until it first subscribes. */
struct hb_subscription {
	PyObject_HEAD
	struct hb_module *m;
	struct hb_process *process; /* borrowed; NULL: it has ended */
	struct hb_subscriber *subscriber;
	enum hb_end end;
	TAILQ_HEAD(hb_awaited_list, hb_awaited) awaited; /* who waits on a loop */
	LIST_ENTRY(hb_subscription) link; /* of the process */
};

/* What a request, or a thread outside of requests, keeps: it ends with that. */
struct hb_process {
	PyObject_HEAD
	pid_t pid;
	enum hb_end end;
	struct hb_subscription *own; /* of subscribe() and receive_pubsub(); NULL: not made yet */
	LIST_HEAD(hb_subscriptions, hb_subscription) subscriptions;
};

enum { HB_PUBSUB_CACHE = 64 };

/* Part of the module's state; every PyObject pointer owns its reference. */
struct hb_pubsub {
	struct hb_py_current *current; /* NULL: this is no worker */
	PyTypeObject *process_type, *subscription_type, *awaited_type, *watch_type;
	PyObject *key;          /* of a thread's process in its dict */
	PyObject *running_loop; /* asyncio's function; NULL: not needed yet */
	PyObject *add_reader, *remove_reader, *create_future, *set_result, *done, *call_later, *cancel, *is_closed;
	struct hb_loop_watch *watches;
	/* The last messages: what all subscribers of a topic may share. */
	struct {
		uint64_t serial;
		PyObject *topic;
		PyObject *pair; /* NULL: each gets its own */
	} cache[HB_PUBSUB_CACHE];
};

int hb_pubsub_init(struct hb_module *m, PyObject *module);
int hb_pubsub_traverse(struct hb_pubsub *p, visitproc visit, void *arg);
void hb_pubsub_clear(struct hb_pubsub *p);
extern PyMethodDef hb_pubsub_methods[];

/* process.c */
extern PyType_Spec hb_process_spec;
/* The current one, made if need be, borrowed; NULL with HornbeamError: it has ended. */
struct hb_process *hb_process_current(struct hb_module *m);
/* Ends that of this thread, if it has one: something else begins on it. */
int hb_process_end_thread(struct hb_module *m);
void hb_process_leave(PyObject *process);
void hb_process_end(PyObject *process);

/* subscription.c */
extern PyType_Spec hb_subscription_spec;
struct hb_subscription *hb_subscription_new(struct hb_module *m, PyTypeObject *type, struct hb_process *process);
void hb_subscription_end(struct hb_subscription *s, enum hb_end end);
/* Raises that nothing will come any more; returns NULL. */
PyObject *hb_subscription_raise_end(const struct hb_subscription *s);
/* -1 with an exception: it cannot be used, or waited for. */
int hb_subscription_check(const struct hb_subscription *s);
/* Takes the message; (topic, value), or NULL with an exception. */
PyObject *hb_subscription_pair(struct hb_module *m, struct hb_message *message);
/* Milliseconds on hb_clock_ms()'s scale for seconds from now, 0 for None; -1 with an exception. */
int64_t hb_subscription_deadline(PyObject *timeout);

/* awaited.c */
extern PyType_Spec hb_awaited_spec;
/* A coroutine in all but name: a pair, or None at the deadline.  iterating: the end is StopAsyncIteration. */
PyObject *hb_awaited_new(struct hb_subscription *s, int64_t deadline, bool iterating);
/* Each that waits for s looks again. */
void hb_awaited_wake_all(struct hb_subscription *s);

#endif
