/* The extension module's side of the link: see client.h. */
#include "client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "py/waiting.h"
#include "term/term.h"

enum { KEPT_SIZE = 64 * 1024 }; /* a larger buffer is given back after its call */

int
hb_client_init(struct hb_client *c)
{
	PyObject *errors = PyImport_ImportModule("hornbeam_erlang._errors");

	if (errors == NULL)
		return -1;
	c->error = PyObject_GetAttrString(errors, "HornbeamError");
	c->disconnected_error = PyObject_GetAttrString(errors, "HornbeamDisconnectedError");
	c->timeout_error = PyObject_GetAttrString(errors, "HornbeamTimeoutError");
	c->connection_error = PyObject_GetAttrString(errors, "HornbeamConnectionError");
	c->permission_error = PyObject_GetAttrString(errors, "HornbeamPermissionError");
	c->call_error = PyObject_GetAttrString(errors, "CallError");
	c->remote_error = PyObject_GetAttrString(errors, "RemoteError");
	Py_DECREF(errors);
	return PyErr_Occurred() ? -1 : 0;
}

int
hb_client_traverse(struct hb_client *c, visitproc visit, void *arg)
{
	Py_VISIT(c->error);
	Py_VISIT(c->disconnected_error);
	Py_VISIT(c->timeout_error);
	Py_VISIT(c->connection_error);
	Py_VISIT(c->permission_error);
	Py_VISIT(c->call_error);
	Py_VISIT(c->remote_error);
	return 0;
}

void
hb_client_clear(struct hb_client *c)
{
	struct hb_scratch *s;

	Py_CLEAR(c->error);
	Py_CLEAR(c->disconnected_error);
	Py_CLEAR(c->timeout_error);
	Py_CLEAR(c->connection_error);
	Py_CLEAR(c->permission_error);
	Py_CLEAR(c->call_error);
	Py_CLEAR(c->remote_error);
	while ((s = c->spare) != NULL) {
		c->spare = s->next;
		hb_buf_free(&s->request);
		hb_buf_free(&s->reply);
		PyMem_Free(s);
	}
	free(c->path);
	free(c->role);
	c->path = c->role = NULL;
}

/*
 * Signal handlers run in the main thread only, which is the process's first
 * one; the others need not ask for the GIL.
 */
static int
interrupted(void *arg)
{
	PyGILState_STATE gil;
	int stop;

	if (gettid() != getpid())
		return 0;
	gil = PyGILState_Ensure();
	stop = PyErr_CheckSignals();
	PyGILState_Release(gil);
	return stop;
}

static int
settle(struct hb_client *c, enum hb_link_via via, const char *path, const char *role)
{
	c->via = via;
	c->path = path != NULL ? strdup(path) : NULL;
	c->role = strdup(role);
	if (c->role != NULL && (path == NULL || c->path != NULL))
		return 0;
	free(c->path);
	free(c->role);
	c->path = c->role = NULL;
	PyErr_NoMemory();
	return -1;
}

PyObject *
hb_client_configure(struct hb_client *c, PyObject *args)
{
	const char *path, *via, *role;

	if (!PyArg_ParseTuple(args, "sss:configure", &path, &via, &role))
		return NULL;
	if (strcmp(via, "direct") != 0 && strcmp(via, "control") != 0)
		return PyErr_Format(PyExc_ValueError, "via is 'direct' or 'control', not '%s'", via);
	if (c->role != NULL) {
		PyErr_SetString(PyExc_RuntimeError, "the link is already in use");
		return NULL;
	}
	if (settle(c, strcmp(via, "direct") == 0 ? HB_LINK_DIRECT : HB_LINK_CONTROL, path, role) == -1)
		return NULL;
	return Py_NewRef(Py_None);
}

/* A worker of hornbeamd says in sys where the companion itself listens; others ask the master for a link. */
int
hb_client_settle(struct hb_client *c)
{
	PyObject *direct, *path;
	int rc;

	if (c->role != NULL)
		return 0;
	direct = PySys_GetObject("_hornbeam_link");
	if (direct == NULL)
		return settle(c, HB_LINK_CONTROL, NULL, "client");
	if (!PyUnicode_FSConverter(direct, &path))
		return -1;
	rc = settle(c, HB_LINK_DIRECT, PyBytes_AS_STRING(path), "worker");
	Py_DECREF(path);
	return rc;
}

static struct hb_link_options
options_of(const struct hb_client *c)
{
	return (struct hb_link_options){.via = c->via, .path = c->path, .role = c->role,
	    .name = program_invocation_short_name, .interrupted = interrupted};
}

static int
make_link(struct hb_client *c)
{
	PyObject *capsule = PySys_GetObject(HB_PY_WAITING);
	struct hb_link_options options;

	if (capsule != NULL && (c->waiting = PyCapsule_GetPointer(capsule, HB_PY_WAITING)) == NULL)
		return -1;
	if (hb_client_settle(c) == -1)
		return -1;
	options = options_of(c);
	c->link = hb_link_new(&options);
	return 0;
}

struct hb_push *
hb_client_push(struct hb_client *c)
{
	struct hb_link_options options;

	if (c->push == NULL && hb_client_settle(c) == 0) {
		options = options_of(c);
		c->push = hb_push_new(&options, c->queue);
	}
	return c->push;
}

struct hb_scratch *
hb_client_take(struct hb_client *c)
{
	struct hb_scratch *s = c->spare;

	if (s != NULL) {
		c->spare = s->next;
	} else {
		s = PyMem_Calloc(1, sizeof *s);
		if (s == NULL) {
			PyErr_NoMemory();
			return NULL;
		}
	}
	hb_link_begin(&s->request);
	hb_term_put_version(&s->request);
	return s;
}

void
hb_client_give(struct hb_client *c, struct hb_scratch *s)
{
	if (s->request.cap > KEPT_SIZE)
		hb_buf_free(&s->request);
	if (s->reply.cap > KEPT_SIZE)
		hb_buf_free(&s->reply);
	s->next = c->spare;
	c->spare = s;
}

PyObject *
hb_client_raise(struct hb_client *c, const struct hb_error *err)
{
	PyObject *type = c->error;

	switch (err->kind) {
	case HB_ERROR_INTERRUPT: /* the signal's handler raised */
		if (PyErr_Occurred())
			return NULL;
		break;
	case HB_ERROR_MEMORY:
		return PyErr_NoMemory();
	case HB_ERROR_TYPE:
		type = PyExc_TypeError;
		break;
	case HB_ERROR_VALUE:
		type = PyExc_ValueError;
		break;
	case HB_ERROR_TIMEOUT:
		type = c->timeout_error;
		break;
	case HB_ERROR_CONNECT:
	case HB_ERROR_DOWN:
		type = c->connection_error;
		break;
	case HB_ERROR_PERMISSION:
		type = c->permission_error;
		break;
	default:
		break;
	}
	PyErr_SetString(type, err->text);
	return NULL;
}

int
hb_client_call(struct hb_client *c, enum hb_link_op op, struct hb_scratch *s, int64_t timeout)
{
	struct hb_error err;
	int64_t deadline;
	int result;

	if (c->link == NULL && make_link(c) == -1)
		return -1;
	Py_BEGIN_ALLOW_THREADS
	deadline = hb_clock_ms() + timeout;
	if (c->waiting != NULL)
		c->waiting->begin(deadline);
	result = hb_link_call(c->link, op, &s->request, deadline, &s->reply, &err);
	if (c->waiting != NULL)
		c->waiting->end();
	Py_END_ALLOW_THREADS
	if (result == -1)
		hb_client_raise(c, &err);
	return result;
}
