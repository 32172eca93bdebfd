/* Python objects to terms: see convert.h. */
#include "kinds.h"

#include <math.h>

enum { KEY_TEXT_MAX = 40 };

/* ".. ['a'][3]": what stands behind "value". */
static PyObject *
place_text(const struct place *at)
{
	PyObject *before, *key, *text = NULL;

	if (at->kind == PLACE_ROOT)
		return PyUnicode_FromString("value");
	before = place_text(at->parent);
	if (before == NULL)
		return NULL;
	switch (at->kind) {
	case PLACE_ROOT:
		break;
	case PLACE_INDEX:
		text = PyUnicode_FromFormat("%U[%zd]", before, at->index);
		break;
	case PLACE_KEY:
		text = PyUnicode_FromFormat("a key of %U", before);
		break;
	case PLACE_MEMBER:
		text = PyUnicode_FromFormat("a member of %U", before);
		break;
	case PLACE_ITEM:
		key = PyObject_ASCII(at->key);
		if (key == NULL) { /* an int of too many digits, or a repr of the user's */
			PyErr_Clear();
			key = PyUnicode_FromString("...");
		}
		if (key != NULL && PyUnicode_GET_LENGTH(key) > KEY_TEXT_MAX)
			Py_SETREF(key, PyUnicode_Substring(key, 0, KEY_TEXT_MAX));
		if (key != NULL)
			text = PyUnicode_FromFormat("%U[%U]", before, key);
		Py_XDECREF(key);
		break;
	}
	Py_DECREF(before);
	return text;
}

int
encode_fail(PyObject *type, const struct place *at, const char *format, ...)
{
	PyObject *place = place_text(at), *text;
	va_list ap;

	va_start(ap, format);
	text = PyUnicode_FromFormatV(format, ap);
	va_end(ap);
	if (place != NULL && text != NULL)
		PyErr_Format(type, "%U%U", place, text);
	Py_XDECREF(place);
	Py_XDECREF(text);
	return -1;
}

static int
too_large(void)
{
	PyErr_Format(PyExc_ValueError, "the value takes more than %d MiB when encoded", HB_CONVERT_SIZE_MAX >> 20);
	return -1;
}

int
encode_enter(struct encoder *e)
{
	if (e->depth == HB_TERM_DEPTH_MAX) {
		PyErr_Format(PyExc_ValueError, "the value is nested more than %d deep", HB_TERM_DEPTH_MAX);
		return -1;
	}
	e->depth++;
	return 0;
}

void
encode_leave(struct encoder *e)
{
	e->depth--;
}

int
encode_kind_open(struct encoder *e, const char *kind)
{
	if (encode_enter(e) == -1)
		return -1;
	hb_term_put_tuple(e->out, 3);
	hb_term_put_atom(e->out, "$py");
	hb_term_put_atom(e->out, kind);
	return 0;
}

int
hb_convert_int_to_term(PyObject *value, struct hb_buf *out)
{
	unsigned char *bytes;
	PyObject *magnitude;
	int overflow;
	long long v;
	size_t len;

	if (!PyLong_Check(value)) {
		PyErr_Format(PyExc_TypeError, "an int is needed, not %.200s", Py_TYPE(value)->tp_name);
		return -1;
	}
	v = PyLong_AsLongLongAndOverflow(value, &overflow);
	if (overflow == 0) {
		hb_term_put_int(out, v);
		return 0;
	}
	len = _PyLong_NumBits(value) / 8 + 1;
	if (len > HB_CONVERT_INT_MAX) {
		PyErr_Format(PyExc_ValueError, "an integer of more than %d bits", HB_CONVERT_INT_MAX * 8);
		return -1;
	}
	magnitude = PyLong_Type.tp_as_number->nb_absolute(value);
	bytes = PyMem_Malloc(len);
	if (magnitude == NULL || bytes == NULL || _PyLong_AsByteArray((PyLongObject *)magnitude, bytes, len, 1, 0) == -1) {
		Py_XDECREF(magnitude);
		PyMem_Free(bytes);
		return PyErr_Occurred() ? -1 : (PyErr_NoMemory(), -1);
	}
	hb_term_put_big(out, overflow < 0, bytes, len);
	Py_DECREF(magnitude);
	PyMem_Free(bytes);
	return 0;
}

static int
encode_bytes(struct encoder *e, const void *p, Py_ssize_t len)
{
	if ((size_t)len > HB_CONVERT_SIZE_MAX)
		return too_large();
	if (e->plain)
		hb_term_put_binary(e->out, p, (size_t)len);
	else
		hb_term_put_bytes(e->out, p, (size_t)len);
	return 0;
}

static int
unencodable(PyObject *value, const struct place *at)
{
	Py_ssize_t n = PyUnicode_GET_LENGTH(value);

	if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
		return -1;
	PyErr_Clear();
	for (Py_ssize_t i = 0; i < n; i++) {
		Py_UCS4 c = PyUnicode_READ_CHAR(value, i);

		if (Py_UNICODE_IS_SURROGATE(c))
			return encode_fail(PyExc_ValueError, at, " has a lone surrogate, U+%x, at index %zd", (unsigned)c, i);
	}
	return encode_fail(PyExc_ValueError, at, " is not valid text");
}

static int
encode_str(struct encoder *e, PyObject *value, const struct place *at)
{
	bool atom = Py_TYPE(value) == (PyTypeObject *)e->c->atom_type;
	PyObject *utf8 = NULL;
	const char *p;
	Py_ssize_t len;

	if (PyUnicode_READY(value) == -1)
		return -1;
	if (PyUnicode_IS_COMPACT_ASCII(value)) {
		p = (const char *)PyUnicode_1BYTE_DATA(value);
		len = PyUnicode_GET_LENGTH(value);
	} else {
		/* not PyUnicode_AsUTF8AndSize, which keeps a second copy in the str */
		utf8 = PyUnicode_AsUTF8String(value);
		if (utf8 == NULL)
			return unencodable(value, at);
		p = PyBytes_AS_STRING(utf8);
		len = PyBytes_GET_SIZE(utf8);
	}
	if ((size_t)len > HB_CONVERT_SIZE_MAX) {
		Py_XDECREF(utf8);
		return too_large();
	}
	if (atom)
		hb_term_put_atom_n(e->out, p, (size_t)len);
	else
		hb_term_put_binary(e->out, p, (size_t)len);
	Py_XDECREF(utf8);
	return 0;
}

/* The n elements of a list or a tuple, which user code may change meanwhile. */
static int
encode_elements(struct encoder *e, PyObject *value, Py_ssize_t n, const struct place *at)
{
	struct place here = {.parent = at, .kind = PLACE_INDEX};

	for (Py_ssize_t i = 0; i < n; i++) {
		PyObject *item;
		int rc;

		if (PySequence_Fast_GET_SIZE(value) != n)
			return encode_fail(PyExc_RuntimeError, at, " changed while it was encoded");
		here.index = i;
		item = Py_NewRef(PySequence_Fast_GET_ITEM(value, i));
		rc = encode_value(e, item, &here);
		Py_DECREF(item);
		if (rc == -1)
			return -1;
	}
	return 0;
}

static int
encode_list(struct encoder *e, PyObject *value, const struct place *at)
{
	Py_ssize_t n = PySequence_Fast_GET_SIZE(value);

	if (n > HB_CONVERT_SIZE_MAX)
		return too_large();
	if (encode_enter(e) == -1)
		return -1;
	hb_term_put_list(e->out, (uint32_t)n);
	if (encode_elements(e, value, n, at) == -1)
		return -1;
	if (n > 0)
		hb_term_put_nil(e->out);
	encode_leave(e);
	return 0;
}

static bool
is_kind_atom(struct hb_convert *c, PyObject *value)
{
	return Py_TYPE(value) == (PyTypeObject *)c->atom_type && PyUnicode_CompareWithASCIIString(value, "$py") == 0;
}

static int
encode_tuple(struct encoder *e, PyObject *value, const struct place *at)
{
	Py_ssize_t n = PyTuple_GET_SIZE(value);

	if (n > HB_CONVERT_SIZE_MAX)
		return too_large();
	if (n > 0 && is_kind_atom(e->c, PyTuple_GET_ITEM(value, 0))) {
		if (encode_kind_open(e, "tuple") == -1 || encode_list(e, value, at) == -1)
			return -1;
		encode_leave(e);
		return 0;
	}
	if (encode_enter(e) == -1)
		return -1;
	hb_term_put_tuple(e->out, (uint32_t)n);
	if (encode_elements(e, value, n, at) == -1)
		return -1;
	encode_leave(e);
	return 0;
}

/* Different strings and numbers are different terms: only other keys can collide. */
static bool
key_is_simple(PyObject *key)
{
	return PyUnicode_CheckExact(key) || PyLong_CheckExact(key);
}

/* The key as Erlang sees it, where bytes and text are alike, is added to seen. */
static int
check_key(struct encoder *e, PyObject *key, PyObject *seen, const struct place *at)
{
	struct hb_buf b = HB_BUF_INIT;
	struct encoder plain = {e->c, &b, HB_CONVERT_SIZE_MAX, e->depth, true};
	struct place here = {.parent = at, .kind = PLACE_KEY};
	PyObject *image = NULL;
	int rc = -1;

	if (encode_value(&plain, key, &here) == -1)
		goto done;
	image = PyBytes_FromStringAndSize((const char *)b.data, (Py_ssize_t)b.len);
	if (image == NULL)
		goto done;
	switch (PySet_Contains(seen, image)) {
	case 0:
		rc = PySet_Add(seen, image);
		break;
	case 1:
		encode_fail(PyExc_ValueError, at, " has keys that are the same Erlang term, one of them %R", key);
		break;
	}
done:
	Py_XDECREF(image);
	hb_buf_free(&b);
	return rc;
}

static int
check_keys(struct encoder *e, PyObject *dict, const struct place *at)
{
	PyObject *key, *value, *seen = NULL;
	Py_ssize_t i = 0, n = PyDict_GET_SIZE(dict);
	bool simple = true;
	int rc = 0;

	while (simple && PyDict_Next(dict, &i, &key, &value))
		simple = key_is_simple(key);
	if (simple)
		return 0;
	seen = PySet_New(NULL);
	if (seen == NULL)
		return -1;
	for (i = 0; rc == 0 && PyDict_Next(dict, &i, &key, &value);) {
		Py_INCREF(key);
		rc = check_key(e, key, seen, at);
		Py_DECREF(key);
		if (rc == 0 && PyDict_GET_SIZE(dict) != n)
			rc = encode_fail(PyExc_RuntimeError, at, " changed while it was encoded");
	}
	Py_DECREF(seen);
	return rc;
}

static int
encode_item(struct encoder *e, PyObject *key, PyObject *value, const struct place *at)
{
	struct place key_place = {.parent = at, .kind = PLACE_KEY};
	struct place here = {.parent = at, .kind = PLACE_ITEM, .key = key};

	if (encode_value(e, key, &key_place) == -1)
		return -1;
	return encode_value(e, value, &here);
}

static int
encode_dict(struct encoder *e, PyObject *dict, const struct place *at)
{
	PyObject *key, *value;
	Py_ssize_t i = 0, n = PyDict_GET_SIZE(dict), done = 0;
	int rc;

	if (n > HB_CONVERT_SIZE_MAX / 2)
		return too_large();
	if (encode_enter(e) == -1 || check_keys(e, dict, at) == -1)
		return -1;
	hb_term_put_map(e->out, (uint32_t)n);
	while (PyDict_Next(dict, &i, &key, &value)) {
		Py_INCREF(key);
		Py_INCREF(value);
		rc = encode_item(e, key, value, at);
		Py_DECREF(key);
		Py_DECREF(value);
		if (rc == -1)
			return -1;
		done++;
		if (PyDict_GET_SIZE(dict) != n)
			break;
	}
	if (done != n || PyDict_GET_SIZE(dict) != n)
		return encode_fail(PyExc_RuntimeError, at, " changed while it was encoded");
	encode_leave(e);
	return 0;
}

static int
encode_buffer(struct encoder *e, PyObject *value)
{
	Py_buffer view;
	int rc;

	if (PyObject_GetBuffer(value, &view, PyBUF_CONTIG_RO) == -1)
		return -1;
	rc = encode_bytes(e, view.buf, view.len);
	PyBuffer_Release(&view);
	return rc;
}

/* Subclasses and everything that is not met all the time. */
static int
encode_other(struct encoder *e, PyObject *value, const struct place *at)
{
	PyTypeObject *type = Py_TYPE(value);
	double f;
	int rc;

	if (PyFloat_Check(value) && isfinite(f = PyFloat_AS_DOUBLE(value))) {
		hb_term_put_float(e->out, f);
		return 0;
	}
	if (PyUnicode_Check(value))
		return encode_str(e, value, at);
	if (PyLong_Check(value))
		return hb_convert_int_to_term(value, e->out);
	if (PyDict_Check(value))
		return encode_dict(e, value, at);
	if (PyList_Check(value))
		return encode_list(e, value, at);
	if (PyTuple_Check(value))
		return encode_tuple(e, value, at);
	if (PyBytes_Check(value))
		return encode_bytes(e, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
	if (PyByteArray_Check(value) || PyMemoryView_Check(value))
		return encode_buffer(e, value);
	if (type == (PyTypeObject *)e->c->pid_type || type == (PyTypeObject *)e->c->ref_type ||
	    type == (PyTypeObject *)e->c->term_type) {
		PyObject *raw = types_raw(value);

		hb_buf_add(e->out, PyBytes_AS_STRING(raw), (size_t)PyBytes_GET_SIZE(raw));
		return 0;
	}
	rc = encode_kind(e, value, at);
	if (rc != 0)
		return rc == 1 ? 0 : -1;
	return encode_fail(PyExc_TypeError, at, ": %.200s cannot be an Erlang term", type->tp_name);
}

int
encode_value(struct encoder *e, PyObject *value, const struct place *at)
{
	if (e->out->len > e->limit)
		return too_large();
	if (PyUnicode_CheckExact(value))
		return encode_str(e, value, at);
	if (PyLong_CheckExact(value))
		return hb_convert_int_to_term(value, e->out);
	if (value == Py_None) {
		hb_term_put_atom_n(e->out, "undefined", 9);
		return 0;
	}
	if (PyBool_Check(value)) {
		hb_term_put_bool(e->out, value == Py_True);
		return 0;
	}
	return encode_other(e, value, at);
}

int
hb_convert_to_term(struct hb_convert *c, PyObject *value, struct hb_buf *out)
{
	struct encoder e = {c, out, out->len + HB_CONVERT_SIZE_MAX, 0, false};
	size_t start = out->len;

	if (encode_value(&e, value, &(struct place){.kind = PLACE_ROOT}) == -1) {
		out->len = start;
		return -1;
	}
	if (out->failed) {
		PyErr_NoMemory();
		return -1;
	}
	if (out->len > e.limit) {
		out->len = start;
		return too_large();
	}
	return 0;
}

int
hb_convert_to_binary(struct hb_convert *c, PyObject *value, struct hb_buf *out)
{
	size_t start = out->len;

	/* the binary's header is filled in when its length is known */
	hb_term_put_binary(out, NULL, 0);
	hb_term_put_version(out);
	if (hb_convert_to_term(c, value, out) == -1) {
		out->len = start;
		return -1;
	}
	hb_put_u32(out->data + start + 1, (uint32_t)(out->len - start - 5));
	return 0;
}

int
hb_convert_to_stored(struct hb_convert *c, PyObject *value, struct hb_buf *out)
{
	if (PyLong_Check(value) && !PyBool_Check(value))
		return hb_convert_int_to_term(value, out);
	return hb_convert_to_binary(c, value, out);
}
