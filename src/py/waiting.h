/*
 * What a worker hears of calls that wait for the companion: the time inside
 * one counts against the call's own deadline, not the request's.  The
 * extension finds struct hb_py_waiting in sys, as a capsule; it is not linked
 * with the worker.
 */
#ifndef HB_PY_WAITING_H
#define HB_PY_WAITING_H

#include <stdint.h>

#define HB_PY_WAITING "_hornbeam_waiting" /* in sys, and the capsule's name */

/* Both are called on the thread that waits, with the GIL or without, around each call. */
struct hb_py_waiting {
	void (*begin)(int64_t until); /* on hb_clock_ms()'s scale */
	void (*end)(void);
};

#endif
