/* Functions of _hornbeam for what Erlang calls in this process: its names, what comes to be run, what came of it. */
#ifndef HB_PYTHON_PROVIDE_H
#define HB_PYTHON_PROVIDE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "link/push.h"

/* Part of the module's state. */
struct hb_provide {
	struct hb_subscriber *listener; /* kept to the end of the process: a thread may be in it */
};

extern PyMethodDef hb_provide_methods[];

struct hb_module;
/*
 * Shortens the timeout of a call to what the function that makes it has left,
 * where the companion asked for that and this thread runs it; -1 with HornbeamTimeoutError
 * where nothing is left.
 */
int hb_provide_limit(struct hb_module *m, int64_t *timeout);

#endif
