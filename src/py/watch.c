/*
 * The thread that watches the loop.  It looks ten times a second while the
 * loop works, and is asleep for good a second after the loop went to sleep,
 * until the loop wakes it.
 */
#include "py/watch.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/str.h"
#include "py/stacks.h"

enum {
	HELD_MS = 100,
	IDLE_LOOKS = 10,
	END_MS = 10,            /* how exact the end of a held loop is seen */
	STACK_SIZE = 256 * 1024,
	REPORTS = 6,            /* in ... */
	REPORTS_MS = 60 * 1000
};

struct hb_py_watch {
	struct hb_py_watch_mark mark;
	struct hb_py_stacks *stacks;
	PyThreadState *loop;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	pthread_t thread;
	bool forked;
	bool stop;
	bool woken;
	unsigned idle;      /* looks in a row that found the loop asleep */
	unsigned reports;   /* since ... */
	int64_t reports_at;
	unsigned unreported;
};

static int64_t
since(const struct hb_py_watch *w)
{
	return atomic_load_explicit(&w->mark.since, memory_order_relaxed);
}

/* With the lock held; -1: until woken. */
static void
pause_for(struct hb_py_watch *w, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	if (ms != -1)
		pthread_cond_timedwait(&w->cond, &w->lock, &until);
	while (ms == -1 && !w->woken && !w->stop)
		pthread_cond_wait(&w->cond, &w->lock);
	w->woken = false;
}

/*
 * The loop's thread stores `since` and then loads `dozing`, without a fence:
 * the barrier here makes sure that it sees `dozing` or is seen.
 */
static void
doze(struct hb_py_watch *w)
{
	atomic_store(&w->mark.dozing, true);
	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
	if (since(w) == 0)
		pause_for(w, -1);
	atomic_store(&w->mark.dozing, false);
	w->idle = 0;
}

static bool
may_report(struct hb_py_watch *w, int64_t now)
{
	if (now - w->reports_at > REPORTS_MS) {
		if (w->unreported > 0)
			hb_warn("worker: the event loop was held %u more times", w->unreported);
		w->reports_at = now;
		w->reports = w->unreported = 0;
	}
	if (w->reports++ < REPORTS)
		return true;
	w->unreported++;
	return false;
}

/* What runs the loop is of no interest. */
static void
cut(char *text)
{
	char *end = strstr(text, " in run_forever\n");

	while (end != NULL && end > text && end[-1] != '\n')
		end--;
	if (end != NULL)
		*end = '\0';
}

/* A callback that began at `began` still runs. */
static void
report(struct hb_py_watch *w, int64_t began)
{
	bool told = may_report(w, hb_py_watch_now());
	char *text = NULL;

	pthread_mutex_unlock(&w->lock);
	if (told) {
		text = hb_py_stacks_take(w->stacks, w->loop);
		/* The stack of what came after it would mislead. */
		if (since(w) == began) {
			hb_warn("worker: a call has held the event loop for %lld ms, nothing else runs meanwhile:",
			    (long long)(hb_py_watch_now() - began));
			cut(text);
			hb_log_lines(HB_LOG_WARNING, "app: ", text);
		}
		free(text);
	}
	pthread_mutex_lock(&w->lock);
	while (!w->stop && since(w) == began)
		pause_for(w, END_MS);
	if (told)
		hb_warn("worker: the event loop was held for %lld ms", (long long)(hb_py_watch_now() - began));
}

static void
look(struct hb_py_watch *w)
{
	int64_t began = since(w), held = hb_py_watch_now() - began;

	if (began == 0) {
		if (++w->idle < IDLE_LOOKS)
			pause_for(w, HELD_MS);
		else
			doze(w);
		return;
	}
	w->idle = 0;
	if (held <= HELD_MS)
		pause_for(w, HELD_MS - held + 1);
	else
		report(w, began);
}

static void *
run(void *arg)
{
	struct hb_py_watch *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!w->stop)
		look(w);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void
wake(struct hb_py_watch_mark *mark)
{
	struct hb_py_watch *w = (struct hb_py_watch *)((char *)mark - offsetof(struct hb_py_watch, mark));

	if (w->forked)
		return;
	pthread_mutex_lock(&w->lock);
	w->woken = true;
	atomic_store(&mark->dozing, false);
	pthread_cond_signal(&w->cond);
	pthread_mutex_unlock(&w->lock);
}

struct hb_py_watch *
hb_py_watch_new(struct hb_py_stacks *stacks)
{
	struct hb_py_watch *w = hb_xcalloc(1, sizeof *w);
	pthread_condattr_t condition;
	pthread_attr_t attr;
	bool started;

	(void)syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	w->mark.wake = wake;
	w->stacks = stacks;
	w->loop = PyThreadState_Get();
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&condition);
	pthread_condattr_setclock(&condition, CLOCK_MONOTONIC);
	pthread_cond_init(&w->cond, &condition);
	pthread_condattr_destroy(&condition);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	started = pthread_create(&w->thread, &attr, run, w) == 0;
	pthread_attr_destroy(&attr);
	if (started)
		return w;
	hb_warn("worker: no thread to watch the event loop");
	free(w);
	return NULL;
}

struct hb_py_watch_mark *
hb_py_watch_mark(struct hb_py_watch *w)
{
	return w != NULL ? &w->mark : NULL;
}

void
hb_py_watch_forked(struct hb_py_watch *w)
{
	if (w != NULL)
		w->forked = true;
}

void
hb_py_watch_free(struct hb_py_watch *w)
{
	if (w == NULL)
		return;
	if (!w->forked) {
		pthread_mutex_lock(&w->lock);
		w->stop = true;
		pthread_cond_signal(&w->cond);
		pthread_mutex_unlock(&w->lock);
		Py_BEGIN_ALLOW_THREADS
		pthread_join(w->thread, NULL);
		Py_END_ALLOW_THREADS
	}
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
