/*
 * A response's head and framing: what the application gave, what the server
 * adds, and how the body's end is marked.  Bytes into a buffer, no I/O.
 */
#ifndef HB_WORKER_RESPONSE_H
#define HB_WORKER_RESPONSE_H

#include "common/buf.h"
#include "common/error.h"
#include "http/request.h"
#include "py/server.h"

struct hb_response {
	struct hb_buf head;  /* the status line and the application's fields */
	unsigned status;     /* 0: no head yet */
	int64_t declared;    /* Content-Length, -1: none */
	uint64_t sent;       /* bytes of the body taken so far */
	uint64_t chunk_left; /* of the chunk that was begun */
	bool has_date;
	bool has_server;
	bool has_upgrade;    /* of a 426 */
	bool close_asked;    /* the application sent Connection: close */
	bool dropped;        /* it sent other fields that are the connection's own */
	bool committed;
	bool chunked;
	bool bodyless;
	bool ended;          /* its last byte has been written */
};

/* What the request and the connection say about the response. */
struct hb_response_context {
	const char *date;
	unsigned minor;   /* of the request: HTTP/1.minor */
	bool head_method;
	bool keep;        /* the connection may be kept */
	int64_t length;   /* of the whole body where the application gave it whole, else -1 */
};

void hb_response_reset(struct hb_response *r);
/* Checks a head and keeps it in place of an earlier one. */
int hb_response_set_head(struct hb_response *r, const struct hb_py_head *head, struct hb_error *err) HB_WARN_UNUSED;
/* Appends an interim response, such as 103 (RFC 8297). */
int hb_response_interim(const struct hb_py_head *head, struct hb_buf *out, struct hb_error *err) HB_WARN_UNUSED;
/* Appends the whole head to out and settles the framing.  Returns whether the connection may be kept. */
bool hb_response_commit(struct hb_response *r, const struct hb_response_context *c, struct hb_buf *out);

#endif
