/* What an application speaks, told by what it is and how it can be called. */
#ifndef HB_PY_DETECT_H
#define HB_PY_DETECT_H

#include "py/state.h"

/* -1 with an exception: it cannot be called as that interface wants. */
int hb_py_detect(PyObject *callable, enum hb_py_interface wanted, bool *async);
/*
 * Whether an ASGI application wants scope["path"] without its mount.  The
 * specification has root_path in front of path, but Starlette before 0.33, and
 * FastAPI with it, match their routes against path as it stands and make URLs
 * of root_path + path.
 */
bool hb_py_detect_mount_apart(PyObject *callable);

#endif
