/*
 * The evented client of the link, for one libevent loop: any number of calls
 * at once over one connection, each ended by a callback from the loop.  It
 * connects with the first call, and again, with backoff, after a loss.
 */
#ifndef HB_LINK_EVENTED_H
#define HB_LINK_EVENTED_H

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "link/hello.h"
#include "link/proto.h"

struct event_base;
struct hb_evlink;
struct hb_evcall;

enum { HB_EVLINK_OUT_MAX = 64 * 1024 * 1024 }; /* bytes of requests that wait to be sent */

/*
 * The end of a call: payload (131 in front, borrowed) with err NULL, or err,
 * of the kinds that hb_link_call has.  The callee may start calls, cancel
 * others and free the link.
 */
typedef void hb_evcall_done(void *arg, const unsigned char *payload, size_t len, const struct hb_error *err);

/* Never connects: the first call does.  path and hello are copied.  Returns owned. */
struct hb_evlink *hb_evlink_new(struct event_base *base, const char *path, const struct hb_hello *hello);
/* Ends the calls in flight without their callbacks. */
void hb_evlink_free(struct hb_evlink *link);

/*
 * Sends a request that hb_link_begin began; its bytes are copied.  deadline
 * is on hb_clock_ms()'s scale, 0 for none.  done comes from the loop, never
 * from within this call.  Returns what hb_evcall_cancel takes until then, or
 * NULL with err: too large, too much waiting already (both HB_ERROR_LIMIT),
 * or no connection a moment ago.
 */
struct hb_evcall *hb_evlink_call(struct hb_evlink *link, enum hb_link_op op, struct hb_buf *request,
    int64_t deadline, hb_evcall_done *done, void *arg, struct hb_error *err) HB_WARN_UNUSED;
/* done is not called; a reply that comes is dropped. */
void hb_evcall_cancel(struct hb_evcall *call);
/* The same, and the companion is told, so that what runs for the call ends; NULL is fine. */
void hb_evcall_abandon(struct hb_evcall *call);
/*
 * Waits for an answer until then in place of the call's deadline: so that the
 * companion has a moment to say that the deadline has passed.
 */
void hb_evcall_wait_until(struct hb_evcall *call, int64_t until);

/*
 * From now on requests wait until hb_evlink_flush, which whoever runs the loop calls before each wait: all of
 * them go out in one write, and none waits for the loop to find the socket writable.
 */
void hb_evlink_batch(struct hb_evlink *link);
void hb_evlink_flush(struct hb_evlink *link);

/*
 * From now on changed says which descriptor the connection has; -1 before that is closed, so that whoever keeps
 * its number forgets it before it is another's.  It calls nothing of the link.
 */
void hb_evlink_on_descriptor(struct hb_evlink *link, void (*changed)(void *arg, int fd), void *arg);
/* In the child of a fork: closes its copy of the connection; the link is not used there any more. */
void hb_evlink_forked(struct hb_evlink *link);

#endif
