/* The functions of _hornbeam for shared state: thin, positional, documented in hornbeam_erlang. */
#ifndef HB_PYTHON_STATE_H
#define HB_PYTHON_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyMethodDef hb_state_methods[];

#endif
