/* Calls in flight: see inflight.h. */
#include "link/inflight.h"

#include <stdlib.h>

enum { BUCKETS_FIRST = 64, ROOM_FIRST = 64 };

static struct hb_mux_call **
bucket(const struct hb_inflight *f, uint32_t id)
{
	return &f->buckets[id & (f->n_buckets - 1)];
}

/* Twice the buckets; without memory for them the old ones have longer chains. */
static void
spread(struct hb_inflight *f)
{
	struct hb_inflight wide = {.n_buckets = f->n_buckets == 0 ? BUCKETS_FIRST : f->n_buckets * 2};

	wide.buckets = calloc(wide.n_buckets, sizeof *wide.buckets);
	if (wide.buckets == NULL)
		return;
	for (size_t i = 0; i < f->n_buckets; i++)
		for (struct hb_mux_call *call = f->buckets[i], *next; call != NULL; call = next) {
			struct hb_mux_call **at = bucket(&wide, call->id);

			next = call->next;
			call->next = *at;
			*at = call;
		}
	free(f->buckets);
	f->buckets = wide.buckets;
	f->n_buckets = wide.n_buckets;
}

static void
put(struct hb_inflight *f, size_t place, struct hb_mux_call *call)
{
	f->heap[place] = call;
	call->place = place;
}

static void
sift_up(struct hb_inflight *f, struct hb_mux_call *call)
{
	size_t i = call->place;

	for (; i > 0 && f->heap[(i - 1) / 2]->deadline > call->deadline; i = (i - 1) / 2)
		put(f, i, f->heap[(i - 1) / 2]);
	put(f, i, call);
}

static void
sift_down(struct hb_inflight *f, struct hb_mux_call *call)
{
	size_t i = call->place, child;

	for (; (child = 2 * i + 1) < f->count; i = child) {
		if (child + 1 < f->count && f->heap[child + 1]->deadline < f->heap[child]->deadline)
			child++;
		if (f->heap[child]->deadline >= call->deadline)
			break;
		put(f, i, f->heap[child]);
	}
	put(f, i, call);
}

int
hb_inflight_add(struct hb_inflight *f, struct hb_mux_call *call)
{
	struct hb_mux_call **at;

	if (f->count == f->room) {
		size_t room = f->room == 0 ? ROOM_FIRST : f->room * 2;
		struct hb_mux_call **heap = realloc(f->heap, room * sizeof *heap);

		if (heap == NULL)
			return -1;
		f->heap = heap;
		f->room = room;
	}
	if (f->count >= f->n_buckets)
		spread(f);
	if (f->n_buckets == 0)
		return -1;
	at = bucket(f, call->id);
	call->next = *at;
	*at = call;
	call->place = f->count++;
	sift_up(f, call);
	return 0;
}

void
hb_inflight_remove(struct hb_inflight *f, struct hb_mux_call *call)
{
	struct hb_mux_call **at = bucket(f, call->id), *last = f->heap[--f->count];

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	if (last == call)
		return;
	put(f, call->place, last);
	sift_up(f, last);
	sift_down(f, last);
}

struct hb_mux_call *
hb_inflight_find(const struct hb_inflight *f, uint32_t id)
{
	struct hb_mux_call *call = f->n_buckets > 0 ? *bucket(f, id) : NULL;

	while (call != NULL && call->id != id)
		call = call->next;
	return call;
}

struct hb_mux_call *
hb_inflight_first(const struct hb_inflight *f)
{
	return f->count > 0 ? f->heap[0] : NULL;
}

void
hb_inflight_free(struct hb_inflight *f)
{
	free(f->buckets);
	free(f->heap);
	*f = (struct hb_inflight){0};
}
