/* The opening handshake of a WebSocket: what a client asks for, and the 101 that accepts it. */
#include <stdlib.h>
#include <time.h>

#include "http/field.h"
#include "http/response.h"
#include "worker/state.h"
#include "worker/websocket.h"
#include "worker/websocket_state.h"

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
	if (ws == NULL || ws->offer == NULL || hb_websockets_get(c->worker) == NULL) {
		hb_websocket_free(ws);
		hb_conn_answer(c, 503, "out of memory", true);
		return -1;
	}
	*ws->offer = offer;
	c->websocket = ws;
	c->request.subprotocols = list_subprotocols(ws, head, data);
	return 1;
}

/* What the handshake says, and the framing of a body, which it has none of (RFC 9110 8.6, RFC 9112 6.1). */
static bool
is_handshakes_own(const struct hb_py_field *f)
{
	static const char prefix[] = "sec-websocket-";
	const unsigned char *name = (const unsigned char *)f->name;

	return (f->name_len >= sizeof prefix - 1 && hb_http_equal(name, sizeof prefix - 1, prefix)) ||
	    hb_http_hop_by_hop(f->name, f->name_len) ||
	    hb_http_field_lookup(name, f->name_len) == HB_HTTP_F_CONTENT_LENGTH;
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
	if (c->worker->stopping)
		hb_websocket_end(c, HB_WS_GOING_AWAY);
	return 0;
}
