/* The operations as blocking functions of _hornbeam, each by its name in ops.h. */
#ifndef HB_PYTHON_BLOCKING_H
#define HB_PYTHON_BLOCKING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern PyMethodDef hb_blocking_methods[];

#endif
