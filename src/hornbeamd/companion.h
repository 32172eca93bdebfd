/*
 * The companion: the Erlang VM that the applications share.  There are two
 * kinds: one that the master starts (companion_embedded.c), and one that
 * started the master (companion_attached.c).
 */
#ifndef HB_HORNBEAMD_COMPANION_H
#define HB_HORNBEAMD_COMPANION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "config/config.h"

struct hb_companion;
struct hb_companion_kind;
struct hb_master;

enum hb_companion_state {
	HB_COMPANION_NONE, /* not started yet */
	HB_COMPANION_STARTING,
	HB_COMPANION_READY,
	HB_COMPANION_BACKOFF,  /* dead; waits for its next start */
	HB_COMPANION_STOPPING, /* told to end */
	HB_COMPANION_GONE      /* dead, for good */
};

struct hb_companion_info {
	const char *kind; /* "embedded", "attached" */
	enum hb_companion_state state;
	pid_t pid; /* 0: none */
	int64_t uptime_ms;
	uint64_t restarts;
};

extern const struct hb_companion_kind hb_companion_embedded;
extern const struct hb_companion_kind hb_companion_attached;

/* The master is borrowed.  NULL with err, for instance where there is no erl. */
struct hb_companion *hb_companion_new(const struct hb_companion_kind *kind, struct hb_master *m,
    struct hb_error *err) HB_WARN_UNUSED;
void hb_companion_free(struct hb_companion *c);

void hb_companion_start(struct hb_companion *c);
void hb_companion_stop(struct hb_companion *c);
void hb_companion_kill(struct hb_companion *c);
void hb_companion_reap(struct hb_companion *c); /* after SIGCHLD */
bool hb_companion_gone(const struct hb_companion *c);
bool hb_companion_is_ready(const struct hb_companion *c);
/*
 * Hands over what a reload may change of the configuration.  1: hb_reload_told
 * gets the answer to this number; 0: nobody has to be told; -1 with err.
 */
int hb_companion_reload(struct hb_companion *c, const struct hb_config *config, uint64_t number,
    struct hb_error *err) HB_WARN_UNUSED;
void hb_companion_info(const struct hb_companion *c, struct hb_companion_info *info);
const char *hb_companion_state_name(enum hb_companion_state state);

#endif
