/* The files of the asyncio client among themselves: see aio.h. */
#ifndef HB_PYTHON_AIO_CLIENT_H
#define HB_PYTHON_AIO_CLIENT_H

#include <stdbool.h>

#include "module.h"
#include "ops.h"

/* A call in flight: who waits for it, and what its reply is read with. */
struct aio_call {
	struct hb_mux_call call;
	const struct hb_op *op;
	PyObject *future; /* NULL: nobody */
	PyObject *arg;
};

struct aio_client {
	PyObject_HEAD
	PyObject *weakrefs;
	PyObject *module;
	struct hb_module *m;
	PyObject *loop; /* a weak reference: the loop has the client, not the client its loop */
	struct hb_mux *mux;
	int fd; /* that the loop watches, or -1 */
	bool writable;  /* it is watched for that, too */
	bool flushing;  /* the loop will call */
	PyObject *timer; /* the loop's handle for it */
	int64_t timer_at;
	struct aio_client *next, **at;
};

int aio_client_init(struct hb_aio *a, PyObject *module);
/* The client of the running loop, which is loop; owned.  NULL with an exception. */
struct aio_client *aio_client_of(PyObject *module, PyObject *loop);
/* Sends op with these arguments; future is borrowed and may be NULL.  The call's number, 0 with an exception. */
uint32_t aio_client_call(struct aio_client *client, PyObject *loop, const struct hb_op *op, PyObject *const *args,
    Py_ssize_t n, PyObject *future);
/* Gives the call up if it is still in flight and has this future. */
int aio_client_cancel(struct aio_client *client, PyObject *loop, uint32_t id, PyObject *future);

/* What hb_mux_options.done is. */
void aio_call_done(void *client, struct hb_mux_call *call, const unsigned char *payload, size_t len,
    const struct hb_error *err);
void aio_call_free(struct aio_call *call);

#endif
