/*
 * A call as an object of Python's: the coroutine that a Task runs around the
 * application's own, with the ends that it can come to.  SystemExit and
 * KeyboardInterrupt stop here: asyncio would end its loop with them.
 */
#include "py/asgi.h"
#include "py/coroutine.h"

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
	if (hb_py_current_set(c->py, (PyObject *)c) == -1)
		return -1;
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
	hb_py_kept_end(c->py, &c->kept);
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
	PyObject *before;

	*result = NULL;
	if (check_step(c) == -1)
		return PYGEN_ERROR;
	Py_INCREF(self);
	c->stepping = true;
	before = hb_py_current_run(self);
	if (c->iter != NULL || begin(c) == 0)
		step = PyIter_Send(c->iter, arg, result);
	hb_py_current_run(before);
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

static PyObject *
coroutine_throw(PyObject *self, PyObject *args)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)self;
	PySendResult step = PYGEN_ERROR;
	PyObject *method, *result = NULL, *before;

	if (c->ended)
		hb_coroutine_raise(args);
	if (c->ended || check_step(c) == -1)
		return NULL;
	Py_INCREF(self);
	c->stepping = true;
	before = hb_py_current_run(self);
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
		hb_coroutine_raise(args);
	}
	hb_py_current_run(before);
	c->stepping = false;
	step = after_step(c, step, &result);
	Py_DECREF(self);
	return to_python(step, result);
}

static PyObject *
coroutine_close(PyObject *self, PyObject *unused)
{
	struct hb_py_asgi_call *c = (struct hb_py_asgi_call *)self;
	PyObject *done = NULL, *before;

	if (c->ended || c->py->asgi == NULL)
		Py_RETURN_NONE;
	if (check_step(c) == -1)
		return NULL;
	Py_INCREF(self);
	c->stepping = true;
	before = hb_py_current_run(self);
	if (c->iter != NULL) {
		done = PyObject_CallMethodNoArgs(c->iter, c->py->asgi->names.close);
		if (done == NULL)
			hb_py_asgi_log_exception(c, "");
		Py_XDECREF(done);
	}
	hb_py_current_run(before);
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
	Py_VISIT(c->kept.object);
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
	Py_CLEAR(c->kept.object);
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

struct hb_py_asgi_call *
hb_py_asgi_call_alloc(struct hb_py *py)
{
	struct hb_py_asgi_call *c = PyObject_GC_New(struct hb_py_asgi_call, py->asgi->call_type);

	if (c == NULL)
		return NULL;
	c->py = py;
	c->kept = (struct hb_py_kept){NULL, false, false};
	c->scope = c->iter = c->task = c->method = c->raw_path = c->pending = NULL;
	c->ended = true;
	c->linked = false;
	c->receive = PyCFunction_New(&receive_def, (PyObject *)c);
	c->send = PyCFunction_New(&send_def, (PyObject *)c);
	TAILQ_INIT(&c->receivers);
	TAILQ_INIT(&c->senders);
	PyObject_GC_Track(c);
	if (c->receive != NULL && c->send != NULL)
		return c;
	call_clear((PyObject *)c);
	Py_DECREF(c);
	return NULL;
}

int
hb_py_asgi_call_init(struct hb_py_asgi *asgi)
{
	asgi->call_type = hb_py_type(&call_spec);
	return asgi->call_type != NULL ? 0 : -1;
}
