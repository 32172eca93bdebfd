/* The environ of a request (PEP 3333). */
#ifndef HB_PY_ENVIRON_H
#define HB_PY_ENVIRON_H

#include "py/state.h"

/* A new dict, with input as wsgi.input; NULL with an exception. */
PyObject *hb_py_environ(struct hb_py *py, struct hb_py_request *r, PyObject *input);

#endif
