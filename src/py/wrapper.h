/* wsgi.file_wrapper. */
#ifndef HB_PY_WRAPPER_H
#define HB_PY_WRAPPER_H

#include "py/state.h"

int hb_py_wrapper_init(struct hb_py *py);
/*
 * Whether what a wrapper's read() would give are the bytes of a file, so that
 * they can be sent from there: its descriptor, where it stands, and how much
 * there is.  Never an exception.
 */
bool hb_py_wrapper_file(struct hb_py *py, PyObject *wrapper, int *fd, int64_t *off, int64_t *left);

#endif
