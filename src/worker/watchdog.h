/*
 * Looks for what takes too long: a thread of its own, which sleeps until the
 * next deadline could be over, and for good where there is none.
 */
#ifndef HB_WORKER_WATCHDOG_H
#define HB_WORKER_WATCHDOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct hb_conn;
struct hb_watchdog;

enum { HB_WATCH_NOTHING = 0, HB_WATCH_CAUGHT = -1 };

/* A thread that is watched: what it does, and until when.  Zeros at first. */
struct hb_watched {
	_Atomic int64_t deadline; /* microseconds, or one of the above */
	struct hb_conn *conn;     /* whose request it is; NULL: something else */
};

/* Text of the request that was caught, or "". */
typedef void (*hb_watch_caught_fn)(void *arg, struct hb_watched *watched, const char *request);

/* caught is called on the watchdog's thread.  NULL: no thread. */
struct hb_watchdog *hb_watchdog_new(struct hb_watched *const *watched, unsigned count, hb_watch_caught_fn caught,
    void *arg);
/* Catches nobody any more; the threads that are watched may go on as before. */
void hb_watchdog_stop(struct hb_watchdog *d);
/* Once no thread is watched. */
void hb_watchdog_free(struct hb_watchdog *d);

/* On the thread that is watched; d may be NULL, then nobody looks. */
void hb_watch_begin(struct hb_watchdog *d, struct hb_watched *w, struct hb_conn *conn, int64_t deadline);
/* There was progress: another deadline. */
void hb_watch_extend(struct hb_watchdog *d, struct hb_watched *w, int64_t deadline);
/* The connection is not looked at any more when this returns. */
void hb_watch_end(struct hb_watchdog *d, struct hb_watched *w);

/*
 * On any thread: one that is watched waits until then (microseconds) for what
 * has a deadline of its own, and has the time that was left to it once it is
 * over.  They may be nested.
 */
void hb_watch_wait(int64_t until);
void hb_watch_waited(void);
/* After a fork, in the child: this thread is not watched any more. */
void hb_watch_forked(void);

/* Calls look(arg, conn) if w has been caught and is still at it, which it stays meanwhile. */
void hb_watch_look(struct hb_watchdog *d, struct hb_watched *w, void (*look)(struct hb_conn *conn));

#endif
