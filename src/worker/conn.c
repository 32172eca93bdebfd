/* A connection's life: see conn.h. */
#include "worker/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "worker/state.h"

static const char *const state_names[] = {"idle", "head", "body", "ready", "paused", "sending", "linger", "dead"};

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

static enum hb_timer_kind
timer_of(const struct hb_conn *c)
{
	switch (c->state) {
	case HB_CONN_IDLE:
		return c->requests > 0 ? HB_TIMER_KEEPALIVE : HB_TIMER_HEADER;
	case HB_CONN_HEAD:
		return HB_TIMER_HEADER;
	case HB_CONN_BODY:
		return HB_TIMER_BODY;
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
hb_conn_set_state(struct hb_conn *c, enum hb_conn_state state)
{
	struct hb_worker *w = c->worker;

	hb_debug("conn: %d: %s -> %s", c->fd, state_names[c->state], state_names[state]);
	c->state = state;
	hb_timers_set(&w->timers, &c->timer, timer_of(c), w->now);
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
	hb_http_parser_init(&c->parser, &w->limits);
	hb_response_reset(&c->response);
	event_assign(&c->readable, w->base, fd, EV_READ | EV_PERSIST, hb_conn_readable, c);
	event_assign(&c->writable, w->base, fd, EV_WRITE | EV_PERSIST, hb_conn_writable, c);
	TAILQ_INSERT_TAIL(&w->conns, c, all);
	w->conns_count++;
	atomic_store_explicit(&w->counters->connections, (uint32_t)w->conns_count, memory_order_relaxed);
	hb_conn_set_state(c, HB_CONN_IDLE);
	hb_conn_watch_input(c);
}

void
hb_conn_kill(struct hb_conn *c)
{
	struct hb_worker *w = c->worker;

	if (c->state == HB_CONN_DEAD)
		return;
	hb_conn_ignore_input(c);
	hb_conn_ignore_output(c);
	hb_conn_set_state(c, HB_CONN_DEAD);
	hb_fd_close(&c->fd);
	hb_conn_enqueue(c, &w->dead);
	TAILQ_REMOVE(&w->conns, c, all);
	w->conns_count--;
	atomic_store_explicit(&w->counters->connections, (uint32_t)w->conns_count, memory_order_relaxed);
}

void
hb_conn_free(struct hb_conn *c)
{
	hb_conn_dequeue(c);
	hb_py_peer_free(c->worker->py, c->peer);
	c->len = c->pos = c->start = 0;
	hb_conn_release_input(c);
	hb_http_parser_free(&c->parser);
	hb_body_clear(&c->body);
	hb_buf_free(&c->out);
	hb_buf_free(&c->response.head);
	free(c->path);
	free(c);
}

void
hb_conn_timeout(struct hb_conn *c, enum hb_timer_kind kind)
{
	struct hb_worker *w = c->worker;

	switch (kind) {
	case HB_TIMER_HEADER:
	case HB_TIMER_BODY:
		if (c->state == HB_CONN_IDLE) /* it never sent a byte: it has asked for nothing */
			hb_conn_kill(c);
		else
			hb_conn_answer(c, 408, "the request did not come in time", true);
		break;
	case HB_TIMER_WRITE:
		c->gone = true;
		if (hb_rate_allows(&w->refusals, w->now))
			hb_info("conn: %s: gone: it read nothing of the response for too long",
			    *c->remote_addr ? c->remote_addr : "unix:");
		if (c->state == HB_CONN_PAUSED) {
			hb_conn_ignore_output(c);
			hb_conn_set_state(c, HB_CONN_READY); /* the application has to close() */
			hb_conn_enqueue(c, &w->ready);
		} else
			hb_conn_kill(c);
		break;
	case HB_TIMER_KEEPALIVE:
	case HB_TIMER_LINGER:
	case HB_TIMER_NONE:
	case HB_TIMER_KINDS:
		hb_conn_kill(c);
		break;
	}
}
