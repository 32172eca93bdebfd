/*
 * wsgi.file_wrapper(file, block_size=8192): iterates over the file's blocks
 * and closes it with the response.
 */
#include "py/wrapper.h"

enum { BLOCK_DEFAULT = 8192 };

struct wrapper {
	PyObject_HEAD
	PyObject *file;
	PyObject *read;
	PyObject *size;
};

static int
wrapper_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct wrapper *w = (struct wrapper *)self;

	Py_VISIT(Py_TYPE(self));
	Py_VISIT(w->file);
	Py_VISIT(w->read);
	Py_VISIT(w->size);
	return 0;
}

static int
wrapper_clear(PyObject *self)
{
	struct wrapper *w = (struct wrapper *)self;

	Py_CLEAR(w->file);
	Py_CLEAR(w->read);
	Py_CLEAR(w->size);
	return 0;
}

static void
wrapper_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	wrapper_clear(self);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyObject *
wrapper_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char filelike[] = "filelike", blksize[] = "blksize";
	static char *names[] = {filelike, blksize, NULL};
	Py_ssize_t size = BLOCK_DEFAULT;
	struct wrapper *w;
	PyObject *file;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|n:file_wrapper", names, &file, &size))
		return NULL;
	w = (struct wrapper *)type->tp_alloc(type, 0);
	if (w == NULL)
		return NULL;
	w->file = Py_NewRef(file);
	w->read = PyObject_GetAttrString(file, "read");
	w->size = PyLong_FromSsize_t(size > 0 ? size : BLOCK_DEFAULT);
	if (w->read == NULL || w->size == NULL) {
		Py_DECREF(w);
		return NULL;
	}
	return (PyObject *)w;
}

static PyObject *
wrapper_next(PyObject *self)
{
	struct wrapper *w = (struct wrapper *)self;
	PyObject *block = PyObject_CallOneArg(w->read, w->size);

	if (block == NULL)
		return NULL;
	if (PyObject_Size(block) > 0)
		return block;
	Py_DECREF(block); /* the end; or an exception where it has no length */
	return NULL;
}

static PyObject *
wrapper_close(PyObject *self, PyObject *unused)
{
	struct wrapper *w = (struct wrapper *)self;
	PyObject *close = PyObject_GetAttrString(w->file, "close"), *result;

	if (close == NULL) {
		if (!PyErr_ExceptionMatches(PyExc_AttributeError))
			return NULL;
		PyErr_Clear();
		Py_RETURN_NONE;
	}
	result = PyObject_CallNoArgs(close);
	Py_DECREF(close);
	return result;
}

static PyMethodDef wrapper_methods[] = {
	{"close", wrapper_close, METH_NOARGS, NULL},
	{NULL},
};

static PyType_Slot wrapper_slots[] = {
	{Py_tp_new, wrapper_new},
	{Py_tp_traverse, wrapper_traverse},
	{Py_tp_clear, wrapper_clear},
	{Py_tp_dealloc, wrapper_dealloc},
	{Py_tp_iter, PyObject_SelfIter},
	{Py_tp_iternext, wrapper_next},
	{Py_tp_methods, wrapper_methods},
	{0, NULL},
};

static PyType_Spec wrapper_spec = {
	"hornbeam.FileWrapper",
	sizeof(struct wrapper),
	0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
	wrapper_slots,
};

int
hb_py_wrapper_init(struct hb_py *py)
{
	py->wrapper_type = hb_py_type(&wrapper_spec);
	return py->wrapper_type != NULL ? 0 : -1;
}
