/* A subscriber as a Python object: see pubsub.h. */
#include <math.h>

#include "common/clock.h"
#include "module.h"
#include "watch.h"

/* Milliseconds. */
enum {
	SUBSCRIBE_TIMEOUT = 5000,
	LOOK_EACH = 1000 /* whether the client of a WSGI request is still there, while a thread waits */
};

struct hb_subscription *
hb_subscription_new(struct hb_module *m, PyTypeObject *type, struct hb_process *process)
{
	struct hb_subscription *s = (struct hb_subscription *)type->tp_alloc(type, 0);

	if (s == NULL)
		return NULL;
	s->m = m;
	s->process = process;
	s->end = process->end;
	TAILQ_INIT(&s->awaited);
	LIST_INSERT_HEAD(&process->subscriptions, s, link);
	return s;
}

static PyObject *
subscription_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	PyObject *module = PyType_GetModuleByDef(type, &hb_module_def);
	struct hb_process *process = module != NULL ? hb_process_current(PyModule_GetState(module)) : NULL;

	return process != NULL ? (PyObject *)hb_subscription_new(PyModule_GetState(module), type, process) : NULL;
}

void
hb_subscription_end(struct hb_subscription *s, enum hb_end how)
{
	if (s->end < how)
		s->end = how;
	if (s->subscriber != NULL)
		hb_subscriber_close(s->subscriber);
}

static void
subscription_dealloc(PyObject *self)
{
	struct hb_subscription *s = (struct hb_subscription *)self;
	PyTypeObject *type = Py_TYPE(self);

	if (s->process != NULL)
		LIST_REMOVE(s, link);
	hb_subscriber_free(s->subscriber);
	type->tp_free(self);
	Py_DECREF(type);
}

PyObject *
hb_subscription_raise_end(const struct hb_subscription *s)
{
	static const char *const why[] = {
	    [HB_END_NONE] = "the subscription has ended",
	    [HB_END_CLOSED] = "the subscription is closed",
	    [HB_END_LEFT] = "the client has gone, and with it the request's subscriptions",
	    [HB_END_OVER] = "the request or the thread has ended, and its subscriptions with it",
	};

	PyErr_SetString(s->end == HB_END_LEFT ? s->m->client.disconnected_error : s->m->client.error, why[s->end]);
	return NULL;
}

int
hb_subscription_check(const struct hb_subscription *s)
{
	struct hb_subscriber_counts counts;

	if (s->subscriber != NULL && !hb_subscriber_is_mine(s->subscriber)) {
		PyErr_SetString(s->m->client.error, "the subscription belongs to the parent of this process");
		return -1;
	}
	if (s->end == HB_END_OVER || (s->end == HB_END_CLOSED && s->subscriber == NULL)) {
		hb_subscription_raise_end(s);
		return -1;
	}
	if (s->end != HB_END_NONE)
		return 0;
	if (s->subscriber != NULL) {
		counts = hb_subscriber_counts(s->subscriber);
		if (counts.topics > 0 || counts.queued > 0)
			return 0;
	}
	PyErr_SetString(s->m->client.error, "no topic is subscribed to: nothing can come");
	return -1;
}

int64_t
hb_subscription_deadline(PyObject *timeout)
{
	double seconds;

	if (timeout == Py_None)
		return 0;
	if (PyBool_Check(timeout) || (!PyLong_Check(timeout) && !PyFloat_Check(timeout))) {
		PyErr_Format(PyExc_TypeError, "a timeout is an int or a float, in seconds, or None, not %.200s",
		    Py_TYPE(timeout)->tp_name);
		return -1;
	}
	seconds = PyFloat_AsDouble(timeout);
	if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_OverflowError))
		return -1;
	if (PyErr_Occurred() || !(seconds >= 0)) {
		PyErr_Clear();
		PyErr_Format(PyExc_ValueError, "a timeout is 0 or more seconds, not %.100R", timeout);
		return -1;
	}
	/* Beyond ten years there is no end to be seen. */
	return seconds > 3e8 ? 0 : hb_clock_ms() + (int64_t)ceil(seconds * 1000);
}

/* What nobody can change, all may share. */
static bool
is_constant(PyObject *value)
{
	return PyUnicode_CheckExact(value) || PyBytes_CheckExact(value) || PyLong_CheckExact(value) ||
	    PyFloat_CheckExact(value) || PyBool_Check(value) || value == Py_None;
}

PyObject *
hb_subscription_pair(struct hb_module *m, struct hb_message *message)
{
	enum { SHARED_SIZE = 64 * 1024 };
	size_t at = message->serial % HB_PUBSUB_CACHE;
	PyObject *topic, *value, *pair = NULL;

	if (m->pubsub.cache[at].serial == message->serial) {
		topic = Py_NewRef(m->pubsub.cache[at].topic);
		pair = Py_XNewRef(m->pubsub.cache[at].pair);
	} else
		topic = PyUnicode_DecodeUTF8(message->topic, (Py_ssize_t)message->topic_len, NULL);
	if (pair == NULL && topic != NULL) {
		value = hb_convert_from_term(&m->convert, message->body, message->len);
		pair = value != NULL ? PyTuple_Pack(2, topic, value) : NULL;
		if (pair != NULL && m->pubsub.cache[at].serial != message->serial) {
			m->pubsub.cache[at].serial = message->serial;
			Py_XSETREF(m->pubsub.cache[at].topic, Py_NewRef(topic));
			Py_XSETREF(m->pubsub.cache[at].pair,
			    is_constant(value) && message->size <= SHARED_SIZE ? Py_NewRef(pair) : NULL);
		}
		Py_XDECREF(value);
	}
	Py_XDECREF(topic);
	hb_message_unref(message);
	return pair;
}

/* UTF-8 of a topic; NULL with TypeError or ValueError. */
static const char *
topic_text(PyObject *topic, Py_ssize_t *len)
{
	const char *utf8;

	if (!PyUnicode_Check(topic)) {
		PyErr_Format(PyExc_TypeError, "a topic is a str, not %.200s", Py_TYPE(topic)->tp_name);
		return NULL;
	}
	utf8 = PyUnicode_AsUTF8AndSize(topic, len);
	if (utf8 == NULL && PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
		PyErr_Format(PyExc_ValueError, "a topic must be valid text, not %.200A", topic);
	if (utf8 != NULL && (*len < 1 || *len > HB_PUSH_TOPIC_MAX)) {
		PyErr_Format(PyExc_ValueError, "a topic has 1 to %d bytes in UTF-8, not %zd", HB_PUSH_TOPIC_MAX, *len);
		return NULL;
	}
	return utf8;
}

static PyObject *
subscription_subscribe(PyObject *self, PyObject *topic)
{
	struct hb_subscription *s = (struct hb_subscription *)self;
	struct hb_loop_watch *watch;
	struct hb_push *push;
	struct hb_error err;
	const char *text;
	Py_ssize_t len;
	int rc;

	text = topic_text(topic, &len);
	if (text == NULL)
		return NULL;
	if (s->end != HB_END_NONE)
		return hb_subscription_raise_end(s);
	push = hb_client_push(&s->m->client);
	/* A loop that runs here notices at once when the link is lost. */
	if (push == NULL || hb_watch_get(s->m, &watch) == -1)
		return NULL;
	if (s->subscriber == NULL)
		s->subscriber = hb_subscriber_new(push, s);
	Py_BEGIN_ALLOW_THREADS
	rc = hb_push_subscribe(s->subscriber, text, (size_t)len, hb_clock_ms() + SUBSCRIBE_TIMEOUT, &err);
	Py_END_ALLOW_THREADS
	if (rc == 0)
		Py_RETURN_NONE;
	return s->end != HB_END_NONE ? hb_subscription_raise_end(s) : hb_client_raise(&s->m->client, &err);
}

static PyObject *
leave(PyObject *self, PyObject *topic, bool (*how)(struct hb_subscriber *, const char *, size_t))
{
	struct hb_subscription *s = (struct hb_subscription *)self;
	Py_ssize_t len;
	const char *text = topic_text(topic, &len);

	if (text == NULL)
		return NULL;
	if (s->subscriber != NULL)
		how(s->subscriber, text, (size_t)len);
	Py_RETURN_NONE;
}

static PyObject *
subscription_unsubscribe(PyObject *self, PyObject *topic)
{
	return leave(self, topic, hb_push_unsubscribe);
}

static PyObject *
subscription_take_back(PyObject *self, PyObject *topic)
{
	return leave(self, topic, hb_push_take_back);
}

/* hb_push_next, in parts: between them a thread in a WSGI call looks after its client. */
static enum hb_push_result
next(struct hb_subscription *s, int64_t deadline, struct hb_message **message, struct hb_error *err)
{
	struct hb_py_current *current = s->m->pubsub.current;
	enum hb_push_result result;
	int64_t until = deadline, look_at;

	for (;;) {
		if (current != NULL) {
			look_at = hb_clock_ms() + LOOK_EACH;
			until = deadline == 0 || look_at < deadline ? look_at : deadline;
		}
		Py_BEGIN_ALLOW_THREADS
		result = hb_push_next(s->subscriber, until, message, err);
		Py_END_ALLOW_THREADS
		if (result != HB_PUSH_NOTHING || until == deadline)
			return result;
		current->look(current->py);
	}
}

/* A pair; or NULL, with an exception unless the deadline has passed, or the subscription was closed. */
static PyObject *
receive(struct hb_subscription *s, int64_t deadline)
{
	struct hb_message *message = NULL;
	enum hb_push_result result;
	struct hb_error err;

	if (hb_subscription_check(s) == -1)
		return NULL;
	if (s->subscriber == NULL)
		return NULL;
	result = next(s, deadline, &message, &err);
	switch (result) {
	case HB_PUSH_MESSAGE:
		return hb_subscription_pair(s->m, message);
	case HB_PUSH_FAILED:
		return hb_client_raise(&s->m->client, &err);
	case HB_PUSH_NOTHING:
	case HB_PUSH_CLOSED:
		break;
	}
	return NULL;
}

/* (timeout=None), as a deadline; -1 with an exception. */
static int64_t
get_deadline(PyObject *const *args, Py_ssize_t n, PyObject *names, const char *what)
{
	Py_ssize_t named = names != NULL ? PyTuple_GET_SIZE(names) : 0;

	if (n + named > 1 ||
	    (named == 1 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "timeout") != 0)) {
		PyErr_Format(PyExc_TypeError, "%s(timeout=None)", what);
		return -1;
	}
	return n + named == 1 ? hb_subscription_deadline(args[0]) : 0;
}

static PyObject *
subscription_receive(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	struct hb_subscription *s = (struct hb_subscription *)self;
	int64_t deadline = get_deadline(args, n, names, "receive");
	PyObject *pair;
	bool polls;

	if (deadline == -1)
		return NULL;
	polls = deadline != 0 && deadline <= hb_clock_ms();
	pair = receive(s, deadline);
	if (pair != NULL || PyErr_Occurred())
		return pair;
	/* A handler that looks now and then learns from its client's messages that this has gone. */
	if (s->end == HB_END_NONE || (s->end == HB_END_LEFT && polls))
		Py_RETURN_NONE;
	return hb_subscription_raise_end(s);
}

static PyObject *
subscription_next(PyObject *self)
{
	struct hb_subscription *s = (struct hb_subscription *)self;
	PyObject *pair;

	if (s->end == HB_END_CLOSED && s->subscriber == NULL)
		return NULL;
	pair = receive(s, 0);
	if (pair != NULL || PyErr_Occurred() || s->end == HB_END_CLOSED)
		return pair;
	return hb_subscription_raise_end(s);
}

static PyObject *
subscription_get(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	int64_t deadline = get_deadline(args, n, names, "get");

	return deadline != -1 ? hb_awaited_new((struct hb_subscription *)self, deadline, false) : NULL;
}

static PyObject *
subscription_anext(PyObject *self)
{
	return hb_awaited_new((struct hb_subscription *)self, 0, true);
}

static PyObject *
subscription_close(PyObject *self, PyObject *unused)
{
	hb_subscription_end((struct hb_subscription *)self, HB_END_CLOSED);
	Py_RETURN_NONE;
}

static struct hb_subscriber_counts
counts_of(PyObject *self)
{
	struct hb_subscription *s = (struct hb_subscription *)self;

	return s->subscriber != NULL ? hb_subscriber_counts(s->subscriber) : (struct hb_subscriber_counts){0};
}

static PyObject *
subscription_dropped(PyObject *self, void *unused)
{
	return PyLong_FromUnsignedLongLong(counts_of(self).dropped);
}

static PyObject *
subscription_gaps(PyObject *self, void *unused)
{
	return PyLong_FromUnsignedLongLong(counts_of(self).gaps);
}

static PyMethodDef subscription_methods[] = {
    {"subscribe", subscription_subscribe, METH_O, "Adds a topic; twice is once."},
    {"unsubscribe", subscription_unsubscribe, METH_O, "Takes a topic away; what has come is still received."},
    {"take_back", subscription_take_back, METH_O, "Undoes one subscribe: what another one has subscribed stays so."},
    {"receive", (PyCFunction)(void (*)(void))subscription_receive, METH_FASTCALL | METH_KEYWORDS,
        "receive(timeout=None)\n\n(topic, message); None after timeout seconds, 0 does not wait."},
    {"get", (PyCFunction)(void (*)(void))subscription_get, METH_FASTCALL | METH_KEYWORDS,
        "get(timeout=None)\n\nAs receive, to be awaited.  Cancelling it loses no message."},
    {"close", subscription_close, METH_NOARGS, "Ends its subscriptions, and the loops over it."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef subscription_getset[] = {
    {"dropped", subscription_dropped, NULL, "How many messages were lost.", NULL},
    {"gaps", subscription_gaps, NULL, "How often the link, or the companion's connection to another node, was lost.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot subscription_slots[] = {
    {Py_tp_new, subscription_new},
    {Py_tp_dealloc, subscription_dealloc},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, subscription_next},
    {Py_am_aiter, PyObject_SelfIter},
    {Py_am_anext, subscription_anext},
    {Py_tp_methods, subscription_methods},
    {Py_tp_getset, subscription_getset},
    {0, NULL},
};

PyType_Spec hb_subscription_spec = {
    .name = "hornbeam_erlang._hornbeam.Subscription",
    .basicsize = sizeof(struct hb_subscription),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = subscription_slots,
};
