/*
 * Erlang's port mapper, for erlang.epmd: one that runs already is used; else
 * it is a child of the master, on erlang.listen, and ends with it.
 */
#ifndef HB_HORNBEAMD_EPMD_H
#define HB_HORNBEAMD_EPMD_H

#include "common/error.h"
#include "config/config.h"

struct event_base;
struct hb_epmd;

/* Sets *out, to NULL where the configuration asks for none.  erl is the path of erl; all are borrowed. */
int hb_epmd_new(struct event_base *base, const struct hb_config *config, const char *erl, struct hb_epmd **out,
    struct hb_error *err) HB_WARN_UNUSED;
/* Ends it. */
void hb_epmd_free(struct hb_epmd *e);
void hb_epmd_start(struct hb_epmd *e);
void hb_epmd_reap(struct hb_epmd *e); /* after SIGCHLD */

#endif
