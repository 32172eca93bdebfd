/* The workers as the master sees them: started, watched, started again, drained. */
#ifndef HB_HORNBEAMD_WORKERS_H
#define HB_HORNBEAMD_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct hb_master;
struct hb_workers;

enum hb_worker_state {
	HB_WORKER_NONE,     /* not started yet */
	HB_WORKER_STARTING, /* imports the applications */
	HB_WORKER_READY,
	HB_WORKER_DRAINING,
	HB_WORKER_BACKOFF,  /* dead; waits for its next start */
	HB_WORKER_GONE      /* dead, for good */
};

struct hb_worker_info {
	unsigned index;
	pid_t pid; /* 0: none */
	enum hb_worker_state state;
	int64_t uptime_ms;
	uint64_t restarts;
};

/* The master is borrowed. */
struct hb_workers *hb_workers_new(struct hb_master *m);
void hb_workers_free(struct hb_workers *w);

void hb_workers_start(struct hb_workers *w);
void hb_workers_drain(struct hb_workers *w); /* ends those that never got ready */
void hb_workers_kill(struct hb_workers *w);
void hb_workers_reap(struct hb_workers *w); /* after SIGCHLD */
void hb_workers_reopen_logs(struct hb_workers *w);
bool hb_workers_gone(const struct hb_workers *w);

size_t hb_workers_count(const struct hb_workers *w);
size_t hb_workers_ready(const struct hb_workers *w);
uint64_t hb_workers_restarts(const struct hb_workers *w);
void hb_workers_info(const struct hb_workers *w, size_t index, struct hb_worker_info *info);
const char *hb_worker_state_name(enum hb_worker_state state);

#endif
