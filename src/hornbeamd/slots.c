/* Slots: see slots.h. */
#include "hornbeamd/slots.h"

#include <string.h>

#include "hornbeamd/workers.h"

void
hb_slots_init(struct hb_slots *slots, struct hb_worker_shared *shared)
{
	*slots = (struct hb_slots){.shared = shared};
}

int
hb_slots_take(struct hb_slots *slots, unsigned *slot)
{
	for (unsigned i = 0; i < HB_WORKER_SLOTS; i++) {
		if (slots->taken[i])
			continue;
		slots->taken[i] = true;
		if (atomic_load(&slots->shared->used) <= i)
			atomic_store(&slots->shared->used, i + 1);
		*slot = i;
		return 0;
	}
	return -1;
}

void
hb_slots_stop(struct hb_slots *slots, unsigned slot)
{
	atomic_store(&slots->shared->slots[slot].accepting, HB_WORKER_CLOSED);
}

void
hb_slots_rest(struct hb_slots *slots, unsigned slot)
{
	struct hb_worker_counters *c = &slots->shared->slots[slot];

	atomic_store(&c->accepting, HB_WORKER_CLOSED);
	atomic_store(&c->connections, 0);
	atomic_store(&c->active, 0);
}

void
hb_slots_give(struct hb_slots *slots, unsigned slot, struct hb_worker_past *past)
{
	struct hb_worker_counters *c = &slots->shared->slots[slot];

	past->requests += atomic_exchange(&c->requests, 0);
	past->errors += atomic_exchange(&c->errors, 0);
	past->bad_requests += atomic_exchange(&c->bad_requests, 0);
	past->bytes_in += atomic_exchange(&c->bytes_in, 0);
	past->bytes_out += atomic_exchange(&c->bytes_out, 0);
	hb_slots_rest(slots, slot);
	slots->taken[slot] = false;
}
