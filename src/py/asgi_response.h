/*
 * The response of an ASGI application: to a request, or instead of a WebSocket.
 * The head is held until the first part of the body, so that a response of one
 * part is one write with its length; what the peer does not take at once is
 * kept here, and the sender waits.
 */
#ifndef HB_PY_ASGI_RESPONSE_H
#define HB_PY_ASGI_RESPONSE_H

#include "py/asgi.h"

/* The message that starts it, and one with a part of its body, as hb_py_asgi_kind.send has it. */
int hb_py_response_start(struct hb_py_asgi_call *c, PyObject *message, PyObject *type);
int hb_py_response_body(struct hb_py_asgi_call *c, PyObject *message, PyObject *type);
/* The peer has taken something: more of what is pending goes out. */
void hb_py_response_push(struct hb_py_asgi_call *c);
/* It is whole: whoever still waits learns it. */
void hb_py_response_complete(struct hb_py_asgi_call *c);
/* No sender waits any more; from now on each learns that the client has gone. */
void hb_py_response_lose(struct hb_py_asgi_call *c);

#endif
