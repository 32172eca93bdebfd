/*
 * The blocking client of the link, for Python threads, scripts and the
 * command line.  One client serves a whole process: any thread calls; a
 * caller sends, and becomes the reader itself when nobody else reads
 * (leader/follower).  After fork(2) the child opens a connection of its own.
 */
#ifndef HB_LINK_CLIENT_H
#define HB_LINK_CLIENT_H

#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "link/frame.h"

struct hb_link;

enum hb_link_via {
	HB_LINK_DIRECT,   /* path is the companion's socket; the client says hello */
	HB_LINK_CONTROL,  /* path is the control socket; the master hands a link over */
	HB_LINK_TO_MASTER /* path is the control socket; calls go to the master itself */
};

struct hb_link_options {
	enum hb_link_via via;
	const char *path; /* borrowed for the call only, as the next two; NULL: hb_link_locate before each connection */
	const char *role; /* "worker", "client", "cli" */
	const char *name; /* for logs */
	/* Called without locks after a signal interrupted a wait; non-zero ends the call (HB_ERROR_INTERRUPT). */
	int (*interrupted)(void *arg);
	void *arg;
};

/* Never connects: the first call does.  Returns owned. */
struct hb_link *hb_link_new(const struct hb_link_options *options);
void hb_link_free(struct hb_link *link); /* no call may be under way */

/*
 * Sends a request that hb_link_begin began and waits for the whole reply.  deadline is on hb_clock_ms()'s scale,
 * 0 for none.  On success reply holds the payload (131 in front), the parts
 * put together.  On failure err says what: HB_ERROR_TIMEOUT, HB_ERROR_CONNECT
 * (not connected or lost; a request that was sent is never sent again),
 * HB_ERROR_VERSION, HB_ERROR_LIMIT (larger than a frame), HB_ERROR_INTERRUPT,
 * or what the other side answered (TYPE, VALUE, LIMIT, PERMISSION, PROTOCOL,
 * SYSTEM, REMOTE), HB_ERROR_DOWN where the master says that the companion is down.
 */
int hb_link_call(struct hb_link *link, enum hb_link_op op, struct hb_buf *request, int64_t deadline,
    struct hb_buf *reply, struct hb_error *err) HB_WARN_UNUSED;

#endif
