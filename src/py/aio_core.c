/*
 * The loop's part in C: call_soon and its kin, one pass, and tasks that start
 * at once.  In debug mode, and with another selector, the
 * standard library's own methods run instead.
 */
#include <math.h>
#include "py/aio.h"

#include <structmember.h>

#include "py/watch.h"

static const double resolution = 1e-9;

PyObject *
hb_aio_call_base(struct hb_aio_core *core, const char *name, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	PyObject *method = PyObject_GetAttrString(core->aio->base_loop, name), *result = NULL, **all;
	Py_ssize_t total = n + (names != NULL ? PyTuple_GET_SIZE(names) : 0);

	all = PyMem_New(PyObject *, total + 1);
	if (method != NULL && all != NULL) {
		all[0] = (PyObject *)core;
		for (Py_ssize_t i = 0; i < total; i++)
			all[i + 1] = args[i];
		result = PyObject_Vectorcall(method, all, (size_t)n + 1, names);
	}
	PyMem_Free(all);
	Py_XDECREF(method);
	return result;
}

static int
check_open(const struct hb_aio_core *core)
{
	if (!hb_aio_is_true(core->closed) && core->ready != NULL && core->scheduled != NULL)
		return 0;
	PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
	return -1;
}

int
hb_aio_ready(struct hb_aio_core *core, PyObject *handle)
{
	PyObject *done = PyObject_CallMethodOneArg(core->ready, core->aio->append, handle);

	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

PyObject *
hb_aio_args(const struct hb_aio *aio, PyObject *const *args, Py_ssize_t n)
{
	PyObject *tuple;

	if (n <= 0)
		return Py_NewRef(aio->no_args);
	tuple = PyTuple_New(n);
	for (Py_ssize_t i = 0; i < n && tuple != NULL; i++)
		PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
	return tuple;
}

/* Whether the keywords are none, or `context` alone, which is then in *context. */
static bool
only_context(PyObject *const *args, Py_ssize_t n, PyObject *names, PyObject **context)
{
	*context = NULL;
	if (names == NULL || PyTuple_GET_SIZE(names) == 0)
		return true;
	if (PyTuple_GET_SIZE(names) != 1 ||
	    PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "context") != 0)
		return false;
	*context = args[n];
	return true;
}

static PyObject *
queue(struct hb_aio_core *core, PyObject *callback, PyObject *args, PyObject *context)
{
	PyObject *handle = args != NULL ? hb_aio_handle_new(core, callback, args, context, NULL) : NULL;

	if (handle != NULL && hb_aio_ready(core, handle) == -1)
		Py_CLEAR(handle);
	return handle;
}

static PyObject *
core_call_soon(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	struct hb_aio_core *core = (struct hb_aio_core *)self;
	PyObject *context;

	if (n < 1 || hb_aio_is_true(core->debug) || !only_context(args, n, names, &context))
		return hb_aio_call_base(core, "call_soon", args, n, names);
	if (check_open(core) == -1)
		return NULL;
	/* A finalizer may call while the task is made: only the context tells the task's own call. */
	if (context != NULL && context == core->starting && n == 1) {
		Py_XSETREF(core->step, Py_NewRef(args[0]));
		Py_RETURN_NONE;
	}
	return queue(core, args[0], hb_aio_args(core->aio, args + 1, n - 1), context);
}

/* _call_soon(callback, args, context), of call_soon_threadsafe */
static PyObject *
core_call_soon_inner(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	struct hb_aio_core *core = (struct hb_aio_core *)self;

	if (n != 3 || !PyTuple_Check(args[1]) || hb_aio_is_true(core->debug))
		return hb_aio_call_base(core, "_call_soon", args, n, NULL);
	if (check_open(core) == -1)
		return NULL;
	return queue(core, args[0], Py_NewRef(args[1]), args[2]);
}

static PyObject *
schedule(struct hb_aio_core *core, double when, PyObject *const *args, Py_ssize_t n, PyObject *context)
{
	PyObject *time = PyFloat_FromDouble(when), *rest = NULL, *timer = NULL;

	if (time != NULL && (rest = hb_aio_args(core->aio, args + 1, n - 1)) != NULL)
		timer = hb_aio_handle_new(core, args[0], rest, context, time);
	if (timer != NULL && hb_aio_timers_push(core, timer) == -1)
		Py_CLEAR(timer);
	Py_XDECREF(time);
	return timer;
}

static PyObject *
call_timed(struct hb_aio_core *core, const char *name, double from, PyObject *const *args, Py_ssize_t n,
    PyObject *names)
{
	PyObject *context;
	double delay;

	if (n < 2 || args[0] == Py_None || !only_context(args, n, names, &context))
		return hb_aio_call_base(core, name, args, n, names);
	delay = PyFloat_AsDouble(args[0]);
	if ((delay == -1.0 && PyErr_Occurred()) || check_open(core) == -1)
		return NULL;
	if (isnan(delay)) {
		PyErr_SetString(PyExc_ValueError, "the time of a callback is not a number");
		return NULL;
	}
	if (hb_aio_is_true(core->debug))
		return hb_aio_call_base(core, name, args, n, names);
	return schedule(core, from + delay, args + 1, n - 1, context);
}

static PyObject *
core_call_later(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	return call_timed((struct hb_aio_core *)self, "call_later", hb_aio_time(), args, n, names);
}

static PyObject *
core_call_at(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	return call_timed((struct hb_aio_core *)self, "call_at", 0, args, n, names);
}

static PyObject *
core_timer_cancelled(PyObject *self, PyObject *timer)
{
	struct hb_aio_core *core = (struct hb_aio_core *)self;

	if (PyObject_TypeCheck(timer, core->aio->timer) &&
	    HB_AIO_SLOT(timer, core->aio->at.scheduled) == Py_True)
		core->timers_cancelled++;
	Py_RETURN_NONE;
}

static PyObject *
core_time(PyObject *self, PyObject *unused)
{
	return PyFloat_FromDouble(hb_aio_time());
}

PyObject *
hb_aio_future(struct hb_aio_core *core)
{
	PyObject *loop = (PyObject *)core;

	return PyObject_Vectorcall((PyObject *)core->aio->future, &loop, 0, core->aio->names_loop);
}

static PyObject *
core_create_future(PyObject *self, PyObject *unused)
{
	return hb_aio_future((struct hb_aio_core *)self);
}

static int
get_deadline(struct hb_aio_core *core, int64_t *deadline)
{
	Py_ssize_t ready = PyObject_Size(core->ready);
	double when;

	if (ready == -1 || hb_aio_timers_first(core, &when) == -1)
		return -1;
	if (ready > 0 || hb_aio_is_true(core->stopping) || when <= 0)
		*deadline = HB_SELECT_POLL;
	else if (when > 9e9)
		*deadline = HB_SELECT_FOREVER;
	else {
		*deadline = hb_selector_nanoseconds(when);
		if (*deadline <= hb_selector_now())
			*deadline = HB_SELECT_POLL;
	}
	return 0;
}

static int
run_ready(struct hb_aio_core *core)
{
	Py_ssize_t n = PyObject_Size(core->ready);
	PyObject *handle;

	for (int rc; n > 0; n--) {
		handle = PyObject_CallMethodNoArgs(core->ready, core->aio->popleft);
		if (handle == NULL)
			return -1;
		rc = hb_aio_handle_run(core, handle);
		Py_DECREF(handle);
		if (rc == -1)
			return -1;
	}
	return n == 0 ? 0 : -1;
}

/* One pass, in the order of asyncio's own: wait, readers and writers, timers, then what was ready by then. */
static PyObject *
core_run_once(PyObject *self, PyObject *unused)
{
	struct hb_aio_core *core = (struct hb_aio_core *)self;
	struct hb_selector *s = hb_aio_selector(core);
	int64_t deadline;
	int rc;

	if (s == NULL || hb_aio_is_true(core->debug))
		return hb_aio_call_base(core, "_run_once", NULL, 0, NULL);
	if (check_open(core) == -1 || hb_selector_check(s) == -1)
		return NULL;
	if (get_deadline(core, &deadline) == -1)
		return NULL;
	Py_INCREF(s);
	rc = hb_selector_wait(s, deadline);
	if (rc == 0)
		rc = hb_aio_watch_take(core, s);
	Py_DECREF(s);
	if (rc == -1)
		return NULL;
	if (PyList_GET_SIZE(core->scheduled) > 0 && hb_aio_timers_run(core, hb_aio_time() + resolution) == -1)
		return NULL;
	if (run_ready(core) == -1)
		return NULL;
	Py_RETURN_NONE;
}

/* The step that the task's constructor has left, in the task's context. */
static int
run_step(struct hb_aio_core *core, PyObject *step, PyObject *context)
{
	PyObject *result = NULL;

	if (PyContext_Enter(context) == 0) {
		result = PyObject_CallNoArgs(step);
		if (PyContext_Exit(context) == -1)
			Py_CLEAR(result);
	}
	/* SystemExit and KeyboardInterrupt: the task has it too, and whoever awaits it sees it */
	if (result == NULL && (PyErr_ExceptionMatches(PyExc_SystemExit) ||
	    PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))) {
		PyErr_Clear();
		return 0;
	}
	Py_XDECREF(result);
	return result != NULL ? 0 : -1;
}

/* "Call-1" and so on.  A task without a name makes one by printf, which took 5% of a small request. */
static PyObject *
next_name(struct hb_aio_core *core)
{
	static const char prefix[] = {'C', 'a', 'l', 'l', '-'};
	char text[sizeof prefix + 20], *end = text + sizeof text, *p = end;
	uint64_t n = ++core->calls;
	PyObject *name;

	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	p -= sizeof prefix;
	memcpy(p, prefix, sizeof prefix);
	name = PyUnicode_New(end - p, 127);
	if (name != NULL)
		memcpy(PyUnicode_1BYTE_DATA(name), p, (size_t)(end - p));
	return name;
}

PyObject *
hb_aio_start(struct hb_aio_core *core, PyObject *coro)
{
	PyObject *context = PyContext_CopyCurrent(), *name = next_name(core), *before = core->starting, *args[4];
	PyObject *task, *step;

	if (context == NULL || name == NULL) {
		Py_XDECREF(context);
		Py_XDECREF(name);
		return NULL;
	}
	hb_py_watch_begin(core->mark);
	args[0] = coro;
	args[1] = (PyObject *)core;
	args[2] = name;
	args[3] = context;
	/* Inside another task's step this one cannot take a step, as in asyncio. */
	if (PyDict_GetItemWithError(core->aio->current_tasks, (PyObject *)core) == NULL)
		core->starting = context;
	task = PyObject_Vectorcall((PyObject *)core->aio->task, args, 1, core->aio->names_task);
	Py_DECREF(name);
	core->starting = before;
	step = core->step;
	core->step = NULL;
	if (task != NULL && step != NULL && run_step(core, step, context) == -1)
		Py_CLEAR(task);
	Py_XDECREF(step);
	Py_DECREF(context);
	return task;
}

/* Each task and each future asks. */
static PyObject *
core_get_debug(PyObject *self, PyObject *unused)
{
	struct hb_aio_core *core = (struct hb_aio_core *)self;

	return Py_NewRef(core->debug != NULL ? core->debug : Py_False);
}

/* For tests, as a method: start(coro) */
static PyObject *
core_start(PyObject *self, PyObject *coro)
{
	return hb_aio_start((struct hb_aio_core *)self, coro);
}

static PyObject *
core_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	struct hb_aio *aio = hb_aio_of(type);
	struct hb_aio_core *core = aio != NULL ? (struct hb_aio_core *)type->tp_alloc(type, 0) : NULL;

	if (core != NULL)
		core->aio = aio;
	return (PyObject *)core;
}

static int
core_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct hb_aio_core *core = (struct hb_aio_core *)self;

	Py_VISIT(Py_TYPE(self));
	Py_VISIT(core->ready);
	Py_VISIT(core->scheduled);
	Py_VISIT(core->selector);
	Py_VISIT(core->debug);
	Py_VISIT(core->closed);
	Py_VISIT(core->stopping);
	Py_VISIT(core->step);
	return 0;
}

static int
core_clear(PyObject *self)
{
	struct hb_aio_core *core = (struct hb_aio_core *)self;

	Py_CLEAR(core->ready);
	Py_CLEAR(core->scheduled);
	Py_CLEAR(core->selector);
	Py_CLEAR(core->debug);
	Py_CLEAR(core->closed);
	Py_CLEAR(core->stopping);
	Py_CLEAR(core->step);
	return 0;
}

static void
core_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	core_clear(self);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyMemberDef core_members[] = {
	{"_ready", T_OBJECT_EX, offsetof(struct hb_aio_core, ready), 0, NULL},
	{"_scheduled", T_OBJECT_EX, offsetof(struct hb_aio_core, scheduled), 0, NULL},
	{"_selector", T_OBJECT_EX, offsetof(struct hb_aio_core, selector), 0, NULL},
	{"_debug", T_OBJECT_EX, offsetof(struct hb_aio_core, debug), 0, NULL},
	{"_closed", T_OBJECT_EX, offsetof(struct hb_aio_core, closed), 0, NULL},
	{"_stopping", T_OBJECT_EX, offsetof(struct hb_aio_core, stopping), 0, NULL},
	{"_timer_cancelled_count", T_PYSSIZET, offsetof(struct hb_aio_core, timers_cancelled), 0, NULL},
	{NULL},
};

#define FAST(function) (PyCFunction)(void (*)(void))function

static PyMethodDef core_methods[] = {
	{"call_soon", FAST(core_call_soon), METH_FASTCALL | METH_KEYWORDS, NULL},
	{"_call_soon", FAST(core_call_soon_inner), METH_FASTCALL, NULL},
	{"call_later", FAST(core_call_later), METH_FASTCALL | METH_KEYWORDS, NULL},
	{"call_at", FAST(core_call_at), METH_FASTCALL | METH_KEYWORDS, NULL},
	{"_timer_handle_cancelled", core_timer_cancelled, METH_O, NULL},
	{"time", core_time, METH_NOARGS, NULL},
	{"create_future", core_create_future, METH_NOARGS, NULL},
	{"_add_reader", FAST(hb_aio_add_reader), METH_FASTCALL, NULL},
	{"_add_writer", FAST(hb_aio_add_writer), METH_FASTCALL, NULL},
	{"_remove_reader", hb_aio_remove_reader, METH_O, NULL},
	{"_remove_writer", hb_aio_remove_writer, METH_O, NULL},
	{"get_debug", core_get_debug, METH_NOARGS, NULL},
	{"_run_once", core_run_once, METH_NOARGS, NULL},
	{"start", core_start, METH_O, NULL},
	{NULL},
};

static PyType_Slot core_slots[] = {
	{Py_tp_new, core_new},
	{Py_tp_dealloc, core_dealloc},
	{Py_tp_traverse, core_traverse},
	{Py_tp_clear, core_clear},
	{Py_tp_members, core_members},
	{Py_tp_methods, core_methods},
	{0, NULL},
};

PyType_Spec hb_aio_core_spec = {
	"_hornbeam_loop.LoopCore",
	sizeof(struct hb_aio_core),
	0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	core_slots,
};
