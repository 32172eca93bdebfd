/* Readers and writers of the loop, as watches of its selector. */
#include "py/aio.h"

struct hb_selector *
hb_aio_selector(const struct hb_aio_core *core)
{
	if (core->selector == NULL || !PyObject_TypeCheck(core->selector, core->aio->selector_type))
		return NULL;
	return (struct hb_selector *)core->selector;
}

static PyObject **
side_of(struct hb_watch *w, unsigned bit)
{
	return bit == HB_SELECT_READ ? &w->reader : &w->writer;
}

/* _add_reader(fd, callback, *args) and _add_writer */
static PyObject *
watch(PyObject *self, unsigned bit, PyObject *const *args, Py_ssize_t n)
{
	struct hb_aio_core *core = (struct hb_aio_core *)self;
	struct hb_selector *s = hb_aio_selector(core);
	PyObject *handle, *before, *rest;
	struct hb_watch *w;
	int fd;

	if (n < 2 || s == NULL || hb_aio_is_true(core->closed))
		return hb_aio_call_base(core, bit == HB_SELECT_READ ? "_add_reader" : "_add_writer", args, n, NULL);
	fd = hb_selector_fd(s, args[0]);
	rest = fd != -1 ? hb_aio_args(core->aio, args + 2, n - 2) : NULL;
	handle = rest != NULL ? hb_aio_handle_new(core, args[1], rest, NULL, NULL) : NULL;
	if (handle == NULL)
		return NULL;
	w = hb_selector_find(s, fd);
	if (w == NULL)
		w = hb_selector_add(s, args[0], fd);
	if (w == NULL)
		goto fail;
	if (hb_selector_set(w, w->events | bit) == -1) {
		if (w->events == 0) {
			PyObject *type, *value, *tb;

			PyErr_Fetch(&type, &value, &tb);
			(void)hb_selector_remove(w);
			PyErr_Restore(type, value, tb);
		}
		goto fail;
	}
	before = *side_of(w, bit);
	*side_of(w, bit) = Py_NewRef(handle);
	if (before != NULL) {
		int rc = hb_aio_handle_cancel(before);

		Py_DECREF(before);
		if (rc == -1)
			goto fail;
	}
	return handle;

fail:
	Py_DECREF(handle);
	return NULL;
}

PyObject *
hb_aio_add_reader(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	return watch(self, HB_SELECT_READ, args, n);
}

PyObject *
hb_aio_add_writer(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	return watch(self, HB_SELECT_WRITE, args, n);
}

static int
end_watch(struct hb_watch *w, unsigned bit)
{
	PyObject *handle = *side_of(w, bit);
	unsigned left = w->events & ~bit;
	int rc;

	rc = left != 0 ? hb_selector_set(w, left) : 0;
	if (rc == -1)
		return -1;
	*side_of(w, bit) = NULL;
	if (left == 0)
		rc = hb_selector_remove(w);
	if (handle != NULL && rc == 0)
		rc = hb_aio_handle_cancel(handle);
	Py_XDECREF(handle);
	return rc;
}

/* _remove_reader(fd) and _remove_writer: whether there was one */
static PyObject *
unwatch(PyObject *self, unsigned bit, PyObject *fileobj)
{
	struct hb_aio_core *core = (struct hb_aio_core *)self;
	struct hb_selector *s = hb_aio_selector(core);
	struct hb_watch *w;
	bool had;
	int fd;

	if (s == NULL || hb_aio_is_true(core->closed))
		return hb_aio_call_base(core, bit == HB_SELECT_READ ? "_remove_reader" : "_remove_writer", &fileobj, 1, NULL);
	fd = hb_selector_fd(s, fileobj);
	if (fd == -1)
		return NULL;
	w = hb_selector_find(s, fd);
	if (w == NULL)
		Py_RETURN_FALSE;
	had = *side_of(w, bit) != NULL;
	if (end_watch(w, bit) == -1)
		return NULL;
	return PyBool_FromLong(had);
}

PyObject *
hb_aio_remove_reader(PyObject *self, PyObject *fileobj)
{
	return unwatch(self, HB_SELECT_READ, fileobj);
}

PyObject *
hb_aio_remove_writer(PyObject *self, PyObject *fileobj)
{
	return unwatch(self, HB_SELECT_WRITE, fileobj);
}

static int
fire(struct hb_aio_core *core, struct hb_watch *w, unsigned bit)
{
	PyObject *handle = *side_of(w, bit);
	int rc;

	if (handle == NULL && w->data != NULL && PyTuple_Check(w->data) && PyTuple_GET_SIZE(w->data) == 2)
		handle = PyTuple_GET_ITEM(w->data, bit == HB_SELECT_READ ? 0 : 1);
	if (handle == NULL || handle == Py_None)
		return 0;
	if (hb_aio_handle_cancelled(core->aio, handle))
		return end_watch(w, bit);
	Py_INCREF(handle);
	rc = hb_aio_ready(core, handle);
	Py_DECREF(handle);
	return rc;
}

int
hb_aio_watch_take(struct hb_aio_core *core, struct hb_selector *s)
{
	struct hb_watch *w;
	unsigned mask;

	while ((w = hb_selector_next(s, &mask)) != NULL) {
		int fd = w->fd;

		if ((mask & HB_SELECT_READ) != 0 && fire(core, w, HB_SELECT_READ) == -1)
			return -1;
		if ((mask & HB_SELECT_WRITE) != 0 && hb_selector_find(s, fd) == w && fire(core, w, HB_SELECT_WRITE) == -1)
			return -1;
	}
	return 0;
}
