/*
 * Inside the py room: a selector of asyncio's kind on a libevent base that
 * others use too.  libevent's callbacks run without the GIL and only note what
 * is ready; whoever waited takes that with the GIL.
 */
#ifndef HB_PY_SELECTOR_H
#define HB_PY_SELECTOR_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "py/py.h"

struct hb_aio;
struct hb_py_watch_mark;

/* As selectors.EVENT_READ and EVENT_WRITE. */
enum { HB_SELECT_READ = 1, HB_SELECT_WRITE = 2 };

struct hb_watch {
	struct hb_selector *selector;
	struct event in;
	struct event out;
	TAILQ_ENTRY(hb_watch) active;
	PyObject *fileobj;
	PyObject *data;   /* as registered; NULL: the loop's own, the two handles */
	PyObject *reader;
	PyObject *writer;
	int fd;
	unsigned events;
	unsigned ready;
};

/* A signal that is the server's too: its number goes to a descriptor, as from signal.set_wakeup_fd. */
struct hb_signal {
	struct hb_signal *next;
	struct event event;
	int number;
	int fd;
};

struct hb_selector {
	PyObject_HEAD
	struct hb_aio *aio;
	struct event_base *base;
	bool own_base;
	bool closed;
	bool forked;   /* the descriptors of the base are the parent's */
	bool waiting;  /* without the GIL: no other thread may touch the base */
	bool working;
	struct hb_watch **watches; /* by descriptor */
	size_t size;
	size_t count;
	TAILQ_HEAD(hb_watch_list, hb_watch) active;
	struct hb_signal *signals;
	int timer_fd;
	struct event timer;
	int64_t timer_at;
	struct hb_py_loop_hooks hooks;
	struct hb_py_watch_mark *mark; /* NULL: nobody watches the loop */
};

#define HB_SELECT_POLL 0
#define HB_SELECT_FOREVER INT64_MAX

extern PyType_Spec hb_selector_spec;

/* On a base of its own. */
int hb_selector_open(struct hb_selector *s);
void hb_selector_close(struct hb_selector *s);
/* -1, with an exception, where the base cannot be used now. */
int hb_selector_check(const struct hb_selector *s);
/* Moves to a base that others use too. */
int hb_selector_borrow(struct hb_selector *s, struct event_base *base);
/* Waits until something is ready or the time (CLOCK_MONOTONIC, nanoseconds) has come. */
int hb_selector_wait(struct hb_selector *s, int64_t deadline);
/* What is ready, one by one, with the events in *mask; NULL: no more. */
struct hb_watch *hb_selector_next(struct hb_selector *s, unsigned *mask);

int hb_selector_fd(struct hb_selector *s, PyObject *fileobj);
/* NULL where fd is not watched. */
struct hb_watch *hb_selector_find(const struct hb_selector *s, int fd);
struct hb_watch *hb_selector_add(struct hb_selector *s, PyObject *fileobj, int fd);
int hb_selector_set(struct hb_watch *w, unsigned events);
/* Ends the watch and frees it, where the base can be used. */
int hb_selector_remove(struct hb_watch *w);
void hb_selector_drop(struct hb_watch *w);
int hb_selector_watch_signal(struct hb_selector *s, int number, int fd);
int hb_selector_end_signal(struct hb_selector *s, int number);
int64_t hb_selector_now(void);
/* Rounded up: a timer is never early. */
int64_t hb_selector_nanoseconds(double seconds);

#endif
