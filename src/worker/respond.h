/* The operations that the py room answers a request through. */
#ifndef HB_WORKER_RESPOND_H
#define HB_WORKER_RESPOND_H

struct hb_conn;
struct hb_worker;

/* Fills w->server in. */
void hb_respond_init(struct hb_worker *w);
/* On the loop: what the application of a request in the pool said at its end is acted upon. */
void hb_respond_ended(struct hb_conn *c);

#endif
