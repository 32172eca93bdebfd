/*
 * The operations for asyncio: for each one a function aio_NAME of _hornbeam,
 * which sends the request and returns the Future of the value; where the
 * companion can stop it, the Future and the number that aio_cancel takes.
 *
 * A loop has a client of its own, with its own connection.  The loop keeps it
 * by the callback for its descriptor, and so lets it go when it is closed.
 */
#ifndef HB_PYTHON_AIO_H
#define HB_PYTHON_AIO_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "link/mux.h"

struct aio_client;

/* Part of the module's state; every PyObject pointer owns its reference. */
struct hb_aio {
	struct aio_client *clients; /* the one that was asked for last in front; borrowed: each takes itself out */
	struct hb_mux_backoff backoff;
	PyObject *type, *get_running_loop, *invalid_state;
	/* Names of methods. */
	PyObject *create_future, *call_soon, *call_later, *cancel, *set_result, *set_exception, *log_traceback;
	PyObject *add_reader, *remove_reader, *add_writer, *remove_writer;
};

int hb_aio_init(struct hb_aio *a, PyObject *module);
int hb_aio_traverse(struct hb_aio *a, visitproc visit, void *arg);
void hb_aio_clear(struct hb_aio *a);

extern PyMethodDef hb_aio_methods[];

#endif
