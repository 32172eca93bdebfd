/*
 * The listeners are shared and level-triggered: whoever is free accepts, a few
 * at a time, so that a burst spreads over the workers.  A worker that holds
 * more than its share leaves the backlog to the others for a moment; what
 * none of them has taken by then, because they sleep or are gone, it takes.
 */
#include "worker/accept.h"

#include <errno.h>

#include "common/log.h"
#include "net/listener.h"
#include "worker/state.h"

enum {
	AT_ONCE_ALONE = 32,
	AT_ONCE_SHARED = 4,
	SHARE_SLACK = 8,             /* connections above the average that do not matter */
	PAUSE_MICROSECONDS = 20000,
	ALONE_MS = 1000,             /* how long no share is kept once nobody took what was left */
	FAULT_MICROSECONDS = 200000  /* out of descriptors or memory */
};

static void
pause_accepting(struct hb_worker *w, int microseconds)
{
	struct timeval tv = {0, microseconds};

	for (size_t i = 0; i < w->listeners_count; i++)
		event_del(&w->listeners[i].event);
	w->accepting = false;
	if (microseconds > 0)
		event_add(&w->accept_again, &tv);
}

static void
resume_accepting(struct hb_worker *w)
{
	if (w->accepting || w->draining)
		return;
	event_del(&w->accept_again);
	for (size_t i = 0; i < w->listeners_count; i++)
		event_add(&w->listeners[i].event, NULL);
	w->accepting = true;
}

/* Whether the others have notably fewer connections, and take what is left to them. */
static bool
above_share(const struct hb_worker *w)
{
	size_t n = w->start->counters_count;
	uint64_t total = 0;

	if (n < 2 || w->conns_count < SHARE_SLACK || w->now < w->alone_until)
		return false;
	for (size_t i = 0; i < n; i++)
		total += atomic_load_explicit(&w->start->counters[i].connections, memory_order_relaxed);
	return w->conns_count > total / n + total / n / 4 + SHARE_SLACK;
}

/* Returns how many it took. */
static unsigned
accept_some(struct hb_worker_listener *l, unsigned most, bool fairly)
{
	struct hb_worker *w = l->worker;
	struct hb_address peer;
	unsigned n;

	for (n = 0; n < most; n++) {
		int conn;

		if (w->conns_count >= w->config->limits.connections) {
			pause_accepting(w, 0);
			break;
		}
		if (fairly && above_share(w)) {
			pause_accepting(w, PAUSE_MICROSECONDS);
			break;
		}
		conn = hb_accept(l->fd, &peer);
		if (conn == -1) {
			if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
				break;
			if (hb_rate_allows(&w->refusals, w->now))
				hb_err("listen: accept: %m");
			pause_accepting(w, FAULT_MICROSECONDS);
			break;
		}
		hb_conn_new(l, conn, &peer);
	}
	return n;
}

static void
on_connection(int fd, short what, void *arg)
{
	struct hb_worker_listener *l = arg;

	hb_worker_wake(l->worker);
	(void)accept_some(l, l->worker->accept_at_once, true);
}

static void
on_again(int fd, short what, void *arg)
{
	struct hb_worker *w = arg;

	hb_worker_wake(w);
	resume_accepting(w);
	for (size_t i = 0; i < w->listeners_count && w->accepting; i++)
		if (accept_some(&w->listeners[i], AT_ONCE_ALONE, false) > 0)
			w->alone_until = w->now + ALONE_MS;
}

void
hb_accept_start(struct hb_worker *w)
{
	w->accept_at_once = w->start->counters_count > 1 ? AT_ONCE_SHARED : AT_ONCE_ALONE;
	evtimer_assign(&w->accept_again, w->base, on_again, w);
	for (size_t i = 0; i < w->listeners_count; i++) {
		struct hb_worker_listener *l = &w->listeners[i];

		event_assign(&l->event, w->base, l->fd, EV_READ | EV_PERSIST, on_connection, l);
	}
	resume_accepting(w);
}

void
hb_accept_stop(struct hb_worker *w)
{
	if (w->accepting)
		pause_accepting(w, 0);
	event_del(&w->accept_again);
}

void
hb_accept_check(struct hb_worker *w)
{
	if (!w->accepting && !evtimer_pending(&w->accept_again, NULL) &&
	    w->conns_count < w->config->limits.connections)
		resume_accepting(w);
}
