/*
 * The calls of ASGI applications: the coroutine that a Task runs around the
 * application's own, with the ends that it can come to.  SystemExit and
 * KeyboardInterrupt stop here: asyncio would end its loop with them.
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

/* The functions that the application gets. */

static int
check_server(const struct hb_py_asgi_call *c)
{
	if (c->py->asgi != NULL)
		return 0;
	PyErr_SetString(PyExc_RuntimeError, "the server has stopped");
	return -1;
}

static PyObject *
call_receive(PyObject *self, PyObject *unused)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)self;

	return check_server(c) == 0 ? hb_py_await_new(c, NULL) : NULL;
}

static PyObject *
call_send(PyObject *self, PyObject *message)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)self;

	return check_server(c) == 0 ? hb_py_await_new(c, message) : NULL;
}

static PyMethodDef receive_def = {"receive", call_receive, METH_NOARGS, NULL};
static PyMethodDef send_def = {"send", call_send, METH_O, NULL};

/* The coroutine. */

/* The iterator of what the application returned; takes that. */
static PyObject *
get_iterator(PyObject *awaitable)
{
	PyAsyncMethods *methods;
	PyObject *iter;

	if (awaitable == NULL || PyCoro_CheckExact(awaitable))
		return awaitable;
	methods = Py_TYPE(awaitable)->tp_as_async;
	if (methods != NULL && methods->am_await != NULL)
		iter = methods->am_await(awaitable);
	else if (PyGen_CheckExact(awaitable)) /* of types.coroutine */
		iter = Py_NewRef(awaitable);
	else {
		PyErr_Format(PyExc_TypeError, "the application returned %.100s, which cannot be awaited: "
		    "an ASGI application is async def application(scope, receive, send)",
		    Py_TYPE(awaitable)->tp_name);
		iter = NULL;
	}
	Py_DECREF(awaitable);
	return iter;
}

/* Inside the Task: what a plain function does before it returns its coroutine has the right context, too. */
static int
begin(struct hb_py_asgi_call *c)
{
	PyObject *args[4] = {NULL, c->scope, c->receive, c->send}, *scope = c->scope;

	if (c->app == NULL) {
		PyErr_SetString(PyExc_RuntimeError, "the application has been unloaded");
		return -1;
	}
	c->scope = NULL;
	c->iter = get_iterator(PyObject_Vectorcall(c->app->callable, args + 1,
	    3 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL));
	Py_DECREF(scope);
	return c->iter != NULL ? 0 : -1;
}

static void
end(struct hb_py_asgi_call *c, enum hb_py_end how)
{
	c->ended = true;
	Py_CLEAR(c->iter);
	c->kind->ended(c, how);
	if (!c->starting)
		hb_py_asgi_release(c);
}

/* What a step of the application comes to; a Task sees the application end well, or cancelled. */
static PySendResult
after_step(struct hb_py_asgi_call *c, PySendResult step, PyObject **result)
{
	PyObject *type, *value, *tb;

	if (step == PYGEN_NEXT)
		return PYGEN_NEXT;
	if (step == PYGEN_RETURN) {
		Py_DECREF(*result);
		*result = Py_NewRef(Py_None);
		end(c, HB_PY_END_RETURNED);
		return PYGEN_RETURN;
	}
	*result = NULL;
	if (c->py->asgi != NULL &&
	    (PyErr_ExceptionMatches(c->py->asgi->cancelled) || PyErr_ExceptionMatches(PyExc_GeneratorExit))) {
		PyErr_Fetch(&type, &value, &tb);
		end(c, HB_PY_END_CANCELLED);
		PyErr_Restore(type, value, tb);
		return PYGEN_ERROR;
	}
	end(c, HB_PY_END_RAISED);
	PyErr_Clear();
	*result = Py_NewRef(Py_None);
	return PYGEN_RETURN;
}

/* -1, with an exception, where no step can be made now. */
static int
check_step(struct hb_py_asgi_call *c)
{
	if (c->ended)
		PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
	else if (c->stepping)
		PyErr_SetString(PyExc_ValueError, "coroutine already executing");
	else
		return check_server(c);
	return -1;
}

static PySendResult
call_send_slot(PyObject *self, PyObject *arg, PyObject **result)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)self;
	PySendResult step = PYGEN_ERROR;

	*result = NULL;
	if (check_step(c) == -1)
		return PYGEN_ERROR;
	Py_INCREF(self);
	c->stepping = true;
	if (c->iter != NULL || begin(c) == 0)
		step = PyIter_Send(c->iter, arg, result);
	c->stepping = false;
	step = after_step(c, step, result);
	Py_DECREF(self);
	return step;
}

static PyObject *
to_python(PySendResult step, PyObject *result)
{
	if (step != PYGEN_RETURN)
		return result;
	Py_DECREF(result);
	PyErr_SetNone(PyExc_StopIteration);
	return NULL;
}

static PyObject *
coroutine_send(PyObject *self, PyObject *arg)
{
	PyObject *result;
	PySendResult step = call_send_slot(self, arg, &result);

	return to_python(step, result);
}

static PyObject *
coroutine_next(PyObject *self)
{
	return coroutine_send(self, Py_None);
}

static void
raise_given(PyObject *args)
{
	PyObject *type = PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0) : Py_None;

	if (PyExceptionInstance_Check(type))
		PyErr_SetObject((PyObject *)Py_TYPE(type), type);
	else if (PyExceptionClass_Check(type))
		PyErr_SetObject(type, PyTuple_GET_SIZE(args) > 1 ? PyTuple_GET_ITEM(args, 1) : NULL);
	else
		PyErr_SetString(PyExc_TypeError, "throw() takes an exception");
}

static PyObject *
coroutine_throw(PyObject *self, PyObject *args)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)self;
	PySendResult step = PYGEN_ERROR;
	PyObject *method, *result = NULL;

	if (c->ended)
		raise_given(args);
	if (c->ended || check_step(c) == -1)
		return NULL;
	Py_INCREF(self);
	c->stepping = true;
	method = c->iter != NULL ? PyObject_GetAttr(c->iter, c->py->asgi->names.throw_) : NULL;
	if (method != NULL) {
		result = PyObject_CallObject(method, args);
		Py_DECREF(method);
		if (result != NULL)
			step = PYGEN_NEXT;
		else if (PyErr_ExceptionMatches(PyExc_StopIteration)) {
			PyErr_Clear();
			result = Py_NewRef(Py_None);
			step = PYGEN_RETURN;
		}
	} else {
		PyErr_Clear(); /* not started, or an iterator that knows nothing of it */
		raise_given(args);
	}
	c->stepping = false;
	step = after_step(c, step, &result);
	Py_DECREF(self);
	return to_python(step, result);
}

static PyObject *
coroutine_close(PyObject *self, PyObject *unused)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)self;
	PyObject *done = NULL;

	if (c->ended || c->py->asgi == NULL)
		Py_RETURN_NONE;
	if (check_step(c) == -1)
		return NULL;
	Py_INCREF(self);
	c->stepping = true;
	if (c->iter != NULL) {
		done = PyObject_CallMethodNoArgs(c->iter, c->py->asgi->names.close);
		if (done == NULL)
			hb_py_asgi_log_exception(c, "");
		Py_XDECREF(done);
	}
	c->stepping = false;
	end(c, HB_PY_END_CANCELLED);
	Py_DECREF(self);
	Py_RETURN_NONE;
}

/* cr_frame and its like are the application's coroutine's, so that a Task's stack and repr show it. */
static PyObject *
coroutine_get(PyObject *self, void *name)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)self;
	PyObject *value = c->iter != NULL ? PyObject_GetAttrString(c->iter, name) : NULL;

	if (value != NULL)
		return value;
	PyErr_Clear();
	Py_RETURN_NONE;
}

static PyObject *
coroutine_name(PyObject *self, void *name)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)self;
	PyObject *value = c->iter != NULL ? PyObject_GetAttrString(c->iter, name) : NULL;

	if (value != NULL && PyUnicode_Check(value))
		return value;
	Py_XDECREF(value);
	PyErr_Clear();
	return PyUnicode_FromString(c->app != NULL ? c->app->spec : "application");
}

static int
call_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)self;

	Py_VISIT(Py_TYPE(self));
	Py_VISIT(c->receive);
	Py_VISIT(c->send);
	Py_VISIT(c->scope);
	Py_VISIT(c->iter);
	Py_VISIT(c->task);
	Py_VISIT(c->pending);
	return 0;
}

static int
call_clear(PyObject *self)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)self;

	Py_CLEAR(c->receive);
	Py_CLEAR(c->send);
	Py_CLEAR(c->scope);
	Py_CLEAR(c->iter);
	Py_CLEAR(c->task);
	Py_CLEAR(c->pending);
	return 0;
}

static void
call_dealloc(PyObject *self)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)self;
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	call_clear(self);
	Py_CLEAR(c->method);
	Py_CLEAR(c->raw_path);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyMethodDef call_methods[] = {
	{"send", coroutine_send, METH_O, NULL},
	{"throw", coroutine_throw, METH_VARARGS, NULL},
	{"close", coroutine_close, METH_NOARGS, NULL},
	{NULL},
};

static PyGetSetDef call_getset[] = {
	{"cr_frame", coroutine_get, NULL, NULL, (char[]){"cr_frame"}},
	{"cr_code", coroutine_get, NULL, NULL, (char[]){"cr_code"}},
	{"cr_await", coroutine_get, NULL, NULL, (char[]){"cr_await"}},
	{"cr_running", coroutine_get, NULL, NULL, (char[]){"cr_running"}},
	{"__name__", coroutine_name, NULL, NULL, (char[]){"__name__"}},
	{"__qualname__", coroutine_name, NULL, NULL, (char[]){"__qualname__"}},
	{NULL},
};

static PyType_Slot call_slots[] = {
	{Py_tp_dealloc, call_dealloc},
	{Py_tp_traverse, call_traverse},
	{Py_tp_clear, call_clear},
	{Py_tp_iter, PyObject_SelfIter},
	{Py_tp_iternext, coroutine_next},
	{Py_am_await, PyObject_SelfIter},
	{Py_am_send, call_send_slot},
	{Py_tp_methods, call_methods},
	{Py_tp_getset, call_getset},
	{0, NULL},
};

static PyType_Spec call_spec = {
	"hornbeam.Call",
	sizeof(struct hb_py_asgi_call),
	0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	call_slots,
};

/* The life of a call. */

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
	c = PyObject_GC_New(struct hb_py_asgi_call, asgi->call_type);
	if (c == NULL)
		return NULL;
	c->py = py;
	c->scope = c->iter = c->task = c->method = c->raw_path = c->pending = NULL;
	c->ended = true;
	c->linked = false;
	c->receive = PyCFunction_New(&receive_def, (PyObject *)c);
	c->send = PyCFunction_New(&send_def, (PyObject *)c);
	TAILQ_INIT(&c->receivers);
	TAILQ_INIT(&c->senders);
	PyObject_GC_Track(c);
	if (c->receive == NULL || c->send == NULL) {
		call_clear((PyObject *)c);
		Py_DECREF(c);
		return NULL;
	}
	return c;
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
	c->data = NULL;
	c->state = 0;
	c->burst = 0;
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
time_out(struct hb_py_asgi_call *c)
{
	if (c->iter != NULL)
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
	if (events & HB_PY_TIMEOUT)
		time_out(c);
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
	bool lost = PyErr_ExceptionMatches(c->py->asgi->disconnected);

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

/* Set-up. */

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
	    hb_py_asgi_scope_init(asgi) == -1)
		return -1;
	asgi->call_type = hb_py_type(&call_spec);
	asgi->disconnected = PyErr_NewExceptionWithDoc("hornbeam.ClientDisconnected",
	    "Raised by send() once the client has gone.", PyExc_OSError, NULL);
	asgi->cancelled = get_member("asyncio", "CancelledError");
	asgi->not_started = PyErr_NewException("hornbeam.NotStarted", NULL, NULL);
	if (asgi->call_type == NULL || asgi->disconnected == NULL || asgi->cancelled == NULL ||
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
