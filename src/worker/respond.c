/* The operations that the py room answers a request through: see py/server.h. */
#include "worker/respond.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "http/ws.h"
#include "worker/fork.h"
#include "worker/hooks.h"
#include "worker/overdue.h"
#include "worker/pool.h"
#include "worker/state.h"
#include "worker/websocket.h"

enum {
	COPY_MOST = 16 * 1024,  /* a part up to this size is copied rather than sent by itself */
	FILE_MOST = 1024 * 1024 /* of a file in one go: others wait meanwhile */
};

static struct hb_conn *
conn_of(const struct hb_py_request *r)
{
	return (struct hb_conn *)((uintptr_t)r - offsetof(struct hb_conn, request));
}

/* A log line about what the application did, with the request line. */
static void __attribute__((format(printf, 2, 3)))
complain(struct hb_conn *c, const char *fmt, ...)
{
	struct hb_worker *w = c->worker;
	char what[HB_CONN_REQUEST_TEXT], text[200];
	bool allowed;
	va_list ap;

	pthread_mutex_lock(&w->shared);
	allowed = hb_rate_allows(&w->misuses, hb_clock_ms());
	pthread_mutex_unlock(&w->shared);
	if (!allowed)
		return;
	hb_conn_request_text(c, what);
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	hb_warn("app: %s: %s", what, text);
}

static int
respond_head(struct hb_py_request *r, const struct hb_py_head *head, struct hb_error *err)
{
	struct hb_conn *c = conn_of(r);

	if (hb_response_set_head(&c->response, head, err) == -1)
		return -1;
	if (c->response.dropped)
		complain(c, "its connection-level headers were left out: they are the server's");
	return 0;
}

static bool
respond_committed(const struct hb_py_request *r)
{
	const struct hb_conn *c = conn_of(r);

	/* A hook that has the head has it for good. */
	return c->response.committed || (c->hook != NULL && (c->hook->wants || c->hook->call != NULL));
}

static void
commit(struct hb_conn *c)
{
	const struct hb_http_request *head = &c->parser.request;
	struct hb_worker *w = c->worker;
	struct hb_response_context context = {
		.date = c->pooled ? hb_pool_date(c->thread) : hb_http_date(&w->date, time(NULL)),
		.minor = head->minor,
		.head_method = head->method_id == HB_HTTP_M_HEAD,
		.keep = hb_conn_may_keep(c),
		.length = c->request.length,
	};

	c->keep = hb_response_commit(&c->response, &context, &c->out);
	/* What a thread has under way is counted when it comes back. */
	if (!c->pooled && (c->async || c->request.call == NULL || w->pool == NULL))
		hb_count(&w->counters->requests, 1);
}

/* The loop may have answered for a request that was late. */
static bool
may_answer(struct hb_conn *c)
{
	if (!c->pooled || hb_conn_claim(c, HB_CONN_ANSWERED))
		return true;
	c->gone = true;
	return false;
}

/* How many of n bytes belong to the response that was announced. */
static size_t
within_length(struct hb_conn *c, size_t n)
{
	struct hb_response *s = &c->response;
	uint64_t left;

	if (s->declared == -1)
		return n;
	left = (uint64_t)s->declared - s->sent;
	if (n <= left)
		return n;
	complain(c, "its body is longer than its Content-Length, %lld", (long long)s->declared);
	c->keep = false;
	c->refused = true;
	return (size_t)left;
}

static void
begin_chunk(struct hb_conn *c, size_t n)
{
	char line[HB_HTTP_CHUNK_LINE];

	if (!c->response.chunked || c->response.chunk_left > 0)
		return;
	hb_buf_add(&c->out, line, hb_http_chunk_line(line, n));
	c->response.chunk_left = n;
}

static void
took(struct hb_conn *c, size_t n)
{
	struct hb_response *s = &c->response;

	s->sent += n;
	if (!s->chunked || n == 0)
		return;
	s->chunk_left -= n;
	if (s->chunk_left == 0)
		hb_buf_add(&c->out, HB_HTTP_CHUNK_CRLF, 2);
}

/* Nobody takes anything any more. */
static ssize_t
lost(struct hb_conn *c)
{
	if (c->async && c->fd != -1)
		hb_conn_lose(c);
	return -1;
}

/* What was written goes on its way; what did not fit follows when there is room. */
static ssize_t
push(struct hb_conn *c, size_t n, size_t done, bool more)
{
	if (c->async) {
		if (done < n) {
			c->stuck = true;
			hb_conn_watch_output(c);
			hb_conn_touch(c);
		} else if (more)
			hb_conn_send_soon(c);
	} else if (more) {
		c->streamed = true;
		if (hb_conn_flush(c) == -1)
			return -1;
	}
	return (ssize_t)done;
}

static ssize_t
respond_write(struct hb_py_request *r, const void *p, size_t n, bool more)
{
	struct hb_conn *c = conn_of(r);
	size_t whole, taken = 0, room;

	if (c->gone || c->verdict != 0)
		return -1;
	if (!c->response.committed) {
		if (hb_hooks_holds(c))
			return hb_hooks_write(c, p, n, more);
		if (!may_answer(c))
			return -1;
		commit(c);
	}
	if (more && !c->async)
		hb_overdue_progress(c, c->worker->config->timeouts.idle);
	if (c->response.bodyless)
		return -1;
	if (n == 0)
		return push(c, 0, 0, more);
	whole = within_length(c, n);
	if (whole == 0)
		return -1;
	if (hb_conn_pending(c) >= HB_CONN_OUT_HIGH)
		return push(c, n, 0, more);
	begin_chunk(c, whole);
	if (whole > COPY_MOST && hb_conn_send(c, p, whole, &taken) == -1)
		return lost(c);
	room = hb_conn_pending(c) < HB_CONN_OUT_HIGH ? HB_CONN_OUT_HIGH - hb_conn_pending(c) : 0;
	if (whole - taken < room)
		room = whole - taken;
	hb_buf_add(&c->out, (const char *)p + taken, room);
	took(c, taken + room);
	if (taken + room == whole && whole < n) {
		(void)push(c, whole, whole, more);
		return -1; /* the rest was never announced */
	}
	return push(c, whole, taken + room, more);
}

/* A small file is sent like any other small body: with the head, and with other responses. */
static ssize_t
copy_file(struct hb_conn *c, int fd, off_t off, size_t n)
{
	unsigned char *p = hb_buf_reserve(&c->out, n);
	ssize_t got = p != NULL ? pread(fd, p, n, off) : -1;

	if (got <= 0)
		return -1;
	c->out.len += (size_t)got;
	took(c, (size_t)got);
	return (size_t)got == n ? got : -1;
}

/*
 * Returns how many bytes the socket took; HB_PY_READ_IT where this file cannot
 * be sent so, -1 where it ended before its time or the peer is gone.
 */
static ssize_t
transmit(struct hb_conn *c, int fd, off_t off, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t rc = sendfile(c->fd, fd, &off, n - done);

		if (rc == -1 && errno == EINTR)
			continue;
		if (rc == -1 && errno == EAGAIN)
			break;
		if (rc == -1 && done == 0 && !c->response.chunked && (errno == EINVAL || errno == ENOSYS || errno == EBADF))
			return HB_PY_READ_IT;
		if (rc <= 0) {
			c->gone = c->gone || (rc == -1 && (errno == EPIPE || errno == ECONNRESET));
			return -1;
		}
		done += (size_t)rc;
		hb_conn_count_sent(c, (size_t)rc);
		took(c, (size_t)rc);
	}
	return (ssize_t)done;
}

static ssize_t
respond_send_file(struct hb_py_request *r, int fd, off_t off, size_t n)
{
	struct hb_conn *c = conn_of(r);
	struct hb_response *s = &c->response;
	size_t whole = n, part;
	ssize_t done;

	if (c->gone || c->verdict != 0)
		return -1;
	if (!s->committed) {
		if (hb_hooks_holds(c))
			return hb_hooks_want(c);
		if (!may_answer(c))
			return -1;
		commit(c);
	}
	hb_overdue_progress(c, c->worker->config->timeouts.idle);
	/* PEP 3333: to the end of the file or of the Content-Length. */
	if (s->declared != -1 && (uint64_t)s->declared - s->sent < whole)
		whole = (size_t)((uint64_t)s->declared - s->sent);
	if (s->bodyless || whole == 0)
		return -1;
	begin_chunk(c, whole);
	part = whole < FILE_MOST ? whole : FILE_MOST;
	if (whole <= COPY_MOST && hb_conn_pending(c) < HB_CONN_OUT_HIGH)
		done = copy_file(c, fd, off, whole);
	else {
		if (hb_conn_flush_more(c) == -1)
			return -1;
		c->streamed = true;
		done = hb_conn_pending(c) > 0 ? 0 : transmit(c, fd, off, part);
	}
	return done == (ssize_t)whole && whole < n ? -1 : done;
}

static int
respond_wait(struct hb_py_request *r)
{
	struct hb_conn *c = conn_of(r);
	int64_t limit = c->worker->config->timeouts.write, idle = c->worker->config->timeouts.idle, end;

	if (hb_hooks_wanted(c) && hb_hooks_wait(c) == -1)
		return -1;
	end = hb_clock_ms() + limit;
	while (hb_conn_pending(c) > HB_CONN_OUT_HIGH / 2) {
		struct pollfd pfd = {c->fd, POLLOUT, 0};
		size_t before = hb_conn_pending(c);
		int64_t left = end - hb_clock_ms();

		hb_overdue_progress(c, limit + idle);
		if (left <= 0 || (poll(&pfd, 1, (int)left) == -1 && errno != EINTR) || hb_conn_flush(c) == -1) {
			c->gone = true;
			return -1;
		}
		if (hb_conn_pending(c) < before)
			end = hb_clock_ms() + limit;
	}
	hb_overdue_progress(c, idle);
	return 0;
}

/* A WebSocket's request ends with the closing handshake, and with it the connection. */
static void
end_websocket(struct hb_conn *c, unsigned code)
{
	hb_websocket_close(c, code, (struct hb_py_text){"", 0});
	c->refused = true;
	hb_conn_finish(c);
}

/* The request is not py's any more.  Returns false where what follows is settled; code is for a WebSocket. */
static bool
take_back(struct hb_conn *c, unsigned code)
{
	(void)hb_conn_take_events(c);
	if (hb_websocket_accepted(c)) {
		end_websocket(c, code);
		return false;
	}
	if (c->verdict != 0 && !c->response.committed && !c->gone) {
		hb_hooks_cancel(c);
		if (hb_hooks_answer(c))
			return false;
		hb_conn_answer(c, c->verdict, c->verdict_text, true);
		return false;
	}
	if (c->verdict != 0 || (c->response.status == 0 && !c->gone)) {
		c->cut = true;
		hb_conn_finish(c);
		return false;
	}
	return true;
}

/* Head and framing of a response that is whole; a second time it does nothing. */
static void
end_body(struct hb_conn *c)
{
	struct hb_response *s = &c->response;

	if (s->ended || c->gone)
		return;
	s->ended = true;
	if (!s->committed) {
		if (!may_answer(c))
			return;
		if (c->request.length == -1)
			c->request.length = 0;
		commit(c);
	}
	if (!s->bodyless && s->declared != -1 && s->sent < (uint64_t)s->declared) {
		complain(c, "its body has %llu bytes, its Content-Length is %lld", (unsigned long long)s->sent,
		    (long long)s->declared);
		c->cut = true;
	}
	if (s->chunked && s->chunk_left > 0) {
		complain(c, "its file became shorter while it was sent");
		c->cut = true;
	} else if (s->chunked)
		hb_buf_add(&c->out, HB_HTTP_CHUNK_LAST, sizeof HB_HTTP_CHUNK_LAST - 1);
}

static void
finished(struct hb_conn *c)
{
	if (!take_back(c, HB_WS_NORMAL) || hb_hooks_finish(c))
		return;
	end_body(c);
	hb_conn_finish(c);
}

void
hb_respond_release(struct hb_conn *c, const void *p, size_t n, bool over)
{
	if (c->gone) { /* the application, where it still is, learns it as it would without a hook */
		if (over)
			hb_conn_finish(c);
		return;
	}
	(void)hb_conn_claim(c, HB_CONN_ANSWERED);
	commit(c);
	if (!c->response.bodyless && n > 0) {
		n = within_length(c, n);
		begin_chunk(c, n);
		hb_buf_add(&c->out, p, n);
		took(c, n);
	}
	if (over) {
		end_body(c);
		hb_conn_finish(c);
	} else if (c->async) {
		hb_conn_send_soon(c);
		hb_conn_note(c, HB_PY_WRITABLE);
		hb_conn_touch(c);
	} else
		hb_conn_ready(c);
}

static void
failed(struct hb_conn *c)
{
	hb_hooks_cancel(c);
	if (c->eof && !c->whole && c->verdict == 0) { /* without its whole body it could do no better */
		c->verdict = 400;
		c->verdict_text = "the request is not whole";
	} else if (!c->gone && !c->eof) /* who gives up when the client has gone does as it should */
		hb_count(&c->worker->counters->errors, 1);
	if (c->response.status == 0 && c->verdict == 0 && !c->gone)
		c->response.status = 500; /* for take_back: it is settled below */
	if (c->response.committed || c->gone || c->verdict != 0)
		hb_hooks_tell(c);
	if (!take_back(c, HB_WS_INTERNAL_ERROR))
		return;
	if (!c->response.committed && !c->gone) {
		if (hb_hooks_error(c))
			return;
		hb_conn_answer(c, 500, "Internal Server Error", false);
		return;
	}
	c->cut = true;
	hb_conn_finish(c);
}

void
hb_respond_ended(struct hb_conn *c)
{
	switch (c->ended) {
	case HB_CONN_FINISHED:
		finished(c);
		break;
	case HB_CONN_FAILED:
	case HB_CONN_OPEN:
		failed(c);
		break;
	}
}

static void
respond_finish(struct hb_py_request *r)
{
	struct hb_conn *c = conn_of(r);

	if (!c->pooled) {
		finished(c);
		return;
	}
	c->ended = HB_CONN_FINISHED;
	/* Sending costs least on the loop, with others; but a close() that takes long must not hold it back. */
	if (c->response.status != 0 && (c->response.committed || !hb_hooks_holds(c)) &&
	    (c->streamed || hb_pool_is_slow(c))) {
		end_body(c);
		(void)hb_conn_flush(c);
	}
}

static void
respond_fail(struct hb_py_request *r)
{
	struct hb_conn *c = conn_of(r);

	if (c->pooled)
		c->ended = HB_CONN_FAILED;
	else
		failed(c);
}

static void
respond_raised(struct hb_py_request *r, const char *type, const char *text, size_t len)
{
	hb_hooks_raised(conn_of(r), type, text, len);
}

static bool
respond_hung_up(struct hb_py_request *r)
{
	struct hb_conn *c = conn_of(r);
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		c->eof = true;
	return c->eof;
}

static int
respond_interim(struct hb_py_request *r, const struct hb_py_head *head, struct hb_error *err)
{
	struct hb_conn *c = conn_of(r);

	if (c->gone || c->response.committed || r->head->minor == 0)
		return 0;
	if (hb_response_interim(head, &c->out, err) == -1)
		return -1;
	hb_conn_send_soon(c);
	return 0;
}

static int
respond_read(struct hb_py_request *r, struct hb_py_part *parts, int most, bool *last)
{
	return hb_conn_read(conn_of(r), parts, most, last);
}

static bool
respond_gone(struct hb_py_request *r)
{
	const struct hb_conn *c = conn_of(r);

	return c->gone || c->eof || c->verdict != 0;
}

static int
respond_accept(struct hb_py_request *r, struct hb_py_text subprotocol, const struct hb_py_field *fields, size_t count,
    struct hb_error *err)
{
	return hb_websocket_accept(conn_of(r), subprotocol, fields, count, err);
}

static void
respond_receive(struct hb_py_request *r, struct hb_py_message *m)
{
	hb_websocket_receive(conn_of(r), m);
}

static int
respond_send(struct hb_py_request *r, const void *p, size_t n, bool text)
{
	return hb_websocket_send(conn_of(r), p, n, text);
}

static void
respond_close(struct hb_py_request *r, unsigned code, struct hb_py_text reason)
{
	struct hb_conn *c = conn_of(r);

	if (hb_websocket_accepted(c))
		hb_websocket_close(c, code, reason);
	else
		hb_conn_overrule(c, 403, "the application refused the WebSocket");
}

void
hb_respond_init(struct hb_worker *w)
{
	w->server = (struct hb_py_server){
		.head = respond_head,
		.committed = respond_committed,
		.write = respond_write,
		.send_file = respond_send_file,
		.wait = respond_wait,
		.hung_up = respond_hung_up,
		.finish = respond_finish,
		.fail = respond_fail,
		.raised = respond_raised,
		.interim = respond_interim,
		.read = respond_read,
		.gone = respond_gone,
		.accept = respond_accept,
		.receive = respond_receive,
		.send = respond_send,
		.close = respond_close,
		.fork = hb_worker_fork,
		.arg = w,
	};
}
