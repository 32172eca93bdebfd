/* Sec-WebSocket-Extensions (RFC 6455 9.1) and what is agreed on of permessage-deflate (RFC 7692 7.1). */
#ifndef HB_HTTP_WS_EXTENSIONS_H
#define HB_HTTP_WS_EXTENSIONS_H

#include <stdbool.h>
#include <stddef.h>

struct hb_ws_deflate {
	bool agreed;
	bool bits_asked; /* the answer must name server_max_window_bits */
	unsigned bits;   /* the window of what the server sends, 9 to 15 */
};

/*
 * Reads one field's value; the first offer that can be met is taken, unless one of an earlier field
 * was.  Returns 0, or -1: the value does not follow the grammar.
 */
int hb_ws_extensions(const unsigned char *p, size_t len, struct hb_ws_deflate *deflate)
    __attribute__((warn_unused_result));

#endif
