/* Inside the py room: the Python stacks of threads, for the log. */
#ifndef HB_PY_STACKS_H
#define HB_PY_STACKS_H

#include "py/state.h"

struct hb_py_stacks *hb_py_stacks_new(void);
void hb_py_stacks_free(struct hb_py_stacks *s);
/* A forked child has only its own thread. */
void hb_py_stacks_forked(struct hb_py_stacks *s);
/*
 * The stack of one thread, or with NULL of every one that runs Python, as
 * lines; freed by the caller.  From any thread; it waits for the GIL a little,
 * never for good.
 */
char *hb_py_stacks_take(struct hb_py_stacks *s, PyThreadState *only);

#endif
