/* WebSocket connections: see websocket.h. */
#include "worker/websocket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/str.h"
#include "worker/state.h"
#include "worker/websocket_state.h"

enum {
	INBOX_BYTES = 65536,    /* of messages that the application has not taken; beyond, nothing is read */
	INBOX_MESSAGES = 1024,
	PONG_MOST = 65536       /* pending bytes beyond which pings are not answered: the peer does not read */
};

void
hb_websockets_free(struct hb_websockets *all)
{
	if (all == NULL)
		return;
	hb_ws_shared_free(all->codec);
	free(all);
}

struct hb_websockets *
hb_websockets_get(struct hb_worker *w)
{
	if (w->websockets != NULL)
		return w->websockets;
	w->websockets = hb_xcalloc(1, sizeof *w->websockets);
	w->websockets->codec = hb_ws_shared_new((size_t)w->config->websocket.max_message);
	if (w->websockets->codec == NULL) {
		free(w->websockets);
		w->websockets = NULL;
	}
	return w->websockets;
}

static void
free_message(struct hb_websocket_message *m)
{
	if (m != NULL)
		hb_buf_free(&m->taken);
	free(m);
}

void
hb_websocket_free(struct hb_websocket *ws)
{
	struct hb_websocket_message *m;

	if (ws == NULL)
		return;
	while ((m = STAILQ_FIRST(&ws->inbox)) != NULL) {
		STAILQ_REMOVE_HEAD(&ws->inbox, next);
		free_message(m);
	}
	free_message(ws->current);
	hb_ws_free(&ws->ws);
	hb_buf_free(&ws->rest);
	free(ws->offer);
	free(ws->subprotocols);
	free(ws);
}

bool
hb_websocket_accepted(const struct hb_conn *c)
{
	return c->websocket != NULL && c->websocket->accepted;
}

static void
post(struct hb_conn *c, struct hb_websocket_message *m)
{
	struct hb_websocket *ws = c->websocket;

	STAILQ_INSERT_TAIL(&ws->inbox, m, next);
	ws->inbox_bytes += m->len;
	ws->inbox_messages++;
	if (c->wants)
		hb_conn_note(c, HB_PY_READABLE);
	c->wants = false;
}

static int
post_message(struct hb_conn *c, const struct hb_ws_event *e)
{
	struct hb_websocket_message *m = malloc(sizeof *m + (e->gathered ? 0 : e->len));

	if (m == NULL)
		return -1;
	*m = (struct hb_websocket_message){.kind = e->text ? HB_PY_MESSAGE_TEXT : HB_PY_MESSAGE_BINARY, .len = e->len};
	if (e->gathered) {
		if (hb_ws_take(c->worker->websockets->codec, e, &m->taken) == -1) {
			free(m);
			return -1;
		}
		m->p = m->taken.data;
	} else {
		if (e->len > 0)
			memcpy(m->bytes, e->data, e->len);
		m->p = m->bytes;
	}
	post(c, m);
	return 0;
}

/* The application gets no further message. */
static void
post_closed(struct hb_conn *c, unsigned code, const unsigned char *reason, size_t len)
{
	struct hb_websocket_message *m;

	if (c->websocket->closed || c->websocket->over)
		return;
	c->websocket->closed = true;
	m = malloc(sizeof *m + len);
	if (m == NULL) {
		hb_conn_note(c, HB_PY_GONE);
		return;
	}
	*m = (struct hb_websocket_message){.kind = HB_PY_MESSAGE_CLOSED, .code = code, .len = len};
	if (len > 0)
		memcpy(m->bytes, reason, len);
	m->p = m->bytes;
	post(c, m);
	hb_conn_note(c, HB_PY_READABLE | HB_PY_GONE);
}

static void
put_close(struct hb_conn *c, unsigned code, const char *reason, size_t len)
{
	unsigned char frame[HB_WS_CLOSE_MAX];

	if (c->websocket->close_sent || c->gone)
		return;
	c->websocket->close_sent = true;
	hb_buf_add(&c->out, frame, hb_ws_close_frame(frame, code, reason, len));
	hb_conn_send_soon(c);
}

static void
put_frame(struct hb_conn *c, enum hb_ws_opcode opcode, const void *p, size_t n)
{
	unsigned char header[HB_WS_HEADER_MAX];

	hb_buf_add(&c->out, header, hb_ws_frame_header(header, opcode, n, false));
	hb_buf_add(&c->out, p, n);
	hb_conn_send_soon(c);
}

static void
fail(struct hb_conn *c, const struct hb_ws_event *e)
{
	hb_conn_log_refusal(c, e->code, e->cause, e->rule);
	c->websocket->heard = true;
	put_close(c, e->code, e->cause, strlen(e->cause));
	post_closed(c, e->code, (const unsigned char *)e->cause, strlen(e->cause));
}

static bool
is_full(const struct hb_websocket *ws)
{
	return !ws->over && (ws->inbox_bytes >= INBOX_BYTES || ws->inbox_messages >= INBOX_MESSAGES);
}

/* Returns how many of the bytes it has looked at. */
static size_t
parse(struct hb_conn *c, unsigned char *data, size_t len)
{
	struct hb_websocket *ws = c->websocket;
	struct hb_ws_event e;
	size_t done = 0, used;

	while (!is_full(ws)) {
		enum hb_ws_event_kind kind = hb_ws_parse(&ws->ws, c->worker->websockets->codec, data + done, len - done,
		    &used, &e);

		done += used;
		switch (kind) {
		case HB_WS_MORE:
			return done;
		case HB_WS_MESSAGE:
			if (!ws->over && post_message(c, &e) == -1)
				fail(c, &(struct hb_ws_event){.code = HB_WS_INTERNAL_ERROR, .cause = "out of memory",
				            .rule = "RFC 6455 7.4.1"});
			break;
		case HB_WS_PING:
			if (!ws->close_sent && hb_conn_pending(c) < PONG_MOST)
				put_frame(c, HB_WS_PONG_FRAME, e.data, e.len);
			break;
		case HB_WS_PONG:
			break;
		case HB_WS_CLOSE:
			ws->heard = true;
			put_close(c, e.code, "", 0);
			post_closed(c, e.code, e.data, e.len);
			break;
		case HB_WS_ERROR:
			fail(c, &e);
			break;
		}
	}
	return done;
}

/* After the application has made room. */
static void
parse_rest(struct hb_conn *c)
{
	struct hb_websocket *ws = c->websocket;

	if (ws->rest.len > 0) {
		size_t done = parse(c, ws->rest.data, ws->rest.len);

		if (done == ws->rest.len)
			hb_buf_free(&ws->rest);
		else
			hb_buf_drop(&ws->rest, done);
	}
	if (!is_full(ws) && !c->eof)
		hb_conn_watch_input(c);
}

static void
take(struct hb_conn *c, unsigned char *data, size_t n)
{
	struct hb_websocket *ws = c->websocket;
	size_t done;

	if (ws->rest.len > 0) {
		hb_buf_add(&ws->rest, data, n);
		if (ws->rest.failed) {
			if (ws->over)
				hb_conn_kill(c);
			else
				hb_conn_lose(c);
			return;
		}
		parse_rest(c);
	} else {
		done = parse(c, data, n);
		if (done < n)
			hb_buf_add(&ws->rest, data + done, n - done);
	}
	if (is_full(ws))
		hb_conn_ignore_input(c);
}

void
hb_websocket_readable(struct hb_conn *c)
{
	struct hb_websockets *all = c->worker->websockets;
	ssize_t n = recv(c->fd, all->input, sizeof all->input, 0);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		post_closed(c, HB_WS_ABNORMAL, NULL, 0);
		hb_conn_lose(c);
		return;
	}
	hb_count(&c->worker->counters->bytes_in, (uint64_t)n);
	c->websocket->pinged = false;
	take(c, all->input, (size_t)n);
	if (c->fd != -1)
		hb_conn_touch(c);
}

void
hb_websocket_receive(struct hb_conn *c, struct hb_py_message *m)
{
	struct hb_websocket *ws = c->websocket;

	free_message(ws->current);
	ws->current = NULL;
	if (STAILQ_EMPTY(&ws->inbox) && !c->gone)
		parse_rest(c);
	if (STAILQ_EMPTY(&ws->inbox) && c->gone)
		post_closed(c, HB_WS_ABNORMAL, NULL, 0);
	*m = (struct hb_py_message){.kind = HB_PY_MESSAGE_NONE};
	ws->current = STAILQ_FIRST(&ws->inbox);
	c->wants = ws->current == NULL;
	if (c->wants)
		return;
	STAILQ_REMOVE_HEAD(&ws->inbox, next);
	ws->inbox_bytes -= ws->current->len;
	ws->inbox_messages--;
	*m = (struct hb_py_message){ws->current->kind, ws->current->p, ws->current->len, ws->current->code};
	if (!c->reading && !c->gone && !is_full(ws))
		parse_rest(c);
}

int
hb_websocket_send(struct hb_conn *c, const void *p, size_t n, bool text)
{
	struct hb_websocket *ws = c->websocket;
	struct hb_buf deflated = HB_BUF_INIT;
	unsigned char header[HB_WS_HEADER_MAX];
	int compressed;

	if (c->gone || ws->close_sent || ws->closed)
		return -1;
	compressed = hb_ws_compress(c->worker->websockets->codec, &ws->ws, p, n, &deflated);
	if (compressed == 1) {
		p = deflated.data;
		n = deflated.len;
	}
	hb_buf_add(&c->out, header, hb_ws_frame_header(header, text ? HB_WS_TEXT : HB_WS_BINARY, n, compressed == 1));
	hb_buf_add(&c->out, p, n);
	hb_buf_free(&deflated);
	if (c->out.failed) {
		hb_conn_lose(c);
		return -1;
	}
	c->response.sent += n;
	if (hb_conn_pending(c) < HB_CONN_OUT_HIGH) {
		hb_conn_send_soon(c);
		return 0;
	}
	if (hb_conn_flush(c) == -1) {
		hb_conn_lose(c);
		return -1;
	}
	if (hb_conn_pending(c) == 0)
		return 0;
	c->stuck = true;
	hb_conn_watch_output(c);
	hb_conn_touch(c);
	return 1;
}

void
hb_websocket_close(struct hb_conn *c, unsigned code, struct hb_py_text reason)
{
	put_close(c, code, reason.p != NULL ? reason.p : "", reason.len);
}

void
hb_websocket_end(struct hb_conn *c, unsigned code)
{
	put_close(c, code, "", 0);
	post_closed(c, code, NULL, 0);
}

/* The closing handshake is over: it is the server that closes first (RFC 6455 7.1.1). */
void
hb_websocket_sent(struct hb_conn *c)
{
	struct hb_websocket *ws = c->websocket;

	if (!ws->close_sent || !ws->heard || ws->shut || c->fd == -1)
		return;
	ws->shut = true;
	(void)shutdown(c->fd, SHUT_WR);
}

bool
hb_websocket_waits(struct hb_conn *c)
{
	struct hb_websocket *ws = c->websocket;

	if (!hb_websocket_accepted(c) || !ws->close_sent)
		return false;
	ws->over = true;
	parse_rest(c);
	return !ws->heard;
}

void
hb_websocket_read_on(struct hb_conn *c, unsigned char *data, size_t n)
{
	struct hb_websocket *ws = c->websocket;

	if (!hb_websocket_accepted(c) || !ws->over || ws->heard)
		return;
	take(c, data, n);
	hb_websocket_sent(c);
}

void
hb_websocket_silent(struct hb_conn *c)
{
	struct hb_websocket *ws = c->websocket;

	if (ws->pinged || ws->close_sent) {
		post_closed(c, HB_WS_ABNORMAL, NULL, 0);
		hb_conn_lose(c);
		return;
	}
	ws->pinged = true;
	put_frame(c, HB_WS_PING_FRAME, "", 0);
	hb_conn_touch(c);
}
