/* wsgi.input: the body of a request, whole and in memory or mapped. */
#ifndef HB_PY_INPUT_H
#define HB_PY_INPUT_H

#include "py/state.h"

int hb_py_input_init(struct hb_py *py);
/* The bytes are borrowed until hb_py_input_end. */
PyObject *hb_py_input_new(struct hb_py *py, const unsigned char *data, size_t len);
/* Takes the object: what the application still holds of it is a closed file from now on. */
void hb_py_input_end(struct hb_py *py, PyObject *input);

#endif
