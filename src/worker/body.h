/*
 * The body of a request: in memory up to a limit, then in a file without a
 * name.  Either way it is read as one run of bytes.
 */
#ifndef HB_WORKER_BODY_H
#define HB_WORKER_BODY_H

#include "common/buf.h"
#include "common/error.h"

struct hb_body {
	struct hb_buf memory;
	int fd; /* -1: none */
	size_t size;
	void *map;
};

#define HB_BODY_INIT { HB_BUF_INIT, -1, 0, NULL }

int hb_body_add(struct hb_body *b, const void *p, size_t n, size_t memory_limit, struct hb_error *err) HB_WARN_UNUSED;
/* The whole body, b->size bytes, until hb_body_clear.  NULL on failure only. */
const unsigned char *hb_body_bytes(struct hb_body *b, struct hb_error *err) HB_WARN_UNUSED;
void hb_body_clear(struct hb_body *b);

#endif
