/*
 * From bytes to a request: reading, parsing, choosing the application,
 * gathering the body.  The head stays where it was received until its
 * response is over, so that the application's strings are made from it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/log.h"
#include "http/target.h"
#include "worker/hooks.h"
#include "worker/route.h"
#include "worker/state.h"
#include "worker/websocket.h"

enum {
	BUFFER_BODY = 65536,   /* once a large body is on its way */
	BUFFER_ASYNC = 262144, /* of a body that an ASGI application has not read yet */
	LINGER_READ = 65536
};

void
hb_conn_watch_input(struct hb_conn *c)
{
	if (!c->reading && c->fd != -1 && event_add(&c->readable, NULL) == 0)
		c->reading = true;
}

bool
hb_conn_has_input(const struct hb_conn *c)
{
	char byte;

	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

void
hb_conn_ignore_input(struct hb_conn *c)
{
	if (c->reading)
		event_del(&c->readable);
	c->reading = false;
}

void
hb_conn_log_refusal(struct hb_conn *c, unsigned status, const char *cause, const char *rule)
{
	struct hb_worker *w = c->worker;
	uint64_t kept_back;

	hb_count(&w->counters->bad_requests, 1);
	if (hb_rate_allows(&w->refusals, w->now)) {
		kept_back = hb_rate_take(&w->refusals);
		hb_info("http: %s: %u: %s (%s)%s", *c->remote_addr ? c->remote_addr : "unix:", status, cause, rule,
		    kept_back > 0 ? "; more of the kind were not logged" : "");
	}
}

static void
refuse(struct hb_conn *c, unsigned status, const char *cause, const char *rule)
{
	hb_conn_log_refusal(c, status, cause, rule);
	hb_conn_answer(c, status, cause, true);
}

/* The path as received needs no copy where it has no escapes. */
static int
choose_application(struct hb_conn *c)
{
	const struct hb_config *config = c->worker->config;
	const struct hb_http_request *head = &c->parser.request;
	const unsigned char *path = c->in + c->start + head->path.off;

	c->path_len = head->path.len;
	free(c->path);
	c->path = NULL;
	if (memchr(path, '%', c->path_len) != NULL) {
		c->path = malloc(c->path_len);
		if (c->path == NULL)
			return -1;
		c->path_len = hb_http_path_decode(path, c->path_len, c->path);
		path = c->path;
	}
	c->app = hb_route(config->apps, config->apps_count, path, c->path_len);
	return 0;
}

static int
go_on(struct hb_conn *c)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	c->go_on = false;
	hb_buf_add(&c->out, text, sizeof text - 1);
	return hb_conn_flush(c);
}

/* Returns false where the connection was answered instead. */
static bool
begin_request(struct hb_conn *c)
{
	const struct hb_http_request *head = &c->parser.request;

	if (c->app == -1) {
		hb_conn_answer(c, 404, "nothing is mounted here", hb_http_has_body(head));
		return false;
	}
	c->async = c->worker->apps[c->app].async;
	c->request.websocket = false;
	if (c->async && head->upgrade) {
		int rc = hb_websocket_begin(c);

		if (rc == -1)
			return false;
		c->request.websocket = rc == 1;
	}
	/* The turn of a WSGI application comes with the whole body: now is when it is needed. */
	if (c->go_on && !c->async && go_on(c) == -1) {
		hb_conn_kill(c);
		return false;
	}
	return true;
}

static bool
add_body(struct hb_conn *c, const unsigned char *data)
{
	struct hb_error err;

	if (hb_body_add(&c->body, data + c->parser.body.off, c->parser.body.len,
	        (size_t)c->worker->config->limits.body_memory, &err) == 0)
		return true;
	hb_err("http: %s", err.text);
	hb_conn_answer(c, 503, "the body cannot be kept", true);
	return false;
}

/* To the queue: a request that is whole, or whose application reads the body by itself. */
static void
make_ready(struct hb_conn *c)
{
	struct hb_worker *w = c->worker;
	struct hb_py_request *r = &c->request;
	struct hb_error err;

	if (!c->async) {
		r->body = hb_body_bytes(&c->body, &err);
		if (r->body == NULL) {
			hb_err("http: %s", err.text);
			hb_conn_answer(c, 503, "the body cannot be kept", true);
			return;
		}
		r->body_len = c->body.size;
	}
	r->head = c->hook != NULL && c->hook->changed ? &c->hook->head.request : &c->parser.request;
	r->own = c->hook != NULL ? c->hook->own : NULL;
	r->own_len = c->hook != NULL ? c->hook->own_len : 0;
	hb_conn_point(c);
	r->path_len = c->path_len;
	r->mount_len = w->apps[c->app].mount_len;
	r->app = w->apps[c->app].py;
	r->place = c->listener->places[c->app];
	r->peer = &c->peer;
	r->call = NULL;
	c->requests++;
	hb_conn_ready(c);
}

/* Returns whether to go on with the body, for a WSGI application or for nobody. */
static bool
begin(struct hb_conn *c)
{
	size_t used;

	if (!begin_request(c))
		return false;
	if (!c->async)
		return true;
	if (!hb_http_has_body(&c->parser.request))
		c->whole = hb_http_parse(&c->parser, c->in + c->pos, 0, &used) == HB_HTTP_END;
	make_ready(c);
	return false;
}

void
hb_conn_begin(struct hb_conn *c)
{
	if (c->hook->changed)
		c->app = hb_route(c->worker->config->apps, c->worker->config->apps_count, c->path, c->path_len);
	if (begin(c))
		hb_conn_parse(c);
	else if (c->async && !c->eof && c->state != HB_CONN_DEAD)
		hb_conn_watch_input(c);
}

/* The head is whole.  Returns whether to go on with the body. */
static bool
take_head(struct hb_conn *c, size_t used)
{
	const struct hb_http_request *head = &c->parser.request;

	c->start = c->pos;
	c->pos = c->body_at = c->pos + used;
	c->began = hb_clock_us();
	c->go_on = head->expect_continue && hb_http_has_body(head) && c->pos == c->len;
	hb_conn_client_read(c);
	if (head->method_id == HB_HTTP_M_CONNECT) {
		refuse(c, 501, "CONNECT is not served", "RFC 9110 9.3.6");
		return false;
	}
	if (choose_application(c) == -1) {
		hb_conn_answer(c, 503, "out of memory", true);
		return false;
	}
	if (c->worker->hooks != NULL && hb_hooks_request(c))
		return false;
	return begin(c);
}

static void
need_more(struct hb_conn *c)
{
	if (c->state == HB_CONN_SKIP)
		hb_conn_compact(c); /* what is left is the first part of something */
	else if (c->began != 0) {
		hb_conn_compact(c);
		hb_conn_set_state(c, HB_CONN_BODY);
	} else {
		c->start = c->pos; /* behind empty lines */
		if (c->state == HB_CONN_IDLE && hb_http_begun(&c->parser))
			hb_conn_set_state(c, HB_CONN_HEAD);
	}
	hb_conn_watch_input(c);
}

void
hb_conn_parse(struct hb_conn *c)
{
	size_t used;

	for (;;) {
		const unsigned char *data = c->in + c->pos;

		switch (hb_http_parse(&c->parser, data, c->len - c->pos, &used)) {
		case HB_HTTP_HEAD:
			if (!take_head(c, used))
				return;
			break;
		case HB_HTTP_BODY:
			if (c->state == HB_CONN_SKIP && c->parser.body_bytes > c->skip_end) {
				hb_conn_linger(c);
				return;
			}
			if (c->state != HB_CONN_SKIP && !add_body(c, data))
				return;
			c->pos += used;
			break;
		case HB_HTTP_END:
			c->pos += used;
			c->whole = true;
			if (c->state == HB_CONN_SKIP)
				hb_conn_next(c);
			else
				make_ready(c);
			return;
		case HB_HTTP_MORE:
			c->pos += used;
			need_more(c);
			return;
		case HB_HTTP_ERROR:
			if (c->state == HB_CONN_SKIP)
				hb_conn_kill(c);
			else
				refuse(c, c->parser.error.status, c->parser.error.cause, c->parser.error.rule);
			return;
		}
	}
}

bool
hb_conn_skips_body(struct hb_conn *c)
{
	const struct hb_http_parser *p = &c->parser;

	return !c->go_on && !c->eof && (p->request.chunked || p->request.content_length - p->body_bytes <= HB_CONN_SKIP_MOST);
}

int
hb_conn_read(struct hb_conn *c, struct hb_py_part *parts, int most, bool *last)
{
	int n = 0;
	size_t used;

	*last = false;
	if (c->gone || c->verdict != 0)
		return -1;
	/* Behind the response's head it would be taken for a part of the body. */
	if (c->go_on && !c->response.committed && go_on(c) == -1) {
		hb_conn_lose(c);
		return -1;
	}
	while (!c->whole && n < most) {
		const unsigned char *data = c->in + c->pos;

		switch (hb_http_parse(&c->parser, data, c->len - c->pos, &used)) {
		case HB_HTTP_BODY:
			parts[n++] = (struct hb_py_part){data + c->parser.body.off, c->parser.body.len};
			c->pos += used;
			break;
		case HB_HTTP_END:
			c->pos += used;
			c->whole = true;
			break;
		case HB_HTTP_ERROR:
			hb_conn_log_refusal(c, c->parser.error.status, c->parser.error.cause, c->parser.error.rule);
			hb_conn_overrule(c, c->parser.error.status, c->parser.error.cause);
			return -1;
		case HB_HTTP_HEAD:
		case HB_HTTP_MORE:
			c->pos += used;
			if (n == 0 && c->eof)
				return -1;
			most = n;
			break;
		}
	}
	*last = c->whole;
	c->wants = n == 0 && !c->whole;
	if (!c->eof)
		hb_conn_watch_input(c);
	hb_conn_touch(c);
	return n;
}

static void
discard(struct hb_conn *c)
{
	unsigned char sink[LINGER_READ];
	ssize_t n = recv(c->fd, sink, sizeof sink, 0);

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		hb_conn_kill(c);
	else if (n > 0)
		hb_websocket_read_on(c, sink, (size_t)n);
}

/* The next bytes of the body that an asynchronous application reads. */
static void
read_body(struct hb_conn *c)
{
	ssize_t n;

	hb_conn_compact(c);
	if (c->len - c->body_at >= BUFFER_ASYNC) {
		hb_conn_ignore_input(c);
		return;
	}
	if (hb_conn_make_room(c, c->cap - c->body_at < BUFFER_BODY ? BUFFER_BODY : 1) == -1) {
		hb_conn_lose(c);
		return;
	}
	n = recv(c->fd, c->in + c->len, c->cap - c->len, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1) {
		hb_conn_lose(c);
		return;
	}
	if (n == 0) {
		c->eof = true;
		hb_conn_ignore_input(c);
		hb_conn_note(c, HB_PY_READABLE | HB_PY_GONE);
		return;
	}
	c->len += (size_t)n;
	hb_count(&c->worker->counters->bytes_in, (uint64_t)n);
	if (c->wants)
		hb_conn_note(c, HB_PY_READABLE);
	c->wants = false;
	hb_conn_touch(c);
}

/* While a hook has the request.  What has come stays where it is. */
static void
look_for_loss(struct hb_conn *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1) {
		hb_hooks_lose(c);
		return;
	}
	hb_conn_ignore_input(c);
	c->eof = n == 0;
	hb_conn_touch(c);
}

/* The request is whole: the client has gone, closed its side, or sent the next request already. */
static void
look_for_end(struct hb_conn *c)
{
	char byte;
	ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1) {
		hb_conn_lose(c);
		return;
	}
	hb_conn_ignore_input(c);
	if (n == 0) {
		c->eof = true;
		hb_conn_note(c, HB_PY_GONE);
		if (hb_hooks_asked(c))
			hb_conn_touch(c);
	}
}

static void
read_more(struct hb_conn *c)
{
	size_t least = c->state == HB_CONN_BODY && c->parser.request.content_length > BUFFER_BODY ? BUFFER_BODY / 2
	                                                                                           : 1;
	ssize_t n;

	if (hb_conn_make_room(c, least) == -1) {
		hb_conn_kill(c);
		return;
	}
	n = recv(c->fd, c->in + c->len, c->cap - c->len, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		hb_conn_release_input(c);
		return;
	}
	if (n <= 0) { /* the end, in the middle of a request or between two: nobody waits for an answer */
		hb_conn_kill(c);
		return;
	}
	c->len += (size_t)n;
	hb_count(&c->worker->counters->bytes_in, (uint64_t)n);
	hb_conn_parse(c);
}

void
hb_conn_readable(int fd, short what, void *arg)
{
	struct hb_conn *c = arg;

	hb_worker_wake(c->worker);
	switch (c->state) {
	case HB_CONN_IDLE:
	case HB_CONN_HEAD:
	case HB_CONN_BODY:
	case HB_CONN_SKIP:
		read_more(c);
		return;
	case HB_CONN_HOOK:
		look_for_loss(c);
		return;
	case HB_CONN_RUNNING:
		if (hb_websocket_accepted(c))
			hb_websocket_readable(c);
		else if (!c->async)
			hb_conn_ignore_input(c); /* the next request waits in the kernel */
		else if (!c->whole)
			read_body(c);
		else
			look_for_end(c);
		return;
	case HB_CONN_LINGER:
		discard(c);
		return;
	case HB_CONN_READY:
	case HB_CONN_PAUSED:
	case HB_CONN_SENDING:
		hb_conn_ignore_input(c); /* the next request waits in the kernel */
		return;
	case HB_CONN_DEAD:
		return;
	}
}
