/*
 * The lifespan of each ASGI application: started before the worker is ready,
 * ended when it stops.  One that does not know the protocol goes without, unless
 * the configuration says that it must.
 */
#include "py/lifespan.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/str.h"
#include "py/asgi_message.h"
#include "py/asgi_scope.h"
#include "py/errors.h"
#include "py/loop.h"

enum phase {
	STARTING,
	STARTED,
	STOPPING,
	OVER /* stopped, failed, or not supported */
};

struct hb_py_lifetime {
	struct hb_py_lifetime *next;
	struct hb_py *py;
	struct hb_py_app *app;
	struct hb_py_asgi_call *call; /* NULL: the application has ended it */
	PyObject *state;
	PyObject *future; /* what is waited for: the start, later the end */
	PyObject *timer;
	enum phase phase;
	bool told;        /* of the start */
	bool told_stop;
};

/* What is waited for has come: or, with text, has failed. */
static void
settle(struct hb_py_lifetime *l, const char *text)
{
	PyObject *future = l->future, *done, *error = NULL;

	l->future = NULL;
	if (l->timer != NULL) {
		done = PyObject_CallMethod(l->timer, "cancel", NULL);
		Py_XDECREF(done);
		Py_CLEAR(l->timer);
	}
	if (future == NULL)
		return;
	if (text == NULL)
		done = PyObject_CallMethod(future, "set_result", "O", Py_None);
	else {
		error = PyObject_CallFunction(l->py->asgi->not_started, "s", text);
		done = error != NULL ? PyObject_CallMethod(future, "set_exception", "O", error) : NULL;
	}
	if (done == NULL)
		PyErr_WriteUnraisable(future);
	Py_XDECREF(done);
	Py_XDECREF(error);
	Py_DECREF(future);
}

static void
fail_start(struct hb_py_lifetime *l, const char *why)
{
	char *text = hb_xasprintf("the application %s did not start: %s", l->app->spec, why);

	l->phase = OVER;
	settle(l, text);
	free(text);
}

static int
give(PyObject *key, PyObject *type, PyObject **message)
{
	*message = PyDict_New();
	if (*message != NULL && PyDict_SetItem(*message, key, type) == -1)
		Py_CLEAR(*message);
	return *message != NULL ? 1 : -1;
}

static int
lifespan_receive(struct hb_py_asgi_call *c, PyObject **message)
{
	struct hb_py_lifetime *l = c->data;
	struct hb_py_asgi_names *n = &c->py->asgi->names;

	if (!l->told) {
		l->told = true;
		return give(n->type, n->lifespan_startup, message);
	}
	if (l->phase == STOPPING && !l->told_stop) {
		l->told_stop = true;
		return give(n->type, n->lifespan_shutdown, message);
	}
	return 0;
}

static void
log_failure(struct hb_py_lifetime *l, const char *what, PyObject *text)
{
	const char *p = text != NULL ? PyUnicode_AsUTF8(text) : NULL;

	PyErr_Clear();
	hb_err("app: %s: %s", l->app->spec, what);
	if (p != NULL && *p != '\0')
		hb_log_lines(HB_LOG_ERROR, "app: ", p);
}

static int
lifespan_send(struct hb_py_asgi_call *c, PyObject *message)
{
	struct hb_py_lifetime *l = c->data;
	enum hb_py_message_type kind;
	PyObject *type, *text;
	bool starts;

	if (hb_py_message_type(&c->py->asgi->names, message, &kind, &type) == -1)
		return -1;
	if (kind < HB_PY_SEND_STARTUP_COMPLETE)
		return hb_py_message_unexpected(type, "it is not of lifespan");
	starts = kind == HB_PY_SEND_STARTUP_COMPLETE || kind == HB_PY_SEND_STARTUP_FAILED;
	if (l->phase != (starts ? STARTING : STOPPING))
		return hb_py_message_unexpected(type, "it is not the time for it");
	if (hb_py_message_text(message, c->py->asgi->names.message, "'message'", &text) == -1)
		return -1;
	switch ((int)kind) {
	case HB_PY_SEND_STARTUP_COMPLETE:
		l->phase = STARTED;
		Py_XSETREF(l->app->state, Py_NewRef(l->state));
		settle(l, NULL);
		break;
	case HB_PY_SEND_STARTUP_FAILED:
		log_failure(l, "the start failed", text);
		fail_start(l, "lifespan.startup.failed");
		break;
	case HB_PY_SEND_SHUTDOWN_FAILED:
		log_failure(l, "the end failed", text);
		/* fall through */
	case HB_PY_SEND_SHUTDOWN_COMPLETE:
		l->phase = OVER;
		settle(l, NULL);
		break;
	}
	Py_XDECREF(text);
	return 1;
}

static void
lifespan_notify(struct hb_py_asgi_call *c, unsigned events)
{
}

/* It has not said that it started: does it know lifespans at all? */
static void
end_start(struct hb_py_lifetime *l, enum hb_py_end how)
{
	bool raised = how == HB_PY_END_RAISED, exit = raised && PyErr_ExceptionMatches(PyExc_SystemExit);

	if (l->py->lifespan == HB_PY_LIFESPAN_ON || exit) {
		if (raised)
			hb_py_asgi_log_exception(l->call, "in its lifespan");
		fail_start(l, raised ? "its lifespan raised an exception" : "its lifespan ended before it had started");
		return;
	}
	/* One that asked what to do knows the protocol: what it raises then is worth a look. */
	if (raised && l->told)
		hb_py_asgi_log_exception(l->call, "in its lifespan, which the server goes without");
	else {
		PyErr_Clear();
		hb_info("app: %s goes without a lifespan", l->app->spec);
	}
	l->phase = OVER;
	settle(l, NULL);
}

static void
lifespan_ended(struct hb_py_asgi_call *c, enum hb_py_end how)
{
	struct hb_py_lifetime *l = c->data;

	switch (l->phase) {
	case STARTING:
		end_start(l, how);
		break;
	case STARTED:
	case STOPPING:
		if (how == HB_PY_END_RAISED)
			hb_py_asgi_log_exception(c, "in its lifespan");
		l->phase = OVER;
		settle(l, NULL);
		break;
	case OVER:
		break; /* what it raises is what it has told */
	}
	l->call = NULL;
}

static const struct hb_py_asgi_kind lifespan_kind = {lifespan_receive, lifespan_send, lifespan_notify, lifespan_ended};

static PyObject *
on_timeout(PyObject *capsule, PyObject *unused)
{
	struct hb_py_lifetime *l = PyCapsule_GetPointer(capsule, "hornbeam.lifespan");
	char text[100];

	if (l == NULL)
		return NULL;
	snprintf(text, sizeof text, "not within timeouts.lifespan, %.1f s", (double)l->py->lifespan_timeout / 1000);
	if (l->phase == STARTING)
		fail_start(l, text);
	else {
		hb_err("app: %s: its lifespan did not end: %s", l->app->spec, text);
		l->phase = OVER;
		settle(l, NULL);
	}
	if (l->call != NULL)
		hb_py_asgi_cancel(l->call);
	Py_RETURN_NONE;
}

static PyMethodDef timeout_def = {"lifespan_timeout", on_timeout, METH_NOARGS, NULL};

/* A new future, which the timer ends at last. */
static int
begin_wait(struct hb_py_lifetime *l)
{
	PyObject *capsule = PyCapsule_New(l, "hornbeam.lifespan", NULL), *function = NULL;

	l->future = hb_py_loop_future(l->py);
	if (capsule != NULL)
		function = PyCFunction_New(&timeout_def, capsule);
	if (function != NULL)
		l->timer = PyObject_CallMethod(hb_py_loop(l->py), "call_later", "dO",
		    (double)l->py->lifespan_timeout / 1000, function);
	Py_XDECREF(capsule);
	Py_XDECREF(function);
	return l->future != NULL && l->timer != NULL ? 0 : -1;
}

/* The Task is an ordinary one: the loop's main task is running. */
static int
start(struct hb_py *py, struct hb_py_lifetime *l)
{
	l->state = PyDict_New();
	if (l->state == NULL || begin_wait(l) == -1)
		return -1;
	l->call = hb_py_asgi_call_new(py, &lifespan_kind, l->app, hb_py_asgi_lifespan_scope(py, l->state));
	if (l->call == NULL)
		return -1;
	l->call->data = l;
	l->call->starting = false;
	l->call->task = PyObject_CallMethod(hb_py_loop(py), "create_task", "O", l->call);
	return l->call->task != NULL ? 0 : -1;
}

/* One awaitable for all the futures; None where there are none. */
static PyObject *
gather(struct hb_py *py)
{
	PyObject *futures = PyList_New(0), *args = NULL, *module = NULL, *function = NULL, *all = NULL;
	bool complete = futures != NULL;

	for (struct hb_py_lifetime *l = py->asgi->lifespans; l != NULL && complete; l = l->next)
		complete = l->future == NULL || PyList_Append(futures, l->future) == 0;
	if (complete && PyList_GET_SIZE(futures) == 0) {
		Py_DECREF(futures);
		Py_RETURN_NONE;
	}
	args = complete ? PyList_AsTuple(futures) : NULL;
	module = PyImport_ImportModule("asyncio");
	if (module != NULL)
		function = PyObject_GetAttrString(module, "gather");
	if (args != NULL && function != NULL)
		all = PyObject_CallObject(function, args);
	Py_XDECREF(futures);
	Py_XDECREF(args);
	Py_XDECREF(module);
	Py_XDECREF(function);
	return all;
}

void
hb_py_lifespan_add(struct hb_py *py, struct hb_py_app *app)
{
	struct hb_py_lifetime *l = hb_xcalloc(1, sizeof *l), **at = &py->asgi->lifespans;

	l->py = py;
	l->app = app;
	while (*at != NULL)
		at = &(*at)->next;
	*at = l;
}

PyObject *
hb_py_lifespan_start(struct hb_py *py)
{
	if (py->asgi == NULL || py->lifespan == HB_PY_LIFESPAN_OFF)
		Py_RETURN_NONE;
	for (struct hb_py_lifetime *l = py->asgi->lifespans; l != NULL; l = l->next)
		if (start(py, l) == -1)
			return NULL;
	return gather(py);
}

PyObject *
hb_py_lifespan_stop(struct hb_py *py)
{
	if (py->asgi == NULL)
		Py_RETURN_NONE;
	for (struct hb_py_lifetime *l = py->asgi->lifespans; l != NULL; l = l->next) {
		if (l->call == NULL)
			continue;
		if (l->phase != STARTED) {
			l->phase = OVER;
			settle(l, NULL);
			hb_py_asgi_cancel(l->call);
			continue;
		}
		if (begin_wait(l) == -1)
			return NULL;
		l->phase = STOPPING;
		hb_py_await_wake(l->call, &l->call->receivers);
	}
	return gather(py);
}

void
hb_py_lifespan_clear(struct hb_py_asgi *asgi)
{
	struct hb_py_lifetime *l;

	while ((l = asgi->lifespans) != NULL) {
		asgi->lifespans = l->next;
		Py_XDECREF(l->state);
		Py_XDECREF(l->future);
		Py_XDECREF(l->timer);
		free(l);
	}
}
