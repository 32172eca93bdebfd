/* One reader for each loop that waits for messages: see watch.h. */
#include "watch.h"

#include "module.h"

/* The loop's reader: something has come. */
static PyObject *
watch_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct hb_loop_watch *w = (struct hb_loop_watch *)self;
	struct hb_subscriber *subscriber;
	struct hb_subscription *s;

	if (w->watch == NULL)
		Py_RETURN_NONE;
	hb_push_read(w->watch);
	while (w->watch != NULL && (subscriber = hb_push_woken(w->watch)) != NULL) {
		s = (struct hb_subscription *)Py_NewRef((PyObject *)hb_subscriber_arg(subscriber));
		hb_awaited_wake_all(s);
		Py_DECREF(s);
	}
	Py_RETURN_NONE;
}

static void
watch_dealloc(PyObject *self)
{
	struct hb_loop_watch *w = (struct hb_loop_watch *)self;
	PyTypeObject *type = Py_TYPE(self);

	hb_push_watch_free(w->watch);
	Py_CLEAR(w->loop);
	Py_CLEAR(w->next);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyType_Slot watch_slots[] = {
    {Py_tp_dealloc, watch_dealloc},
    {Py_tp_call, watch_call},
    {0, NULL},
};

PyType_Spec hb_watch_spec = {
    .name = "hornbeam_erlang._hornbeam.Watch",
    .basicsize = sizeof(struct hb_loop_watch),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = watch_slots,
};

/* asyncio's running loop, owned; NULL: none, or with an exception. */
static PyObject *
running_loop(struct hb_pubsub *p)
{
	PyObject *name, *events, *loop;

	if (p->running_loop == NULL) {
		name = PyUnicode_FromString("asyncio.events");
		events = name != NULL ? PyImport_GetModule(name) : NULL;
		Py_XDECREF(name);
		if (events == NULL)
			return NULL; /* nobody has imported asyncio */
		p->running_loop = PyObject_GetAttrString(events, "_get_running_loop");
		Py_DECREF(events);
		if (p->running_loop == NULL)
			return NULL;
	}
	loop = PyObject_CallNoArgs(p->running_loop);
	if (loop == Py_None)
		Py_CLEAR(loop);
	return loop;
}

/* Takes it off the list. */
static void
drop_watch(struct hb_loop_watch **at)
{
	struct hb_loop_watch *w = *at;

	*at = w->next;
	w->next = NULL;
	hb_push_watch_free(w->watch);
	w->watch = NULL;
	Py_DECREF(w);
}

/* Readers of loops that were closed, and those that a forked child has of its parent. */
static int
drop_dead(struct hb_pubsub *p)
{
	struct hb_loop_watch *w = p->watches, *next, **at;
	PyObject *closed;

	Py_XINCREF(w);
	for (; w != NULL; w = next) {
		/* Python code: another thread may drop some meanwhile. */
		closed = PyObject_CallMethodNoArgs(w->loop, p->is_closed);
		next = closed != NULL ? (struct hb_loop_watch *)Py_XNewRef((PyObject *)w->next) : NULL;
		for (at = &p->watches; *at != NULL && *at != w;)
			at = &(*at)->next;
		if (*at != NULL && (closed == Py_True || hb_push_watch_fd(w->watch) == -1))
			drop_watch(at);
		Py_DECREF(w);
		if (closed == NULL)
			return -1;
		Py_DECREF(closed);
	}
	return 0;
}

static struct hb_loop_watch *
make_watch(struct hb_module *m, PyObject *loop)
{
	struct hb_push *push = hb_client_push(&m->client);
	struct hb_loop_watch *w;
	struct hb_error err;
	PyObject *fd, *done;

	if (push == NULL || drop_dead(&m->pubsub) == -1)
		return NULL;
	w = PyObject_New(struct hb_loop_watch, m->pubsub.watch_type);
	if (w == NULL)
		return NULL;
	w->next = NULL;
	w->loop = Py_NewRef(loop);
	w->watch = hb_push_watch_new(push, &err);
	if (w->watch == NULL) {
		hb_client_raise(&m->client, &err);
		Py_DECREF(w);
		return NULL;
	}
	fd = PyLong_FromLong(hb_push_watch_fd(w->watch));
	done = fd != NULL ? PyObject_CallMethodObjArgs(loop, m->pubsub.add_reader, fd, (PyObject *)w, NULL) : NULL;
	Py_XDECREF(fd);
	Py_XDECREF(done);
	if (done == NULL) {
		Py_DECREF(w);
		return NULL;
	}
	w->next = m->pubsub.watches;
	m->pubsub.watches = w;
	return w;
}

int
hb_watch_get(struct hb_module *m, struct hb_loop_watch **watch)
{
	PyObject *loop = running_loop(&m->pubsub);
	struct hb_loop_watch *w = m->pubsub.watches;

	*watch = NULL;
	if (loop == NULL)
		return PyErr_Occurred() ? -1 : 0;
	while (w != NULL && (w->loop != loop || hb_push_watch_fd(w->watch) == -1))
		w = w->next;
	*watch = w != NULL ? w : make_watch(m, loop);
	Py_DECREF(loop);
	return *watch != NULL ? 0 : -1;
}

void
hb_watch_clear(struct hb_pubsub *p)
{
	while (p->watches != NULL)
		drop_watch(&p->watches);
}
