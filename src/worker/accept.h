/* Accepting connections from the listeners that all workers share. */
#ifndef HB_WORKER_ACCEPT_H
#define HB_WORKER_ACCEPT_H

struct hb_worker;

/* Sets the events of w->listeners up and begins. */
void hb_accept_start(struct hb_worker *w);
void hb_accept_stop(struct hb_worker *w);
/* After a connection has ended: accepts again where the limit had stopped it. */
void hb_accept_check(struct hb_worker *w);

#endif
