/* Reads a client's frames (RFC 6455 5) and puts their messages together. */
#include "http/ws_shared.h"

#include <string.h>

#include "http/ws_mask.h"

enum state { S_HEADER, S_PAYLOAD, S_DONE };

enum { FIN = 0x80, RSV1 = 0x40, RSV23 = 0x30, MASKED = 0x80, CONTROL = 0x08 };

#define CONTROL_MAX 125
#define NO_ROOM "no memory for the message"

struct header {
	uint8_t opcode;
	bool fin, rsv1;
	size_t size; /* of the header */
	uint64_t len;
	unsigned char mask[4];
};

_Static_assert(sizeof(struct hb_ws) <= 128, "ten thousand connections have one each");

void
hb_ws_init(struct hb_ws *ws, unsigned deflate_bits)
{
	memset(ws, 0, sizeof(*ws));
	ws->deflate_bits = (uint8_t)deflate_bits;
}

void
hb_ws_free(struct hb_ws *ws)
{
	hb_buf_free(&ws->message);
}

int
hb_ws_take(struct hb_ws_shared *shared, const struct hb_ws_event *event, struct hb_buf *out)
{
	hb_buf_init(out);
	/* Memory that is much too large stays, for the next message. */
	if (!event->gathered || shared->message.cap / 2 > event->len) {
		hb_buf_add(out, event->data, event->len);
		return out->failed ? -1 : 0;
	}
	*out = shared->message;
	hb_buf_init(&shared->message);
	return 0;
}

static enum hb_ws_event_kind
end(struct hb_ws *ws)
{
	hb_buf_free(&ws->message);
	ws->begun = false;
	ws->state = S_DONE;
	return HB_WS_CLOSE;
}

static enum hb_ws_event_kind
fail(struct hb_ws *ws, struct hb_ws_event *event, enum hb_ws_code code, const char *cause, const char *rule)
{
	end(ws);
	*event = (struct hb_ws_event){ .code = (uint16_t)code, .cause = cause, .rule = rule };
	return HB_WS_ERROR;
}

static enum hb_ws_event_kind
protocol_error(struct hb_ws *ws, struct hb_ws_event *event, const char *cause, const char *rule)
{
	return fail(ws, event, HB_WS_PROTOCOL_ERROR, cause, rule);
}

static enum hb_ws_event_kind
bad_text(struct hb_ws *ws, struct hb_ws_event *event)
{
	return fail(ws, event, HB_WS_INVALID_DATA, "text that is not UTF-8", "RFC 6455 8.1");
}

/* The byte with the opcode.  MORE: it is good. */
static enum hb_ws_event_kind
first_byte(struct hb_ws *ws, unsigned char c, struct header *h, struct hb_ws_event *event)
{
	h->fin = c & FIN;
	h->rsv1 = c & RSV1;
	h->opcode = c & 0x0f;
	if (c & RSV23)
		return protocol_error(ws, event, "reserved bit set", "RFC 6455 5.2");
	if (h->rsv1 && ws->deflate_bits == 0)
		return protocol_error(ws, event, "reserved bit set without an extension", "RFC 6455 5.2");
	if (h->opcode > HB_WS_PONG_FRAME || (h->opcode > HB_WS_BINARY && h->opcode < HB_WS_CLOSE_FRAME))
		return protocol_error(ws, event, "unknown opcode", "RFC 6455 5.2");
	if (h->rsv1 && (h->opcode & CONTROL))
		return protocol_error(ws, event, "compressed control frame", "RFC 7692 6.1");
	if ((h->opcode & CONTROL) && !h->fin)
		return protocol_error(ws, event, "fragmented control frame", "RFC 6455 5.5");
	if (h->opcode & CONTROL)
		return HB_WS_MORE;
	if (h->opcode == HB_WS_CONTINUATION && !ws->begun)
		return protocol_error(ws, event, "continuation of no message", "RFC 6455 5.4");
	if (h->opcode == HB_WS_CONTINUATION && h->rsv1)
		return protocol_error(ws, event, "compression begins in a continuation", "RFC 7692 6.1");
	if (h->opcode != HB_WS_CONTINUATION && ws->begun)
		return protocol_error(ws, event, "new message inside another", "RFC 6455 5.4");
	return HB_WS_MORE;
}

/* The payload's length from p[1] on.  False: it is not there yet, h->size is 0; or it is not well-formed. */
static bool
payload_length(const unsigned char *p, size_t len, struct header *h)
{
	unsigned n = p[1] & 0x7f;
	size_t extended = n == 127 ? 8 : n == 126 ? 2 : 0;

	if (len < 2 + extended)
		return false;
	h->size = 2 + extended;
	h->len = n == 127 ? hb_get_u64(p + 2) : n == 126 ? hb_get_u16(p + 2) : n;
	return n < 126 || (n == 126 ? h->len > 125 : h->len > UINT16_MAX && h->len >> 63 == 0);
}

static size_t
message_max(const struct hb_ws_shared *shared, bool compressed)
{
	return compressed ? hb_ws_compressed_max(shared) : shared->max_message;
}

/* Reads a header.  MORE: with h->size 0, it is not whole; else it is good. */
static enum hb_ws_event_kind
read_header(struct hb_ws *ws, const struct hb_ws_shared *shared, const unsigned char *p, size_t len,
    struct header *h, struct hb_ws_event *event)
{
	bool compressed;
	size_t most;

	h->size = 0;
	if (len < 1)
		return HB_WS_MORE;
	if (first_byte(ws, p[0], h, event) == HB_WS_ERROR)
		return HB_WS_ERROR;
	if (len < 2)
		return HB_WS_MORE;
	if ((p[1] & MASKED) == 0)
		return protocol_error(ws, event, "frame without a mask", "RFC 6455 5.1");
	if ((h->opcode & CONTROL) && (p[1] & 0x7f) > CONTROL_MAX)
		return protocol_error(ws, event, "control frame too long", "RFC 6455 5.5");
	if (!payload_length(p, len, h)) {
		if (h->size == 0)
			return HB_WS_MORE;
		return protocol_error(ws, event, "length not in its shortest form", "RFC 6455 5.2");
	}
	compressed = h->opcode == HB_WS_CONTINUATION ? ws->compressed : h->rsv1;
	most = message_max(shared, compressed);
	if (h->opcode == HB_WS_CONTINUATION)
		most -= ws->message.len;
	if ((h->opcode & CONTROL) == 0 && h->len > most)
		return fail(ws, event, HB_WS_TOO_BIG, "message too big", "RFC 6455 7.4.1");
	if (len < h->size + sizeof(h->mask)) {
		h->size = 0;
		return HB_WS_MORE;
	}
	memcpy(h->mask, p + h->size, sizeof(h->mask));
	h->size += sizeof(h->mask);
	return HB_WS_MORE;
}

bool
hb_ws_code_ok(unsigned code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static enum hb_ws_event_kind
close_frame(struct hb_ws *ws, const unsigned char *p, size_t len, struct hb_ws_event *event)
{
	struct hb_ws_utf8 utf8 = { 0 };

	if (len == 1)
		return protocol_error(ws, event, "close frame with half a code", "RFC 6455 5.5.1");
	*event = (struct hb_ws_event){ .data = p, .code = HB_WS_NO_STATUS };
	if (len == 0)
		return end(ws);
	event->code = hb_get_u16(p);
	event->data = p + 2;
	event->len = len - 2;
	if (!hb_ws_code_ok(event->code))
		return protocol_error(ws, event, "close code that may not be sent", "RFC 6455 7.4");
	if (!hb_ws_utf8_add(&utf8, event->data, event->len) || !hb_ws_utf8_whole(&utf8))
		return fail(ws, event, HB_WS_INVALID_DATA, "close reason that is not UTF-8", "RFC 6455 8.1");
	return end(ws);
}

static enum hb_ws_event_kind
control_frame(struct hb_ws *ws, const struct header *h, const unsigned char *p, struct hb_ws_event *event)
{
	if (h->opcode == HB_WS_CLOSE_FRAME)
		return close_frame(ws, p, (size_t)h->len, event);
	*event = (struct hb_ws_event){ .data = p, .len = (size_t)h->len };
	return h->opcode == HB_WS_PING_FRAME ? HB_WS_PING : HB_WS_PONG;
}

/* A message that is whole at p, perhaps in ws->message. */
static enum hb_ws_event_kind
message(struct hb_ws *ws, struct hb_ws_shared *shared, const unsigned char *p, size_t len,
    struct hb_ws_event *event)
{
	bool gathered = ws->message.data != NULL;

	if (ws->compressed) {
		enum hb_ws_inflated result = hb_ws_inflate(shared, p, len);

		ws->utf8 = (struct hb_ws_utf8){ 0 };
		hb_buf_free(&ws->message);
		if (result == HB_WS_INFLATED_TOO_BIG)
			return fail(ws, event, HB_WS_TOO_BIG, "message too big", "RFC 6455 7.4.1");
		if (result == HB_WS_NOT_DEFLATE)
			return fail(ws, event, HB_WS_INVALID_DATA, "message that cannot be inflated", "RFC 7692 7.2.2");
		if (result == HB_WS_NO_MEMORY)
			return fail(ws, event, HB_WS_INTERNAL_ERROR, NO_ROOM, "RFC 6455 7.4.1");
		if (ws->text && !hb_ws_utf8_add(&ws->utf8, shared->message.data, shared->message.len))
			return bad_text(ws, event);
		gathered = true;
	} else if (gathered) {
		hb_buf_free(&shared->message);
		shared->message = ws->message;
		hb_buf_init(&ws->message);
	}
	if (ws->text && !hb_ws_utf8_whole(&ws->utf8))
		return bad_text(ws, event);
	*event = (struct hb_ws_event){ .text = ws->text, .gathered = gathered, .data = p, .len = len };
	if (gathered) {
		event->data = shared->message.data;
		event->len = shared->message.len;
	}
	if (event->len == 0)
		event->data = (const unsigned char *)"";
	ws->begun = false;
	return HB_WS_MESSAGE;
}

static void
begin_frame(struct hb_ws *ws, const struct header *h)
{
	if (h->opcode != HB_WS_CONTINUATION) {
		ws->begun = true;
		ws->text = h->opcode == HB_WS_TEXT;
		ws->compressed = h->rsv1;
		ws->utf8 = (struct hb_ws_utf8){ 0 };
	}
	ws->last = h->fin;
	ws->left = h->len;
	memcpy(ws->mask, h->mask, sizeof(ws->mask));
	ws->state = S_PAYLOAD;
}

/* A frame that is whole in the buffer and makes a message by itself. */
static enum hb_ws_event_kind
whole_frame(struct hb_ws *ws, struct hb_ws_shared *shared, unsigned char *p, size_t len, struct hb_ws_event *event)
{
	hb_ws_unmask(p, p, len, ws->mask);
	ws->state = S_HEADER;
	if (ws->text && !ws->compressed && !hb_ws_utf8_add(&ws->utf8, p, len))
		return bad_text(ws, event);
	return message(ws, shared, p, len, event);
}

/* What is there of the payload.  MORE: with state S_PAYLOAD, all of it was used and is not enough. */
static enum hb_ws_event_kind
gather(struct hb_ws *ws, struct hb_ws_shared *shared, const unsigned char *p, size_t len, size_t *used,
    struct hb_ws_event *event)
{
	struct hb_buf *b = &ws->message;
	size_t n = ws->left < len ? (size_t)ws->left : len;
	size_t most = ws->last ? b->len + (size_t)ws->left : message_max(shared, ws->compressed);

	*used += n;
	if (n > 0) {
		if (!hb_ws_room(b, n, most))
			return fail(ws, event, HB_WS_INTERNAL_ERROR, NO_ROOM, "RFC 6455 7.4.1");
		hb_ws_unmask(b->data + b->len, p, n, ws->mask);
		if (ws->text && !ws->compressed && !hb_ws_utf8_add(&ws->utf8, b->data + b->len, n))
			return bad_text(ws, event);
		b->len += n;
		ws->left -= n;
	}
	if (ws->left > 0)
		return HB_WS_MORE;
	ws->state = S_HEADER;
	return ws->last ? message(ws, shared, b->data, b->len, event) : HB_WS_MORE;
}

enum hb_ws_event_kind
hb_ws_parse(struct hb_ws *ws, struct hb_ws_shared *shared, unsigned char *data, size_t len, size_t *used,
    struct hb_ws_event *event)
{
	enum hb_ws_event_kind kind;
	struct header h;

	*used = 0;
	hb_ws_forget(shared);
	while (ws->state != S_DONE) {
		if (ws->state == S_HEADER) {
			kind = read_header(ws, shared, data + *used, len - *used, &h, event);
			if (kind == HB_WS_ERROR)
				return kind;
			if (h.size == 0)
				return HB_WS_MORE;
			if (h.opcode & CONTROL) {
				unsigned char *p = data + *used + h.size;

				if (len - *used - h.size < h.len)
					return HB_WS_MORE;
				hb_ws_unmask(p, p, (size_t)h.len, h.mask);
				*used += h.size + (size_t)h.len;
				return control_frame(ws, &h, p, event);
			}
			*used += h.size;
			begin_frame(ws, &h);
			if (h.fin && h.opcode != HB_WS_CONTINUATION && h.len <= len - *used) {
				*used += (size_t)h.len;
				return whole_frame(ws, shared, data + *used - h.len, (size_t)h.len, event);
			}
		}
		kind = gather(ws, shared, data + *used, len - *used, used, event);
		if (kind != HB_WS_MORE || ws->state == S_PAYLOAD)
			return kind;
	}
	*used = len;
	return HB_WS_MORE;
}
