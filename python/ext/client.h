/*
 * The extension module's side of the link: one blocking client a process,
 * requests built in buffers that are used again, the GIL released around
 * every wait, and errors as the exceptions of hornbeam_erlang._errors.
 */
#ifndef HB_PYTHON_CLIENT_H
#define HB_PYTHON_CLIENT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "common/buf.h"
#include "link/client.h"
#include "link/push.h"

/* A request and its reply.  The GIL guards the spare ones. */
struct hb_scratch {
	struct hb_buf request;
	struct hb_buf reply;
	struct hb_scratch *next;
};

/* Part of the module's state; every PyObject pointer owns its reference. */
struct hb_client {
	/* Which companion this process belongs to; role is NULL until configure, or the first call, says. */
	enum hb_link_via via;
	char *path, *role; /* path is NULL where hb_link_locate finds it */
	const struct hb_py_waiting *waiting; /* of the worker; NULL elsewhere */
	struct hb_link *link; /* made by the first call, kept to the end of the process: threads may be in it */
	struct hb_push *push; /* made and kept as link */
	size_t queue;         /* messages of a subscriber, 0: the default */
	struct hb_scratch *spare;
	PyObject *error, *disconnected_error, *timeout_error, *connection_error, *permission_error;
	PyObject *call_error, *remote_error;
};

int hb_client_init(struct hb_client *c);
int hb_client_traverse(struct hb_client *c, visitproc visit, void *arg);
void hb_client_clear(struct hb_client *c);
/* configure(path, via, role): which companion this process belongs to; for workers. */
PyObject *hb_client_configure(struct hb_client *c, PyObject *args);

/* A request that is begun, with its version byte; NULL with MemoryError. */
struct hb_scratch *hb_client_take(struct hb_client *c);
void hb_client_give(struct hb_client *c, struct hb_scratch *s);
/* Settles via, path and role; -1 with an exception. */
int hb_client_settle(struct hb_client *c);
/* Sends the request and waits for s->reply, at most timeout milliseconds; -1 with an exception. */
int hb_client_call(struct hb_client *c, enum hb_link_op op, struct hb_scratch *s, int64_t timeout);
/* The connection for what is pushed; NULL with an exception. */
struct hb_push *hb_client_push(struct hb_client *c);
/* Raises err's exception; returns NULL. */
PyObject *hb_client_raise(struct hb_client *c, const struct hb_error *err);

#endif
