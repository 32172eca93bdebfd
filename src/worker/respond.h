/* The operations that the py room answers a request through. */
#ifndef HB_WORKER_RESPOND_H
#define HB_WORKER_RESPOND_H

#include <stdbool.h>
#include <stddef.h>

struct hb_conn;
struct hb_worker;

/* Fills w->server in. */
void hb_respond_init(struct hb_worker *w);
/* On the loop: what the application of a request in the pool said at its end is acted upon. */
void hb_respond_ended(struct hb_conn *c);
/* On the loop: on_response has been asked, the response begins with n bytes of its body; over: it ends with them. */
void hb_respond_release(struct hb_conn *c, const void *p, size_t n, bool over);

#endif
