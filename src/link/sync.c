/* What the clients of the link have in common: see sync.h. */
#include "link/sync.h"

#include <time.h>

enum { BACKOFF_FIRST = 10, BACKOFF_MAX = 500 };

static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	pthread_condattr_t monotonic;
	struct hb_sync *members;
} all = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static void
before_fork(void)
{
	pthread_mutex_lock(&all.lock);
	for (struct hb_sync *sync = all.members; sync != NULL; sync = sync->next)
		pthread_mutex_lock(sync->lock);
}

static void
after_fork_in_parent(void)
{
	for (struct hb_sync *sync = all.members; sync != NULL; sync = sync->next)
		pthread_mutex_unlock(sync->lock);
	pthread_mutex_unlock(&all.lock);
}

static void
after_fork_in_child(void)
{
	for (struct hb_sync *sync = all.members; sync != NULL; sync = sync->next)
		sync->in_child(sync->arg);
	pthread_mutex_init(&all.lock, NULL);
}

static void
set_up(void)
{
	pthread_condattr_init(&all.monotonic);
	pthread_condattr_setclock(&all.monotonic, CLOCK_MONOTONIC);
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void
hb_sync_add(struct hb_sync *sync)
{
	pthread_once(&all.once, set_up);
	pthread_mutex_lock(&all.lock);
	sync->next = all.members;
	all.members = sync;
	pthread_mutex_unlock(&all.lock);
}

void
hb_sync_remove(struct hb_sync *sync)
{
	struct hb_sync **at;

	pthread_mutex_lock(&all.lock);
	for (at = &all.members; *at != sync; at = &(*at)->next)
		;
	*at = sync->next;
	pthread_mutex_unlock(&all.lock);
}

void
hb_sync_cond_init(pthread_cond_t *cond)
{
	pthread_once(&all.once, set_up);
	pthread_cond_init(cond, &all.monotonic);
}

void
hb_sync_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until)
{
	struct timespec ts = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};

	if (until == INT64_MAX)
		pthread_cond_wait(cond, lock);
	else
		pthread_cond_timedwait(cond, lock, &ts);
}

int64_t
hb_sync_backoff(int64_t last)
{
	int64_t next = last == 0 ? BACKOFF_FIRST : last * 2;

	return next < BACKOFF_MAX ? next : BACKOFF_MAX;
}
