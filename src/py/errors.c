/*
 * wsgi.errors writes whole lines to the log.  A traceback is formatted by
 * Python's own traceback module, imported when the first one is needed.
 */
#include "py/errors.h"

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/log.h"

enum {
	LINE_KEEP = 65536,   /* an application that never ends its line gets it ended */
	MESSAGE_MOST = 16384 /* of an exception, for a hook */
};

struct errors {
	PyObject_HEAD
	struct hb_buf line;
};

static void
put_out(struct errors *e)
{
	if (e->line.len == 0)
		return;
	hb_buf_add_u8(&e->line, '\0');
	if (!e->line.failed)
		hb_log_lines(HB_LOG_WARNING, "app: ", (const char *)e->line.data);
	hb_buf_clear(&e->line);
}

static int
add_text(struct errors *e, PyObject *text)
{
	PyObject *bytes;
	const char *p;
	Py_ssize_t n;

	if (!PyUnicode_Check(text)) {
		PyErr_Format(PyExc_TypeError, "wsgi.errors takes str, not %.100s", Py_TYPE(text)->tp_name);
		return -1;
	}
	bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	if (bytes == NULL)
		return -1;
	p = PyBytes_AS_STRING(bytes);
	n = PyBytes_GET_SIZE(bytes);
	for (Py_ssize_t i = 0; i < n; i++)
		hb_buf_add_u8(&e->line, p[i] == '\0' ? ' ' : (uint8_t)p[i]);
	if (e->line.len > LINE_KEEP || (n > 0 && p[n - 1] == '\n'))
		put_out(e);
	Py_DECREF(bytes);
	return 0;
}

static PyObject *
errors_write(struct errors *e, PyObject *text)
{
	if (add_text(e, text) == -1)
		return NULL;
	return PyLong_FromSsize_t(PyUnicode_GET_LENGTH(text));
}

static PyObject *
errors_writelines(struct errors *e, PyObject *lines)
{
	PyObject *it = PyObject_GetIter(lines), *line;

	if (it == NULL)
		return NULL;
	while ((line = PyIter_Next(it)) != NULL) {
		int rc = add_text(e, line);

		Py_DECREF(line);
		if (rc == -1)
			break;
	}
	Py_DECREF(it);
	if (PyErr_Occurred())
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
errors_flush(struct errors *e, PyObject *unused)
{
	put_out(e);
	Py_RETURN_NONE;
}

static void
errors_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	hb_buf_free(&((struct errors *)self)->line);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyMethodDef errors_methods[] = {
	{"write", (PyCFunction)errors_write, METH_O, NULL},
	{"writelines", (PyCFunction)errors_writelines, METH_O, NULL},
	{"flush", (PyCFunction)errors_flush, METH_NOARGS, NULL},
	{NULL},
};

static PyType_Slot errors_slots[] = {
	{Py_tp_dealloc, errors_dealloc},
	{Py_tp_methods, errors_methods},
	{0, NULL},
};

static PyType_Spec errors_spec = {
	"hornbeam.Errors",
	sizeof(struct errors),
	0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	errors_slots,
};

int
hb_py_errors_init(struct hb_py *py)
{
	py->errors_type = hb_py_type(&errors_spec);
	if (py->errors_type == NULL)
		return -1;
	py->errors = (PyObject *)PyObject_New(struct errors, py->errors_type);
	if (py->errors == NULL)
		return -1;
	hb_buf_init(&((struct errors *)py->errors)->line);
	return 0;
}

/* The lines of a traceback put together, or NULL with an exception. */
static PyObject *
format(struct hb_py *py, PyObject *type, PyObject *value, PyObject *tb)
{
	PyObject *lines, *empty, *text = NULL;

	if (py->format == NULL) {
		PyObject *module = PyImport_ImportModule("traceback");

		if (module == NULL)
			return NULL;
		py->format = PyObject_GetAttrString(module, "format_exception");
		Py_DECREF(module);
		if (py->format == NULL)
			return NULL;
	}
	lines = PyObject_CallFunctionObjArgs(py->format, type, value, tb != NULL ? tb : Py_None, NULL);
	empty = PyUnicode_FromString("");
	if (lines != NULL && empty != NULL)
		text = PyUnicode_Join(empty, lines);
	Py_XDECREF(lines);
	Py_XDECREF(empty);
	return text;
}

void
hb_py_log_exception(struct hb_py *py, const char *what)
{
	PyObject *type = NULL, *value = NULL, *tb = NULL, *text, *bytes = NULL;

	PyErr_Fetch(&type, &value, &tb);
	if (type == NULL)
		return;
	PyErr_NormalizeException(&type, &value, &tb);
	text = format(py, type, value, tb);
	if (text != NULL)
		bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	hb_err("app: %s: %s", what, ((PyTypeObject *)type)->tp_name);
	if (bytes != NULL)
		hb_log_lines(HB_LOG_ERROR, "app: ", PyBytes_AS_STRING(bytes));
	else
		PyErr_Clear();
	Py_XDECREF(text);
	Py_XDECREF(bytes);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(tb);
}

void
hb_py_log_failure(struct hb_py *py, const struct hb_py_request *r)
{
	char what[HB_HTTP_REQUEST_TEXT];

	hb_http_request_text(r->head, r->data, what);
	hb_py_log_exception(py, what);
}

void
hb_py_tell_exception(struct hb_py *py, struct hb_py_request *r)
{
	PyObject *type, *value, *tb, *text, *bytes = NULL;
	size_t len = 0;

	if (py->server->raised == NULL)
		return;
	PyErr_Fetch(&type, &value, &tb);
	if (type == NULL)
		return;
	PyErr_NormalizeException(&type, &value, &tb);
	text = value != NULL ? PyObject_Str(value) : NULL;
	if (text != NULL)
		bytes = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
	PyErr_Clear();
	if (bytes != NULL) {
		const char *p = PyBytes_AS_STRING(bytes);

		len = (size_t)PyBytes_GET_SIZE(bytes);
		if (len > MESSAGE_MOST)
			for (len = MESSAGE_MOST; ((unsigned char)p[len] & 0xc0) == 0x80;)
				len--;
	}
	py->server->raised(r, ((PyTypeObject *)type)->tp_name, bytes != NULL ? PyBytes_AS_STRING(bytes) : "", len);
	Py_XDECREF(text);
	Py_XDECREF(bytes);
	PyErr_Restore(type, value, tb);
}

void
hb_py_take_exception(struct hb_error *err, enum hb_error_kind kind, const char *what)
{
	PyObject *type = NULL, *value = NULL, *tb = NULL, *text;
	const char *p = NULL;

	PyErr_Fetch(&type, &value, &tb);
	PyErr_NormalizeException(&type, &value, &tb);
	text = value != NULL ? PyObject_Str(value) : NULL;
	if (text != NULL)
		p = PyUnicode_AsUTF8(text);
	hb_error_set(err, kind, "%s: %s%s%s", what, type != NULL ? ((PyTypeObject *)type)->tp_name : "failed",
	    p != NULL && *p != '\0' ? ": " : "", p != NULL ? p : "");
	PyErr_Clear();
	Py_XDECREF(text);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(tb);
}
