/* A worker that asks for another in its place: it serves until that one is ready and the master lets it drain. */
#ifndef HB_WORKER_RETIRE_H
#define HB_WORKER_RETIRE_H

struct hb_worker;

/* Sets the number of requests after which it asks, by max_requests and max_requests_jitter. */
void hb_retire_init(struct hb_worker *w);
/* Asks when that number is reached; for the end of each pass. */
void hb_retire_check(struct hb_worker *w);
/* Asks now, unless it has: why is for the log. */
void hb_retire_ask(struct hb_worker *w, const char *why);

#endif
