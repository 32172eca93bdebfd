/*
 * A client of the link for whatever loop: any number of calls at once over
 * one connection.  It does not wait itself: its owner waits for the
 * descriptor and for the time, as hb_mux_wait says, and tells it.  It connects
 * with the first call, and again, with backoff, after a loss.
 */
#ifndef HB_LINK_MUX_H
#define HB_LINK_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "link/client.h"
#include "link/inflight.h"

struct hb_mux;

enum { HB_MUX_OUT_MAX = 64 * 1024 * 1024 }; /* bytes of requests that wait to be sent */

/* Until when it is no use to try again, and why: for all clients of one companion in a process.  Zeros at first. */
struct hb_mux_backoff {
	int64_t until, delay;
	struct hb_error why;
};

struct hb_mux_options {
	enum hb_link_via via; /* direct or by way of the control socket */
	const char *path;     /* borrowed for the call, as the next two; NULL: hb_link_locate before each connection */
	const char *role;
	const char *name;
	struct hb_mux_backoff *backoff; /* outlives the client */
	/*
	 * The end of a call, whose memory is its owner's again: payload (131 in
	 * front, borrowed) with err NULL, or err, of the kinds that hb_link_call
	 * has.  The callee may start and cancel calls, but not free the client.
	 */
	void (*done)(void *arg, struct hb_mux_call *call, const unsigned char *payload, size_t len,
	    const struct hb_error *err);
	/* The descriptor is not to be waited for any more: it is closed next. */
	void (*closing)(void *arg, int fd);
	void *arg;
};

/* NULL: out of memory. */
struct hb_mux *hb_mux_new(const struct hb_mux_options *options);
/* Neither done nor closing is called: what is in flight comes back from hb_mux_take one by one before. */
void hb_mux_free(struct hb_mux *mux);
/* Takes some call off; NULL: there is none. */
struct hb_mux_call *hb_mux_take(struct hb_mux *mux);
/* Whether this process is a child of the one that made it, which has closed its descriptors and must only free it. */
bool hb_mux_is_parents(const struct hb_mux *mux);

struct hb_mux_wait {
	int fd; /* -1: none */
	bool readable, writable;
	int64_t until; /* on hb_clock_ms()'s scale; INT64_MAX: for ever */
};
void hb_mux_wait(const struct hb_mux *mux, struct hb_mux_wait *wait);

/*
 * Queues a request that hb_link_begin began; its bytes are copied, and sent by
 * the next hb_mux_flush.  -1 with err: too large, too much waiting already
 * (both HB_ERROR_LIMIT), or no connection.
 */
int hb_mux_call(struct hb_mux *mux, struct hb_mux_call *call, enum hb_link_op op, struct hb_buf *request,
    int64_t deadline, struct hb_error *err) HB_WARN_UNUSED;
/* done is not called; a reply that comes is dropped, and the companion is told where it can stop the call. */
void hb_mux_cancel(struct hb_mux *mux, struct hb_mux_call *call);
/* Calls visit for what is in flight until it is not 0, which is returned. */
int hb_mux_each(const struct hb_mux *mux, int (*visit)(struct hb_mux_call *call, void *arg), void *arg);
struct hb_mux_call *hb_mux_find(const struct hb_mux *mux, uint32_t id);

/* When there are requests to send, or the descriptor is writable. */
void hb_mux_flush(struct hb_mux *mux);
void hb_mux_readable(struct hb_mux *mux);
/* When the time has come. */
void hb_mux_tick(struct hb_mux *mux);

#endif
