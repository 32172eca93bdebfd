/*
 * wsgi.file_wrapper(file, block_size=8192): iterates over the file's blocks
 * and closes it with the response.
 */
#include "py/wrapper.h"

#include <string.h>
#include <sys/stat.h>

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

/* FileIO, BufferedReader, BufferedRandom: in this order. */
static int
load_types(struct hb_py *py)
{
	static const char *const names[] = {"FileIO", "BufferedReader", "BufferedRandom"};
	PyObject *module;

	if (py->file_types[2] != NULL)
		return 0;
	module = PyImport_ImportModule("io");
	for (size_t i = 0; module != NULL && i < 3; i++)
		Py_XSETREF(py->file_types[i], PyObject_GetAttrString(module, names[i]));
	Py_XDECREF(module);
	return py->file_types[2] != NULL ? 0 : -1;
}

/*
 * The file object of Python's own whose read() the wrapper calls: itself, or
 * what it hands the call on to, as tempfile's and Django's do.  What makes other
 * bytes of the file's, as gzip does, has a read() of its own.  A new reference or NULL.
 */
static PyObject *
reader_of(const struct wrapper *w)
{
	PyObject *read = Py_NewRef(w->read), *self = NULL;

	if (!PyCFunction_Check(read))
		Py_SETREF(read, PyObject_GetAttrString(read, "__wrapped__"));
	if (read != NULL && PyCFunction_Check(read) &&
	    strcmp(((PyCFunctionObject *)read)->m_ml->ml_name, "read") == 0)
		self = Py_XNewRef(PyCFunction_GET_SELF(read));
	Py_XDECREF(read);
	return self;
}

/* The FileIO at the bottom.  A new reference or NULL. */
static PyObject *
raw_of(struct hb_py *py, PyObject *reader)
{
	PyObject *type = (PyObject *)Py_TYPE(reader), *raw, *done;

	if (type == py->file_types[0])
		return Py_NewRef(reader);
	if (type != py->file_types[1] && type != py->file_types[2])
		return NULL;
	raw = PyObject_GetAttrString(reader, "raw");
	if (raw != NULL && (PyObject *)Py_TYPE(raw) != py->file_types[0])
		Py_CLEAR(raw);
	done = raw != NULL ? PyObject_CallMethod(reader, "flush", NULL) : NULL;
	if (done == NULL)
		Py_CLEAR(raw);
	Py_XDECREF(done);
	return raw;
}

static int64_t
call_for_number(PyObject *object, const char *method)
{
	PyObject *number = PyObject_CallMethod(object, method, NULL);
	int64_t n = number != NULL ? PyLong_AsLongLong(number) : -1;

	Py_XDECREF(number);
	return n;
}

bool
hb_py_wrapper_file(struct hb_py *py, PyObject *wrapper, int *fd, int64_t *off, int64_t *left)
{
	PyObject *reader = NULL, *raw = NULL;
	struct stat st;
	int64_t number = -1;

	*off = -1;
	if (load_types(py) == 0)
		reader = reader_of((struct wrapper *)wrapper);
	if (reader != NULL)
		raw = raw_of(py, reader);
	if (raw != NULL) {
		number = call_for_number(raw, "fileno");
		*off = call_for_number(reader, "tell");
	}
	PyErr_Clear();
	Py_XDECREF(reader);
	Py_XDECREF(raw);
	/* A size of 0 says nothing: the files of /proc have it. */
	if (number < 0 || *off < 0 || fstat((int)number, &st) == -1 || !S_ISREG(st.st_mode) || st.st_size <= *off)
		return false;
	*fd = (int)number;
	*left = st.st_size - *off;
	return true;
}

int
hb_py_wrapper_init(struct hb_py *py)
{
	py->wrapper_type = hb_py_type(&wrapper_spec);
	return py->wrapper_type != NULL ? 0 : -1;
}
