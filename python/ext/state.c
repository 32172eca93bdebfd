/* The functions of _hornbeam for shared state: see state.h. */
#include "state.h"

#include <math.h>
#include <string.h>

#include "module.h"

enum {
	KEY_MAX = 1024,
	FETCH_TIMEOUT = 60 * 1000 /* a fetch waits for another's computation */
};

static const double TTL_MAX = 1e14; /* milliseconds: what the companion can add to its clock */

/* What a reply is turned into; arg is the operation's own.  NULL with an exception, or with err set. */
typedef PyObject *reader(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err);

static int
want_args(Py_ssize_t given, Py_ssize_t wanted)
{
	if (given == wanted)
		return 0;
	PyErr_Format(PyExc_TypeError, "%zd arguments are needed, not %zd", wanted, given);
	return -1;
}

/* UTF-8 of at least min bytes. */
static int
put_text(struct hb_buf *b, PyObject *text, const char *what, Py_ssize_t min)
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
	if (len < min || len > KEY_MAX) {
		PyErr_Format(PyExc_ValueError, "a %s has %zd to %d bytes in UTF-8, not %zd", what, min, KEY_MAX, len);
		return -1;
	}
	hb_term_put_binary(b, utf8, (size_t)len);
	return 0;
}

/* Seconds, or None for no end, as milliseconds. */
static int
put_ttl(struct hb_buf *b, PyObject *ttl)
{
	double ms;

	if (ttl == Py_None) {
		hb_term_put_int(b, 0);
		return 0;
	}
	if (PyBool_Check(ttl) || (!PyLong_Check(ttl) && !PyFloat_Check(ttl))) {
		PyErr_Format(PyExc_TypeError, "a ttl is an int or a float, in seconds, or None, not %.200s",
		    Py_TYPE(ttl)->tp_name);
		return -1;
	}
	ms = PyFloat_AsDouble(ttl) * 1000;
	if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_OverflowError))
		return -1;
	if (PyErr_Occurred() || !(ms > 0) || ms > TTL_MAX) {
		PyErr_Clear();
		PyErr_Format(PyExc_ValueError, "a ttl is above 0 and at most %lld seconds, not %.100R",
		    (long long)(TTL_MAX / 1000), ttl);
		return -1;
	}
	hb_term_put_int(b, ms < 1 ? 1 : llround(ms));
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

static PyObject *
read_ok(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	char name[8];

	if (hb_term_want_atom(r, name, sizeof name, err) == -1)
		return NULL;
	return Py_NewRef(Py_None);
}

static PyObject *
read_bool(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	char name[8];

	if (hb_term_want_atom(r, name, sizeof name, err) == -1)
		return NULL;
	return PyBool_FromLong(strcmp(name, "true") == 0);
}

/* A stored value, or arg in the place of the atom none. */
static PyObject *
read_value(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	struct hb_term_token t;

	if (hb_term_next(r, &t, err) == -1)
		return NULL;
	if (t.type == HB_TERM_ATOM)
		return Py_NewRef(arg);
	return hb_convert_from_stored(&m->convert, &t);
}

static PyObject *
read_int(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	struct hb_term_token t;

	if (hb_term_next(r, &t, err) == -1)
		return NULL;
	if (t.type == HB_TERM_INT || t.type == HB_TERM_BIG)
		return hb_convert_int_from_token(&t);
	hb_error_set(err, HB_ERROR_PROTOCOL, "an integer was expected");
	return NULL;
}

/* The values of arg, a list of keys, as a dict. */
static PyObject *
read_values(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
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
		value = read_value(m, r, Py_None, err);
		if (value == NULL || PyDict_SetItem(dict, PyList_GET_ITEM(arg, i), value) == -1)
			Py_CLEAR(dict);
		Py_XDECREF(value);
	}
	return dict;
}

static PyObject *
read_keys(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	const unsigned char *key;
	PyObject *list, *text;
	uint32_t n;
	size_t len;

	if (hb_term_want_list(r, &n, err) == -1)
		return NULL;
	list = PyList_New(n);
	for (uint32_t i = 0; list != NULL && i < n; i++) {
		text = hb_term_want_binary(r, &key, &len, err) == 0 ?
		    PyUnicode_DecodeUTF8((const char *)key, (Py_ssize_t)len, "surrogateescape") : NULL;
		if (text == NULL)
			Py_CLEAR(list);
		else
			PyList_SET_ITEM(list, i, text);
	}
	return list;
}

/* {V, Version} | none */
static PyObject *
read_versioned(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
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
	value = read_value(m, r, Py_None, err);
	version = value != NULL ? read_int(m, r, NULL, err) : NULL;
	if (version != NULL)
		return Py_BuildValue("(NN)", value, version);
	Py_XDECREF(value);
	return NULL;
}

/* Ms | infinity | none */
static PyObject *
read_ttl(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
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

/* {value, V} | {lease, Token}: (True, value) or (False, token). */
static PyObject *
read_fetched(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err)
{
	PyObject *second;
	char name[8];
	uint32_t arity;
	struct hb_term_token t;
	bool there;

	if (hb_term_want_tuple(r, &arity, err) == -1 || hb_term_want_atom(r, name, sizeof name, err) == -1)
		return NULL;
	there = strcmp(name, "value") == 0;
	if (there)
		second = read_value(m, r, Py_None, err);
	else
		second = hb_term_next(r, &t, err) == 1 ? hb_convert_from_token(&m->convert, r, &t) : NULL;
	return second == NULL ? NULL : Py_BuildValue("(NN)", PyBool_FromLong(there), second);
}

/* Sends what s holds and reads the reply. */
static PyObject *
ask(struct hb_module *m, struct hb_scratch *s, enum hb_link_op op, reader *read, PyObject *arg, int64_t timeout)
{
	struct hb_term_reader r;
	struct hb_error err;
	PyObject *result;

	if (hb_client_call(&m->client, op, s, timeout) == -1)
		return NULL;
	result = hb_term_open(&r, s->reply.data, s->reply.len, &err) == 0 ? read(m, &r, arg, &err) : NULL;
	if (result == NULL && !PyErr_Occurred())
		hb_client_raise(&m->client, &err);
	return result;
}

/* One argument: k a key, p a prefix, v a stored value, t a ttl, d a delta, l a limit, n a version, x any term. */
static int
put_field(struct hb_module *m, struct hb_buf *b, char field, PyObject *arg)
{
	switch (field) {
	case 'k':
		return put_text(b, arg, "key", 1);
	case 'p':
		return put_text(b, arg, "prefix", 0);
	case 'v':
		return hb_convert_to_stored(&m->convert, arg, b);
	case 't':
		return put_ttl(b, arg);
	case 'd':
		return put_int(b, arg, "delta");
	case 'l':
		return put_int(b, arg, "limit");
	case 'n':
		return put_int(b, arg, "version");
	case 'x':
		return hb_convert_to_term(&m->convert, arg, b);
	}
	Py_UNREACHABLE();
}

/* The operation whose request is the term, or the tuple of terms, that fields describe. */
static PyObject *
run(PyObject *module, PyObject *const *args, const char *fields, enum hb_link_op op, reader *read, PyObject *arg,
    int64_t timeout)
{
	struct hb_module *m = PyModule_GetState(module);
	struct hb_scratch *s = hb_client_take(&m->client);
	PyObject *result = NULL;
	size_t i = 0;

	if (s == NULL)
		return NULL;
	if (fields[1] != '\0')
		hb_term_put_tuple(&s->request, (uint32_t)strlen(fields));
	while (fields[i] != '\0' && put_field(m, &s->request, fields[i], args[i]) == 0)
		i++;
	if (fields[i] == '\0')
		result = ask(m, s, op, read, arg, timeout);
	hb_client_give(&m->client, s);
	return result;
}

/* The usual operation: all arguments are the request's. */
static PyObject *
simple(PyObject *module, PyObject *const *args, Py_ssize_t n, const char *fields, enum hb_link_op op, reader *read)
{
	if (want_args(n, (Py_ssize_t)strlen(fields)) == -1)
		return NULL;
	return run(module, args, fields, op, read, Py_None, HB_CLIENT_TIMEOUT);
}

/* NAME(arguments as fields describe) */
#define SIMPLE(name, fields, op, read) \
	static PyObject *state_##name(PyObject *module, PyObject *const *args, Py_ssize_t n) \
	{ \
		return simple(module, args, n, fields, op, read); \
	}

SIMPLE(set, "kvt", HB_OP_SET, read_ok)
SIMPLE(add, "kvt", HB_OP_ADD, read_bool)
SIMPLE(delete, "k", HB_OP_DELETE, read_bool)
SIMPLE(incr, "kdt", HB_OP_INCR, read_int)
SIMPLE(keys, "pl", HB_OP_KEYS, read_keys)
SIMPLE(gets, "k", HB_OP_GETS, read_versioned)
SIMPLE(cas, "kvn", HB_OP_CAS, read_bool)
SIMPLE(expire, "kt", HB_OP_EXPIRE, read_bool)
SIMPLE(ttl, "k", HB_OP_TTL, read_ttl)
SIMPLE(fetch_put, "kxvt", HB_OP_FETCH_PUT, read_bool)
SIMPLE(fetch_drop, "kx", HB_OP_FETCH_DROP, read_ok)

/* get(key, default) */
static PyObject *
state_get(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
	return want_args(n, 2) == -1 ? NULL : run(module, args, "k", HB_OP_GET, read_value, args[1], HB_CLIENT_TIMEOUT);
}

/* fetch(key, ttl): the ttl is only checked, before the computation that a lease asks for */
static PyObject *
state_fetch(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
	struct hb_buf unused = HB_BUF_INIT;
	int rc;

	if (want_args(n, 2) == -1)
		return NULL;
	rc = put_ttl(&unused, args[1]);
	hb_buf_free(&unused);
	return rc == -1 ? NULL : run(module, args, "k", HB_OP_FETCH, read_fetched, NULL, FETCH_TIMEOUT);
}

/* get_multi(keys), keys a list that nobody else has */
static PyObject *
state_get_multi(PyObject *module, PyObject *keys)
{
	struct hb_module *m = PyModule_GetState(module);
	struct hb_scratch *s;
	PyObject *result = NULL;
	Py_ssize_t n, i;

	if (!PyList_Check(keys))
		return PyErr_Format(PyExc_TypeError, "a list is needed, not %.200s", Py_TYPE(keys)->tp_name);
	if ((s = hb_client_take(&m->client)) == NULL)
		return NULL;
	n = PyList_GET_SIZE(keys);
	hb_term_put_list(&s->request, (uint32_t)n);
	for (i = 0; i < n && put_field(m, &s->request, 'k', PyList_GET_ITEM(keys, i)) == 0; i++)
		;
	if (n > 0)
		hb_term_put_nil(&s->request);
	if (i == n)
		result = ask(m, s, HB_OP_GET_MULTI, read_values, keys, HB_CLIENT_TIMEOUT);
	hb_client_give(&m->client, s);
	return result;
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

/* set_multi(items, ttl), items a list of pairs that nobody else has */
static PyObject *
state_set_multi(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
	struct hb_module *m = PyModule_GetState(module);
	struct hb_scratch *s;
	PyObject *result = NULL, *key, *value;
	Py_ssize_t count, i;

	if (want_args(n, 2) == -1)
		return NULL;
	if (!PyList_Check(args[0]))
		return PyErr_Format(PyExc_TypeError, "a list is needed, not %.200s", Py_TYPE(args[0])->tp_name);
	if ((s = hb_client_take(&m->client)) == NULL)
		return NULL;
	count = PyList_GET_SIZE(args[0]);
	hb_term_put_tuple(&s->request, 2);
	hb_term_put_list(&s->request, (uint32_t)count);
	for (i = 0; i < count; i++) {
		if (!PyArg_ParseTuple(PyList_GET_ITEM(args[0], i), "OO", &key, &value))
			break;
		hb_term_put_tuple(&s->request, 2);
		if (put_field(m, &s->request, 'k', key) == -1)
			break;
		if (put_field(m, &s->request, 'v', value) == -1) {
			name_key(key);
			break;
		}
	}
	if (count > 0)
		hb_term_put_nil(&s->request);
	if (i == count && put_ttl(&s->request, args[1]) == 0)
		result = ask(m, s, HB_OP_SET_MULTI, read_ok, NULL, HB_CLIENT_TIMEOUT);
	hb_client_give(&m->client, s);
	return result;
}

#define FAST(f) (PyCFunction)(void (*)(void))(f), METH_FASTCALL, NULL

PyMethodDef hb_state_methods[] = {
    {"get", FAST(state_get)},
    {"set", FAST(state_set)},
    {"add", FAST(state_add)},
    {"delete", FAST(state_delete)},
    {"incr", FAST(state_incr)},
    {"get_multi", state_get_multi, METH_O, NULL},
    {"set_multi", FAST(state_set_multi)},
    {"keys", FAST(state_keys)},
    {"gets", FAST(state_gets)},
    {"cas", FAST(state_cas)},
    {"expire", FAST(state_expire)},
    {"ttl", FAST(state_ttl)},
    {"fetch", FAST(state_fetch)},
    {"fetch_put", FAST(state_fetch_put)},
    {"fetch_drop", FAST(state_fetch_drop)},
    {NULL, NULL, 0, NULL},
};
