/* Arguments as terms: see fields.h. */
#include "fields.h"

#include <math.h>
#include <string.h>

enum {
	KEY_MAX = 1024,
	TOPIC_MAX = 1024,
	NAME_MAX_BYTES = 255 /* an atom's characters, at most */
};

static const double TTL_MAX = 1e14; /* milliseconds: what the companion can add to its clock */
static const double TIMEOUT_MAX = 24 * 3600 * 1000; /* far below what the link's 32 bits can tell */

/* UTF-8 of min to max bytes. */
static int
put_text(struct hb_buf *b, PyObject *text, const char *what, Py_ssize_t min, Py_ssize_t max)
{
	const char *utf8;
	Py_ssize_t len;

	if (!PyUnicode_Check(text)) {
		PyErr_Format(PyExc_TypeError, "a %s is a str, not %.200s", what, Py_TYPE(text)->tp_name);
		return -1;
	}
	utf8 = PyUnicode_AsUTF8AndSize(text, &len);
	if (utf8 == NULL) {
		if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
			PyErr_Format(PyExc_ValueError, "a %s must be valid text, not %.200A", what, text);
		return -1;
	}
	if (len < min || len > max) {
		PyErr_Format(PyExc_ValueError, "a %s has %zd to %zd bytes in UTF-8, not %zd", what, min, max, len);
		return -1;
	}
	hb_term_put_binary(b, utf8, (size_t)len);
	return 0;
}

static int
put_key(struct hb_buf *b, PyObject *key)
{
	return put_text(b, key, "key", 1, KEY_MAX);
}

/* The milliseconds in a number that counts `unit` of them; -1 with an exception unless above 0 and at most max. */
static double
milliseconds(PyObject *number, double unit, double max, const char *what, const char *units)
{
	double ms;

	if (PyBool_Check(number) || (!PyLong_Check(number) && !PyFloat_Check(number))) {
		PyErr_Format(PyExc_TypeError, "a %s is an int or a float, in %s, not %.200s", what, units,
		    Py_TYPE(number)->tp_name);
		return -1;
	}
	ms = PyFloat_AsDouble(number) * unit;
	if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_OverflowError))
		return -1;
	if (PyErr_Occurred() || !(ms > 0) || ms > max) {
		PyErr_Clear();
		PyErr_Format(PyExc_ValueError, "a %s is above 0 and at most %lld %s, not %.100R", what, (long long)(max / unit),
		    units, number);
		return -1;
	}
	return ms < 1 ? 1 : ms;
}

/* Seconds, or None for no end. */
static int
put_ttl(struct hb_buf *b, PyObject *ttl)
{
	double ms = ttl == Py_None ? 0 : milliseconds(ttl, 1000, TTL_MAX, "ttl", "seconds");

	if (ms == -1)
		return -1;
	hb_term_put_int(b, llround(ms));
	return 0;
}

static int
put_int(struct hb_buf *b, PyObject *value, const char *what)
{
	if (PyLong_Check(value))
		return hb_convert_int_to_term(value, b);
	PyErr_Format(PyExc_TypeError, "a %s is an int, not %.200s", what, Py_TYPE(value)->tp_name);
	return -1;
}

static int
put_arguments(struct hb_module *m, struct hb_buf *b, PyObject *args)
{
	PyObject *list;
	int rc;

	if (PyList_Check(args))
		return hb_convert_to_binary(&m->convert, args, b);
	if (!PyTuple_Check(args)) {
		PyErr_Format(PyExc_TypeError, "arguments are a list or a tuple, not %.200s", Py_TYPE(args)->tp_name);
		return -1;
	}
	list = PySequence_List(args);
	if (list == NULL)
		return -1;
	rc = hb_convert_to_binary(&m->convert, list, b);
	Py_DECREF(list);
	return rc;
}

static int
want_list(PyObject *list)
{
	if (PyList_Check(list))
		return 0;
	PyErr_Format(PyExc_TypeError, "a list is needed, not %.200s", Py_TYPE(list)->tp_name);
	return -1;
}

/* keys is a list that nobody else has. */
static int
put_keys(struct hb_buf *b, PyObject *keys)
{
	Py_ssize_t n;

	if (want_list(keys) == -1)
		return -1;
	n = PyList_GET_SIZE(keys);
	hb_term_put_list(b, (uint32_t)n);
	for (Py_ssize_t i = 0; i < n; i++)
		if (put_key(b, PyList_GET_ITEM(keys, i)) == -1)
			return -1;
	if (n > 0)
		hb_term_put_nil(b);
	return 0;
}

/* Puts the key in front of the text of the TypeError or ValueError that its value raised. */
static void
name_key(PyObject *key)
{
	PyObject *type, *value, *trace;

	if (!PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_ValueError))
		return;
	PyErr_Fetch(&type, &value, &trace);
	if (value != NULL)
		PyErr_Format(type, "%.100R: %S", key, value);
	else
		PyErr_SetNone(type);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(trace);
}

static int
put_item(struct hb_module *m, struct hb_buf *b, PyObject *item)
{
	PyObject *key, *value;

	if (!PyArg_ParseTuple(item, "OO", &key, &value))
		return -1;
	hb_term_put_tuple(b, 2);
	if (put_key(b, key) == -1)
		return -1;
	if (hb_convert_to_stored(&m->convert, value, b) == 0)
		return 0;
	name_key(key);
	return -1;
}

/* items is a list of pairs that nobody else has. */
static int
put_items(struct hb_module *m, struct hb_buf *b, PyObject *items)
{
	Py_ssize_t n;

	if (want_list(items) == -1)
		return -1;
	n = PyList_GET_SIZE(items);
	hb_term_put_list(b, (uint32_t)n);
	for (Py_ssize_t i = 0; i < n; i++)
		if (put_item(m, b, PyList_GET_ITEM(items, i)) == -1)
			return -1;
	if (n > 0)
		hb_term_put_nil(b);
	return 0;
}

static int
check_ttl(PyObject *ttl)
{
	struct hb_buf unused = HB_BUF_INIT;
	int rc = put_ttl(&unused, ttl);

	hb_buf_free(&unused);
	return rc;
}

static int
take_timeout(struct hb_module *m, PyObject *timeout, struct hb_asked *asked)
{
	double ms = milliseconds(timeout, 1, TIMEOUT_MAX, "timeout", "milliseconds");

	if (ms == -1)
		return -1;
	asked->timeout = (int64_t)ceil(ms);
	return hb_provide_limit(m, &asked->timeout);
}

bool
hb_field_is_sent(char field)
{
	return field != 'c' && field != 'o' && field != 'T';
}

int
hb_field_put(struct hb_module *m, char field, PyObject *arg, struct hb_asked *asked, struct hb_buf *out)
{
	switch (field) {
	case 'k':
		return put_key(out, arg);
	case 'h':
		asked->arg = arg;
		return put_key(out, arg);
	case 'p':
		return put_text(out, arg, "prefix", 0, KEY_MAX);
	case 'v':
		return hb_convert_to_stored(&m->convert, arg, out);
	case 't':
		return put_ttl(out, arg);
	case 'd':
		return put_int(out, arg, "delta");
	case 'l':
		return put_int(out, arg, "limit");
	case 'n':
		return put_int(out, arg, "version");
	case 'x':
		return hb_convert_to_term(&m->convert, arg, out);
	case 'b':
		return hb_convert_to_binary(&m->convert, arg, out);
	case 's':
		return put_text(out, arg, "topic", 1, TOPIC_MAX);
	case 'f':
		return put_text(out, arg, "function's name", 1, NAME_MAX_BYTES);
	case 'm':
		return put_text(out, arg, "module's name", 1, NAME_MAX_BYTES);
	case 'N':
		return put_text(out, arg, "node's name", 1, NAME_MAX_BYTES);
	case 'a':
		return put_arguments(m, out, arg);
	case 'K':
		asked->arg = arg;
		return put_keys(out, arg);
	case 'I':
		return put_items(m, out, arg);
	case 'c':
		return check_ttl(arg);
	case 'o':
		asked->arg = arg;
		return 0;
	case 'T':
		return take_timeout(m, arg, asked);
	}
	Py_UNREACHABLE();
}
