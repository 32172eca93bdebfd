/* WebSocket connections: see websocket.h. */
#include "worker/websocket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/str.h"
#include "http/ws.h"
#include "http/ws_handshake.h"
#include "worker/state.h"

enum {
	READ_MOST = 65536,      /* in one recv, for all connections */
	INBOX_BYTES = 65536,    /* of messages that the application has not taken; beyond, nothing is read */
	INBOX_MESSAGES = 1024,
	PONG_MOST = 65536       /* pending bytes beyond which pings are not answered: the peer does not read */
};

struct message {
	STAILQ_ENTRY(message) next;
	enum hb_py_message_kind kind;
	unsigned code;
	const unsigned char *p;
	size_t len;
	struct hb_buf taken;   /* what p is in, where it is not bytes */
	unsigned char bytes[];
};

struct hb_websocket {
	struct hb_ws ws;
	struct hb_ws_offer *offer;  /* until accept */
	char *subprotocols;
	STAILQ_HEAD(messages, message) inbox;
	size_t inbox_bytes;
	size_t inbox_messages;
	struct message *current;    /* the application looks at it */
	struct hb_buf rest;         /* read and not looked at yet */
	bool accepted;
	bool close_sent;
	bool closed;                /* CLOSED is in the inbox, or was taken from it */
	bool heard;                 /* the peer has sent its close frame, or what no frame can follow */
	bool over;                  /* the application has ended: messages go nowhere */
	bool shut;                  /* our side of the connection is shut down */
	bool pinged;                /* because of a silence */
};

struct hb_websockets {
	struct hb_ws_shared *codec;
	unsigned char input[READ_MOST];
};

void
hb_websockets_free(struct hb_websockets *all)
{
	if (all == NULL)
		return;
	hb_ws_shared_free(all->codec);
	free(all);
}

static struct hb_websockets *
websockets(struct hb_worker *w)
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
free_message(struct message *m)
{
	if (m != NULL)
		hb_buf_free(&m->taken);
	free(m);
}

void
hb_websocket_free(struct hb_websocket *ws)
{
	struct message *m;

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

/* The names that are offered, each ended by a NUL. */
static struct hb_py_text
list_subprotocols(struct hb_websocket *ws, const struct hb_http_request *head, const unsigned char *data)
{
	struct hb_ws_protocols at = {0};
	struct hb_buf names = HB_BUF_INIT;
	struct hb_http_span name;

	while (hb_ws_protocol_next(head, data, &at, &name)) {
		hb_buf_add(&names, data + name.off, name.len);
		hb_buf_add_u8(&names, '\0');
	}
	if (names.failed)
		hb_buf_free(&names);
	ws->subprotocols = (char *)names.data;
	return (struct hb_py_text){ws->subprotocols, names.len};
}

static void
refuse(struct hb_conn *c, const struct hb_http_failure *f)
{
	static const struct hb_py_field version[] = {{"Upgrade", "websocket", 7, 9}, {"Sec-WebSocket-Version", "13", 21, 2}};

	hb_conn_log_refusal(c, f->status, f->cause, f->rule);
	hb_conn_answer_with(c, f->status, f->cause, version, f->status == 426 ? 2 : 0);
}

int
hb_websocket_begin(struct hb_conn *c)
{
	const struct hb_http_request *head = &c->parser.request;
	const unsigned char *data = c->in + c->start;
	struct hb_ws_offer offer;
	struct hb_websocket *ws;

	switch (hb_ws_handshake(head, data, c->worker->config->websocket.compression, &offer)) {
	case HB_WS_NOT_ASKED:
		return 0;
	case HB_WS_INVALID:
		refuse(c, &offer.failure);
		return -1;
	case HB_WS_VALID:
		break;
	}
	ws = calloc(1, sizeof *ws);
	if (ws != NULL) {
		STAILQ_INIT(&ws->inbox);
		ws->offer = malloc(sizeof offer);
	}
	if (ws == NULL || ws->offer == NULL || websockets(c->worker) == NULL) {
		hb_websocket_free(ws);
		hb_conn_answer(c, 503, "out of memory", true);
		return -1;
	}
	*ws->offer = offer;
	c->websocket = ws;
	c->request.subprotocols = list_subprotocols(ws, head, data);
	return 1;
}

bool
hb_websocket_accepted(const struct hb_conn *c)
{
	return c->websocket != NULL && c->websocket->accepted;
}

static bool
is_handshakes_own(const struct hb_py_field *f)
{
	static const char prefix[] = "sec-websocket-";

	return f->name_len >= sizeof prefix - 1 &&
	    hb_http_equal((const unsigned char *)f->name, sizeof prefix - 1, prefix);
}

/* The 101 response. */
static int
put_head(struct hb_conn *c, struct hb_py_text subprotocol, const struct hb_py_field *fields, size_t count,
    struct hb_error *err)
{
	const struct hb_ws_offer *offer = c->websocket->offer;
	struct hb_py_head none = {.status = 101, .reason = "", .fields = fields, .count = count};
	size_t before = c->out.len;

	for (size_t i = 0; i < count; i++)
		if (is_handshakes_own(&fields[i]))
			return hb_error_set(err, HB_ERROR_VALUE, "the header %.*s is the server's",
			    (int)fields[i].name_len, fields[i].name);
	if (hb_response_interim(&none, &c->out, err) == -1)
		return -1;
	c->out.len -= 2; /* the end of the head comes further down */
	hb_buf_printf(&c->out, "Server: hornbeam\r\nDate: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	                       "Sec-WebSocket-Accept: %s\r\n",
	    hb_http_date(&c->worker->date, time(NULL)), offer->accept);
	if (subprotocol.p != NULL)
		hb_buf_printf(&c->out, "Sec-WebSocket-Protocol: %.*s\r\n", (int)subprotocol.len, subprotocol.p);
	if (*offer->extensions != '\0')
		hb_buf_printf(&c->out, "Sec-WebSocket-Extensions: %s\r\n", offer->extensions);
	hb_buf_add(&c->out, "\r\n", 2);
	if (!c->out.failed)
		return 0;
	c->out.len = before;
	return hb_error_set(err, HB_ERROR_MEMORY, "no memory for the response's head");
}

int
hb_websocket_accept(struct hb_conn *c, struct hb_py_text subprotocol, const struct hb_py_field *fields, size_t count,
    struct hb_error *err)
{
	struct hb_websocket *ws = c->websocket;

	if (c->gone)
		return 0;
	if (subprotocol.p != NULL &&
	    !hb_ws_protocol_offered(&c->parser.request, c->in + c->start, subprotocol.p, subprotocol.len))
		return hb_error_set(err, HB_ERROR_VALUE, "the client does not offer the subprotocol %.*s",
		    (int)(subprotocol.len < 80 ? subprotocol.len : 80), subprotocol.p);
	if (put_head(c, subprotocol, fields, count, err) == -1)
		return -1;
	hb_ws_init(&ws->ws, ws->offer->deflate_bits);
	free(ws->offer);
	ws->offer = NULL;
	free(ws->subprotocols);
	ws->subprotocols = NULL;
	ws->accepted = true;
	c->response.committed = true;
	c->response.status = 101;
	c->keep = false;
	hb_count(&c->worker->counters->requests, 1);
	hb_buf_add(&ws->rest, c->in + c->pos, c->len - c->pos); /* a client that did not wait */
	hb_conn_keep_head_only(c);
	hb_conn_send_soon(c);
	if (ws->rest.len > 0)
		hb_conn_note(c, HB_PY_READABLE); /* receive looks at it */
	hb_conn_watch_input(c);
	hb_conn_touch(c);
	return 0;
}

static void
post(struct hb_conn *c, struct message *m)
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
	struct message *m = malloc(sizeof *m + (e->gathered ? 0 : e->len));

	if (m == NULL)
		return -1;
	*m = (struct message){.kind = e->text ? HB_PY_MESSAGE_TEXT : HB_PY_MESSAGE_BINARY, .len = e->len};
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
	struct message *m;

	if (c->websocket->closed || c->websocket->over)
		return;
	c->websocket->closed = true;
	m = malloc(sizeof *m + len);
	if (m == NULL) {
		hb_conn_note(c, HB_PY_GONE);
		return;
	}
	*m = (struct message){.kind = HB_PY_MESSAGE_CLOSED, .code = code, .len = len};
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
