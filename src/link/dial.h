/*
 * Opening a link, blocking, up to a deadline: straight to the companion, or
 * by way of the master, who hands a connected descriptor over.
 */
#ifndef HB_LINK_DIAL_H
#define HB_LINK_DIAL_H

#include <pthread.h>
#include <stdint.h>

#include "link/opening.h"

/*
 * Descriptors that are open during a dial.  Every open and close is done
 * with the lock held, so that a fork that takes the lock sees them all.
 */
struct hb_dial {
	pthread_mutex_t *lock;
	struct hb_opening opening;
};

void hb_dial_init(struct hb_dial *dial, pthread_mutex_t *lock);

/*
 * Called without the lock; path as in struct hb_link_options.  Returns a connected blocking descriptor, which
 * dial->opening still holds, or -1 with err: HB_ERROR_INTERRUPT after a signal.
 */
int hb_dial(struct hb_dial *dial, enum hb_link_via via, const char *path, const char *role, const char *name,
    int64_t deadline, struct hb_error *err) HB_WARN_UNUSED;
void hb_dial_end(struct hb_dial *dial); /* closes what dial holds; called with the lock */

#endif
