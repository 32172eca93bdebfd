/*
 * Inside the py room: a loop that a call holds for longer than 100 ms is
 * logged with the stack.  The loop's thread says when a callback begins and
 * when it sleeps, which costs it a store; while it sleeps nothing wakes up.
 */
#ifndef HB_PY_WATCH_H
#define HB_PY_WATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct hb_py_stacks;

struct hb_py_watch_mark {
	_Atomic int64_t since; /* when the callback began, coarse milliseconds; 0: the loop sleeps */
	_Atomic bool dozing;   /* the watching thread waits to be woken, by: */
	void (*wake)(struct hb_py_watch_mark *mark);
};

struct hb_py_watch;
/* Watches the thread that calls it, which runs Python. */
struct hb_py_watch *hb_py_watch_new(struct hb_py_stacks *stacks);
void hb_py_watch_free(struct hb_py_watch *w);
/* A forked child is not watched. */
void hb_py_watch_forked(struct hb_py_watch *w);
struct hb_py_watch_mark *hb_py_watch_mark(struct hb_py_watch *w);

static inline int64_t
hb_py_watch_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline void
hb_py_watch_begin(struct hb_py_watch_mark *mark)
{
	if (mark == NULL)
		return;
	atomic_store_explicit(&mark->since, hb_py_watch_now(), memory_order_relaxed);
	if (atomic_load_explicit(&mark->dozing, memory_order_relaxed))
		mark->wake(mark);
}

static inline void
hb_py_watch_sleep(struct hb_py_watch_mark *mark)
{
	if (mark != NULL)
		atomic_store_explicit(&mark->since, 0, memory_order_relaxed);
}

#endif
