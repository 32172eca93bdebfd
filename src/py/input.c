/*
 * wsgi.input: a file-like object over the body, which is complete when the
 * application starts, so that nothing here waits.
 */
#include "py/input.h"

#include <string.h>

struct input {
	PyObject_HEAD
	const unsigned char *data;
	size_t len;
	size_t pos;
	bool closed; /* the request is over */
};

static int
check_open(const struct input *in)
{
	if (!in->closed)
		return 0;
	PyErr_SetString(PyExc_ValueError, "wsgi.input: the request is over");
	return -1;
}

/* The optional size argument: None or below zero is all. */
static int
get_size(PyObject *const *args, Py_ssize_t nargs, const char *name, size_t *size)
{
	Py_ssize_t n;

	*size = SIZE_MAX;
	if (nargs > 1) {
		PyErr_Format(PyExc_TypeError, "%s() takes at most 1 argument (%zd given)", name, nargs);
		return -1;
	}
	if (nargs == 0 || args[0] == Py_None)
		return 0;
	n = PyNumber_AsSsize_t(args[0], NULL);
	if (n == -1 && PyErr_Occurred())
		return -1;
	if (n >= 0)
		*size = (size_t)n;
	return 0;
}

static PyObject *
take(struct input *in, size_t n)
{
	PyObject *bytes = PyBytes_FromStringAndSize((const char *)in->data + in->pos, (Py_ssize_t)n);

	if (bytes != NULL)
		in->pos += n;
	return bytes;
}

static size_t
left(const struct input *in)
{
	return in->pos < in->len ? in->len - in->pos : 0;
}

static size_t
line_length(const struct input *in, size_t limit)
{
	size_t n = left(in) < limit ? left(in) : limit;
	const unsigned char *p, *end;

	if (n == 0)
		return 0;
	p = in->data + in->pos;
	end = memchr(p, '\n', n);
	return end != NULL ? (size_t)(end - p) + 1 : n;
}

static PyObject *
input_read(struct input *in, PyObject *const *args, Py_ssize_t nargs)
{
	size_t n;

	if (check_open(in) == -1 || get_size(args, nargs, "read", &n) == -1)
		return NULL;
	return take(in, n < left(in) ? n : left(in));
}

static PyObject *
input_readline(struct input *in, PyObject *const *args, Py_ssize_t nargs)
{
	size_t n;

	if (check_open(in) == -1 || get_size(args, nargs, "readline", &n) == -1)
		return NULL;
	return take(in, line_length(in, n));
}

static PyObject *
input_readlines(struct input *in, PyObject *const *args, Py_ssize_t nargs)
{
	PyObject *list = NULL, *line = NULL;
	size_t hint, total = 0;

	if (check_open(in) == -1 || get_size(args, nargs, "readlines", &hint) == -1)
		return NULL;
	if (hint == 0)
		hint = SIZE_MAX;
	list = PyList_New(0);
	if (list == NULL)
		return NULL;
	while (left(in) > 0 && total < hint) {
		line = take(in, line_length(in, SIZE_MAX));
		if (line == NULL || PyList_Append(list, line) == -1)
			goto fail;
		total += (size_t)PyBytes_GET_SIZE(line);
		Py_CLEAR(line);
	}
	return list;
fail:
	Py_XDECREF(line);
	Py_DECREF(list);
	return NULL;
}

static PyObject *
input_readinto(struct input *in, PyObject *arg)
{
	Py_buffer view;
	size_t n;

	if (check_open(in) == -1 || PyObject_GetBuffer(arg, &view, PyBUF_WRITABLE) == -1)
		return NULL;
	n = left(in) < (size_t)view.len ? left(in) : (size_t)view.len;
	if (n > 0)
		memcpy(view.buf, in->data + in->pos, n);
	in->pos += n;
	PyBuffer_Release(&view);
	return PyLong_FromSize_t(n);
}

static PyObject *
input_tell(struct input *in, PyObject *unused)
{
	return check_open(in) == -1 ? NULL : PyLong_FromSize_t(in->pos);
}

static PyObject *
input_seek(struct input *in, PyObject *const *args, Py_ssize_t nargs)
{
	Py_ssize_t offset, whence = 0, base;

	if (check_open(in) == -1)
		return NULL;
	if (nargs < 1 || nargs > 2) {
		PyErr_SetString(PyExc_TypeError, "seek() takes 1 or 2 arguments");
		return NULL;
	}
	offset = PyNumber_AsSsize_t(args[0], PyExc_OverflowError);
	if (offset == -1 && PyErr_Occurred())
		return NULL;
	if (nargs == 2) {
		whence = PyNumber_AsSsize_t(args[1], PyExc_OverflowError);
		if (whence == -1 && PyErr_Occurred())
			return NULL;
	}
	base = whence == 0 ? 0 : whence == 1 ? (Py_ssize_t)in->pos : (Py_ssize_t)in->len;
	if (whence < 0 || whence > 2 || offset < -base || offset > PY_SSIZE_T_MAX - base) {
		PyErr_SetString(PyExc_ValueError, "seek() to before the start, or from nowhere known");
		return NULL;
	}
	in->pos = (size_t)(base + offset);
	return PyLong_FromSize_t(in->pos);
}

static PyObject *
input_true(struct input *in, PyObject *unused)
{
	return check_open(in) == -1 ? NULL : Py_NewRef(Py_True);
}

static PyObject *
input_false(struct input *in, PyObject *unused)
{
	return check_open(in) == -1 ? NULL : Py_NewRef(Py_False);
}

static PyObject *
input_close(struct input *in, PyObject *unused)
{
	Py_RETURN_NONE; /* the server closes it */
}

static PyObject *
input_closed(struct input *in, void *unused)
{
	return PyBool_FromLong(in->closed);
}

static PyObject *
input_next(struct input *in)
{
	if (check_open(in) == -1 || left(in) == 0)
		return NULL;
	return take(in, line_length(in, SIZE_MAX));
}

static void
input_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	type->tp_free(self);
	Py_DECREF(type);
}

static PyMethodDef input_methods[] = {
	{"read", (PyCFunction)(void (*)(void))input_read, METH_FASTCALL, NULL},
	{"readline", (PyCFunction)(void (*)(void))input_readline, METH_FASTCALL, NULL},
	{"readlines", (PyCFunction)(void (*)(void))input_readlines, METH_FASTCALL, NULL},
	{"readinto", (PyCFunction)input_readinto, METH_O, NULL},
	{"seek", (PyCFunction)(void (*)(void))input_seek, METH_FASTCALL, NULL},
	{"tell", (PyCFunction)input_tell, METH_NOARGS, NULL},
	{"readable", (PyCFunction)input_true, METH_NOARGS, NULL},
	{"seekable", (PyCFunction)input_true, METH_NOARGS, NULL},
	{"writable", (PyCFunction)input_false, METH_NOARGS, NULL},
	{"close", (PyCFunction)input_close, METH_NOARGS, NULL},
	{NULL},
};

static PyGetSetDef input_getset[] = {
	{"closed", (getter)input_closed, NULL, NULL, NULL},
	{NULL},
};

static PyType_Slot input_slots[] = {
	{Py_tp_dealloc, input_dealloc},
	{Py_tp_iter, PyObject_SelfIter},
	{Py_tp_iternext, input_next},
	{Py_tp_methods, input_methods},
	{Py_tp_getset, input_getset},
	{0, NULL},
};

static PyType_Spec input_spec = {
	"hornbeam.Input",
	sizeof(struct input),
	0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	input_slots,
};

int
hb_py_input_init(struct hb_py *py)
{
	py->input_type = hb_py_type(&input_spec);
	return py->input_type != NULL ? 0 : -1;
}

PyObject *
hb_py_input_new(struct hb_py *py, const unsigned char *data, size_t len)
{
	struct input *in = (struct input *)py->spare_input;

	if (in != NULL)
		py->spare_input = NULL;
	else
		in = PyObject_New(struct input, py->input_type);
	if (in == NULL)
		return NULL;
	in->data = data;
	in->len = len;
	in->pos = 0;
	in->closed = false;
	return (PyObject *)in;
}

void
hb_py_input_end(struct hb_py *py, PyObject *input)
{
	struct input *in = (struct input *)input;

	if (in == NULL)
		return;
	in->data = NULL;
	in->len = in->pos = 0;
	in->closed = true;
	if (Py_REFCNT(input) == 1 && py->spare_input == NULL)
		py->spare_input = input;
	else
		Py_DECREF(input);
}
