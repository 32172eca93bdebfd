/*
 * The opening handshake of a WebSocket (RFC 6455 4.2), from a parsed request: whether it is one, whether it is
 * valid, what it offers and what the answer says.  Pure functions over the request and the bytes that it spans.
 */
#ifndef HB_HTTP_WS_HANDSHAKE_H
#define HB_HTTP_WS_HANDSHAKE_H

#include "http/parser.h"

enum hb_ws_request {
	HB_WS_NOT_ASKED, /* an ordinary request, or an upgrade to something else that is ignored */
	HB_WS_VALID,
	HB_WS_INVALID /* offer->failure: answer with its status, and with 426 the fields HB_WS_426_FIELDS */
};

#define HB_WS_426_FIELDS "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
#define HB_WS_ACCEPT_LEN 28
#define HB_WS_EXTENSIONS_MAX 128

struct hb_ws_offer {
	struct hb_http_failure failure;
	char accept[HB_WS_ACCEPT_LEN + 1]; /* value of Sec-WebSocket-Accept */
	/* Value of Sec-WebSocket-Extensions, or "": none was agreed on, the field is left out. */
	char extensions[HB_WS_EXTENSIONS_MAX];
	unsigned deflate_bits; /* for hb_ws_init() */
};

/* compression: whether permessage-deflate may be agreed on. */
enum hb_ws_request hb_ws_handshake(const struct hb_http_request *r, const unsigned char *data, bool compression,
    struct hb_ws_offer *offer);

/* The subprotocols that a valid handshake offers, in its order.  Starts zeroed; false at the end. */
struct hb_ws_protocols {
	size_t field, pos;
};
bool hb_ws_protocol_next(const struct hb_http_request *r, const unsigned char *data, struct hb_ws_protocols *at,
    struct hb_http_span *protocol);
/* Whether the client offers the subprotocol, so that the answer may name it. */
bool hb_ws_protocol_offered(const struct hb_http_request *r, const unsigned char *data, const char *name,
    size_t len);

#endif
