/* A connection's life: see conn.h. */
#include "worker/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "worker/hooks.h"
#include "worker/pool.h"
#include "worker/state.h"
#include "worker/websocket.h"

enum { STACKS_MS = 1000 };

static const char *const state_names[] = {"idle", "head", "hook", "body", "ready", "running", "paused", "sending", "skip",
	"linger", "dead"};

void
hb_conn_dequeue(struct hb_conn *c)
{
	if (c->queue == NULL)
		return;
	TAILQ_REMOVE(c->queue, c, queued);
	c->queue = NULL;
}

void
hb_conn_enqueue(struct hb_conn *c, struct hb_conn_queue *queue)
{
	hb_conn_dequeue(c);
	TAILQ_INSERT_TAIL(queue, c, queued);
	c->queue = queue;
}

/* Whoever is waited for has the time that is meant for him. */
static unsigned
timer_of_running(const struct hb_conn *c)
{
	/* Until a thread takes it; from then on the watchdog looks at the thread. */
	if (c->pooled && c->request.call == NULL)
		return HB_TIMER_REQUEST + (unsigned)c->app;
	if (!c->async)
		return HB_TIMER_NONE;
	if (!c->gone && c->verdict == 0) {
		if (c->eof && hb_hooks_asked(c))
			return HB_TIMER_LINGER;
		if (hb_conn_pending(c) > 0)
			return HB_TIMER_WRITE;
		if (hb_websocket_accepted(c))
			return HB_TIMER_WEBSOCKET;
		if (!c->whole && c->wants)
			return HB_TIMER_BODY;
	}
	/* One whose client has gone is to end, too: else whoever hangs up leaves it here for good. */
	return c->response.committed ? HB_TIMER_IDLE : HB_TIMER_REQUEST + (unsigned)c->app;
}

static unsigned
timer_of(const struct hb_conn *c)
{
	switch (c->state) {
	case HB_CONN_IDLE:
		return c->requests > 0 ? HB_TIMER_KEEPALIVE : HB_TIMER_HEADER;
	case HB_CONN_HEAD:
		return HB_TIMER_HEADER;
	case HB_CONN_HOOK: /* the call has its deadline; one who has only closed his side may still read */
		return c->eof ? HB_TIMER_LINGER : HB_TIMER_NONE;
	case HB_CONN_BODY:
	case HB_CONN_SKIP:
		return HB_TIMER_BODY;
	case HB_CONN_RUNNING:
		return timer_of_running(c);
	case HB_CONN_PAUSED:
	case HB_CONN_SENDING:
		return HB_TIMER_WRITE;
	case HB_CONN_LINGER:
		return HB_TIMER_LINGER;
	case HB_CONN_READY:
	case HB_CONN_DEAD:
		break;
	}
	return HB_TIMER_NONE;
}

void
hb_conn_touch(struct hb_conn *c)
{
	struct hb_worker *w = c->worker;

	hb_timers_set(&w->timers, &c->timer, timer_of(c), w->now);
}

void
hb_conn_set_state(struct hb_conn *c, enum hb_conn_state state)
{
	hb_debug("conn: %d: %s -> %s", c->fd, state_names[c->state], state_names[state]);
	c->state = state;
	hb_conn_touch(c);
}

void
hb_conn_ready(struct hb_conn *c)
{
	struct hb_worker *w = c->worker;

	if (w->pool != NULL && !c->async) {
		hb_pool_add(c);
		return;
	}
	hb_conn_set_state(c, HB_CONN_READY);
	hb_conn_enqueue(c, &w->ready);
}

void
hb_conn_request_text(const struct hb_conn *c, char out[HB_CONN_REQUEST_TEXT])
{
	hb_http_request_text(&c->parser.request, c->in + c->start, out);
}

void
hb_conn_note(struct hb_conn *c, unsigned events)
{
	if (c->events == 0)
		TAILQ_INSERT_TAIL(&c->worker->noted, c, noted);
	c->events |= events;
}

void
hb_conn_new(struct hb_worker_listener *listener, int fd, const struct hb_address *peer)
{
	struct hb_worker *w = listener->worker;
	struct hb_conn *c = calloc(1, sizeof *c);
	unsigned port;

	if (c == NULL) {
		close(fd);
		return;
	}
	c->worker = w;
	c->listener = listener;
	c->fd = fd;
	c->body = (struct hb_body)HB_BODY_INIT;
	port = hb_address_host(peer, c->remote_addr);
	if (peer->u.sa.sa_family == AF_UNIX)
		c->remote_addr[0] = '\0';
	else
		snprintf(c->remote_port, sizeof c->remote_port, "%u", port);
	c->trusted = hb_trust_peer(w->trust, &peer->u.sa);
	hb_conn_client_reset(c);
	hb_http_parser_init(&c->parser, &w->limits);
	hb_response_reset(&c->response);
	event_assign(&c->readable, w->base, fd, EV_READ | EV_PERSIST, hb_conn_readable, c);
	event_assign(&c->writable, w->base, fd, EV_WRITE | EV_PERSIST, hb_conn_writable, c);
	pthread_mutex_lock(&w->shared);
	TAILQ_INSERT_TAIL(&w->conns, c, all);
	pthread_mutex_unlock(&w->shared);
	w->conns_count++;
	hb_own_add(&w->own, fd);
	atomic_store_explicit(&w->counters->connections, (uint32_t)w->conns_count, memory_order_relaxed);
	hb_conn_set_state(c, HB_CONN_IDLE);
	hb_conn_watch_input(c);
}

unsigned
hb_conn_take_events(struct hb_conn *c)
{
	unsigned events = c->events;

	if (events != 0)
		TAILQ_REMOVE(&c->worker->noted, c, noted);
	c->events = 0;
	return events;
}

void
hb_conn_lose(struct hb_conn *c)
{
	hb_hooks_cancel(c);
	hb_conn_ignore_input(c);
	hb_conn_ignore_output(c);
	hb_conn_dequeue(c);
	hb_own_drop(&c->worker->own, c->fd);
	hb_fd_close(&c->fd);
	c->gone = true;
	hb_conn_touch(c);
	hb_conn_note(c, HB_PY_GONE);
}

void
hb_conn_overrule(struct hb_conn *c, unsigned status, const char *text)
{
	hb_conn_ignore_input(c);
	c->verdict = status;
	c->verdict_text = text;
	hb_conn_touch(c);
}

/* A thread may be writing to it. */
static void
doom(struct hb_conn *c)
{
	c->doomed = true;
	hb_conn_ignore_input(c);
	(void)shutdown(c->fd, SHUT_RDWR);
}

void
hb_conn_kill(struct hb_conn *c)
{
	struct hb_worker *w = c->worker;

	if (c->state == HB_CONN_DEAD)
		return;
	if (c->pooled) {
		doom(c);
		return;
	}
	hb_hooks_cancel(c);
	hb_conn_ignore_input(c);
	hb_conn_ignore_output(c);
	hb_conn_set_state(c, HB_CONN_DEAD);
	hb_own_drop(&w->own, c->fd);
	pthread_mutex_lock(&w->shared);
	TAILQ_REMOVE(&w->conns, c, all);
	hb_fd_close(&c->fd);
	pthread_mutex_unlock(&w->shared);
	(void)hb_conn_take_events(c);
	hb_conn_enqueue(c, &w->dead);
	w->dead_count++;
	w->conns_count--;
	atomic_store_explicit(&w->counters->connections, (uint32_t)w->conns_count, memory_order_relaxed);
}

void
hb_conn_free(struct hb_conn *c)
{
	c->worker->dead_count--;
	hb_conn_dequeue(c);
	hb_py_peer_free(c->worker->py, c->peer);
	c->len = c->pos = c->start = 0;
	hb_conn_release_input(c);
	hb_http_parser_free(&c->parser);
	hb_body_clear(&c->body);
	hb_buf_free(&c->out);
	hb_buf_free(&c->response.head);
	hb_websocket_free(c->websocket);
	hb_hooks_forget(c);
	free(c->path);
	free(c);
}

/* A client that waits for 100 Continue may send the body after all, or leave it out: nobody knows where a request would begin. */
bool
hb_conn_may_keep(const struct hb_conn *c)
{
	return c->began != 0 && c->parser.request.keep_alive && !c->go_on && !c->worker->draining;
}

static void
log_slow_reader(struct hb_conn *c)
{
	if (hb_rate_allows(&c->worker->refusals, c->worker->now))
		hb_info("conn: %s: gone: it read nothing of the response for too long",
		    *c->remote_addr ? c->remote_addr : "unix:");
}

/* Where many are late at once, what they wait for is the same. */
static void
tell_stacks(struct hb_worker *w)
{
	if (w->now < w->stacks_again)
		return;
	w->stacks_again = w->now + STACKS_MS;
	hb_py_stacks(w->py, "app: the Python stacks:");
}

static const char *
missing_of(const struct hb_conn *c)
{
	if (c->gone || c->verdict != 0)
		return "end after its client had gone";
	return c->response.committed ? "further part of the response" : "response";
}

/* The application is too late: its time to answer, to send the next part of a stream, or to end is up. */
static void
time_out_application(struct hb_conn *c)
{
	char what[HB_CONN_REQUEST_TEXT];

	hb_conn_request_text(c, what);
	hb_err("app: %s: no %s in time", what, missing_of(c));
	tell_stacks(c->worker);
	if (c->verdict == 0)
		hb_conn_overrule(c, 504, "the application did not answer in time");
	hb_conn_note(c, HB_PY_TIMEOUT);
}

static void
time_out_running(struct hb_conn *c, unsigned kind)
{
	switch (kind) {
	case HB_TIMER_WRITE:
		log_slow_reader(c);
		hb_conn_lose(c);
		break;
	case HB_TIMER_WEBSOCKET:
		hb_websocket_silent(c);
		break;
	case HB_TIMER_LINGER:
		hb_conn_lose(c);
		break;
	case HB_TIMER_BODY:
		hb_conn_overrule(c, 408, "the request did not come in time");
		hb_conn_note(c, HB_PY_READABLE | HB_PY_GONE);
		break;
	default:
		time_out_application(c);
		break;
	}
}

void
hb_conn_abandon(struct hb_conn *c)
{
	c->gone = true;
	hb_conn_ignore_output(c);
	hb_conn_ready(c); /* the application has to close() */
}

void
hb_conn_timeout(struct hb_conn *c, unsigned kind)
{
	switch (c->state) {
	case HB_CONN_HEAD:
	case HB_CONN_BODY:
		hb_conn_answer(c, 408, "the request did not come in time", true);
		break;
	case HB_CONN_RUNNING:
		if (c->pooled)
			hb_pool_time_out(c);
		else
			time_out_running(c, kind);
		break;
	case HB_CONN_HOOK:
		hb_hooks_lose(c);
		break;
	case HB_CONN_PAUSED:
		log_slow_reader(c);
		hb_conn_abandon(c);
		break;
	case HB_CONN_SENDING:
		log_slow_reader(c);
		hb_conn_kill(c);
		break;
	case HB_CONN_IDLE: /* where it never sent a byte it has asked for nothing */
	case HB_CONN_SKIP:
	case HB_CONN_LINGER:
	case HB_CONN_READY:
	case HB_CONN_DEAD:
		hb_conn_kill(c);
		break;
	}
}
