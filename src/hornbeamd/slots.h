/*
 * The slots of the shared counters: each worker has one for itself, for as long
 * as there is a process that may write to it.
 */
#ifndef HB_HORNBEAMD_SLOTS_H
#define HB_HORNBEAMD_SLOTS_H

#include <stdbool.h>

#include "worker/worker.h"

struct hb_worker_past;

struct hb_slots {
	struct hb_worker_shared *shared;
	bool taken[HB_WORKER_SLOTS];
};

void hb_slots_init(struct hb_slots *slots, struct hb_worker_shared *shared);
/* The lowest that is free, so that those in use stay together; -1: there is none. */
int hb_slots_take(struct hb_slots *slots, unsigned *slot);
/* Its worker does not accept any more. */
void hb_slots_stop(struct hb_slots *slots, unsigned slot);
/* Its process has ended; the counts stay for the next one. */
void hb_slots_rest(struct hb_slots *slots, unsigned slot);
/* Its worker has gone for good: its counts go to past. */
void hb_slots_give(struct hb_slots *slots, unsigned slot, struct hb_worker_past *past);

#endif
