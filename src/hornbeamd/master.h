/*
 * The master: its children, its sockets and the states it goes through.
 * main.c fills a struct hb_master in; hb_master_run takes it from there.
 */
#ifndef HB_HORNBEAMD_MASTER_H
#define HB_HORNBEAMD_MASTER_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "hornbeamd/identity.h"
#include "worker/worker.h"

struct event;
struct event_base;
struct hb_companion;
struct hb_control;
struct hb_generation;
struct hb_reload;
struct hb_watch;
struct hb_workers;

enum hb_master_state {
	HB_MASTER_STARTING, /* companion, then workers */
	HB_MASTER_READY,
	HB_MASTER_DRAINING, /* the workers finish what they have */
	HB_MASTER_STOPPING  /* only the companion is left */
};

enum { HB_MASTER_SIGNALS = 5 };

struct hb_master {
	/* Set up by main. */
	const struct hb_config *config; /* that of the generation */
	const char *config_file; /* NULL: none */
	struct hb_identity identity;
	struct hb_generation *generation; /* of the workers that serve, owned */
	int exe_fd;      /* our own program, as it was when we started */
	int null_fd;     /* /dev/null */
	int counters_fd;
	struct hb_worker_shared *shared;
	char *link_path; /* the companion's socket */
	struct event_base *base;
	struct hb_companion *companion;
	struct hb_workers *workers;
	struct hb_reload *reload;
	struct hb_watch *watch; /* NULL: the sources are not watched */
	struct hb_control *control;
	/* The run. */
	enum hb_master_state state;
	int64_t started_ms;
	int exit_status;
	struct event *signals[HB_MASTER_SIGNALS];
};

const char *hb_master_state_name(enum hb_master_state state);
/* Runs until everything has ended.  Returns the exit status. */
int hb_master_run(struct hb_master *m);

/* Drains, unless it does already, and then ends. */
void hb_master_stop(struct hb_master *m);

/* What the children report. */
void hb_master_companion_ready(struct hb_master *m);
void hb_master_workers_ready(struct hb_master *m);
/* Cannot start: ends everything at once with this exit status; the cause is in the log. */
void hb_master_fail(struct hb_master *m, int exit_status);
/* A child has gone for good: the stop goes on. */
void hb_master_gone(struct hb_master *m);

/* What a first SIGTERM does, unless it is done already; and what a second one does.  why begins the log's line. */
void hb_master_drain(struct hb_master *m, const char *why);
void hb_master_end(struct hb_master *m, const char *why);

#endif
