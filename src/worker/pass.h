/*
 * A pass of the worker's loop: waits for events without the GIL, which read,
 * parse and queue; then takes the GIL once and runs every request that is ready.
 * Where there is an asyncio loop the pass is that loop's, and calls us twice.
 */
#ifndef HB_WORKER_PASS_H
#define HB_WORKER_PASS_H

#include <stdbool.h>

struct hb_worker;

/* Once there is an event base. */
void hb_pass_init(struct hb_worker *w);
/* The whole of it; the GIL is given up first, and may be held at the end. */
void hb_pass(struct hb_worker *w);
/* asyncio's turn to wait, without the GIL: first goes out what its tasks have written. */
void hb_pass_wait(void *arg, bool block);
/* asyncio's turn to work, with the GIL: runs what is ready.  Both take the worker. */
void hb_pass_work(void *arg);

/* Takes the GIL, or gives it up, where that is not so already. */
void hb_pass_enter(struct hb_worker *w);
void hb_pass_leave(struct hb_worker *w);

#endif
