/*
 * From a response to bytes.  What is small is copied behind what is pending
 * and sent with it; what is large goes from where it is; what a slow peer
 * does not take waits here, up to a mark, and the application beyond it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/hooks.h"
#include "worker/state.h"
#include "worker/websocket.h"

enum {
	UNSENT_MOST = 8,       /* responses in one batch */
	UNSENT_MICROSECONDS = 500, /* an application this slow gets each response sent at once */
	OUT_KEEP = 4096        /* a larger buffer is given back when it is empty: ten thousand may be idle */
};

void
hb_conn_watch_output(struct hb_conn *c)
{
	if (!c->writing && c->fd != -1 && event_add(&c->writable, NULL) == 0)
		c->writing = true;
}

void
hb_conn_ignore_output(struct hb_conn *c)
{
	if (c->writing)
		event_del(&c->writable);
	c->writing = false;
}

void
hb_conn_count_sent(struct hb_conn *c, size_t n)
{
	if (c->pooled)
		c->uncounted += n;
	else
		hb_count(&c->worker->counters->bytes_out, n);
}

static void
sent(struct hb_conn *c, size_t n)
{
	hb_conn_count_sent(c, n);
	if (c->out_pos + n < c->out.len) {
		c->out_pos += n;
		/* A peer that is never quite served would have all of a stream kept here. */
		if (c->out_pos >= c->out.len / 2) {
			hb_buf_drop(&c->out, c->out_pos);
			c->out_pos = 0;
		}
		return;
	}
	c->out_pos = 0;
	if (c->out.cap > OUT_KEEP)
		hb_buf_free(&c->out);
	else
		hb_buf_clear(&c->out);
}

static int
send_with(struct hb_conn *c, const void *p, size_t n, size_t *taken, int flags)
{
	size_t pending = hb_conn_pending(c), total;
	struct iovec iov[2] = {{c->out.data + c->out_pos, pending}, {(void *)(uintptr_t)p, n}};
	struct msghdr msg = {.msg_iov = pending > 0 ? iov : iov + 1, .msg_iovlen = pending > 0 && n > 0 ? 2 : 1};
	ssize_t done;

	*taken = 0;
	if (c->gone || c->out.failed) {
		c->gone = true;
		return -1;
	}
	do
		done = sendmsg(c->fd, &msg, MSG_NOSIGNAL | flags);
	while (done == -1 && errno == EINTR);
	if (done == -1) {
		if (errno == EAGAIN)
			return 0;
		c->gone = true;
		return -1;
	}
	total = (size_t)done;
	if (total > pending)
		*taken = total - pending;
	sent(c, total < pending ? total : pending);
	return 0;
}

int
hb_conn_send(struct hb_conn *c, const void *p, size_t n, size_t *taken)
{
	return send_with(c, p, n, taken, 0);
}

int
hb_conn_flush_more(struct hb_conn *c)
{
	size_t taken;

	return hb_conn_pending(c) > 0 ? send_with(c, NULL, 0, &taken, MSG_MORE) : 0;
}

int
hb_conn_flush(struct hb_conn *c)
{
	size_t taken;

	return hb_conn_pending(c) > 0 ? hb_conn_send(c, NULL, 0, &taken) : 0;
}

/* What is left of it to the peer, then the next step. */
static void
send_rest(struct hb_conn *c)
{
	if (hb_conn_flush(c) == -1) {
		hb_conn_kill(c);
		return;
	}
	if (hb_conn_pending(c) == 0)
		hb_conn_over(c);
	else
		hb_conn_watch_output(c);
}

/* Of a response that goes on. */
static void
send_part(struct hb_conn *c)
{
	if (hb_conn_flush(c) == -1)
		hb_conn_lose(c);
	else {
		if (hb_conn_pending(c) > 0)
			hb_conn_watch_output(c);
		else if (c->websocket != NULL)
			hb_websocket_sent(c);
		hb_conn_touch(c);
	}
}

void
hb_conn_send_soon(struct hb_conn *c)
{
	struct hb_worker *w = c->worker;

	if (c->queue != NULL)
		return;
	hb_conn_enqueue(c, &w->unsent);
	if (++w->unsent_count >= UNSENT_MOST || w->send_at_once)
		hb_conn_flush_all(w);
}

void
hb_conn_flush_all(struct hb_worker *w)
{
	struct hb_conn *running = NULL, *c;

	while ((c = TAILQ_FIRST(&w->unsent)) != NULL) {
		hb_conn_dequeue(c);
		if (c == w->running) {
			(void)hb_conn_flush(c);
			running = c; /* its request is in use until the application has returned */
		} else if (c->state == HB_CONN_RUNNING)
			send_part(c);
		else
			send_rest(c);
	}
	w->unsent_count = 0;
	if (running != NULL)
		hb_conn_enqueue(running, &w->unsent);
}

static void
log_access(struct hb_conn *c, int64_t now)
{
	struct hb_worker *w = c->worker;
	struct hb_access_entry e = {
		.remote = c->request.remote_addr,
		.head = c->began != 0 ? &c->parser.request : NULL,
		.data = c->in + c->start,
		.status = c->response.status,
		.bytes = c->response.sent,
		.microseconds = c->began != 0 ? now - c->began : 0,
	};

	if (w->access.fd != -1)
		hb_access_add(&w->access, &e, time(NULL));
}

void
hb_conn_finish(struct hb_conn *c)
{
	struct hb_worker *w = c->worker;
	int64_t now = hb_clock_us();

	w->now = now / 1000;
	log_access(c, now);
	hb_conn_set_state(c, HB_CONN_SENDING);
	hb_conn_enqueue(c, &w->unsent);
	if (++w->unsent_count >= UNSENT_MOST || w->send_at_once || now - w->began > UNSENT_MICROSECONDS)
		hb_conn_flush_all(w);
}

/* The peer has taken something: enough for the application to go on? */
static void
go_on_writing(struct hb_conn *c)
{
	if (hb_conn_pending(c) == 0) {
		hb_conn_ignore_output(c);
		if (c->websocket != NULL)
			hb_websocket_sent(c);
	}
	if (c->stuck && hb_conn_pending(c) <= HB_CONN_OUT_HIGH / 2) {
		c->stuck = false;
		hb_conn_note(c, HB_PY_WRITABLE);
	}
}

void
hb_conn_writable(int fd, short what, void *arg)
{
	struct hb_conn *c = arg;
	struct hb_worker *w = c->worker;
	size_t before = hb_conn_pending(c), enough = c->state == HB_CONN_PAUSED ? HB_CONN_OUT_HIGH / 2 : 0;
	int rc;

	hb_worker_wake(w);
	rc = hb_conn_flush(c);
	if (c->state == HB_CONN_RUNNING && rc == -1) {
		hb_conn_lose(c);
		return;
	}
	if (rc == 0 && hb_conn_pending(c) < before)
		hb_conn_touch(c); /* progress: its time starts anew */
	if (c->state == HB_CONN_RUNNING) {
		go_on_writing(c);
		return;
	}
	if (rc == 0 && hb_conn_pending(c) > enough)
		return;
	hb_conn_ignore_output(c);
	if (c->state == HB_CONN_PAUSED) {
		hb_conn_ready(c);
	} else if (c->gone)
		hb_conn_kill(c);
	else if (c->state == HB_CONN_SENDING)
		hb_conn_over(c);
}

void
hb_conn_linger(struct hb_conn *c)
{
	c->pos = c->start = c->len = 0;
	hb_conn_release_input(c);
	/* A client that sees the end of the connection before it has answered a close frame takes it for broken. */
	if (!hb_websocket_waits(c) && shutdown(c->fd, SHUT_WR) == -1) {
		hb_conn_kill(c);
		return;
	}
	hb_conn_set_state(c, HB_CONN_LINGER);
	hb_conn_watch_input(c);
}

void
hb_conn_over(struct hb_conn *c)
{
	struct hb_worker *w = c->worker;

	if (c->gone || c->cut) {
		hb_conn_kill(c);
		return;
	}
	if (!c->keep) {
		/*
		 * Closing over unread bytes resets the connection, and the peer may lose
		 * the answer; a client that would have kept it may be sending.
		 */
		if (c->refused || c->pos < c->len || w->draining ||
		    (c->began != 0 && (!c->whole || c->parser.request.keep_alive)))
			hb_conn_linger(c);
		else
			hb_conn_kill(c);
		return;
	}
	if (c->began != 0 && !c->whole) {
		if (!hb_conn_skips_body(c)) {
			hb_conn_linger(c);
			return;
		}
		c->skip_end = c->parser.body_bytes + HB_CONN_SKIP_MOST;
		hb_conn_set_state(c, HB_CONN_SKIP);
		hb_conn_parse(c);
		return;
	}
	hb_conn_next(c);
}

void
hb_conn_next(struct hb_conn *c)
{
	struct hb_worker *w = c->worker;

	if (w->draining && !w->gently && c->pos == c->len && !hb_conn_has_input(c)) {
		hb_conn_kill(c);
		return;
	}
	hb_body_clear(&c->body);
	hb_response_reset(&c->response);
	hb_http_parser_reset(&c->parser);
	hb_conn_client_reset(c);
	hb_hooks_forget(c);
	c->began = 0;
	c->body_at = 0;
	hb_websocket_free(c->websocket);
	c->websocket = NULL;
	c->whole = c->wants = c->stuck = c->async = c->go_on = false;
	if (c->pos < c->len) {
		c->start = c->pos;
		hb_conn_set_state(c, HB_CONN_IDLE);
		hb_conn_enqueue(c, &w->again);
		return;
	}
	c->start = c->pos = c->len = 0;
	hb_conn_release_input(c);
	hb_conn_set_state(c, HB_CONN_IDLE);
	hb_conn_watch_input(c);
}

int
hb_conn_answer_as(struct hb_conn *c, const struct hb_py_head *h, const void *body, size_t n, bool close,
    struct hb_error *err)
{
	struct hb_worker *w = c->worker;
	const struct hb_http_request *head = &c->parser.request;
	bool parsed = c->began != 0;
	struct hb_response_context context = {
		.date = hb_http_date(&w->date, time(NULL)),
		.minor = parsed ? head->minor : 1,
		.head_method = parsed && head->method_id == HB_HTTP_M_HEAD,
		.keep = !close && hb_conn_may_keep(c),
		.length = (int64_t)n,
	};

	if (hb_response_set_head(&c->response, h, err) == -1)
		return -1;
	c->keep = hb_response_commit(&c->response, &context, &c->out);
	hb_count(&w->counters->requests, 1);
	c->refused = close;
	if (close)
		hb_body_clear(&c->body); /* nobody wants it: its room must not wait for the peer to go */
	if (!c->response.bodyless) {
		hb_buf_add(&c->out, body, n);
		c->response.sent = (uint64_t)n;
	}
	hb_conn_finish(c);
	return 0;
}

static void
answer(struct hb_conn *c, unsigned status, const char *text, const struct hb_py_field *fields, size_t count, bool close)
{
	struct hb_py_field all[4] = {{"Content-Type", "text/plain; charset=utf-8", 12, 25}};
	struct hb_py_head h = {.status = status, .reason = "", .fields = all, .count = 1 + count};
	struct hb_error err;
	char body[256];
	int n = snprintf(body, sizeof body, "%s\n", text);

	for (size_t i = 0; i < count; i++)
		all[1 + i] = fields[i];
	if (hb_conn_answer_as(c, &h, body, (size_t)n, close, &err) == -1)
		hb_conn_kill(c);
}

void
hb_conn_answer(struct hb_conn *c, unsigned status, const char *text, bool close)
{
	answer(c, status, text, NULL, 0, close);
}

void
hb_conn_answer_with(struct hb_conn *c, unsigned status, const char *text, const struct hb_py_field *fields,
    size_t count)
{
	answer(c, status, text, fields, count, true);
}
