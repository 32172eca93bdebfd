/*
 * A fork of the application: see fork.h.  The loop's handlers write into a
 * socket that parent and child share: a signal to the child would be lost to
 * it and reach the parent.  So the child gets the default actions, and until
 * it has them no signal is let in.
 */
#include "worker/fork.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "worker/hooks.h"
#include "worker/overdue.h"
#include "worker/pool.h"
#include "worker/state.h"

/* The mask to go back to: another thread may fork at the same time. */
static _Thread_local sigset_t mask;

static void
block_signals(void)
{
	sigset_t handled;

	sigemptyset(&handled);
	for (size_t i = 0; i < HB_WORKER_SIGNALS; i++)
		sigaddset(&handled, hb_worker_signals[i]);
	pthread_sigmask(SIG_BLOCK, &handled, &mask);
}

/* Handlers that the application has set stay. */
static void
restore_signals(const struct hb_worker *w)
{
	struct sigaction now, plain = {.sa_handler = SIG_DFL};

	for (size_t i = 0; i < HB_WORKER_SIGNALS; i++)
		if (sigaction(hb_worker_signals[i], NULL, &now) == 0 && now.sa_handler == w->handlers[i].sa_handler)
			sigaction(hb_worker_signals[i], &plain, NULL);
}

static void
close_descriptors(struct hb_worker *w)
{
	struct hb_conn *c;

	TAILQ_FOREACH(c, &w->conns, all)
		hb_fd_close(&c->fd);
	for (size_t i = 0; i < w->listeners_count; i++)
		hb_fd_close(&w->listeners[i].fd);
	hb_hooks_forked(w);
	close(w->start->channel);
}

/* The counters that all workers share are the parent's to count: the child gets a page of its own in their place. */
static void
part_counters(const struct hb_worker *w)
{
	struct hb_worker_shared *shared = w->start->shared;

	(void)mmap(shared, sizeof *shared, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

void
hb_worker_fork(void *arg, enum hb_py_fork moment)
{
	struct hb_worker *w = arg;

	switch (moment) {
	case HB_PY_FORK_BEFORE:
		block_signals();
		pthread_mutex_lock(&w->shared);
		break;
	case HB_PY_FORK_CHILD:
		pthread_mutex_unlock(&w->shared);
		hb_pool_forked(w->pool);
		hb_overdue_forked(w);
		restore_signals(w);
		pthread_sigmask(SIG_SETMASK, &mask, NULL);
		close_descriptors(w);
		part_counters(w);
		w->ended = w->orphaned = true; /* a child that returns to the loop ends there */
		break;
	case HB_PY_FORK_PARENT:
		pthread_mutex_unlock(&w->shared);
		pthread_sigmask(SIG_SETMASK, &mask, NULL);
		break;
	}
}
