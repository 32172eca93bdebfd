/*
 * The threads that WSGI applications run on, where `threads` is above 1 or
 * asyncio has the loop's.  A connection stays the loop's; while a thread has
 * its request (c->pooled) the thread alone touches the response, the output
 * and the descriptor's writing side, and the loop nothing of them.
 *
 * All but the thread's own functions are called on the loop's thread.
 */
#ifndef HB_WORKER_POOL_H
#define HB_WORKER_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

struct hb_conn;
struct hb_http_date;
struct hb_pool;
struct hb_pool_thread;
struct hb_watched;
struct hb_worker;

/* With the GIL, once the applications are loaded.  The event base is the one that stays. */
int hb_pool_start(struct hb_worker *w, struct hb_error *err) HB_WARN_UNUSED;
/*
 * Without the GIL.  Waits a moment for what still runs; returns whether all
 * threads have ended: where not, Python cannot be stopped, and nothing freed.
 */
bool hb_pool_stop(struct hb_worker *w) HB_WARN_UNUSED;

/* A request that is ready, or goes on: handed over at the next exchange. */
void hb_pool_add(struct hb_conn *c);
/* Takes back what is done, hands over what was added. */
void hb_pool_exchange(struct hb_worker *w);
/* Before the loop waits: false where it must not. */
bool hb_pool_may_sleep(struct hb_worker *w);
/* Requests that the threads have, or wait for one. */
size_t hb_pool_load(const struct hb_worker *w);
/* The request's time is up: where no thread has it yet it is answered for. */
void hb_pool_time_out(struct hb_conn *c);
/* After a fork, in the child: the thread ends with its request. */
void hb_pool_forked(struct hb_pool *p);

/* For the watchdog. */
struct hb_pool_thread *hb_pool_thread(struct hb_pool *p, unsigned i);
struct hb_watched *hb_pool_watched(struct hb_pool_thread *t);
/* From any thread. */
void hb_pool_wake_loop(struct hb_pool *p);

/* On the thread that has the connection's request. */
const char *hb_pool_date(struct hb_pool_thread *t);
/* Whether what the thread does next may take long, so that nothing is to wait for it. */
bool hb_pool_is_slow(const struct hb_conn *c);

#endif
