/*
 * Watching the application's sources, for development: whoever saves a Python
 * file below python.path gets a reload.
 */
#ifndef HB_HORNBEAMD_WATCH_H
#define HB_HORNBEAMD_WATCH_H

#include "common/error.h"

struct hb_master;
struct hb_watch;

/* The master is borrowed.  NULL with err. */
struct hb_watch *hb_watch_new(struct hb_master *m, struct hb_error *err) HB_WARN_UNUSED;
void hb_watch_free(struct hb_watch *w);
/* Watches what python.path of the present configuration names, too. */
void hb_watch_roots(struct hb_watch *w);

#endif
