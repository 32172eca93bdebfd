/*
 * Reads HTTP/1.x responses of any framing, as far as a load generator must:
 * where each ends, its status, and whether the connection goes on.
 */
#ifndef HB_PERF_REPLY_H
#define HB_PERF_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reply_state {
	REPLY_STATUS,
	REPLY_HEAD,
	REPLY_BODY, /* Content-Length */
	REPLY_REST, /* until the peer closes */
	REPLY_SIZE,
	REPLY_CHUNK,
	REPLY_CHUNK_END,
	REPLY_TRAILER
};
enum reply_result { REPLY_MORE, REPLY_DONE, REPLY_BAD };

/* All zero: before a response. */
struct reply {
	enum reply_state state;
	int status;
	bool chunked;
	bool sized;
	bool close;    /* the server closes after it */
	uint64_t left; /* of the body, or of the chunk */
	uint64_t body; /* bytes of it that came */
	size_t len;
	char line[1024];
};

/* Takes bytes; *used says how many belong to this response. */
enum reply_result reply_feed(struct reply *reply, const char *bytes, size_t n, size_t *used);

/* The peer has closed: whether the response was whole. */
enum reply_result reply_end(const struct reply *reply);

/* Before the next response of the connection. */
void reply_reset(struct reply *reply);

#endif
