/*
 * WebSocket frames (RFC 6455, RFC 7692) for a server: bytes in, events out, and
 * the bytes of frames to send.  No I/O; a connection without a message in the
 * middle holds nothing but its struct hb_ws.
 *
 *	for (;;) {
 *		enum hb_ws_event_kind kind = hb_ws_parse(ws, shared, data, len, &used, &event);
 *		if (kind == HB_WS_MORE)
 *			break;             (keep the bytes behind used, wait for more)
 *		... use event ...
 *		data += used; len -= used;
 *	}
 *
 * The caller's buffer is changed: payloads are unmasked where they are.  What is not
 * consumed is unchanged, at most HB_WS_KEPT bytes, and comes again with more behind it.
 * A message that lies in the buffer whole, in one uncompressed frame, is given in
 * place; the parts of any other are gathered as they come.  To pause, do not call.
 *
 * What is the same for all connections of a worker, and large, is in struct hb_ws_shared:
 * the zlib streams, which start anew with each message (both sides agree on
 * "no context takeover"), and the message that was given last.
 */
#ifndef HB_HTTP_WS_H
#define HB_HTTP_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "http/ws_utf8.h"

/* Of a header or of a control frame that are not whole, so many bytes stay unconsumed at most. */
#define HB_WS_KEPT (14 + 125 - 1)

enum hb_ws_opcode {
	HB_WS_CONTINUATION = 0,
	HB_WS_TEXT = 1,
	HB_WS_BINARY = 2,
	HB_WS_CLOSE_FRAME = 8,
	HB_WS_PING_FRAME = 9,
	HB_WS_PONG_FRAME = 10
};

/* RFC 6455 7.4.1 and the IANA registry. */
enum hb_ws_code {
	HB_WS_NORMAL = 1000,
	HB_WS_GOING_AWAY = 1001,
	HB_WS_PROTOCOL_ERROR = 1002,
	HB_WS_NO_STATUS = 1005, /* never sent: the close frame had none */
	HB_WS_ABNORMAL = 1006,  /* never sent: the connection ended without a close frame */
	HB_WS_INVALID_DATA = 1007,
	HB_WS_TOO_BIG = 1009,
	HB_WS_INTERNAL_ERROR = 1011
};

enum hb_ws_event_kind {
	HB_WS_MORE,    /* needs more bytes behind those not consumed */
	HB_WS_MESSAGE, /* a whole one: event->text, data, len */
	HB_WS_PING,    /* data, len: to be sent back as a pong */
	HB_WS_PONG,    /* data, len */
	HB_WS_CLOSE,   /* code; data, len: the reason, UTF-8.  Whatever follows is dropped */
	HB_WS_ERROR    /* code to close with, cause, rule.  Whatever follows is dropped */
};

/* The data is valid until the next call with that shared state, and until the caller moves its buffer. */
struct hb_ws_event {
	const unsigned char *data;
	size_t len;
	bool text;
	bool gathered;     /* the data is not in the caller's buffer: hb_ws_take() can have it */
	uint16_t code;     /* of CLOSE and ERROR */
	const char *cause; /* of ERROR: for the log and as the reason of the close frame */
	const char *rule;  /* "RFC 6455 5.1" */
};

/* A connection's state.  Zeroed, it is one without compression. */
struct hb_ws {
	struct hb_buf message; /* what is there of a message, compressed where it came so */
	uint64_t left;         /* of the frame's payload */
	unsigned char mask[4]; /* for the next byte of the payload on */
	struct hb_ws_utf8 utf8;
	uint8_t state;
	uint8_t deflate_bits; /* 0: permessage-deflate was not agreed on; else the window of what is sent */
	bool begun;           /* in the middle of a message */
	bool text, compressed, last;
};

struct hb_ws_shared;

/* max_message: bytes of a message, inflated.  NULL: no memory. */
struct hb_ws_shared *hb_ws_shared_new(size_t max_message);
void hb_ws_shared_free(struct hb_ws_shared *shared);

/* deflate_bits: of the handshake's struct hb_ws_offer, 0 for no compression. */
void hb_ws_init(struct hb_ws *ws, unsigned deflate_bits);
void hb_ws_free(struct hb_ws *ws);

/*
 * Looks at the len bytes at data; *used (at most len) are done with.  After CLOSE or ERROR all
 * that comes is consumed, and the answer is MORE.
 */
enum hb_ws_event_kind hb_ws_parse(struct hb_ws *ws, struct hb_ws_shared *shared, unsigned char *data, size_t len,
    size_t *used, struct hb_ws_event *event);

/* The memory of the gathered message that hb_ws_parse just gave: owned by the caller.  0, or -1: no memory. */
int hb_ws_take(struct hb_ws_shared *shared, const struct hb_ws_event *event, struct hb_buf *out)
    __attribute__((warn_unused_result));

/* Whether the peer is in the middle of a message: tells an idle connection from a slow one. */
static inline bool
hb_ws_begun(const struct hb_ws *ws)
{
	return ws->begun;
}

/* The header of an unfragmented frame of len bytes, unmasked as a server sends; returns its length. */
#define HB_WS_HEADER_MAX 10
size_t hb_ws_frame_header(unsigned char out[HB_WS_HEADER_MAX], enum hb_ws_opcode opcode, uint64_t len,
    bool compressed);

/*
 * The payload of a message that is to be sent compressed, appended to out.  Returns 1; 0 where
 * the message is better sent as it is (out is unchanged): compression was not agreed on, the
 * message is short, or does not shrink; -1: no memory.
 */
int hb_ws_compress(struct hb_ws_shared *shared, const struct hb_ws *ws, const unsigned char *data, size_t len,
    struct hb_buf *out) __attribute__((warn_unused_result));

/*
 * The whole frame of a message, compressed where that is agreed on and worth it, appended to out.
 * A large message that is not compressed is better sent from where it is, behind its header.
 * Returns 0, or -1: no memory.
 */
int hb_ws_add_message(struct hb_ws_shared *shared, const struct hb_ws *ws, enum hb_ws_opcode opcode,
    const unsigned char *data, size_t len, struct hb_buf *out) __attribute__((warn_unused_result));

/*
 * A whole close frame; returns its length.  code HB_WS_NO_STATUS: without one.  A reason that does
 * not fit is cut in front of a character.
 */
#define HB_WS_CLOSE_MAX (2 + 125)
size_t hb_ws_close_frame(unsigned char out[HB_WS_CLOSE_MAX], unsigned code, const char *reason, size_t len);

/* Whether a close frame may carry the code (RFC 6455 7.4, IANA). */
bool hb_ws_code_ok(unsigned code);

#endif
