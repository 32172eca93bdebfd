/*
 * The request timeout of what is called and does not return: a WSGI
 * application in place or in the pool, or whatever holds the loop's thread.
 */
#ifndef HB_WORKER_OVERDUE_H
#define HB_WORKER_OVERDUE_H

#include <stdint.h>

struct hb_conn;
struct hb_py_waiting;
struct hb_worker;

/* Starts to watch the loop's thread and those of the pool, which have been started. */
void hb_overdue_start(struct hb_worker *w);
/* Nothing is overdue any more. */
void hb_overdue_stop(struct hb_worker *w);
/* Once the pool has stopped. */
void hb_overdue_free(struct hb_worker *w);
/* After a fork, in the child: nobody watches. */
void hb_overdue_forked(struct hb_worker *w);

/* The loop's thread holds the GIL, or waits for it, from the first to the second. */
void hb_overdue_busy(struct hb_worker *w);
void hb_overdue_asleep(struct hb_worker *w);

/* Around a step of a WSGI request, on the thread that it runs on. */
void hb_overdue_begin(struct hb_conn *c);
void hb_overdue_end(struct hb_conn *c);
/* It goes on with its response, and now waits for so many milliseconds at most before the next part. */
void hb_overdue_progress(struct hb_conn *c, int64_t waits);

/* Of the calls that hornbeam_erlang makes on any thread. */
extern const struct hb_py_waiting hb_overdue_waiting;

/* On the loop, once the pool has woken it: acts upon threads that were caught. */
void hb_overdue_check(struct hb_worker *w);

#endif
