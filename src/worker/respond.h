/* The operations that the py room answers a request through. */
#ifndef HB_WORKER_RESPOND_H
#define HB_WORKER_RESPOND_H

struct hb_worker;

/* Fills w->server in. */
void hb_respond_init(struct hb_worker *w);

#endif
