/*
 * Opening a link to the companion without blocking, on a libevent loop: for
 * the evented client, and for the master, who opens links in other
 * processes' names and gives the connected descriptors away.
 */
#ifndef HB_LINK_EVDIAL_H
#define HB_LINK_EVDIAL_H

#include <stdint.h>

#include "common/error.h"
#include "link/hello.h"

struct event_base;
struct hb_evdial;

/* fd is connected, greeted, non-blocking and now the callee's; or it is -1 and err says why. */
typedef void hb_evdial_done(void *arg, int fd, const struct hb_error *err);

/*
 * Starts; done is called once, from the loop and never from within this
 * call, at the latest after timeout_ms.  Returns what hb_evdial_cancel takes
 * until then, or NULL with err.  path and hello are borrowed for the call.
 */
struct hb_evdial *hb_evdial_start(struct event_base *base, const char *path, const struct hb_hello *hello,
    int64_t timeout_ms, hb_evdial_done *done, void *arg, struct hb_error *err) HB_WARN_UNUSED;
void hb_evdial_cancel(struct hb_evdial *dial); /* done is not called; NULL is fine */

#endif
