/*
 * The listeners are shared and level-triggered: whoever is free accepts.
 *
 * Where there are several workers, one that may be about to run an application
 * for long must not hold connections that another could serve.  So it accepts
 * only when nothing is left to run, reads what it has accepted at once, and
 * takes no more when that is a request.
 *
 * A worker that holds more than its share leaves the backlog to the others.
 * When one still waits there after some time, those who did not even look lag
 * behind, because they sleep in a request or are stopped: until they look again,
 * or for a while, they are not asked.
 *
 * With a pool of threads a worker is busy when all of them are: then it stops
 * until one is free.
 */
#include "worker/accept.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "net/listener.h"
#include "worker/pool.h"
#include "worker/state.h"

enum {
	AT_ONCE_ALONE = 32,
	AT_ONCE_SHARED = 4,
	SLICE_MICROSECONDS = 2000, /* how often a worker that left the backlog to the others looks again */
	SLICES = 10,
	LAG_MS = 1000,
	FRESH_MICROSECONDS = 1000, /* for the request of a connection that has just come */
	FAULT_MICROSECONDS = 200000  /* out of descriptors or memory */
};

struct hb_accept_peer {
	uint32_t looked; /* when the pause began */
	int64_t lags_until;
};

/* For the others to see. */
static void
publish(struct hb_worker *w, enum hb_worker_accepting accepting)
{
	atomic_store_explicit(&w->counters->accepting, accepting, memory_order_relaxed);
}

static void
pause_accepting(struct hb_worker *w, int microseconds)
{
	struct timeval tv = {0, microseconds};

	for (size_t i = 0; i < w->listeners_count; i++)
		event_del(&w->listeners[i].event);
	w->accept.on = w->accept.due = false;
	if (microseconds > 0)
		event_add(&w->accept.again, &tv);
}

static void
resume_accepting(struct hb_worker *w)
{
	if (w->accept.on || !w->accept.open)
		return;
	event_del(&w->accept.again);
	for (size_t i = 0; i < w->listeners_count; i++)
		event_add(&w->listeners[i].event, NULL);
	w->accept.on = true;
	w->accept.slices = 0;
	publish(w, HB_WORKER_ACCEPTS);
}

/* Calls one of the other workers that accept, or NULL behind the last; *i starts as 0. */
static const struct hb_worker_counters *
next_peer(const struct hb_worker *w, uint32_t *i)
{
	const struct hb_worker_shared *shared = w->start->shared;
	uint32_t used = atomic_load_explicit(&shared->used, memory_order_relaxed);

	for (; *i < used; ++*i)
		if (*i != w->start->slot && atomic_load_explicit(&shared->slots[*i].accepting, memory_order_relaxed))
			return &shared->slots[(*i)++];
	return NULL;
}

static uint32_t
looked(const struct hb_worker_counters *c)
{
	return atomic_load_explicit(&c->looked, memory_order_relaxed);
}

/* Whether another worker that would take what waits has notably fewer connections. */
static bool
above_share(const struct hb_worker *w)
{
	const struct hb_worker_counters *c;

	for (uint32_t i = 0; (c = next_peer(w, &i)) != NULL;) {
		const struct hb_accept_peer *peer = &w->accept.peers[i - 1];
		uint32_t held = atomic_load_explicit(&c->connections, memory_order_relaxed);

		if (w->conns_count > held + held / 8 + 1 &&
		    (w->now >= peer->lags_until || looked(c) != peer->looked))
			return true;
	}
	return false;
}

static void
leave_to_others(struct hb_worker *w)
{
	const struct hb_worker_counters *c;

	for (uint32_t i = 0; (c = next_peer(w, &i)) != NULL;)
		w->accept.peers[i - 1] = (struct hb_accept_peer){.looked = looked(c)};
	w->accept.slices = SLICES;
	publish(w, HB_WORKER_WAITS);
	pause_accepting(w, SLICE_MICROSECONDS);
}

/* Somebody still waits.  Who waits too does not lag. */
static void
judge_others(struct hb_worker *w)
{
	const struct hb_worker_counters *c;

	for (uint32_t i = 0; (c = next_peer(w, &i)) != NULL;) {
		struct hb_accept_peer *peer = &w->accept.peers[i - 1];

		if (looked(c) == peer->looked &&
		    atomic_load_explicit(&c->accepting, memory_order_relaxed) == HB_WORKER_ACCEPTS)
			peer->lags_until = w->now + LAG_MS;
	}
}

/* Returns whether it took one; pauses where none can be taken. */
static bool
accept_one(struct hb_worker_listener *l)
{
	struct hb_worker *w = l->worker;
	struct hb_address peer;
	int conn;

	if (w->conns_count >= w->config->limits.connections) {
		pause_accepting(w, 0);
		return false;
	}
	atomic_store_explicit(&w->counters->looked, looked(w->counters) + 1, memory_order_relaxed);
	conn = hb_accept(l->fd, &peer);
	if (conn == -1) {
		if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
			return false;
		if (errno == EBADF || errno == ENOTSOCK || errno == EINVAL)
			hb_worker_give_up(w, "the application has closed a listening socket");
		if (!w->accept.faulty)
			hb_err("listen: accept: %m; trying again until it works");
		w->accept.faulty = true;
		pause_accepting(w, FAULT_MICROSECONDS);
		return false;
	}
	if (w->accept.faulty)
		hb_info("listen: accepting again");
	w->accept.faulty = false;
	if (hb_own_has(&w->own, conn)) {
		close(conn); /* it may stand where the log was */
		hb_worker_give_up(w, "the application has closed a descriptor of the server");
	}
	hb_conn_new(l, conn, &peer);
	return true;
}

/* An application took long lately, and may again. */
static bool
is_slow(const struct hb_worker *w)
{
	for (size_t i = 0; i < w->config->apps_count; i++)
		if (w->now < w->apps[i].slow_until)
			return true;
	return false;
}

/* All threads of the pool have requests, and the other workers' may not.  ASGI requests need none. */
static bool
is_full(const struct hb_worker *w)
{
	return w->accept.shared && w->pool != NULL && !w->async && hb_pool_load(w) >= w->config->threads;
}

/* Returns false when no more is to be accepted now. */
static bool
accept_shared(struct hb_worker_listener *l)
{
	struct hb_worker *w = l->worker;
	struct hb_conn *c;

	if (is_full(w)) {
		publish(w, HB_WORKER_CLOSED); /* nobody is to count on it */
		pause_accepting(w, 0);
		return false;
	}
	if (above_share(w)) {
		leave_to_others(w);
		return false;
	}
	if (!accept_one(l))
		return w->accept.on;
	c = TAILQ_LAST(&w->conns, hb_conn_list);
	if (c != NULL && c->listener == l && c->state == HB_CONN_IDLE)
		hb_conn_readable(c->fd, EV_READ, c);
	if (!TAILQ_EMPTY(&w->ready))
		return false;
	if (c != NULL && c->state == HB_CONN_IDLE && is_slow(w)) {
		pause_accepting(w, FRESH_MICROSECONDS);
		return false;
	}
	return true;
}

void
hb_accept_due(struct hb_worker *w)
{
	if (!w->accept.due)
		return;
	w->accept.due = false;
	for (unsigned n = 0; n < AT_ONCE_SHARED; n++)
		for (size_t i = 0; i < w->listeners_count; i++)
			if (!accept_shared(&w->listeners[i]))
				return;
}

static void
on_connection(int fd, short what, void *arg)
{
	struct hb_worker_listener *l = arg;

	hb_worker_wake(l->worker);
	if (l->worker->accept.shared) {
		l->worker->accept.due = true;
		return;
	}
	for (unsigned n = 0; n < AT_ONCE_ALONE; n++)
		if (!accept_one(l))
			return;
}

static void
on_again(int fd, short what, void *arg)
{
	struct hb_worker *w = arg;
	bool waited = w->accept.slices > 0;

	hb_worker_wake(w);
	if (waited && --w->accept.slices > 0 && above_share(w)) {
		pause_accepting(w, SLICE_MICROSECONDS);
		return;
	}
	waited = waited && w->accept.slices == 0;
	resume_accepting(w);
	if (!waited || !w->accept.on || !above_share(w))
		return;
	for (size_t i = 0; i < w->listeners_count && w->accept.on; i++)
		if (accept_one(&w->listeners[i])) {
			judge_others(w);
			return;
		}
}

void
hb_accept_start(struct hb_worker *w)
{
	if (w->draining)
		return;
	w->accept.shared = w->config->workers > 1;
	if (w->accept.shared)
		w->accept.peers = hb_xcalloc(HB_WORKER_SLOTS, sizeof *w->accept.peers);
	evtimer_assign(&w->accept.again, w->base, on_again, w);
	for (size_t i = 0; i < w->listeners_count; i++) {
		struct hb_worker_listener *l = &w->listeners[i];

		event_assign(&l->event, w->base, l->fd, EV_READ | EV_PERSIST, on_connection, l);
	}
	w->accept.open = true;
	resume_accepting(w);
}

void
hb_accept_stop(struct hb_worker *w)
{
	publish(w, HB_WORKER_CLOSED);
	if (w->accept.open) {
		pause_accepting(w, 0);
		event_del(&w->accept.again);
	}
	w->accept.open = false;
	for (size_t i = 0; i < w->listeners_count; i++)
		hb_fd_close(&w->listeners[i].fd);
	free(w->accept.peers);
	w->accept.peers = NULL;
}

void
hb_accept_check(struct hb_worker *w)
{
	if (w->accept.open && !w->accept.on && !evtimer_pending(&w->accept.again, NULL) &&
	    w->conns_count < w->config->limits.connections && !is_full(w))
		resume_accepting(w);
}
