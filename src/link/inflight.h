/*
 * Calls in flight: found by id when a reply comes, and by deadline when one
 * has passed.  Ten thousand of them cost no more than ten.
 */
#ifndef HB_LINK_INFLIGHT_H
#define HB_LINK_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

/* Part of its owner's own structure. */
struct hb_mux_call {
	uint32_t id;
	uint8_t op;
	int64_t deadline;    /* hb_clock_ms() */
	uint64_t start;      /* where its frame begins in all that the client sends */
	struct hb_buf reply; /* the parts so far */
	size_t place;        /* in the heap */
	bool failing;        /* its connection is lost, and it has not been told yet */
	struct hb_mux_call *next;
};

struct hb_inflight {
	size_t count;
	struct hb_mux_call **buckets; /* by the low bits of the id: ids follow one another */
	size_t n_buckets;             /* a power of two */
	struct hb_mux_call **heap;    /* the earliest deadline first */
	size_t room;
};

/* -1: out of memory. */
int hb_inflight_add(struct hb_inflight *f, struct hb_mux_call *call) HB_WARN_UNUSED;
void hb_inflight_remove(struct hb_inflight *f, struct hb_mux_call *call);
struct hb_mux_call *hb_inflight_find(const struct hb_inflight *f, uint32_t id);
/* The one with the earliest deadline; NULL: none. */
struct hb_mux_call *hb_inflight_first(const struct hb_inflight *f);
void hb_inflight_free(struct hb_inflight *f); /* of the table only */

#endif
