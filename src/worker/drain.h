/* The end of a worker: no new connections, what goes on goes on for timeouts.graceful, then it is ended. */
#ifndef HB_WORKER_DRAIN_H
#define HB_WORKER_DRAIN_H

#include <stdbool.h>

struct hb_worker;

void hb_drain_init(struct hb_worker *w);
/*
 * gently: another worker has taken over and there is no hurry, so idle
 * connections are kept for a while: a request may be on its way on any of
 * them, and it is answered, with Connection: close.
 */
void hb_drain_begin(struct hb_worker *w, bool gently);
bool hb_drain_is_over(const struct hb_worker *w);

#endif
