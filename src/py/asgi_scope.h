/* The scope of an ASGI request or WebSocket, and of a lifespan. */
#ifndef HB_PY_ASGI_SCOPE_H
#define HB_PY_ASGI_SCOPE_H

#include "py/asgi.h"

int hb_py_asgi_scope_init(struct hb_py_asgi *asgi);
void hb_py_asgi_scope_clear(struct hb_py_asgi *asgi);

/* Makes the templates of a listener and mount.  -1 with an exception. */
int hb_py_asgi_place_init(struct hb_py *py, struct hb_py_place *place, const struct hb_py_listener *listener,
    const char *root_path);
void hb_py_asgi_place_clear(struct hb_py_place *place);

/* A new dict, or NULL with an exception. */
PyObject *hb_py_asgi_scope(struct hb_py *py, struct hb_py_request *r);
/* The same for a lifespan, with the given state. */
PyObject *hb_py_asgi_lifespan_scope(struct hb_py *py, PyObject *state);

#endif
