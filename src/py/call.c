/*
 * start_response(status, headers, exc_info=None) and the write() that it
 * returns.  The object lives in a free list of one: most applications let go
 * of it before the request is over.
 */
#include "py/call.h"

#include <stddef.h>
#include <string.h>
#include <structmember.h>

enum { FIELDS_ON_STACK = 48 };

static PyMethodDef write_def;

/* Other threads may hold start_response, but only the one that runs the request may use it. */
static int
check_usable(const struct hb_py_call *c)
{
	if (c->r != NULL && c->running && !c->waiting)
		return 0;
	PyErr_SetString(PyExc_RuntimeError,
	    c->r == NULL ? "start_response: the request is over" : "start_response: used by two threads at once");
	return -1;
}

/* The characters of a str that has only Latin-1; owner keeps them. */
static int
get_text(PyObject *text, const char *what, const char **p, size_t *n)
{
	if (!PyUnicode_Check(text)) {
		PyErr_Format(PyExc_TypeError, "start_response: %s must be str, not %.100s", what,
		    Py_TYPE(text)->tp_name);
		return -1;
	}
	if (PyUnicode_READY(text) == -1)
		return -1;
	if (PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND) {
		PyErr_Format(PyExc_ValueError, "start_response: %s has characters beyond Latin-1: %R", what, text);
		return -1;
	}
	*p = (const char *)PyUnicode_1BYTE_DATA(text);
	*n = (size_t)PyUnicode_GET_LENGTH(text);
	return 0;
}

static int
get_status(PyObject *status, struct hb_py_head *head)
{
	const char *p;
	size_t n;

	if (get_text(status, "the status", &p, &n) == -1)
		return -1;
	if (n < 3 || !Py_ISDIGIT(p[0]) || !Py_ISDIGIT(p[1]) || !Py_ISDIGIT(p[2]) || (n > 3 && p[3] != ' ')) {
		PyErr_Format(PyExc_ValueError, "start_response: the status must be like '200 OK', not %R", status);
		return -1;
	}
	head->status = (unsigned)((p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0'));
	head->reason = n > 4 ? p + 4 : "";
	head->reason_len = n > 4 ? n - 4 : 0;
	return 0;
}

static int
get_field(PyObject *item, struct hb_py_field *f)
{
	PyObject **pair;

	if (PyTuple_Check(item) && PyTuple_GET_SIZE(item) == 2)
		pair = &PyTuple_GET_ITEM(item, 0);
	else if (PyList_Check(item) && PyList_GET_SIZE(item) == 2)
		pair = &PyList_GET_ITEM(item, 0);
	else {
		PyErr_Format(PyExc_TypeError, "start_response: a header must be a (name, value) tuple, not %R", item);
		return -1;
	}
	if (get_text(pair[0], "a header's name", &f->name, &f->name_len) == -1)
		return -1;
	return get_text(pair[1], "a header's value", &f->value, &f->value_len);
}

static int
set_head(struct hb_py_call *c, PyObject *status, PyObject *headers)
{
	struct hb_py_field stack[FIELDS_ON_STACK], *fields = stack;
	struct hb_py_head head;
	struct hb_error err;
	PyObject *list = NULL;
	int rc = -1;

	if (get_status(status, &head) == -1)
		return -1;
	list = PySequence_Fast(headers, "start_response: the headers must be a list of tuples");
	if (list == NULL)
		return -1;
	head.count = (size_t)PySequence_Fast_GET_SIZE(list);
	if (head.count > FIELDS_ON_STACK) {
		fields = PyMem_New(struct hb_py_field, head.count);
		if (fields == NULL) {
			PyErr_NoMemory();
			goto out;
		}
	}
	for (size_t i = 0; i < head.count; i++)
		if (get_field(PySequence_Fast_GET_ITEM(list, (Py_ssize_t)i), &fields[i]) == -1)
			goto out;
	head.fields = fields;
	c->started = false; /* a head that is refused replaces an earlier one, too */
	if (c->py->server->head(c->r, &head, &err) == -1) {
		PyErr_SetString(PyExc_ValueError, err.text);
		goto out;
	}
	c->started = true;
	rc = 0;
out:
	if (fields != stack)
		PyMem_Free(fields);
	Py_DECREF(list);
	return rc;
}

/* PEP 3333: with exc_info a head that has not gone out is replaced; else the exception goes on. */
static int
check_again(struct hb_py_call *c, PyObject *exc_info)
{
	PyObject *type, *value, *tb;

	if (exc_info == NULL || exc_info == Py_None) {
		if (!c->started)
			return 0;
		PyErr_SetString(PyExc_AssertionError, "start_response: called twice without exc_info");
		return -1;
	}
	if (!PyTuple_Check(exc_info) || PyTuple_GET_SIZE(exc_info) != 3) {
		PyErr_SetString(PyExc_TypeError, "start_response: exc_info must be as sys.exc_info() gives it");
		return -1;
	}
	if (!c->py->server->committed(c->r))
		return 0;
	type = PyTuple_GET_ITEM(exc_info, 0);
	value = PyTuple_GET_ITEM(exc_info, 1);
	tb = PyTuple_GET_ITEM(exc_info, 2);
	if (!PyExceptionClass_Check(type)) {
		PyErr_SetString(PyExc_TypeError, "start_response: exc_info must be as sys.exc_info() gives it");
		return -1;
	}
	PyErr_Restore(Py_NewRef(type), Py_NewRef(value), tb != Py_None ? Py_NewRef(tb) : NULL);
	return -1;
}

/* status, headers and exc_info, by place or by name. */
static int
get_arguments(PyObject *const *args, Py_ssize_t n, PyObject *kwnames, PyObject *out[3])
{
	static const char *const names[] = {"status", "headers", "exc_info"};

	for (Py_ssize_t i = 0; i < n && i < 3; i++)
		out[i] = args[i];
	if (n > 3)
		goto fail;
	for (Py_ssize_t i = 0; kwnames != NULL && i < PyTuple_GET_SIZE(kwnames); i++) {
		size_t k = 0;

		while (k < 3 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, i), names[k]) != 0)
			k++;
		if (k == 3 && i == 0 && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, i),
		        "response_headers") == 0)
			k = 1;
		if (k == 3 || out[k] != NULL)
			goto fail;
		out[k] = args[n + i];
	}
	if (out[0] != NULL && out[1] != NULL)
		return 0;
fail:
	PyErr_SetString(PyExc_TypeError, "start_response(status, headers, exc_info=None)");
	return -1;
}

static PyObject *
call_start(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
	struct hb_py_call *c = (struct hb_py_call *)self;
	PyObject *given[3] = {NULL, NULL, NULL};

	if (get_arguments(args, PyVectorcall_NARGS(nargsf), kwnames, given) == -1 || check_usable(c) == -1 ||
	    check_again(c, given[2]) == -1 || set_head(c, given[0], given[1]) == -1)
		return NULL;
	return PyCFunction_New(&write_def, self);
}

static PyObject *
call_write(PyObject *self, PyObject *data)
{
	struct hb_py_call *c = (struct hb_py_call *)self;
	const struct hb_py_server *server;
	Py_ssize_t off = 0, n;
	int rc = 0;

	if (check_usable(c) == -1)
		return NULL;
	if (!c->started) {
		PyErr_SetString(PyExc_AssertionError, "write(): start_response was refused");
		return NULL;
	}
	if (!PyBytes_Check(data)) {
		PyErr_Format(PyExc_TypeError, "write() takes bytes, not %.100s", Py_TYPE(data)->tp_name);
		return NULL;
	}
	server = c->py->server;
	for (n = PyBytes_GET_SIZE(data); off < n;) {
		ssize_t taken = server->write(c->r, PyBytes_AS_STRING(data) + off, (size_t)(n - off), true);

		if (taken < 0)
			break;
		off += taken;
		if (off == n)
			break;
		c->waiting = true;
		Py_BEGIN_ALLOW_THREADS
		rc = server->wait(c->r);
		Py_END_ALLOW_THREADS
		c->waiting = false;
		if (rc == -1) {
			PyErr_SetString(PyExc_BrokenPipeError, "write(): the client is gone or too slow");
			return NULL;
		}
	}
	Py_RETURN_NONE;
}

static PyMethodDef write_def = {"write", call_write, METH_O, NULL};

static void
call_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	type->tp_free(self);
	Py_DECREF(type);
}

static PyMemberDef call_members[] = {
	{"__vectorcalloffset__", T_PYSSIZET, offsetof(struct hb_py_call, vectorcall), READONLY, NULL},
	{NULL},
};

static PyType_Slot call_slots[] = {
	{Py_tp_dealloc, call_dealloc},
	{Py_tp_call, PyVectorcall_Call},
	{Py_tp_members, call_members},
	{0, NULL},
};

static PyType_Spec call_spec = {
	"hornbeam.StartResponse",
	sizeof(struct hb_py_call),
	0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_VECTORCALL,
	call_slots,
};

int
hb_py_call_init(struct hb_py *py)
{
	py->call_type = hb_py_type(&call_spec);
	return py->call_type != NULL ? 0 : -1;
}

struct hb_py_call *
hb_py_call_new(struct hb_py *py, struct hb_py_request *r)
{
	struct hb_py_call *c = (struct hb_py_call *)py->spare_call;

	if (c != NULL)
		py->spare_call = NULL;
	else
		c = PyObject_New(struct hb_py_call, py->call_type);
	if (c == NULL)
		return NULL;
	c->vectorcall = call_start;
	c->py = py;
	c->r = r;
	c->context = c->input = c->result = c->iter = c->pending = NULL;
	c->file = HB_PY_FILE_UNKNOWN;
	c->pending_off = c->index = 0;
	c->kept = (struct hb_py_kept){NULL, false, false};
	c->started = c->running = c->waiting = false;
	return c;
}

void
hb_py_call_end(struct hb_py_call *c)
{
	struct hb_py *py = c->py;

	c->r = NULL;
	hb_py_kept_end(py, &c->kept);
	Py_CLEAR(c->pending);
	Py_CLEAR(c->iter);
	Py_CLEAR(c->result);
	Py_CLEAR(c->context);
	if (Py_REFCNT(c) == 1 && py->spare_call == NULL)
		py->spare_call = (PyObject *)c;
	else
		Py_DECREF(c);
}

enum hb_py_sent
hb_py_call_push(struct hb_py_call *c, bool more)
{
	Py_ssize_t n = PyBytes_GET_SIZE(c->pending);

	if (n > 0 && !c->started) {
		PyErr_SetString(PyExc_AssertionError, "the application gave a body before it called start_response");
		return HB_PY_FAILED;
	}
	if (c->pending_off < n) {
		ssize_t taken = c->py->server->write(c->r, PyBytes_AS_STRING(c->pending) + c->pending_off,
		    (size_t)(n - c->pending_off), more);

		if (taken < 0)
			return HB_PY_UNWANTED;
		c->pending_off += taken;
		if (c->pending_off < n)
			return HB_PY_SLOW;
	}
	Py_CLEAR(c->pending);
	c->pending_off = 0;
	return HB_PY_SENT;
}
