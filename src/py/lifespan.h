/* The lifespans of ASGI applications; see loop.h for when they start and end. */
#ifndef HB_PY_LIFESPAN_H
#define HB_PY_LIFESPAN_H

#include "py/asgi.h"

/* The application has one, unless the configuration says off. */
void hb_py_lifespan_add(struct hb_py *py, struct hb_py_app *app);
void hb_py_lifespan_clear(struct hb_py_asgi *asgi);

#endif
