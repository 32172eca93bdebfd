/* The asyncio loop of a worker. */
#ifndef HB_PY_LOOP_H
#define HB_PY_LOOP_H

#include "py/state.h"

/* A Task of the running loop for a coroutine, its first step done.  A new reference, or NULL with an exception. */
PyObject *hb_py_loop_task(struct hb_py *py, PyObject *coro);

#endif
