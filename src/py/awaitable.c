/*
 * What receive() and send() return: a coroutine in all but name.  It acts when
 * it is first awaited, so that one that is cancelled before has taken nothing,
 * and ends at once where nothing has to be waited for; else it waits on a
 * Future, which hb_py_await_wake ends, and tries again.
 */
#include "common/clock.h"
#include "py/asgi.h"
#include "py/coroutine.h"
#include "py/loop.h"

enum {
	BURST = 32,              /* sends in a row without a wait ... */
	BURST_MICROSECONDS = 500 /* ... that have taken so long: then the loop has a turn */
};

struct hb_py_await {
	PyObject_HEAD
	struct hb_py_asgi_call *call; /* owned */
	PyObject *message;            /* send: until it was taken */
	PyObject *future;             /* while it waits */
	PyObject *iter;               /* of future */
	TAILQ_ENTRY(hb_py_await) link; /* in the call's list, which owns nothing */
	struct hb_py_awaits *list;    /* NULL: in none */
	bool is_send;
	bool begun;
	bool paused; /* it is done, and gave the loop a turn */
	bool over;
};

static void
leave_list(struct hb_py_await *a)
{
	if (a->list == NULL)
		return;
	TAILQ_REMOVE(a->list, a, link);
	a->list = NULL;
}

static void
stop_waiting(struct hb_py_await *a)
{
	leave_list(a);
	Py_CLEAR(a->iter);
	Py_CLEAR(a->future);
}

static int
try_send(struct hb_py_await *a)
{
	struct hb_py_asgi_call *c = a->call;
	PyObject *message;
	int rc;

	if (!a->begun) {
		if (c->blocked)
			return 0;
		a->begun = true;
		message = a->message;
		a->message = NULL;
		rc = c->kind->send(c, message);
		Py_DECREF(message);
		if (rc != 1)
			return rc;
	} else if (c->lost)
		return hb_py_asgi_raise_lost(c);
	return c->blocked ? 0 : 1;
}

/* Puts it to sleep on a new Future. */
static int
begin_wait(struct hb_py_await *a)
{
	struct hb_py_asgi_call *c = a->call;

	a->future = hb_py_loop_future(c->py);
	if (a->future == NULL)
		return -1;
	a->iter = hb_coroutine_await(a->future);
	if (a->iter == NULL) {
		Py_CLEAR(a->future);
		return -1;
	}
	c->burst = 0;
	c->burst_at = 0;
	a->list = a->is_send ? &c->senders : &c->receivers;
	TAILQ_INSERT_TAIL(a->list, a, link);
	return 0;
}

/* Whether a stream that never waits has held the loop for long enough. */
static bool
had_its_turn(struct hb_py_asgi_call *c)
{
	int64_t now = hb_clock_us();

	c->burst = 0;
	if (c->burst_at == 0)
		c->burst_at = now;
	if (now - c->burst_at < BURST_MICROSECONDS)
		return false;
	c->burst_at = 0;
	return true;
}

/* The server is the loop's thread's alone: it may be at work without the GIL. */
static int
check(const struct hb_py_await *a)
{
	const struct hb_py_asgi *asgi = a->call->py->asgi;

	if (a->over)
		PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
	else if (asgi == NULL || a->call->py->loop == NULL)
		PyErr_SetString(PyExc_RuntimeError, "the server has stopped");
	else if (PyThread_get_thread_ident() != asgi->thread)
		PyErr_SetString(PyExc_RuntimeError, "receive() and send() belong to the server's event loop: "
		    "another thread uses asyncio.run_coroutine_threadsafe()");
	else
		return 0;
	return -1;
}

static PySendResult
await_send_slot(PyObject *self, PyObject *arg, PyObject **result)
{
	struct hb_py_await *a = (struct hb_py_await *)self;
	PySendResult step;
	int rc;

	*result = NULL;
	if (check(a) == -1)
		return PYGEN_ERROR;
	while (a->iter != NULL) {
		PyObject *iter = Py_NewRef(a->iter);

		step = PyIter_Send(iter, arg, result);
		Py_DECREF(iter);
		if (step == PYGEN_NEXT)
			return PYGEN_NEXT;
		stop_waiting(a);
		if (step == PYGEN_ERROR) {
			a->over = true;
			return PYGEN_ERROR;
		}
		Py_CLEAR(*result);
	}
	for (;;) {
		if (a->is_send) {
			rc = a->paused ? 1 : try_send(a);
			if (rc == 1) {
				*result = Py_NewRef(Py_None);
				if (!a->paused && ++a->call->burst >= BURST && had_its_turn(a->call)) {
					a->paused = true;
					return PYGEN_NEXT;
				}
			}
		} else
			rc = a->call->kind->receive(a->call, result);
		if (rc != 0 || begin_wait(a) == -1)
			break;
		step = PyIter_Send(a->iter, Py_None, result);
		if (step == PYGEN_NEXT)
			return PYGEN_NEXT;
		stop_waiting(a);
		Py_CLEAR(*result);
		if (step == PYGEN_ERROR) {
			rc = -1;
			break;
		}
	}
	a->over = true;
	return rc == 1 ? PYGEN_RETURN : PYGEN_ERROR;
}

/* As an iterator's __next__ has it: NULL with StopIteration, or without for None. */
static PyObject *
as_next(PySendResult step, PyObject *result, bool bare)
{
	if (step != PYGEN_RETURN)
		return result;
	if (result != Py_None)
		PyErr_SetObject(PyExc_StopIteration, result);
	else if (!bare)
		PyErr_SetNone(PyExc_StopIteration);
	Py_DECREF(result);
	return NULL;
}

static PyObject *
await_next(PyObject *self)
{
	PyObject *result;
	PySendResult step = await_send_slot(self, Py_None, &result);

	return as_next(step, result, true);
}

static PyObject *
await_send(PyObject *self, PyObject *arg)
{
	PyObject *result;
	PySendResult step = await_send_slot(self, arg, &result);

	return as_next(step, result, false);
}

static PyObject *
await_throw(PyObject *self, PyObject *args)
{
	struct hb_py_await *a = (struct hb_py_await *)self;

	a->over = true;
	Py_CLEAR(a->message);
	stop_waiting(a);
	hb_coroutine_raise(args);
	return NULL;
}

static PyObject *
await_close(PyObject *self, PyObject *unused)
{
	struct hb_py_await *a = (struct hb_py_await *)self;

	a->over = true;
	Py_CLEAR(a->message);
	stop_waiting(a);
	Py_RETURN_NONE;
}

static const char *
name_of(const struct hb_py_await *a)
{
	return a->is_send ? "send" : "receive";
}

static PyObject *
await_name(PyObject *self, void *unused)
{
	return PyUnicode_FromString(name_of((struct hb_py_await *)self));
}

static int
await_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct hb_py_await *a = (struct hb_py_await *)self;

	Py_VISIT(Py_TYPE(self));
	Py_VISIT(a->call);
	Py_VISIT(a->message);
	Py_VISIT(a->future);
	Py_VISIT(a->iter);
	return 0;
}

static int
await_clear(PyObject *self)
{
	struct hb_py_await *a = (struct hb_py_await *)self;

	stop_waiting(a);
	Py_CLEAR(a->message);
	return 0;
}

static void
await_dealloc(PyObject *self)
{
	struct hb_py_await *a = (struct hb_py_await *)self;
	PyTypeObject *type = Py_TYPE(self);
	struct hb_py_asgi *asgi = a->call->py->asgi;

	PyObject_GC_UnTrack(self);
	if (!a->over && !a->begun && a->future == NULL && asgi != NULL)
		hb_coroutine_warn_unused(name_of(a));
	await_clear(self);
	Py_CLEAR(a->call);
	if (asgi != NULL && asgi->spare_awaits_count < Py_ARRAY_LENGTH(asgi->spare_awaits)) {
		asgi->spare_awaits[asgi->spare_awaits_count++] = a;
		return;
	}
	type->tp_free(self);
	Py_DECREF(type);
}

static PyMethodDef await_methods[] = {
	{"send", await_send, METH_O, NULL},
	{"throw", await_throw, METH_VARARGS, NULL},
	{"close", await_close, METH_NOARGS, NULL},
	{NULL},
};

static PyGetSetDef await_getset[] = {
	{"__name__", await_name, NULL, NULL, NULL},
	{"__qualname__", await_name, NULL, NULL, NULL},
	{NULL},
};

static PyType_Slot await_slots[] = {
	{Py_tp_dealloc, await_dealloc},
	{Py_tp_traverse, await_traverse},
	{Py_tp_clear, await_clear},
	{Py_tp_iter, PyObject_SelfIter},
	{Py_tp_iternext, await_next},
	{Py_am_await, PyObject_SelfIter},
	{Py_am_send, await_send_slot},
	{Py_tp_methods, await_methods},
	{Py_tp_getset, await_getset},
	{0, NULL},
};

static PyType_Spec await_spec = {
	"hornbeam.Awaitable",
	sizeof(struct hb_py_await),
	0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	await_slots,
};

int
hb_py_await_init(struct hb_py_asgi *asgi)
{
	asgi->await_type = hb_py_type(&await_spec);
	return asgi->await_type != NULL ? 0 : -1;
}

void
hb_py_await_clear(struct hb_py_asgi *asgi)
{
	while (asgi->spare_awaits_count > 0) {
		PyObject_GC_Del(asgi->spare_awaits[--asgi->spare_awaits_count]);
		Py_DECREF(asgi->await_type);
	}
	Py_CLEAR(asgi->await_type);
}

PyObject *
hb_py_await_new(struct hb_py_asgi_call *c, PyObject *message)
{
	struct hb_py_asgi *asgi = c->py->asgi;
	struct hb_py_await *a;

	if (asgi->spare_awaits_count > 0) {
		a = asgi->spare_awaits[--asgi->spare_awaits_count];
		_Py_NewReference((PyObject *)a);
	} else {
		a = PyObject_GC_New(struct hb_py_await, asgi->await_type);
		if (a == NULL)
			return NULL;
	}
	a->call = (struct hb_py_asgi_call *)Py_NewRef((PyObject *)c);
	a->message = Py_XNewRef(message);
	a->future = a->iter = NULL;
	a->list = NULL;
	a->is_send = message != NULL;
	a->begun = a->paused = a->over = false;
	PyObject_GC_Track(a);
	return (PyObject *)a;
}

/* Each tries again, in its turn; who finds nothing waits on. */
void
hb_py_await_wake(struct hb_py_asgi_call *c, struct hb_py_awaits *waiting)
{
	struct hb_py_asgi_names *n = &c->py->asgi->names;
	struct hb_py_await *a;
	PyObject *future;

	while ((a = TAILQ_FIRST(waiting)) != NULL) {
		leave_list(a);
		future = Py_NewRef(a->future);
		hb_coroutine_wake(future, n->done, n->set_result);
		Py_DECREF(future);
	}
}
