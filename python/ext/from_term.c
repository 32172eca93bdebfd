/* Terms to Python objects: see convert.h. */
#include "kinds.h"

#include <string.h>

#include "common/str.h"

struct decoder {
	struct hb_convert *c;
	struct hb_term_reader *r;
};

static PyObject *decode_token(struct decoder *d, const struct hb_term_token *t);

static PyObject *
raise_error(const struct hb_error *err)
{
	PyErr_SetString(PyExc_ValueError, err->text);
	return NULL;
}

static int
next(struct decoder *d, struct hb_term_token *t)
{
	struct hb_error err;

	if (hb_term_next(d->r, t, &err) != -1)
		return 0;
	raise_error(&err);
	return -1;
}

static PyObject *
decode_next(struct decoder *d)
{
	struct hb_term_token t;

	return next(d, &t) == -1 ? NULL : decode_token(d, &t);
}

/* Past the end of a container; -1 when a tail comes instead. */
static int
closed(struct decoder *d)
{
	struct hb_term_token t;

	if (next(d, &t) == -1)
		return -1;
	if (t.type == HB_TERM_CLOSE)
		return 0;
	PyErr_SetString(PyExc_ValueError, "an improper list cannot be a Python value");
	return -1;
}

static bool
text_is(const struct hb_term_token *t, const char *name)
{
	return t->len == strlen(name) && memcmp(t->text, name, t->len) == 0;
}

static PyObject *
decode_atom(struct decoder *d, const struct hb_term_token *t)
{
	if (text_is(t, "true"))
		Py_RETURN_TRUE;
	if (text_is(t, "false"))
		Py_RETURN_FALSE;
	if (text_is(t, "undefined") || text_is(t, "nil") || text_is(t, "none"))
		Py_RETURN_NONE;
	return types_atom(d->c, t->text, t->len);
}

PyObject *
hb_convert_int_from_token(const struct hb_term_token *t)
{
	PyObject *magnitude;

	if (t->type == HB_TERM_INT)
		return PyLong_FromLongLong(t->i);
	magnitude = _PyLong_FromByteArray(t->text, t->len, 1, 0);
	if (magnitude != NULL && t->negative)
		Py_SETREF(magnitude, PyNumber_Negative(magnitude));
	return magnitude;
}

static PyObject *
decode_binary(const struct hb_term_token *t)
{
	if (hb_str_is_utf8(t->text, t->len))
		return PyUnicode_DecodeUTF8((const char *)t->text, (Py_ssize_t)t->len, NULL);
	return PyBytes_FromStringAndSize((const char *)t->text, (Py_ssize_t)t->len);
}

static PyObject *
decode_bits(struct decoder *d, const struct hb_term_token *t)
{
	struct hb_buf raw = HB_BUF_INIT;
	PyObject *term = NULL;

	hb_term_put_bits(&raw, t->text, t->len, t->bits);
	if (raw.failed)
		PyErr_NoMemory();
	else
		term = types_term(d->c, t->type, raw.data, raw.len);
	hb_buf_free(&raw);
	return term;
}

static PyObject *
decode_string(const struct hb_term_token *t)
{
	PyObject *list = PyList_New((Py_ssize_t)t->len);

	for (size_t i = 0; list != NULL && i < t->len; i++) {
		PyObject *v = PyLong_FromLong(t->text[i]);

		if (v == NULL)
			Py_CLEAR(list);
		else
			PyList_SET_ITEM(list, (Py_ssize_t)i, v);
	}
	return list;
}

static PyObject *
decode_list(struct decoder *d, uint32_t count)
{
	PyObject *list = PyList_New(count);

	for (uint32_t i = 0; list != NULL && i < count; i++) {
		PyObject *v = decode_next(d);

		if (v == NULL)
			Py_CLEAR(list);
		else
			PyList_SET_ITEM(list, i, v);
	}
	if (list != NULL && closed(d) == -1)
		Py_CLEAR(list);
	return list;
}

/* What follows {'$py' in a tuple of count elements. */
static PyObject *
decode_kind_tuple(struct decoder *d, uint32_t count)
{
	PyObject *kind = NULL, *payload = NULL, *value = NULL;
	struct hb_term_token t;

	if (count == 3 && next(d, &t) == -1)
		return NULL;
	if (count != 3 || t.type != HB_TERM_ATOM) {
		PyErr_SetString(PyExc_ValueError, "a tuple that starts with '$py' but is none of Python's");
		return NULL;
	}
	kind = PyUnicode_DecodeUTF8((const char *)t.text, (Py_ssize_t)t.len, NULL);
	if (kind != NULL)
		payload = decode_next(d);
	if (payload != NULL && closed(d) == 0)
		value = decode_kind(d->c, kind, payload);
	Py_XDECREF(kind);
	Py_XDECREF(payload);
	return value;
}

static PyObject *
decode_tuple(struct decoder *d, uint32_t count)
{
	struct hb_term_token first;
	PyObject *tuple;

	if (count > 0 && next(d, &first) == -1)
		return NULL;
	if (count > 0 && first.type == HB_TERM_ATOM && text_is(&first, "$py"))
		return decode_kind_tuple(d, count);
	tuple = PyTuple_New(count);
	for (uint32_t i = 0; tuple != NULL && i < count; i++) {
		PyObject *v = i == 0 ? decode_token(d, &first) : decode_next(d);

		if (v == NULL)
			Py_CLEAR(tuple);
		else
			PyTuple_SET_ITEM(tuple, i, v);
	}
	if (tuple != NULL && closed(d) == -1)
		Py_CLEAR(tuple);
	return tuple;
}

/* Sets a key that must be new; consumes nothing. */
static int
add_item(PyObject *dict, PyObject *key, PyObject *value)
{
	Py_ssize_t before = PyDict_GET_SIZE(dict);

	if (PyDict_SetItem(dict, key, value) == -1) {
		if (PyErr_ExceptionMatches(PyExc_TypeError))
			PyErr_Format(PyExc_ValueError, "a map with a key of type %.200s cannot be a dict",
			    Py_TYPE(key)->tp_name);
		return -1;
	}
	if (PyDict_GET_SIZE(dict) == before + 1)
		return 0;
	PyErr_Format(PyExc_ValueError, "a map with two keys that equal %R in Python cannot be a dict", key);
	return -1;
}

static int
decode_item(struct decoder *d, PyObject *dict)
{
	PyObject *key = decode_next(d), *value = key != NULL ? decode_next(d) : NULL;
	int rc = value != NULL ? add_item(dict, key, value) : -1;

	Py_XDECREF(key);
	Py_XDECREF(value);
	return rc;
}

static PyObject *
decode_map(struct decoder *d, uint32_t count)
{
	PyObject *dict = PyDict_New();

	for (uint32_t i = 0; dict != NULL && i < count; i++)
		if (decode_item(d, dict) == -1)
			Py_CLEAR(dict);
	if (dict != NULL && closed(d) == -1)
		Py_CLEAR(dict);
	return dict;
}

static PyObject *
decode_token(struct decoder *d, const struct hb_term_token *t)
{
	switch (t->type) {
	case HB_TERM_ATOM:
		return decode_atom(d, t);
	case HB_TERM_INT:
	case HB_TERM_BIG:
		return hb_convert_int_from_token(t);
	case HB_TERM_FLOAT:
		return PyFloat_FromDouble(t->f);
	case HB_TERM_BINARY:
		return decode_binary(t);
	case HB_TERM_BYTES:
		return PyBytes_FromStringAndSize((const char *)t->text, (Py_ssize_t)t->len);
	case HB_TERM_BITS:
		return decode_bits(d, t);
	case HB_TERM_TUPLE:
		return decode_tuple(d, t->count);
	case HB_TERM_LIST:
		return decode_list(d, t->count);
	case HB_TERM_MAP:
		return decode_map(d, t->count);
	case HB_TERM_STRING:
		return decode_string(t);
	case HB_TERM_PID:
	case HB_TERM_PORT:
	case HB_TERM_REF:
	case HB_TERM_FUN:
		return types_term(d->c, t->type, t->text, t->len);
	case HB_TERM_END:
	case HB_TERM_TAIL:
	case HB_TERM_CLOSE:
		break;
	}
	PyErr_SetString(PyExc_ValueError, "a term ends where an element belongs");
	return NULL;
}

PyObject *
hb_convert_from_token(struct hb_convert *c, struct hb_term_reader *r, const struct hb_term_token *t)
{
	return decode_token(&(struct decoder){c, r}, t);
}

PyObject *
hb_convert_from_term(struct hb_convert *c, const void *p, size_t len)
{
	struct hb_term_reader r;
	struct hb_term_token end;
	struct hb_error err;
	struct decoder d = {c, &r};
	PyObject *value;

	if (hb_term_open(&r, p, len, &err) == -1)
		return raise_error(&err);
	value = decode_next(&d);
	if (value != NULL && next(&d, &end) == -1)
		Py_CLEAR(value);
	return value;
}

PyObject *
hb_convert_from_stored(struct hb_convert *c, const struct hb_term_token *t)
{
	switch (t->type) {
	case HB_TERM_INT:
	case HB_TERM_BIG:
		return hb_convert_int_from_token(t);
	case HB_TERM_BINARY:
	case HB_TERM_BYTES:
		return hb_convert_from_term(c, t->text, t->len);
	default:
		PyErr_SetString(PyExc_ValueError, "a stored value is an integer or a binary");
		return NULL;
	}
}
