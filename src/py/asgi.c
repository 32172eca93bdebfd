/*
 * The calls of ASGI applications: how each begins, what it is told, and how it
 * and its request are given back.
 */
#include "py/asgi.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/str.h"
#include "py/asgi_scope.h"
#include "py/errors.h"
#include "py/lifespan.h"
#include "py/loop.h"
#include "py/suspended.h"

static struct hb_py_asgi_call *
take_call(struct hb_py *py)
{
	struct hb_py_asgi *asgi = py->asgi;
	struct hb_py_asgi_call *c;

	if (asgi->spare_calls_count > 0) {
		c = asgi->spare_calls[--asgi->spare_calls_count];
		PyObject_GC_Track(c);
		return c;
	}
	return hb_py_asgi_call_alloc(py);
}

struct hb_py_asgi_call *
hb_py_asgi_call_new(struct hb_py *py, const struct hb_py_asgi_kind *kind, struct hb_py_app *app, PyObject *scope)
{
	struct hb_py_asgi_call *c = scope != NULL ? take_call(py) : NULL;

	if (c == NULL) {
		Py_XDECREF(scope);
		return NULL;
	}
	c->kind = kind;
	c->app = app;
	c->r = NULL;
	c->scope = scope;
	c->pending_off = 0;
	c->kept = (struct hb_py_kept){NULL, false, false};
	c->data = NULL;
	c->state = 0;
	c->burst = 0;
	c->burst_at = 0;
	c->response = HB_PY_RESPONSE_START;
	c->starting = true;
	c->ended = c->stepping = c->blocked = c->lost = c->bodyless = c->wrote = c->read_all = false;
	TAILQ_INSERT_TAIL(&py->asgi->calls, c, link);
	c->linked = true;
	return c;
}

void
hb_py_asgi_release(struct hb_py_asgi_call *c)
{
	struct hb_py_asgi *asgi = c->py->asgi;

	if (!c->ended || c->r != NULL || !c->linked)
		return;
	TAILQ_REMOVE(&asgi->calls, c, link);
	c->linked = false;
	hb_py_kept_end(c->py, &c->kept);
	Py_CLEAR(c->task);
	Py_CLEAR(c->scope);
	Py_CLEAR(c->pending);
	Py_CLEAR(c->method);
	Py_CLEAR(c->raw_path);
	c->app = NULL;
	/* Nobody but the two functions and this list knows it: as good as new. */
	if (Py_REFCNT(c) == 3 && Py_REFCNT(c->receive) == 1 && Py_REFCNT(c->send) == 1 &&
	    asgi->spare_calls_count < Py_ARRAY_LENGTH(asgi->spare_calls)) {
		PyObject_GC_UnTrack(c);
		asgi->spare_calls[asgi->spare_calls_count++] = c;
		return;
	}
	Py_CLEAR(c->receive);
	Py_CLEAR(c->send);
	Py_DECREF(c);
}

bool
hb_py_asgi_start(struct hb_py_asgi_call *c)
{
	PyObject *task = hb_py_loop_task(c->py, (PyObject *)c);

	c->starting = false;
	if (task == NULL && !c->ended) {
		c->ended = true;
		c->kind->ended(c, HB_PY_END_RAISED);
		PyErr_Clear();
	}
	if (c->ended) {
		Py_XDECREF(task);
		PyErr_Clear();
		hb_py_asgi_release(c);
		return false;
	}
	c->task = task;
	return true;
}

void
hb_py_asgi_forget(struct hb_py *py, const struct hb_py_app *app)
{
	struct hb_py_asgi_call *c;

	if (py->asgi == NULL)
		return;
	TAILQ_FOREACH(c, &py->asgi->calls, link)
		if (c->app == app)
			c->app = NULL;
}

void
hb_py_asgi_cancel(struct hb_py_asgi_call *c)
{
	PyObject *done = c->task != NULL ? PyObject_CallMethodNoArgs(c->task, c->py->asgi->names.cancel) : NULL;

	if (done == NULL && PyErr_Occurred())
		hb_py_asgi_log_exception(c, "");
	Py_XDECREF(done);
}

enum hb_py_step
hb_py_asgi_run(struct hb_py *py, struct hb_py_request *r)
{
	struct hb_py_asgi_call *c;

	r->length = -1;
	c = hb_py_asgi_call_new(py, r->websocket ? &hb_py_asgi_websocket : &hb_py_asgi_http, r->app,
	    hb_py_asgi_scope(py, r));
	if (c == NULL) {
		hb_py_tell_exception(py, r);
		hb_py_log_failure(py, r);
		py->server->fail(r);
		return HB_PY_DONE;
	}
	c->r = r;
	r->call = c;
	c->method = Py_XNewRef(PyDict_GetItemWithError(c->scope, py->asgi->names.method));
	c->raw_path = Py_XNewRef(PyDict_GetItemWithError(c->scope, py->asgi->names.raw_path));
	return hb_py_asgi_start(c) && c->r != NULL ? HB_PY_RUNNING : HB_PY_DONE;
}

/* The client is answered now, however long the application takes to end. */
static void
end_now(struct hb_py_asgi_call *c, bool late)
{
	if (late && c->iter != NULL)
		hb_py_suspended_log(c->iter);
	c->lost = true;
	hb_py_asgi_cancel(c);
	if (c->r != NULL) /* a cancel() of the application's own may have ended it */
		hb_py_asgi_fail(c);
	hb_py_await_wake(c, &c->senders);
	hb_py_await_wake(c, &c->receivers);
}

void
hb_py_notify(struct hb_py *py, struct hb_py_request *r, unsigned events)
{
	struct hb_py_asgi_call *c = r->call;

	if (c == NULL)
		return;
	Py_INCREF(c);
	if (events & HB_PY_GONE)
		hb_py_kept_left(py, &c->kept);
	if (events & (HB_PY_TIMEOUT | HB_PY_ENDED))
		end_now(c, events & HB_PY_TIMEOUT);
	else
		c->kind->notify(c, events);
	hb_py_asgi_release(c);
	Py_DECREF(c);
}

/* The request is the server's again: nobody takes what is pending, or wakes those who wait for that. */
static struct hb_py_request *
give_back(struct hb_py_asgi_call *c)
{
	struct hb_py_request *r = c->r;

	c->r = NULL;
	r->call = NULL;
	c->blocked = false;
	Py_CLEAR(c->pending);
	hb_py_kept_end(c->py, &c->kept);
	return r;
}

void
hb_py_asgi_finish(struct hb_py_asgi_call *c)
{
	c->py->server->finish(give_back(c));
}

void
hb_py_asgi_fail(struct hb_py_asgi_call *c)
{
	c->py->server->fail(give_back(c));
}

int
hb_py_asgi_raise_lost(struct hb_py_asgi_call *c)
{
	PyErr_SetString(c->py->asgi->disconnected, "the client has disconnected");
	return -1;
}

bool
hb_py_asgi_take_lost(struct hb_py_asgi_call *c)
{
	PyObject *type, *value, *tb, *parts;
	bool lost;

	if (hb_py_kept_take_left(c->py, &c->kept))
		return true;
	lost = PyErr_ExceptionMatches(c->py->asgi->disconnected);

	if (!lost && PyErr_ExceptionMatches(PyExc_BaseExceptionGroup)) {
		PyErr_Fetch(&type, &value, &tb);
		PyErr_NormalizeException(&type, &value, &tb);
		parts = PyObject_CallMethod(value, "split", "O", c->py->asgi->disconnected);
		lost = parts != NULL && PyTuple_Check(parts) && PyTuple_GET_ITEM(parts, 1) == Py_None;
		Py_XDECREF(parts);
		PyErr_Clear();
		PyErr_Restore(type, value, tb);
	}
	if (lost)
		PyErr_Clear();
	return lost;
}

/* "GET /path", or the application's name where there is no request. */
static char *
describe(const struct hb_py_asgi_call *c, const char *when)
{
	const char *method = c->method != NULL ? PyUnicode_AsUTF8(c->method) : NULL;

	if (c->raw_path == NULL)
		return hb_xasprintf("%s%s%s", c->app != NULL ? c->app->spec : "application", *when != '\0' ? " " : "", when);
	return hb_xasprintf("%s %.300s%s%s", method != NULL ? method : "WebSocket", PyBytes_AS_STRING(c->raw_path),
	    *when != '\0' ? " " : "", when);
}

void
hb_py_asgi_log_exception(struct hb_py_asgi_call *c, const char *when)
{
	PyObject *type, *value, *tb;
	char *what;

	PyErr_Fetch(&type, &value, &tb);
	what = describe(c, when);
	PyErr_Restore(type, value, tb);
	hb_py_log_exception(c->py, what);
	free(what);
}

void
hb_py_asgi_log(struct hb_py_asgi_call *c, const char *text)
{
	char *what = describe(c, "");

	hb_err("app: %s: %s", what, text);
	free(what);
}

static PyObject *
get_member(const char *module_name, const char *name)
{
	PyObject *module = PyImport_ImportModule(module_name), *member;

	member = module != NULL ? PyObject_GetAttrString(module, name) : NULL;
	Py_XDECREF(module);
	return member;
}

int
hb_py_asgi_init(struct hb_py *py)
{
	struct hb_py_asgi *asgi;

	if (py->asgi != NULL)
		return 0;
	asgi = py->asgi = hb_xcalloc(1, sizeof *asgi);
	asgi->thread = PyThread_get_thread_ident();
	TAILQ_INIT(&asgi->calls);
	if (hb_py_asgi_names_init(&asgi->names) == -1 || hb_py_await_init(asgi) == -1 ||
	    hb_py_asgi_call_init(asgi) == -1 ||
	    hb_py_asgi_scope_init(asgi) == -1)
		return -1;
	asgi->disconnected = PyErr_NewExceptionWithDoc("hornbeam.ClientDisconnected",
	    "Raised by send() once the client has gone.", PyExc_OSError, NULL);
	asgi->cancelled = get_member("asyncio", "CancelledError");
	asgi->not_started = PyErr_NewException("hornbeam.NotStarted", NULL, NULL);
	if (asgi->disconnected == NULL || asgi->cancelled == NULL ||
	    asgi->not_started == NULL)
		return -1;
	return 0;
}

void
hb_py_asgi_clear(struct hb_py *py)
{
	struct hb_py_asgi *asgi = py->asgi;
	struct hb_py_asgi_call *c;

	if (asgi == NULL)
		return;
	py->asgi = NULL; /* whatever of the applications still lives finds that the server has stopped */
	while ((c = TAILQ_FIRST(&asgi->calls)) != NULL) {
		TAILQ_REMOVE(&asgi->calls, c, link);
		c->linked = false;
		hb_py_kept_end(py, &c->kept);
		c->r = NULL;
		c->app = NULL;
		Py_DECREF(c);
	}
	while (asgi->spare_calls_count > 0) {
		c = asgi->spare_calls[--asgi->spare_calls_count];
		PyObject_GC_Track(c);
		Py_CLEAR(c->receive);
		Py_CLEAR(c->send);
		Py_DECREF(c);
	}
	hb_py_lifespan_clear(asgi);
	hb_py_await_clear(asgi);
	hb_py_asgi_scope_clear(asgi);
	hb_py_asgi_names_clear(&asgi->names);
	Py_CLEAR(asgi->call_type);
	Py_CLEAR(asgi->disconnected);
	Py_CLEAR(asgi->cancelled);
	Py_CLEAR(asgi->not_started);
	free(asgi);
}
