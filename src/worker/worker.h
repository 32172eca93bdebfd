/*
 * A worker: the process that holds the applications.  The master starts it
 * as `hornbeamd --worker INDEX --slot SLOT` with these descriptors open:
 *   3      the checked configuration as YAML, a sealed memfd
 *   4      the channel, a stream socket to the master: end of file is the end
 *          of the worker.  The worker writes 'R' when it is ready, 'X' when it
 *          wants to be replaced, and 'E', a line of text and a line feed when it
 *          cannot start.  The master writes 'D' to make it drain and exit, or 'G' to
 *          make it do so gently, while others serve on; and it sends SIGUSR1 to a
 *          ready one to make it open its log files again
 *   5      a memfd with a struct hb_worker_shared
 *   6...   the listening sockets, in the order of the configuration
 */
#ifndef HB_WORKER_WORKER_H
#define HB_WORKER_WORKER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct hb_config;

enum hb_worker_fd {
	HB_WORKER_FD_CONFIG = 3,
	HB_WORKER_FD_CHANNEL = 4,
	HB_WORKER_FD_COUNTERS = 5,
	HB_WORKER_FD_LISTENERS = 6
};

/*
 * Shared with the master and the other workers; each writes only its own, in
 * its slot.  The master clears `accepting` of a worker that it lets drain, and
 * what is now rather than counted of one that has ended.
 */
struct hb_worker_counters {
	_Alignas(64) _Atomic uint64_t requests; /* responses begun */
	_Atomic uint64_t errors;                /* responses with status 500 for a raised exception */
	_Atomic uint64_t bad_requests;          /* refused by the parser or a limit */
	_Atomic uint64_t bytes_in;
	_Atomic uint64_t bytes_out;
	_Atomic uint32_t connections;           /* open now */
	_Atomic uint32_t active;                /* requests in the application now */
	_Atomic uint32_t looked;                /* into the backlog, so far; wraps */
	_Atomic uint32_t accepting;             /* an enum hb_worker_accepting */
};

enum hb_worker_accepting {
	HB_WORKER_CLOSED, /* not yet, or draining, or as busy as can be */
	HB_WORKER_ACCEPTS,
	HB_WORKER_WAITS   /* leaves those who come to others for a moment */
};

/* A worker and its replacement live side by side, and so do the workers before and after a reload. */
enum { HB_WORKER_SLOTS = 4096 };

struct hb_worker_shared {
	_Alignas(64) _Atomic uint32_t used; /* no slot from this one on has ever been taken */
	struct hb_worker_counters slots[HB_WORKER_SLOTS];
};

struct hb_worker_start {
	const struct hb_config *config;
	unsigned index; /* 0 is the first */
	unsigned slot;  /* its counters in shared */
	int channel;
	int *listeners;
	size_t listeners_count;
	struct hb_worker_shared *shared;
};

/* Runs until the channel ends or a drain is over.  Returns the exit status (sysexits(3)). */
int hb_worker_main(const struct hb_worker_start *start);

#endif
