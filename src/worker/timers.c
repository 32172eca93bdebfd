/* Lists of equal timeouts: see timers.h. */
#include "worker/timers.h"

#include <stddef.h>
#include <stdlib.h>

#include "common/str.h"

void
hb_timers_init(struct hb_timers *t, unsigned kinds)
{
	t->kinds = kinds;
	t->lists = hb_xcalloc(kinds, sizeof *t->lists);
	t->waits = hb_xcalloc(kinds, sizeof *t->waits);
	for (unsigned i = 0; i < kinds; i++)
		TAILQ_INIT(&t->lists[i]);
}

void
hb_timers_free(struct hb_timers *t)
{
	free(t->lists);
	free(t->waits);
}

void
hb_timers_set(struct hb_timers *t, struct hb_timer *timer, unsigned kind, int64_t now)
{
	if (timer->kind != HB_TIMER_NONE)
		TAILQ_REMOVE(&t->lists[timer->kind], timer, entry);
	timer->kind = kind;
	if (kind == HB_TIMER_NONE)
		return;
	timer->deadline = now + t->waits[kind];
	TAILQ_INSERT_TAIL(&t->lists[kind], timer, entry);
}

struct hb_timer *
hb_timers_pop(struct hb_timers *t, int64_t now, unsigned *kind)
{
	for (unsigned i = 0; i < t->kinds; i++) {
		struct hb_timer *first = TAILQ_FIRST(&t->lists[i]);

		if (first != NULL && first->deadline <= now) {
			*kind = first->kind;
			hb_timers_set(t, first, HB_TIMER_NONE, now);
			return first;
		}
	}
	return NULL;
}

int64_t
hb_timers_next(const struct hb_timers *t)
{
	int64_t next = -1;

	for (unsigned i = 0; i < t->kinds; i++) {
		const struct hb_timer *first = TAILQ_FIRST(&t->lists[i]);

		if (first != NULL && (next == -1 || first->deadline < next))
			next = first->deadline;
	}
	return next;
}
