/*
 * Deadlines of threads: see watchdog.h.
 *
 * A watched thread stores its deadline and then looks at `next`, until when
 * the watchdog sleeps; the watchdog stores `next` and then looks at the
 * deadlines once more before it sleeps.  All four are sequentially consistent,
 * so one of the two sees the other: a deadline before `next` is never slept
 * through.  As deadlines move on with time, it is woken about once in the
 * length of a timeout however many requests there are.
 *
 * The deadline changes to CAUGHT by an exchange, so that the thread that ends
 * its request knows; then it waits for the lock, under which alone the
 * watchdog and the loop look at a caught request.
 */
#include "worker/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "common/str.h"
#include "worker/conn.h"

/* Microseconds: a watchdog that wakes so late was not let run, nor was anybody whom it watches. */
enum { STOPPED = 1000000 };

struct hb_watchdog {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	_Atomic int64_t next;
	pthread_t thread;
	bool stop;
	hb_watch_caught_fn caught;
	void *arg;
	unsigned count;
	struct hb_watched *watched[];
};

/* What this thread is watched by. */
static _Thread_local struct {
	struct hb_watchdog *d; /* NULL: it is not */
	struct hb_watched *w;
	unsigned waits; /* how deep it is in hb_watch_wait */
	int64_t set;    /* the deadline from there, 0: none */
	int64_t left;   /* microseconds, for afterwards */
} here;

/* The first deadline that is set; INT64_MAX: none. */
static int64_t
earliest(const struct hb_watchdog *d)
{
	int64_t next = INT64_MAX;

	for (unsigned i = 0; i < d->count; i++) {
		int64_t deadline = atomic_load(&d->watched[i]->deadline);

		if (deadline > 0 && deadline < next)
			next = deadline;
	}
	return next;
}

/* With the lock.  Returns the one that was caught, with its request in text; NULL: none is late. */
static struct hb_watched *
catch_one(struct hb_watchdog *d, char text[HB_CONN_REQUEST_TEXT])
{
	int64_t now = hb_clock_us();

	for (unsigned i = 0; i < d->count; i++) {
		struct hb_watched *w = d->watched[i];
		int64_t deadline = atomic_load(&w->deadline);

		if (deadline <= 0 || deadline > now ||
		    !atomic_compare_exchange_strong(&w->deadline, &deadline, HB_WATCH_CAUGHT))
			continue;
		text[0] = '\0';
		if (w->conn != NULL)
			hb_conn_request_text(w->conn, text);
		return w;
	}
	return NULL;
}

/*
 * The process was stopped, or got no processor, until long after `next`: whose
 * deadline that was had not the time until then.  Each has as long again.
 */
static void
postpone(struct hb_watchdog *d, int64_t next)
{
	int64_t now = hb_clock_us(), until = now + (now - next);

	if (now - next < STOPPED)
		return;
	for (unsigned i = 0; i < d->count; i++) {
		int64_t deadline = atomic_load(&d->watched[i]->deadline);

		while (deadline > 0 && deadline < until &&
		       !atomic_compare_exchange_strong(&d->watched[i]->deadline, &deadline, until))
			continue;
	}
}

/* With the lock, until a deadline may be over. */
static void
doze(struct hb_watchdog *d)
{
	int64_t next = earliest(d);
	struct timespec ts;

	atomic_store(&d->next, next);
	if (earliest(d) < next) {
		atomic_store(&d->next, 0);
		return;
	}
	if (next == INT64_MAX) {
		while (atomic_load(&d->next) == INT64_MAX)
			pthread_cond_wait(&d->wake, &d->lock);
		return;
	}
	ts = (struct timespec){next / 1000000, next % 1000000 * 1000};
	if (pthread_cond_timedwait(&d->wake, &d->lock, &ts) == ETIMEDOUT)
		postpone(d, next);
	atomic_store(&d->next, 0); /* nobody needs to wake it now */
}

static void *
watch(void *arg)
{
	struct hb_watchdog *d = arg;
	char text[HB_CONN_REQUEST_TEXT];
	struct hb_watched *w;

	pthread_mutex_lock(&d->lock);
	while (!d->stop) {
		while ((w = catch_one(d, text)) != NULL) {
			pthread_mutex_unlock(&d->lock);
			d->caught(d->arg, w, text);
			pthread_mutex_lock(&d->lock);
		}
		if (!d->stop)
			doze(d);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

/* Signals are for the other threads. */
static int
start_thread(struct hb_watchdog *d)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&d->thread, NULL, watch, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc == 0 ? 0 : -1;
}

struct hb_watchdog *
hb_watchdog_new(struct hb_watched *const *watched, unsigned count, hb_watch_caught_fn caught, void *arg)
{
	struct hb_watchdog *d = hb_xcalloc(1, sizeof *d + count * sizeof *d->watched);
	pthread_condattr_t attr;

	pthread_mutex_init(&d->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&d->wake, &attr);
	pthread_condattr_destroy(&attr);
	d->caught = caught;
	d->arg = arg;
	d->count = count;
	for (unsigned i = 0; i < count; i++)
		d->watched[i] = watched[i];
	if (start_thread(d) == -1) {
		free(d);
		return NULL;
	}
	return d;
}

void
hb_watchdog_stop(struct hb_watchdog *d)
{
	if (d == NULL || d->stop)
		return;
	pthread_mutex_lock(&d->lock);
	d->stop = true;
	atomic_store(&d->next, 0);
	pthread_cond_signal(&d->wake);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
}

void
hb_watchdog_free(struct hb_watchdog *d)
{
	if (d == NULL)
		return;
	hb_watchdog_stop(d);
	pthread_cond_destroy(&d->wake);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

static void
tell(struct hb_watchdog *d, int64_t deadline)
{
	if (deadline >= atomic_load(&d->next))
		return;
	pthread_mutex_lock(&d->lock);
	if (deadline < atomic_load(&d->next)) {
		atomic_store(&d->next, 0);
		pthread_cond_signal(&d->wake);
	}
	pthread_mutex_unlock(&d->lock);
}

void
hb_watch_begin(struct hb_watchdog *d, struct hb_watched *w, struct hb_conn *conn, int64_t deadline)
{
	here.d = d;
	here.w = w;
	if (d == NULL)
		return;
	w->conn = conn;
	atomic_store(&w->deadline, deadline);
	tell(d, deadline);
}

void
hb_watch_extend(struct hb_watchdog *d, struct hb_watched *w, int64_t deadline)
{
	int64_t before;

	if (d == NULL)
		return;
	before = atomic_load(&w->deadline);
	while (before > 0 && !atomic_compare_exchange_strong(&w->deadline, &before, deadline))
		continue;
	if (before > 0)
		tell(d, deadline);
}

void
hb_watch_end(struct hb_watchdog *d, struct hb_watched *w)
{
	here.d = NULL;
	if (d == NULL || atomic_exchange(&w->deadline, HB_WATCH_NOTHING) != HB_WATCH_CAUGHT)
		return;
	pthread_mutex_lock(&d->lock);
	pthread_mutex_unlock(&d->lock);
}

void
hb_watch_wait(int64_t until)
{
	int64_t before;

	if (here.waits++ > 0 || here.d == NULL)
		return;
	before = atomic_load(&here.w->deadline);
	here.left = before - hb_clock_us();
	here.set = before > 0 && here.left > 0 ? until + here.left : 0;
	/* Later than before, so the watchdog need not be told. */
	if (here.set != 0 && (here.set < before || !atomic_compare_exchange_strong(&here.w->deadline, &before, here.set)))
		here.set = 0;
}

void
hb_watch_waited(void)
{
	int64_t deadline, set = here.set;

	if (--here.waits > 0 || here.d == NULL || set == 0)
		return;
	deadline = hb_clock_us() + here.left;
	here.set = 0;
	while (set > 0 && !atomic_compare_exchange_strong(&here.w->deadline, &set, deadline))
		continue;
	if (set > 0)
		tell(here.d, deadline);
}

void
hb_watch_forked(void)
{
	here.d = NULL;
}

void
hb_watch_look(struct hb_watchdog *d, struct hb_watched *w, void (*look)(struct hb_conn *conn))
{
	pthread_mutex_lock(&d->lock);
	if (atomic_load(&w->deadline) == HB_WATCH_CAUGHT && w->conn != NULL)
		look(w->conn);
	pthread_mutex_unlock(&d->lock);
}
