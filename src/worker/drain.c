/* A worker's drain: see drain.h. */
#include "worker/drain.h"

#include "common/log.h"
#include "http/ws.h"
#include "worker/accept.h"
#include "worker/hooks.h"
#include "worker/state.h"
#include "worker/websocket.h"

enum {
	IDLE_GRACE_MS = 5000, /* for the request that a client is just sending, and for clients that hold connections ready */
	CUT_MS = 1000         /* for goodbyes to get through once the time is up */
};

static struct timeval
milliseconds(int64_t ms)
{
	return (struct timeval){ms / 1000, ms % 1000 * 1000};
}

static bool
is_idle(const struct hb_conn *c)
{
	return c->state == HB_CONN_IDLE && c->queue == NULL && !hb_conn_has_input(c);
}

static void
close_idle(struct hb_worker *w)
{
	struct hb_conn *c, *next;

	for (c = TAILQ_FIRST(&w->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, all);
		if (is_idle(c))
			hb_conn_kill(c);
	}
}

/* They have no end of their own to wait for, and their clients can go elsewhere at once. */
static void
close_websockets(struct hb_worker *w)
{
	struct hb_conn *c, *next;

	for (c = TAILQ_FIRST(&w->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, all);
		if (hb_websocket_accepted(c) && c->state == HB_CONN_RUNNING)
			hb_websocket_end(c, HB_WS_GOING_AWAY);
	}
}

/* A stream has no end of its own; what has not even begun is told. */
static void
end_request(struct hb_conn *c)
{
	char what[HB_CONN_REQUEST_TEXT];

	if (!c->response.committed) {
		hb_conn_request_text(c, what);
		hb_warn("app: %s: no response when timeouts.graceful was over", what);
	}
	hb_conn_note(c, c->response.committed ? HB_PY_ENDED : HB_PY_TIMEOUT);
	hb_conn_overrule(c, 503, "the server is restarting");
}

/* Whatever goes on has had its time. */
static void
cut(struct hb_worker *w)
{
	struct hb_conn *c, *next;

	for (c = TAILQ_FIRST(&w->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, all);
		if (hb_websocket_accepted(c) && c->state == HB_CONN_RUNNING)
			hb_websocket_end(c, HB_WS_GOING_AWAY);
		else if (c->state == HB_CONN_RUNNING && c->async)
			end_request(c);
		else if (c->state == HB_CONN_PAUSED)
			hb_conn_abandon(c);
		else if (c->state == HB_CONN_HOOK)
			hb_hooks_lose(c);
		else if (c->state != HB_CONN_LINGER)
			hb_conn_kill(c);
	}
}

static void
on_graceful(int fd, short what, void *arg)
{
	struct hb_worker *w = arg;
	struct timeval tv = milliseconds(CUT_MS);

	hb_worker_wake(w);
	if (w->cutting) {
		w->ended = true;
		return;
	}
	hb_info("worker: timeouts.graceful is over: %zu connections are ended", w->conns_count);
	w->cutting = true;
	cut(w);
	event_add(&w->graceful, &tv);
}

static void
on_idle_grace(int fd, short what, void *arg)
{
	struct hb_worker *w = arg;

	hb_worker_wake(w);
	w->gently = false;
	close_idle(w);
}

void
hb_drain_init(struct hb_worker *w)
{
	evtimer_assign(&w->graceful, w->base, on_graceful, w);
	evtimer_assign(&w->idle_grace, w->base, on_idle_grace, w);
}

/* Nobody takes over. */
static void
leave(struct hb_worker *w)
{
	hb_worker_wake(w);
	w->stopping = true;
	w->gently = false;
	close_idle(w);
	close_websockets(w);
}

void
hb_drain_begin(struct hb_worker *w, bool gently)
{
	struct timeval tv = milliseconds(w->config->timeouts.graceful), grace = milliseconds(IDLE_GRACE_MS);

	if (w->draining) {
		if (!w->stopping && !gently)
			leave(w);
		return;
	}
	hb_info("worker: draining: %zu connections are open", w->conns_count);
	w->draining = true;
	w->gently = gently;
	hb_accept_stop(w);
	if (gently)
		event_add(&w->idle_grace, &grace);
	else
		leave(w);
	event_add(&w->graceful, &tv);
}

bool
hb_drain_is_over(const struct hb_worker *w)
{
	return w->draining && w->conns_count == 0;
}
