/*
 * The workers as the master sees them: started, watched, started again,
 * replaced and drained.  Those of the present generation serve; while another
 * gets ready they stay, and then they drain.
 */
#ifndef HB_HORNBEAMD_WORKERS_H
#define HB_HORNBEAMD_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

struct hb_generation;
struct hb_master;
struct hb_workers;

enum hb_worker_state {
	HB_WORKER_STARTING, /* imports the applications */
	HB_WORKER_READY,
	HB_WORKER_DRAINING, /* finishes what it has, or has been killed */
	HB_WORKER_BACKOFF,  /* dead; waits for its next start */
	HB_WORKER_GONE      /* dead, for good */
};

struct hb_worker_info {
	unsigned index;
	unsigned slot; /* of its counters */
	pid_t pid; /* 0: none */
	enum hb_worker_state state;
	int64_t uptime_ms;
	uint64_t restarts;
};

/* What workers that have gone have counted. */
struct hb_worker_past {
	uint64_t restarts, requests, errors, bad_requests, bytes_in, bytes_out;
};

/* The master is borrowed.  uncached: Python is not to keep compiled sources, which may be of the same second. */
struct hb_workers *hb_workers_new(struct hb_master *m, bool uncached);
void hb_workers_free(struct hb_workers *w);

/* The first generation: the master's. */
void hb_workers_start(struct hb_workers *w);
/*
 * Where sources are watched, those that cannot start wait for a change: this is
 * one.  False: others, which may have read the sources before, are among them.
 */
bool hb_workers_try_again(struct hb_workers *w);
/*
 * Starts a worker for each of the next generation, which is borrowed.  When
 * all are ready hb_reload_ready() is called, and at once after it the old ones
 * drain; when one cannot start hb_reload_failed() is, and they have been ended.
 */
void hb_workers_renew(struct hb_workers *w, struct hb_generation *next);
/* Ends the workers of the next generation. */
void hb_workers_give_up(struct hb_workers *w);

void hb_workers_drain(struct hb_workers *w); /* ends those that never got ready */
void hb_workers_kill(struct hb_workers *w);
void hb_workers_reap(struct hb_workers *w); /* after SIGCHLD */
void hb_workers_reopen_logs(struct hb_workers *w);
bool hb_workers_gone(const struct hb_workers *w);

/* Those that serve the present generation. */
size_t hb_workers_ready(const struct hb_workers *w);
uint64_t hb_workers_restarts(const struct hb_workers *w);
const struct hb_worker_past *hb_workers_past(const struct hb_workers *w);
/* Every worker there is, by index and age; *count is their number.  Returns owned. */
struct hb_worker_info *hb_workers_list(const struct hb_workers *w, size_t *count);
const char *hb_worker_state_name(enum hb_worker_state state);

#endif
