/* Between the files of the WebSocket codec; not for callers. */
#ifndef HB_HTTP_WS_SHARED_H
#define HB_HTTP_WS_SHARED_H

#include "http/ws.h"

struct z_stream_s;

struct hb_ws_shared {
	size_t max_message;
	struct hb_buf message;         /* the last that was not given in place */
	struct z_stream_s *inflate;    /* all of these are made at the first use */
	struct z_stream_s *deflate[16]; /* by the bits of the window */
};

/* Forgets the message; keeps the memory of a small one for the next. */
void hb_ws_forget(struct hb_ws_shared *shared);

/* The most bytes that a message of max_message bytes takes compressed, whoever compressed it. */
size_t hb_ws_compressed_max(const struct hb_ws_shared *shared);

enum hb_ws_inflated { HB_WS_INFLATED, HB_WS_INFLATED_TOO_BIG, HB_WS_NOT_DEFLATE, HB_WS_NO_MEMORY };
/* Inflates a whole message into shared->message, never beyond max_message. */
enum hb_ws_inflated hb_ws_inflate(struct hb_ws_shared *shared, const unsigned char *p, size_t len);

/* Room for n more bytes in b, of which there will be `most` at last: grows with what is there, not with what is announced. */
bool hb_ws_room(struct hb_buf *b, size_t n, size_t most) __attribute__((warn_unused_result));

#endif
