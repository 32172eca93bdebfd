/*
 * Waiting for a message on an asyncio loop.  The loop's reader (watch.h) wakes
 * who waits; a message leaves its queue only in the step of the task that gets
 * it, so that cancelling a wait loses none.
 */
#include "common/clock.h"
#include "module.h"
#include "py/coroutine.h"
#include "watch.h"

#define NAME "Subscription.get"

struct hb_awaited {
	PyObject_HEAD
	struct hb_subscription *s; /* owned */
	PyObject *future;          /* while it waits */
	PyObject *iter;            /* of future */
	PyObject *timer;
	int64_t deadline; /* 0: none */
	TAILQ_ENTRY(hb_awaited) link;
	bool listed; /* in the list of s, which owns a reference: nothing else may hold a task that waits */
	bool iterating;
	bool begun;
	bool over;
};

/* Its owner has a reference of its own. */
static void
unlist(struct hb_awaited *a)
{
	if (!a->listed)
		return;
	TAILQ_REMOVE(&a->s->awaited, a, link);
	a->listed = false;
	Py_DECREF(a);
}

static void
wake(struct hb_awaited *a)
{
	struct hb_module *m = a->s->m;
	PyObject *future = Py_XNewRef(a->future);

	unlist(a);
	if (future != NULL)
		hb_coroutine_wake(future, m->pubsub.done, m->pubsub.set_result);
	Py_XDECREF(future);
}

void
hb_awaited_wake_all(struct hb_subscription *s)
{
	struct hb_awaited *a;

	while ((a = TAILQ_FIRST(&s->awaited)) != NULL)
		wake(a);
}

static void
stop_waiting(struct hb_awaited *a)
{
	PyObject *timer = a->timer, *done;

	unlist(a);
	a->timer = NULL;
	Py_CLEAR(a->iter);
	Py_CLEAR(a->future);
	if (timer == NULL)
		return;
	done = PyObject_CallMethodNoArgs(timer, a->s->m->pubsub.cancel);
	if (done == NULL)
		PyErr_WriteUnraisable(timer);
	Py_XDECREF(done);
	Py_DECREF(timer);
}

/* It gives up: another loop may be the next to wait. */
static void
give_up(struct hb_awaited *a)
{
	a->over = a->begun = true;
	stop_waiting(a);
	if (TAILQ_EMPTY(&a->s->awaited) && a->s->subscriber != NULL)
		hb_push_disarm(a->s->subscriber);
}

static PyObject *
awaited_wake(PyObject *self, PyObject *unused)
{
	wake((struct hb_awaited *)self);
	Py_RETURN_NONE;
}

static PyMethodDef wake_def = {"wake", awaited_wake, METH_NOARGS, NULL};

static int
set_timer(struct hb_awaited *a, PyObject *loop)
{
	PyObject *function, *delay;

	if (a->deadline == 0)
		return 0;
	function = PyCFunction_New(&wake_def, (PyObject *)a);
	delay = PyFloat_FromDouble((double)(a->deadline - hb_clock_ms()) / 1000);
	if (function != NULL && delay != NULL)
		a->timer = PyObject_CallMethodObjArgs(loop, a->s->m->pubsub.call_later, delay, function, NULL);
	Py_XDECREF(function);
	Py_XDECREF(delay);
	return a->timer != NULL ? 0 : -1;
}

/* Puts it to sleep on a new Future.  1: there is something now. */
static int
begin_wait(struct hb_awaited *a)
{
	struct hb_module *m = a->s->m;
	struct hb_loop_watch *watch;
	bool elsewhere;

	if (hb_watch_get(m, &watch) == -1)
		return -1;
	if (watch == NULL) {
		PyErr_SetString(PyExc_RuntimeError, "no running event loop");
		return -1;
	}
	/* What a wait that is over has left armed is nobody's. */
	if (TAILQ_EMPTY(&a->s->awaited))
		hb_push_disarm(a->s->subscriber);
	if (!hb_push_arm(a->s->subscriber, watch->watch, &elsewhere)) {
		if (!elsewhere)
			return 1;
		PyErr_SetString(PyExc_RuntimeError, "the subscription is waited for on another event loop");
		return -1;
	}
	a->future = PyObject_CallMethodNoArgs(watch->loop, m->pubsub.create_future);
	if (a->future == NULL)
		return -1;
	a->iter = hb_coroutine_await(a->future);
	if (a->iter == NULL || set_timer(a, watch->loop) == -1)
		return -1;
	TAILQ_INSERT_TAIL(&a->s->awaited, (struct hb_awaited *)Py_NewRef((PyObject *)a), link);
	a->listed = true;
	return 0;
}

/* 1: *result; 0: it has to wait; -1: an exception. */
static int
try_receive(struct hb_awaited *a, PyObject **result)
{
	struct hb_subscription *s = a->s;
	struct hb_message *message;

	if (s->end == HB_END_CLOSED && a->iterating && s->subscriber == NULL) {
		PyErr_SetNone(PyExc_StopAsyncIteration);
		return -1;
	}
	if (hb_subscription_check(s) == -1)
		return -1;
	message = s->subscriber != NULL ? hb_push_take(s->subscriber) : NULL;
	if (message != NULL) {
		*result = hb_subscription_pair(s->m, message);
		return *result != NULL ? 1 : -1;
	}
	if (s->end == HB_END_CLOSED && a->iterating) {
		PyErr_SetNone(PyExc_StopAsyncIteration);
		return -1;
	}
	if (s->end != HB_END_NONE) {
		hb_subscription_raise_end(s);
		return -1;
	}
	if (a->deadline != 0 && hb_clock_ms() >= a->deadline) {
		*result = Py_NewRef(Py_None);
		return 1;
	}
	return 0;
}

/* What has come but was not read yet, for one that does not wait for it. */
static void
read_now(struct hb_awaited *a)
{
	struct hb_loop_watch *watch;

	if (a->deadline == 0 || hb_clock_ms() < a->deadline)
		return;
	if (hb_watch_get(a->s->m, &watch) == -1)
		PyErr_Clear();
	else if (watch != NULL)
		hb_push_read(watch->watch);
}

static PySendResult
awaited_send_slot(PyObject *self, PyObject *arg, PyObject **result)
{
	struct hb_awaited *a = (struct hb_awaited *)self;
	PySendResult step;
	int rc;

	*result = NULL;
	if (a->over) {
		PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
		return PYGEN_ERROR;
	}
	if (!a->begun)
		read_now(a);
	a->begun = true;
	if (a->iter != NULL) {
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
		rc = try_receive(a, result);
		if (rc != 0)
			break;
		rc = begin_wait(a);
		if (rc == -1)
			break;
		if (rc == 1)
			continue;
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
	stop_waiting(a);
	return rc == 1 ? PYGEN_RETURN : PYGEN_ERROR;
}

/* As an iterator has it: StopIteration with a value that is a tuple. */
static PyObject *
as_next(PySendResult step, PyObject *result)
{
	PyObject *stop;

	if (step != PYGEN_RETURN)
		return result;
	stop = PyObject_CallOneArg(PyExc_StopIteration, result);
	Py_DECREF(result);
	if (stop != NULL)
		PyErr_SetObject(PyExc_StopIteration, stop);
	Py_XDECREF(stop);
	return NULL;
}

static PyObject *
awaited_next(PyObject *self)
{
	PyObject *result;
	PySendResult step = awaited_send_slot(self, Py_None, &result);

	return as_next(step, result);
}

static PyObject *
awaited_send(PyObject *self, PyObject *arg)
{
	PyObject *result;
	PySendResult step = awaited_send_slot(self, arg, &result);

	return as_next(step, result);
}

static PyObject *
awaited_throw(PyObject *self, PyObject *args)
{
	struct hb_awaited *a = (struct hb_awaited *)self;

	give_up(a);
	hb_coroutine_raise(args);
	return NULL;
}

static PyObject *
awaited_close(PyObject *self, PyObject *unused)
{
	struct hb_awaited *a = (struct hb_awaited *)self;

	give_up(a);
	Py_RETURN_NONE;
}

static PyObject *
awaited_name(PyObject *self, void *unused)
{
	return PyUnicode_FromString(NAME);
}

static int
awaited_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct hb_awaited *a = (struct hb_awaited *)self;

	Py_VISIT(Py_TYPE(self));
	Py_VISIT(a->s);
	Py_VISIT(a->future);
	Py_VISIT(a->iter);
	Py_VISIT(a->timer);
	return 0;
}

static int
awaited_clear(PyObject *self)
{
	stop_waiting((struct hb_awaited *)self);
	return 0;
}

static void
awaited_dealloc(PyObject *self)
{
	struct hb_awaited *a = (struct hb_awaited *)self;
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	if (!a->begun)
		hb_coroutine_warn_unused(NAME);
	stop_waiting(a);
	Py_CLEAR(a->s);
	type->tp_free(self);
	Py_DECREF(type);
}

PyObject *
hb_awaited_new(struct hb_subscription *s, int64_t deadline, bool iterating)
{
	struct hb_awaited *a = PyObject_GC_New(struct hb_awaited, s->m->pubsub.awaited_type);

	if (a == NULL)
		return NULL;
	a->s = (struct hb_subscription *)Py_NewRef((PyObject *)s);
	a->future = a->iter = a->timer = NULL;
	a->deadline = deadline;
	a->iterating = iterating;
	a->listed = a->begun = a->over = false;
	PyObject_GC_Track(a);
	return (PyObject *)a;
}

static PyMethodDef awaited_methods[] = {
    {"send", awaited_send, METH_O, NULL},
    {"throw", awaited_throw, METH_VARARGS, NULL},
    {"close", awaited_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef awaited_getset[] = {
    {"__name__", awaited_name, NULL, NULL, NULL},
    {"__qualname__", awaited_name, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot awaited_slots[] = {
    {Py_tp_dealloc, awaited_dealloc},
    {Py_tp_traverse, awaited_traverse},
    {Py_tp_clear, awaited_clear},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, awaited_next},
    {Py_am_await, PyObject_SelfIter},
    {Py_am_send, awaited_send_slot},
    {Py_tp_methods, awaited_methods},
    {Py_tp_getset, awaited_getset},
    {0, NULL},
};

PyType_Spec hb_awaited_spec = {
    .name = "hornbeam_erlang._hornbeam.Awaited",
    .basicsize = sizeof(struct hb_awaited),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = awaited_slots,
};
