/*
 * What reads for a loop: an object that the loop calls when something has come,
 * and that wakes who waits there.  A loop has one, until it is closed.
 */
#ifndef HB_PYTHON_WATCH_H
#define HB_PYTHON_WATCH_H

#include "pubsub.h"

struct hb_loop_watch {
	PyObject_HEAD
	PyObject *loop;
	struct hb_push_watch *watch; /* NULL: no more */
	struct hb_loop_watch *next;  /* owned */
};

extern PyType_Spec hb_watch_spec;
/* Where a loop runs on this thread it reads from now on.  *watch is borrowed, NULL: none runs.  -1 with an exception. */
int hb_watch_get(struct hb_module *m, struct hb_loop_watch **watch);
void hb_watch_clear(struct hb_pubsub *p);

#endif
