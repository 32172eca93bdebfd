/* What goes wrong in an application, in the log: wsgi.errors and tracebacks. */
#ifndef HB_PY_ERRORS_H
#define HB_PY_ERRORS_H

#include "py/state.h"

int hb_py_errors_init(struct hb_py *py);
/* Logs the pending exception with its traceback and clears it; what says where, such as the request line. */
void hb_py_log_exception(struct hb_py *py, const char *what);
/* The same for a request. */
void hb_py_log_failure(struct hb_py *py, const struct hb_py_request *r);
/* Tells the server the pending exception, which stays pending, where it wants to know. */
void hb_py_tell_exception(struct hb_py *py, struct hb_py_request *r);
/* Clears the pending exception and puts its type and text into err, a line. */
void hb_py_take_exception(struct hb_error *err, enum hb_error_kind kind, const char *what);

#endif
