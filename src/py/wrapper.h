/* wsgi.file_wrapper. */
#ifndef HB_PY_WRAPPER_H
#define HB_PY_WRAPPER_H

#include "py/state.h"

int hb_py_wrapper_init(struct hb_py *py);

#endif
