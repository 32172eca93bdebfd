/*
 * Reloading: the configuration is read and checked again, the companion is
 * told what concerns it, a new generation of workers is started, and the old
 * one drains when the new one is ready.  Whatever fails before leaves everything
 * as it was.
 */
#ifndef HB_HORNBEAMD_RELOAD_H
#define HB_HORNBEAMD_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct hb_master;
struct hb_options;
struct hb_reload;
struct hb_reload_wait;

enum { HB_RELOAD_MS = 300 * 1000 }; /* for the new workers to get ready, unless somebody asks for less */

/* Both are borrowed.  NULL: out of memory. */
struct hb_reload *hb_reload_new(struct hb_master *m, const struct hb_options *options);
void hb_reload_free(struct hb_reload *r);

/*
 * Asks for a reload that begins now, or after the one that is under way, or
 * after the start.  The new workers get within_ms (more where several ask at
 * once).  done, which may be NULL, is called once, perhaps before this
 * returns: with NULL for success.  The return value is for cancelling the call.
 */
typedef void hb_reload_done(void *arg, const struct hb_error *err);
struct hb_reload_wait *hb_reload_ask(struct hb_reload *r, int64_t within_ms, hb_reload_done *done, void *arg);
/* Forgets the call; the reload goes on.  NULL is fine. */
void hb_reload_forget(struct hb_reload *r, struct hb_reload_wait *wait);

/* The sources have changed: gives up what is under way for another one, which who waits gets. */
void hb_reload_afresh(struct hb_reload *r);
/* The master has started: what was asked for meanwhile begins. */
void hb_reload_begin(struct hb_reload *r);
/* A worker cannot start, before any did, and waits for its sources to change: who asked is told. */
void hb_reload_unready(struct hb_reload *r, const struct hb_error *err);
/* The daemon stops. */
void hb_reload_stop(struct hb_reload *r);

/* What the workers report of the next generation. */
void hb_reload_ready(struct hb_reload *r);
void hb_reload_failed(struct hb_reload *r, const struct hb_error *err);
/* What the companion says to hb_companion_reload: err is NULL when it is in force. */
void hb_reload_told(struct hb_reload *r, uint64_t number, const struct hb_error *err);
void hb_reload_companion_gone(struct hb_reload *r);

#endif
