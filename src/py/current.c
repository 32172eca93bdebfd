/* The current process of hornbeam_erlang: see current.h. */
#include "py/current.h"

#include "py/asgi.h"
#include "py/call.h"

/* For calls that began before hornbeam_erlang was imported: their contexts know nothing. */
static _Thread_local PyObject *running;

static struct hb_py_kept *
kept_of(struct hb_py *py, PyObject *call)
{
	if (Py_TYPE(call) == py->call_type)
		return &((struct hb_py_call *)call)->kept;
	if (py->asgi != NULL && Py_TYPE(call) == py->asgi->call_type)
		return &((struct hb_py_asgi_call *)call)->kept;
	return NULL;
}

static int
enable(struct hb_py *py)
{
	if (py->current_var != NULL)
		return 0;
	py->current_var = PyContextVar_New("hornbeam_current", NULL);
	if (py->current_var == NULL)
		return -1;
	return running != NULL ? hb_py_current_set(py, running) : 0;
}

/* One that waits in its coroutine alone would not be told that the client has gone. */
static void
look_for_client(struct hb_py *py, PyObject *call)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)call;

	if (py->asgi == NULL || Py_TYPE(call) != py->asgi->call_type || c->r == NULL ||
	    PyThread_get_thread_ident() != py->asgi->thread)
		return;
	if (py->server->gone(c->r))
		c->kept.left = true;
}

static void
look(struct hb_py *py)
{
	struct hb_py_call *c = (struct hb_py_call *)running;

	if (running == NULL || Py_TYPE(running) != py->call_type || c->r == NULL || c->kept.left || c->kept.over)
		return;
	if (py->server->hung_up(c->r))
		hb_py_kept_left(py, &c->kept);
}

static struct hb_py_kept *
find(struct hb_py *py)
{
	struct hb_py_kept *kept = NULL;
	PyObject *call = NULL;

	if (py->current_var != NULL && PyContextVar_Get(py->current_var, NULL, &call) == -1)
		PyErr_Clear();
	if (call == NULL)
		call = Py_XNewRef(running);
	if (call != NULL)
		kept = kept_of(py, call);
	if (kept != NULL && kept->object == NULL && !kept->over && !kept->left)
		look_for_client(py, call);
	/* Its context, or its server, keeps it. */
	Py_XDECREF(call);
	return kept;
}

int
hb_py_current_init(struct hb_py *py, size_t queue)
{
	PyObject *capsule;
	int rc;

	py->current = (struct hb_py_current){.py = py, .queue = queue, .enable = enable, .find = find, .look = look};
	capsule = PyCapsule_New(&py->current, HB_PY_CURRENT, NULL);
	rc = capsule != NULL ? PySys_SetObject(HB_PY_CURRENT, capsule) : -1;
	Py_XDECREF(capsule);
	return rc;
}

void
hb_py_current_clear(struct hb_py *py)
{
	py->current.left = py->current.ended = NULL;
	py->current.disconnected = NULL;
	Py_CLEAR(py->current_var);
	if (PySys_SetObject(HB_PY_CURRENT, NULL) == -1)
		PyErr_Clear();
}

int
hb_py_current_set(struct hb_py *py, PyObject *call)
{
	PyObject *token;

	if (py->current_var == NULL)
		return 0;
	token = PyContextVar_Set(py->current_var, call);
	Py_XDECREF(token);
	return token != NULL ? 0 : -1;
}

PyObject *
hb_py_current_run(PyObject *call)
{
	PyObject *before = running;

	running = call;
	return before;
}

bool
hb_py_kept_take_left(struct hb_py *py, const struct hb_py_kept *kept)
{
	if (!kept->left || py->current.disconnected == NULL || !PyErr_ExceptionMatches(py->current.disconnected))
		return false;
	PyErr_Clear();
	return true;
}

void
hb_py_kept_left(struct hb_py *py, struct hb_py_kept *kept)
{
	kept->left = true;
	if (kept->object != NULL && py->current.left != NULL)
		py->current.left(kept->object);
}

void
hb_py_kept_end(struct hb_py *py, struct hb_py_kept *kept)
{
	kept->over = true;
	if (kept->object == NULL)
		return;
	if (py->current.ended != NULL)
		py->current.ended(kept->object);
	Py_CLEAR(kept->object);
}
