/* Replies as Python objects: see readers.h. */
#include "readers.h"

#include <math.h>
#include <string.h>

#include "term/erl.h"

PyObject *
hb_read_ok(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	char name[8];

	if (hb_term_want_atom(r, name, sizeof name, err) == -1)
		return NULL;
	return Py_NewRef(Py_None);
}

PyObject *
hb_read_bool(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	char name[8];

	if (hb_term_want_atom(r, name, sizeof name, err) == -1)
		return NULL;
	return PyBool_FromLong(strcmp(name, "true") == 0);
}

PyObject *
hb_read_value(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	struct hb_term_token t;

	if (hb_term_next(r, &t, err) == -1)
		return NULL;
	if (t.type == HB_TERM_ATOM)
		return Py_NewRef(arg);
	return hb_convert_from_stored(&m->convert, &t);
}

PyObject *
hb_read_int(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	struct hb_term_token t;

	if (hb_term_next(r, &t, err) == -1)
		return NULL;
	if (t.type == HB_TERM_INT || t.type == HB_TERM_BIG)
		return hb_convert_int_from_token(&t);
	hb_error_set(err, HB_ERROR_PROTOCOL, "an integer was expected");
	return NULL;
}

PyObject *
hb_read_values(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	PyObject *dict, *value;
	uint32_t n;

	if (hb_term_want_list(r, &n, err) == -1)
		return NULL;
	if (n != (size_t)PyList_GET_SIZE(arg)) {
		hb_error_set(err, HB_ERROR_PROTOCOL, "%lu values for %zd keys", (unsigned long)n, PyList_GET_SIZE(arg));
		return NULL;
	}
	dict = PyDict_New();
	for (uint32_t i = 0; dict != NULL && i < n; i++) {
		value = hb_read_value(m, r, Py_None, err);
		if (value == NULL || PyDict_SetItem(dict, PyList_GET_ITEM(arg, i), value) == -1)
			Py_CLEAR(dict);
		Py_XDECREF(value);
	}
	return dict;
}

PyObject *
hb_read_text(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	const unsigned char *text;
	size_t len;

	if (hb_term_want_binary(r, &text, &len, err) == -1)
		return NULL;
	return PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)len, "surrogateescape");
}

PyObject *
hb_read_texts(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	PyObject *list, *text;
	uint32_t n;

	if (hb_term_want_list(r, &n, err) == -1)
		return NULL;
	list = PyList_New(n);
	for (uint32_t i = 0; list != NULL && i < n; i++) {
		text = hb_read_text(m, r, arg, err);
		if (text == NULL)
			Py_CLEAR(list);
		else
			PyList_SET_ITEM(list, i, text);
	}
	return list;
}

PyObject *
hb_read_versioned(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	PyObject *value, *version;
	struct hb_term_token t;

	if (hb_term_next(r, &t, err) == -1)
		return NULL;
	if (t.type == HB_TERM_ATOM)
		return Py_BuildValue("(Oi)", Py_None, 0);
	if (t.type != HB_TERM_TUPLE || t.count != 2) {
		hb_error_set(err, HB_ERROR_PROTOCOL, "a value and its version were expected");
		return NULL;
	}
	value = hb_read_value(m, r, Py_None, err);
	version = value != NULL ? hb_read_int(m, r, NULL, err) : NULL;
	if (version != NULL)
		return Py_BuildValue("(NN)", value, version);
	Py_XDECREF(value);
	return NULL;
}

PyObject *
hb_read_ttl(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	struct hb_term_token t;

	if (hb_term_next(r, &t, err) == -1)
		return NULL;
	if (t.type == HB_TERM_INT)
		return PyFloat_FromDouble((double)t.i / 1000);
	if (t.type == HB_TERM_ATOM && t.len == 8 && memcmp(t.text, "infinity", 8) == 0)
		return PyFloat_FromDouble(HUGE_VAL);
	return Py_NewRef(Py_None);
}

static PyObject *
read_term(struct hb_module *m, struct hb_term_reader *r, struct hb_error *err)
{
	struct hb_term_token t;

	switch (hb_term_next(r, &t, err)) {
	case -1:
		return NULL;
	case 0:
		hb_error_set(err, HB_ERROR_PROTOCOL, "a term was expected");
		return NULL;
	}
	return hb_convert_from_token(&m->convert, r, &t);
}

PyObject *
hb_read_fetched(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	PyObject *second;
	char name[8];
	uint32_t arity;
	bool there;

	if (hb_term_want_tuple(r, &arity, err) == -1 || hb_term_want_atom(r, name, sizeof name, err) == -1)
		return NULL;
	there = strcmp(name, "value") == 0;
	second = there ? hb_read_value(m, r, Py_None, err) : read_term(m, r, err);
	return second == NULL ? NULL : Py_BuildValue("(NN)", PyBool_FromLong(there), second);
}

/* Raises type(*arguments), and takes the arguments, which may be NULL. */
static PyObject *
raise_with(PyObject *type, PyObject *arguments)
{
	PyObject *error = arguments != NULL ? PyObject_CallObject(type, arguments) : NULL;

	if (error != NULL)
		PyErr_SetObject(type, error);
	Py_XDECREF(error);
	Py_XDECREF(arguments);
	return NULL;
}

/* The text, in Erlang's syntax, of the encoded term without its version byte. */
static PyObject *
text_of_term(const unsigned char *p, size_t len, struct hb_error *err)
{
	struct hb_buf term = {0}, text = {0};
	PyObject *str = NULL;

	hb_term_put_version(&term);
	hb_buf_add(&term, p, len);
	if (!term.failed && hb_term_to_erl(term.data, term.len, &text, err) == 0)
		str = PyUnicode_DecodeUTF8((const char *)text.data, (Py_ssize_t)text.len, "replace");
	else if (term.failed)
		PyErr_NoMemory();
	hb_buf_free(&term);
	hb_buf_free(&text);
	return str;
}

/* Why something failed: its text where Python cannot hold it, so that the failure is told all the same. */
static PyObject *
read_reason(struct hb_module *m, struct hb_term_reader *r, struct hb_error *err)
{
	struct hb_term_reader start = *r;
	PyObject *reason = read_term(m, r, err);

	if (reason != NULL || PyErr_Occurred() == NULL || !PyErr_ExceptionMatches(PyExc_ValueError))
		return reason;
	PyErr_Clear();
	*r = start;
	if (hb_term_skip(r, err) == -1)
		return NULL;
	return text_of_term(start.p, (size_t)(r->p - start.p), err);
}

static PyObject *
raise_remote(struct hb_module *m, struct hb_term_reader *r, struct hb_error *err)
{
	PyObject *reason, *stack = NULL;
	const unsigned char *text;
	char class[64];
	size_t len;

	if (hb_term_want_atom(r, class, sizeof class, err) == -1)
		return NULL;
	reason = read_reason(m, r, err);
	if (reason != NULL && hb_term_want_binary(r, &text, &len, err) == 0)
		stack = PyUnicode_DecodeUTF8((const char *)text, (Py_ssize_t)len, "replace");
	if (stack != NULL)
		raise_with(m->client.remote_error, Py_BuildValue("(sOO)", class, reason, stack));
	Py_XDECREF(stack);
	Py_XDECREF(reason);
	return NULL;
}

PyObject *
hb_read_outcome(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	PyObject *reason;
	char name[8];
	uint32_t arity;

	if (hb_term_want_tuple(r, &arity, err) == -1 || hb_term_want_atom(r, name, sizeof name, err) == -1)
		return NULL;
	if (strcmp(name, "ok") == 0)
		return read_term(m, r, err);
	if (strcmp(name, "raised") == 0)
		return raise_remote(m, r, err);
	reason = read_reason(m, r, err);
	return reason != NULL ? raise_with(m->client.call_error, Py_BuildValue("(N)", reason)) : NULL;
}
