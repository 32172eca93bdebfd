/* Where a suspended coroutine waits, for the log. */
#ifndef HB_PY_SUSPENDED_H
#define HB_PY_SUSPENDED_H

#include "py/state.h"

/* Logs the frames of a coroutine and of what it awaits, the innermost last.  Runs none of its code. */
void hb_py_suspended_log(PyObject *coroutine);

#endif
