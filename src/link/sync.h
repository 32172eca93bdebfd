/*
 * What the clients of the link that threads share have in common: waits on
 * the monotonic clock, locks that are whole in a forked child, and the pause
 * between attempts at a connection.
 */
#ifndef HB_LINK_SYNC_H
#define HB_LINK_SYNC_H

#include <pthread.h>
#include <stdint.h>

enum {
	HB_SYNC_SLICE = 100,      /* milliseconds; the longest wait before an interrupted hook is asked */
	HB_SYNC_DIAL_TIME = 10000 /* milliseconds for a connection that nobody waits for until a deadline */
};

/*
 * One for each client, kept by it.  The handlers of fork(2) hold every lock
 * over the fork; in the child in_child makes the client whole, and its lock anew.
 */
struct hb_sync {
	pthread_mutex_t *lock;
	void (*in_child)(void *arg);
	void *arg;
	struct hb_sync *next;
};

void hb_sync_add(struct hb_sync *sync);
void hb_sync_remove(struct hb_sync *sync);

/* A condition whose waits end by hb_clock_ms()'s clock. */
void hb_sync_cond_init(pthread_cond_t *cond);
/* Waits until the condition is signalled or the time, INT64_MAX for none, has come. */
void hb_sync_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until);

/* The pause after one of the given length (0: none yet). */
int64_t hb_sync_backoff(int64_t last);

#endif
