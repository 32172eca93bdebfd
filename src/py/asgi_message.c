/* The parts of messages, each checked: see asgi_message.h. */
#include "py/asgi_message.h"

#include <string.h>

static const struct {
	const char *text;
	size_t len;
} types[] = {
#define TYPE(number, text) [number] = {text, sizeof text - 1}
	TYPE(HB_PY_SEND_START, "http.response.start"),
	TYPE(HB_PY_SEND_BODY, "http.response.body"),
	TYPE(HB_PY_SEND_EARLY_HINT, "http.response.early_hint"),
	TYPE(HB_PY_SEND_ACCEPT, "websocket.accept"),
	TYPE(HB_PY_SEND_MESSAGE, "websocket.send"),
	TYPE(HB_PY_SEND_CLOSE, "websocket.close"),
	TYPE(HB_PY_SEND_DENIAL_START, "websocket.http.response.start"),
	TYPE(HB_PY_SEND_DENIAL_BODY, "websocket.http.response.body"),
	TYPE(HB_PY_SEND_STARTUP_COMPLETE, "lifespan.startup.complete"),
	TYPE(HB_PY_SEND_STARTUP_FAILED, "lifespan.startup.failed"),
	TYPE(HB_PY_SEND_SHUTDOWN_COMPLETE, "lifespan.shutdown.complete"),
	TYPE(HB_PY_SEND_SHUTDOWN_FAILED, "lifespan.shutdown.failed"),
#undef TYPE
};

int
hb_py_message_type(struct hb_py_asgi_names *n, PyObject *message, enum hb_py_message_type *kind, PyObject **type)
{
	if (!PyDict_Check(message)) {
		PyErr_Format(PyExc_TypeError, "send() takes a dict, not %.100s", Py_TYPE(message)->tp_name);
		return -1;
	}
	*type = PyDict_GetItemWithError(message, n->type);
	if (*type == NULL) {
		if (!PyErr_Occurred())
			PyErr_Format(PyExc_ValueError, "send(): the message has no 'type': %.200R", message);
		return -1;
	}
	if (!PyUnicode_Check(*type)) {
		PyErr_Format(PyExc_TypeError, "send(): the message's 'type' must be str, not %.100s",
		    Py_TYPE(*type)->tp_name);
		return -1;
	}
	if (PyUnicode_READY(*type) == -1)
		return -1;
	if (PyUnicode_IS_COMPACT_ASCII(*type))
		for (size_t i = 0; i < Py_ARRAY_LENGTH(types); i++)
			if ((size_t)PyUnicode_GET_LENGTH(*type) == types[i].len &&
			    memcmp(PyUnicode_1BYTE_DATA(*type), types[i].text, types[i].len) == 0) {
				*kind = (enum hb_py_message_type)i;
				return 0;
			}
	return hb_py_message_unexpected(*type, "it is not known here");
}

int
hb_py_message_unexpected(PyObject *type, const char *when)
{
	PyErr_Format(PyExc_RuntimeError, "Unexpected ASGI message %R: %s", type, when);
	return -1;
}

static int
get_bytes(PyObject *object, const char *what, const char **p, size_t *n)
{
	if (!PyBytes_Check(object)) {
		PyErr_Format(PyExc_TypeError, "headers: %s must be bytes, not %.100s: %.200R", what,
		    Py_TYPE(object)->tp_name, object);
		return -1;
	}
	*p = PyBytes_AS_STRING(object);
	*n = (size_t)PyBytes_GET_SIZE(object);
	return 0;
}

static PyObject **
get_pair(PyObject *item)
{
	if (PyTuple_Check(item) && PyTuple_GET_SIZE(item) == 2)
		return &PyTuple_GET_ITEM(item, 0);
	if (PyList_Check(item) && PyList_GET_SIZE(item) == 2)
		return &PyList_GET_ITEM(item, 0);
	return NULL;
}

/* Any iterable of pairs as a new list of tuples, so that what follows runs no code of the application's. */
static PyObject *
normalise(PyObject *headers)
{
	PyObject *list = PySequence_List(headers), *pair;

	for (Py_ssize_t i = 0; list != NULL && i < PyList_GET_SIZE(list); i++) {
		PyObject *item = PyList_GET_ITEM(list, i);

		pair = !PyBytes_Check(item) && !PyUnicode_Check(item) ? PySequence_Tuple(item) : NULL;
		if (pair == NULL || PyTuple_GET_SIZE(pair) != 2) {
			PyErr_Clear();
			PyErr_Format(PyExc_TypeError, "headers: a header must be a pair of bytes, not %.200R", item);
			Py_XDECREF(pair);
			Py_CLEAR(list);
		} else
			PyList_SetItem(list, i, pair);
	}
	return list;
}

int
hb_py_fields_get(struct hb_py_fields *f, PyObject *headers)
{
	Py_ssize_t n;
	bool plain = headers == NULL || PyList_CheckExact(headers) || PyTuple_CheckExact(headers);

	f->fields = f->stack;
	f->count = 0;
	f->list = NULL;
	if (headers == NULL)
		return 0;
	for (Py_ssize_t i = 0; plain && i < PySequence_Fast_GET_SIZE(headers); i++)
		plain = get_pair(PySequence_Fast_GET_ITEM(headers, i)) != NULL;
	if (!plain && (PyBytes_Check(headers) || PyUnicode_Check(headers) || Py_TYPE(headers)->tp_iter == NULL) &&
	    !PySequence_Check(headers)) {
		PyErr_Format(PyExc_TypeError, "headers must be an iterable of pairs of bytes, not %.100s",
		    Py_TYPE(headers)->tp_name);
		return -1;
	}
	f->list = plain ? Py_NewRef(headers) : normalise(headers);
	if (f->list == NULL)
		return -1;
	n = PySequence_Fast_GET_SIZE(f->list);
	if ((size_t)n > Py_ARRAY_LENGTH(f->stack)) {
		f->fields = PyMem_New(struct hb_py_field, n);
		if (f->fields == NULL) {
			PyErr_NoMemory();
			hb_py_fields_free(f);
			return -1;
		}
	}
	for (Py_ssize_t i = 0; i < n; i++) {
		PyObject **pair = get_pair(PySequence_Fast_GET_ITEM(f->list, i));
		struct hb_py_field *to = &f->fields[i];

		if (get_bytes(pair[0], "a name", &to->name, &to->name_len) == -1 ||
		    get_bytes(pair[1], "a value", &to->value, &to->value_len) == -1) {
			hb_py_fields_free(f);
			return -1;
		}
	}
	f->count = (size_t)n;
	return 0;
}

void
hb_py_fields_free(struct hb_py_fields *f)
{
	if (f->fields != f->stack)
		PyMem_Free(f->fields);
	f->fields = f->stack;
	Py_CLEAR(f->list);
}

int
hb_py_message_head(struct hb_py_asgi_call *c, PyObject *message, unsigned *status)
{
	struct hb_py_asgi_names *n = &c->py->asgi->names;
	PyObject *code = PyDict_GetItemWithError(message, n->status);
	PyObject *headers = PyDict_GetItemWithError(message, n->headers);
	struct hb_py_head head = {.reason = ""};
	struct hb_py_fields fields;
	struct hb_error err;
	long value;
	int rc;

	if (PyErr_Occurred())
		return -1;
	if (code == NULL || !PyLong_Check(code)) {
		PyErr_Format(PyExc_TypeError, "the 'status' of a response must be int, not %.100s",
		    code != NULL ? Py_TYPE(code)->tp_name : "absent");
		return -1;
	}
	value = PyLong_AsLong(code);
	if (value < 200 || value > 999) {
		PyErr_Clear();
		PyErr_Format(PyExc_ValueError, "the 'status' of a response is from 200 to 999, not %.100R", code);
		return -1;
	}
	if (hb_py_fields_get(&fields, headers) == -1)
		return -1;
	head.status = (unsigned)value;
	head.fields = fields.fields;
	head.count = fields.count;
	rc = c->py->server->head(c->r, &head, &err);
	hb_py_fields_free(&fields);
	if (rc == -1)
		PyErr_SetString(PyExc_ValueError, err.text);
	*status = head.status;
	return rc;
}

int
hb_py_message_body(struct hb_py_asgi_names *n, PyObject *message, PyObject **body, bool *more)
{
	PyObject *more_body = PyDict_GetItemWithError(message, n->more_body);
	int truth = more_body != NULL ? PyObject_IsTrue(more_body) : 0;

	if (truth == -1 || PyErr_Occurred())
		return -1;
	*more = truth != 0;
	*body = PyDict_GetItemWithError(message, n->body);
	if (*body == NULL)
		return PyErr_Occurred() ? -1 : 0;
	if (!PyBytes_Check(*body) && !PyByteArray_Check(*body) && !PyMemoryView_Check(*body)) {
		PyErr_Format(PyExc_TypeError, "the 'body' of a message must be bytes, not %.100s",
		    Py_TYPE(*body)->tp_name);
		*body = NULL;
		return -1;
	}
	Py_INCREF(*body);
	return 0;
}

int
hb_py_message_text(PyObject *message, PyObject *key, const char *what, PyObject **value)
{
	*value = PyDict_GetItemWithError(message, key);
	if (*value == NULL)
		return PyErr_Occurred() ? -1 : 0;
	if (*value == Py_None) {
		*value = NULL;
		return 0;
	}
	if (!PyUnicode_Check(*value)) {
		PyErr_Format(PyExc_TypeError, "the %s of a message must be str, not %.100s", what,
		    Py_TYPE(*value)->tp_name);
		*value = NULL;
		return -1;
	}
	Py_INCREF(*value);
	return 0;
}
