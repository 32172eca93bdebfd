/*
 * The process of a worker: started, heard through its channel, and over.
 * worker/worker.h tells the words of the channel.
 */
#ifndef HB_HORNBEAMD_PROCESS_H
#define HB_HORNBEAMD_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/log.h"

struct event;
struct event_base;
struct hb_spawn;

struct hb_process {
	unsigned index; /* for the log */
	pid_t pid; /* 0: none */
	int channel;
	struct event *readable; /* of the channel */
	int64_t started_ms;
	/* A word of its channel: 'R' or 'X'. */
	void (*said)(void *arg, char word);
	void *arg;
	bool in_words; /* in the middle of its last words */
	size_t words_len;
	char words[HB_LOG_LAST]; /* why it could not start */
};

void hb_process_init(struct hb_process *p, unsigned index, void (*said)(void *arg, char word), void *arg);
/* Starts it: fds[HB_WORKER_FD_CHANNEL] of spawn is filled in.  On failure there is no process. */
int hb_process_start(struct hb_process *p, struct event_base *base, const struct hb_spawn *spawn, int *fds,
    struct hb_error *err) HB_WARN_UNUSED;
/* If it has ended: hears what it still said, forgets it, and returns true. */
bool hb_process_reap(struct hb_process *p, int *status);
/* Tells it to drain; gently: others serve on, so that idle connections need not end at once. */
void hb_process_drain(struct hb_process *p, bool gently);
/* Closes what is open; for a process that is over, or at the end of the master. */
void hb_process_clear(struct hb_process *p);

#endif
