/* The selector as Python sees it: the methods of selectors.BaseSelector. */
#include "py/aio.h"

static PyObject *
selector_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	struct hb_selector *s = (struct hb_selector *)type->tp_alloc(type, 0);

	if (s == NULL)
		return NULL;
	s->timer_fd = -1;
	TAILQ_INIT(&s->active);
	s->aio = hb_aio_of(type);
	if (s->aio == NULL || hb_selector_open(s) == -1) {
		Py_DECREF(s);
		return NULL;
	}
	return (PyObject *)s;
}

static int
selector_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct hb_selector *s = (struct hb_selector *)self;

	Py_VISIT(Py_TYPE(self));
	for (size_t i = 0; i < s->size; i++)
		if (s->watches[i] != NULL) {
			Py_VISIT(s->watches[i]->fileobj);
			Py_VISIT(s->watches[i]->data);
			Py_VISIT(s->watches[i]->reader);
			Py_VISIT(s->watches[i]->writer);
		}
	return 0;
}

/* The watches stay watched: only what they hold of Python's goes. */
static int
selector_clear(PyObject *self)
{
	struct hb_selector *s = (struct hb_selector *)self;

	for (size_t i = 0; i < s->size; i++)
		if (s->watches[i] != NULL) {
			Py_CLEAR(s->watches[i]->fileobj);
			Py_CLEAR(s->watches[i]->data);
			Py_CLEAR(s->watches[i]->reader);
			Py_CLEAR(s->watches[i]->writer);
		}
	return 0;
}

static void
selector_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	hb_selector_close((struct hb_selector *)self);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyObject *
or_none(PyObject *object)
{
	return object != NULL ? object : Py_None;
}

static PyObject *
make_key(struct hb_watch *w)
{
	PyObject *data = w->data != NULL ? Py_NewRef(w->data)
	                                 : PyTuple_Pack(2, or_none(w->reader), or_none(w->writer));
	PyObject *key;

	if (data == NULL)
		return NULL;
	key = PyObject_CallFunction(w->selector->aio->selector_key, "OiIO", or_none(w->fileobj), w->fd, w->events, data);
	Py_DECREF(data);
	return key;
}

/* A file object that is closed by now is found by itself, as in the standard library. */
static struct hb_watch *
look_up(struct hb_selector *s, PyObject *fileobj)
{
	PyObject *type, *value, *tb;
	int fd = hb_selector_fd(s, fileobj);
	struct hb_watch *w;

	if (fd != -1) {
		w = hb_selector_find(s, fd);
		if (w == NULL)
			PyErr_Format(PyExc_KeyError, "%R is not registered", fileobj);
		return w;
	}
	PyErr_Fetch(&type, &value, &tb);
	for (size_t i = 0; i < s->size; i++)
		if (s->watches[i] != NULL && s->watches[i]->fileobj == fileobj) {
			Py_XDECREF(type);
			Py_XDECREF(value);
			Py_XDECREF(tb);
			return s->watches[i];
		}
	PyErr_Restore(type, value, tb);
	return NULL;
}

static int
get_events(PyObject *object, unsigned *events)
{
	long n = PyLong_AsLong(object);

	if (n == -1 && PyErr_Occurred())
		return -1;
	if (n <= 0 || (n & ~(HB_SELECT_READ | HB_SELECT_WRITE)) != 0) {
		PyErr_Format(PyExc_ValueError, "Invalid events: %R", object);
		return -1;
	}
	*events = (unsigned)n;
	return 0;
}

static char *key_names[] = {(char[]){"fileobj"}, (char[]){"events"}, (char[]){"data"}, NULL};

static PyObject *
selector_register(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct hb_selector *s = (struct hb_selector *)self;
	PyObject *fileobj, *mask, *data = Py_None, *key;
	struct hb_watch *w;
	unsigned events;
	int fd;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O", key_names, &fileobj, &mask, &data) ||
	    get_events(mask, &events) == -1 || (fd = hb_selector_fd(s, fileobj)) == -1)
		return NULL;
	if (hb_selector_find(s, fd) != NULL) {
		PyErr_Format(PyExc_KeyError, "%R (FD %d) is already registered", fileobj, fd);
		return NULL;
	}
	w = hb_selector_add(s, fileobj, fd);
	if (w == NULL)
		return NULL;
	w->data = Py_NewRef(data);
	key = hb_selector_set(w, events) == 0 ? make_key(w) : NULL;
	if (key == NULL)
		hb_selector_drop(w);
	return key;
}

static PyObject *
selector_modify(PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *fileobj, *mask, *data = Py_None;
	struct hb_watch *w;
	unsigned events;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O", key_names, &fileobj, &mask, &data) ||
	    get_events(mask, &events) == -1 || (w = look_up((struct hb_selector *)self, fileobj)) == NULL ||
	    hb_selector_set(w, events) == -1)
		return NULL;
	Py_XSETREF(w->data, Py_NewRef(data));
	return make_key(w);
}

static PyObject *
selector_unregister(PyObject *self, PyObject *fileobj)
{
	struct hb_watch *w = look_up((struct hb_selector *)self, fileobj);
	PyObject *key = w != NULL ? make_key(w) : NULL;

	if (key == NULL)
		return NULL;
	if (hb_selector_remove(w) == -1)
		Py_CLEAR(key);
	return key;
}

static PyObject *
selector_get_key(PyObject *self, PyObject *fileobj)
{
	struct hb_watch *w = look_up((struct hb_selector *)self, fileobj);

	return w != NULL ? make_key(w) : NULL;
}

static PyObject *
selector_descriptors(PyObject *self, PyObject *unused)
{
	struct hb_selector *s = (struct hb_selector *)self;
	PyObject *list, *fd;

	if (s->closed)
		Py_RETURN_NONE;
	list = PyList_New(0);
	for (size_t i = 0; i < s->size && list != NULL; i++) {
		if (s->watches[i] == NULL)
			continue;
		fd = PyLong_FromSize_t(i);
		if (fd == NULL || PyList_Append(list, fd) == -1)
			Py_CLEAR(list);
		Py_XDECREF(fd);
	}
	return list;
}

static int
get_deadline(PyObject *timeout, int64_t *deadline)
{
	double seconds;

	if (timeout == NULL || timeout == Py_None) {
		*deadline = HB_SELECT_FOREVER;
		return 0;
	}
	seconds = PyFloat_AsDouble(timeout);
	if (seconds == -1.0 && PyErr_Occurred())
		return -1;
	if (seconds <= 0)
		*deadline = HB_SELECT_POLL;
	else if (seconds >= 1e9)
		*deadline = HB_SELECT_FOREVER;
	else
		*deadline = hb_selector_now() + hb_selector_nanoseconds(seconds);
	return 0;
}

static PyObject *
selector_select(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	struct hb_selector *s = (struct hb_selector *)self;
	PyObject *list, *key, *item;
	struct hb_watch *w;
	int64_t deadline;
	unsigned mask;

	if (get_deadline(n > 0 ? args[0] : NULL, &deadline) == -1 || hb_selector_check(s) == -1 ||
	    hb_selector_wait(s, deadline) == -1)
		return NULL;
	list = PyList_New(0);
	while (list != NULL && (w = hb_selector_next(s, &mask)) != NULL) {
		key = make_key(w);
		item = key != NULL ? Py_BuildValue("(NI)", key, mask) : NULL;
		if (item == NULL || PyList_Append(list, item) == -1)
			Py_CLEAR(list);
		Py_XDECREF(item);
	}
	return list;
}

/* watch_signal(number, fd) */
static PyObject *
selector_watch_signal(PyObject *self, PyObject *args)
{
	int number, fd;

	if (!PyArg_ParseTuple(args, "ii", &number, &fd) ||
	    hb_selector_watch_signal((struct hb_selector *)self, number, fd) == -1)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
selector_end_signal(PyObject *self, PyObject *number)
{
	long n = PyLong_AsLong(number);

	if ((n == -1 && PyErr_Occurred()) || hb_selector_end_signal((struct hb_selector *)self, (int)n) == -1)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
selector_close(PyObject *self, PyObject *unused)
{
	hb_selector_close((struct hb_selector *)self);
	Py_RETURN_NONE;
}

static PyMethodDef selector_methods[] = {
	{"register", (PyCFunction)(void (*)(void))selector_register, METH_VARARGS | METH_KEYWORDS, NULL},
	{"modify", (PyCFunction)(void (*)(void))selector_modify, METH_VARARGS | METH_KEYWORDS, NULL},
	{"unregister", selector_unregister, METH_O, NULL},
	{"get_key", selector_get_key, METH_O, NULL},
	{"descriptors", selector_descriptors, METH_NOARGS, NULL},
	{"watch_signal", selector_watch_signal, METH_VARARGS, NULL},
	{"end_signal", selector_end_signal, METH_O, NULL},
	{"select", (PyCFunction)(void (*)(void))selector_select, METH_FASTCALL, NULL},
	{"close", selector_close, METH_NOARGS, NULL},
	{NULL},
};

static PyType_Slot selector_slots[] = {
	{Py_tp_new, selector_new},
	{Py_tp_dealloc, selector_dealloc},
	{Py_tp_traverse, selector_traverse},
	{Py_tp_clear, selector_clear},
	{Py_tp_methods, selector_methods},
	{0, NULL},
};

PyType_Spec hb_selector_spec = {
	"_hornbeam_loop.SelectorCore",
	sizeof(struct hb_selector),
	0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	selector_slots,
};
