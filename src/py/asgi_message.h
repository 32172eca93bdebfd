/* What applications put into the messages that they send. */
#ifndef HB_PY_ASGI_MESSAGE_H
#define HB_PY_ASGI_MESSAGE_H

#include "py/asgi.h"

enum hb_py_message_type {
	HB_PY_SEND_START,      /* http.response.start */
	HB_PY_SEND_BODY,       /* http.response.body */
	HB_PY_SEND_EARLY_HINT, /* http.response.early_hint */
	HB_PY_SEND_ACCEPT,     /* websocket.accept */
	HB_PY_SEND_MESSAGE,    /* websocket.send */
	HB_PY_SEND_CLOSE,      /* websocket.close */
	HB_PY_SEND_DENIAL_START, /* websocket.http.response.start */
	HB_PY_SEND_DENIAL_BODY,  /* websocket.http.response.body */
	HB_PY_SEND_STARTUP_COMPLETE,
	HB_PY_SEND_STARTUP_FAILED,
	HB_PY_SEND_SHUTDOWN_COMPLETE,
	HB_PY_SEND_SHUTDOWN_FAILED
};

/* -1 with an exception: not a dict, or an unknown type.  *type is its text. */
int hb_py_message_type(struct hb_py_asgi_names *n, PyObject *message, enum hb_py_message_type *kind,
    PyObject **type);
/* RuntimeError that a message of that type cannot be sent now.  Returns -1. */
int hb_py_message_unexpected(PyObject *type, const char *when);

/* A status and headers for the server. */
struct hb_py_fields {
	struct hb_py_field *fields;
	size_t count;
	struct hb_py_field stack[32];
	PyObject *list; /* keeps what the fields point to */
};

/* The headers of a message, where it has any; the texts are good until hb_py_fields_free.  -1 with an exception. */
int hb_py_fields_get(struct hb_py_fields *f, PyObject *headers);
void hb_py_fields_free(struct hb_py_fields *f);
/* status and headers of a response's start, to the server's head operation.  -1 with an exception. */
int hb_py_message_head(struct hb_py_asgi_call *c, PyObject *message, unsigned *status);

/* body and more_body; *body is a new reference, NULL where there is none. */
int hb_py_message_body(struct hb_py_asgi_names *n, PyObject *message, PyObject **body, bool *more);
/* An optional str; *value is a new reference, NULL where it is absent or None. */
int hb_py_message_text(PyObject *message, PyObject *key, const char *what, PyObject **value);

#endif
