/*
 * Timeouts of many owners that are set and dropped all the time: a list for
 * each kind, where all wait equally long, so that the first of a list is the
 * next to end.  Setting and dropping is constant work and no system call.
 */
#ifndef HB_WORKER_TIMERS_H
#define HB_WORKER_TIMERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

enum hb_timer_kind {
	HB_TIMER_NONE,
	HB_TIMER_HEADER,
	HB_TIMER_KEEPALIVE,
	HB_TIMER_BODY,
	HB_TIMER_WRITE,
	HB_TIMER_IDLE,
	HB_TIMER_WEBSOCKET,
	HB_TIMER_LINGER,
	HB_TIMER_REQUEST /* and one more for each application behind the first */
};

struct hb_timer {
	TAILQ_ENTRY(hb_timer) entry;
	unsigned kind; /* HB_TIMER_NONE: not set */
	int64_t deadline;
};

TAILQ_HEAD(hb_timer_list, hb_timer);

struct hb_timers {
	struct hb_timer_list *lists;
	int64_t *waits; /* milliseconds */
	unsigned kinds;
};

void hb_timers_init(struct hb_timers *t, unsigned kinds);
void hb_timers_free(struct hb_timers *t);
/* Sets, or sets anew, or with HB_TIMER_NONE drops. */
void hb_timers_set(struct hb_timers *t, struct hb_timer *timer, unsigned kind, int64_t now);
/* One that has ended, dropped from its list; *kind says which it was.  NULL: none. */
struct hb_timer *hb_timers_pop(struct hb_timers *t, int64_t now, unsigned *kind);
/* The next deadline, or -1. */
int64_t hb_timers_next(const struct hb_timers *t);

#endif
