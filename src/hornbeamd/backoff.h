/* When a process that died is started again: at once, then after longer and longer pauses. */
#ifndef HB_HORNBEAMD_BACKOFF_H
#define HB_HORNBEAMD_BACKOFF_H

#include <stdint.h>

enum {
	HB_BACKOFF_FIRST_MS = 100,
	HB_BACKOFF_MAX_MS = 5000,
	HB_BACKOFF_STABLE_MS = 10000 /* who lived this long starts over */
};

struct hb_backoff {
	int64_t next_ms;
};

/* The pause before the next start, after a life of lived_ms. */
static inline int64_t
hb_backoff_pause(struct hb_backoff *b, int64_t lived_ms)
{
	int64_t pause = lived_ms >= HB_BACKOFF_STABLE_MS ? 0 : b->next_ms;

	if (pause == 0)
		b->next_ms = HB_BACKOFF_FIRST_MS;
	else
		b->next_ms = pause * 2 < HB_BACKOFF_MAX_MS ? pause * 2 : HB_BACKOFF_MAX_MS;
	return pause;
}

#endif
