/*
 * Atom, a str of its own; Term, an Erlang term that Python has no value for,
 * kept as its encoding; and Pid and Ref, which are kept the same way.
 */
#include "kinds.h"

#include <structmember.h>

#include "term/erl.h"

struct term_object {
	PyObject_HEAD
	PyObject *raw; /* bytes: the term's encoding without its version byte */
};

static PyObject *
atom_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char name_name[] = "name", *names[] = {name_name, NULL};
	PyObject *name, *utf8, *tuple, *self;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "U:Atom", names, &name))
		return NULL;
	if (PyUnicode_GET_LENGTH(name) > HB_TERM_ATOM_MAX)
		return PyErr_Format(PyExc_ValueError, "an atom has at most %d characters, not %zd", HB_TERM_ATOM_MAX,
		    PyUnicode_GET_LENGTH(name));
	utf8 = PyUnicode_AsUTF8String(name);
	if (utf8 == NULL)
		return NULL;
	Py_DECREF(utf8);
	tuple = PyTuple_Pack(1, name);
	if (tuple == NULL)
		return NULL;
	self = PyUnicode_Type.tp_new(type, tuple, NULL);
	Py_DECREF(tuple);
	return self;
}

static PyObject *
atom_repr(PyObject *self)
{
	PyObject *text = PyUnicode_Type.tp_repr(self), *repr;

	if (text == NULL)
		return NULL;
	repr = PyUnicode_FromFormat("Atom(%U)", text);
	Py_DECREF(text);
	return repr;
}

PyDoc_STRVAR(atom_doc, "Atom(name)\n--\n\nAn Erlang atom: a str of at most 255 characters, equal to the str of its name.");

static PyType_Slot atom_slots[] = {
    {Py_tp_doc, (void *)atom_doc},
    {Py_tp_new, atom_new},
    {Py_tp_repr, atom_repr},
    {0, NULL},
};

static PyType_Spec atom_spec = {
    .name = "hornbeam_erlang.Atom",
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = atom_slots,
};

/* Whether raw is the encoding of one term that type may hold. */
static bool
raw_fits(PyTypeObject *type, const void *raw, size_t len)
{
	struct hb_buf whole = HB_BUF_INIT;
	struct hb_term_reader r;
	struct hb_term_token t, end;
	struct hb_error err;
	const char *name = strrchr(type->tp_name, '.') + 1;
	bool fits;

	hb_term_put_version(&whole);
	hb_buf_add(&whole, raw, len);
	fits = !whole.failed && hb_term_open(&r, whole.data, whole.len, &err) == 0 && hb_term_next(&r, &t, &err) == 1;
	if (fits && strcmp(name, "Pid") == 0)
		fits = t.type == HB_TERM_PID;
	else if (fits && strcmp(name, "Ref") == 0)
		fits = t.type == HB_TERM_REF;
	else if (fits)
		fits = t.type == HB_TERM_PORT || t.type == HB_TERM_FUN || t.type == HB_TERM_BITS;
	fits = fits && hb_term_next(&r, &end, &err) == 0;
	hb_buf_free(&whole);
	return fits;
}

static PyObject *
term_alloc(PyTypeObject *type, PyObject *raw)
{
	struct term_object *self = (struct term_object *)type->tp_alloc(type, 0);

	if (self != NULL)
		self->raw = Py_NewRef(raw);
	return (PyObject *)self;
}

static PyObject *
term_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	static char raw_name[] = "raw", *names[] = {raw_name, NULL};
	PyObject *raw;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "S", names, &raw))
		return NULL;
	if (!raw_fits(type, PyBytes_AS_STRING(raw), (size_t)PyBytes_GET_SIZE(raw)))
		return PyErr_Format(PyExc_ValueError, "not the external form of a %s", strrchr(type->tp_name, '.') + 1);
	return term_alloc(type, raw);
}

static void
term_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	Py_CLEAR(((struct term_object *)self)->raw);
	type->tp_free(self);
	Py_DECREF(type);
}

static Py_hash_t
term_hash(PyObject *self)
{
	return PyObject_Hash(((struct term_object *)self)->raw);
}

static PyObject *
term_compare(PyObject *a, PyObject *b, int op)
{
	if ((op != Py_EQ && op != Py_NE) || Py_TYPE(a) != Py_TYPE(b))
		Py_RETURN_NOTIMPLEMENTED;
	return PyObject_RichCompare(((struct term_object *)a)->raw, ((struct term_object *)b)->raw, op);
}

/* Erlang's own notation: #Pid<a@b.12.0> */
static PyObject *
term_repr(PyObject *self)
{
	PyObject *raw = ((struct term_object *)self)->raw, *repr = NULL;
	struct hb_buf whole = HB_BUF_INIT, text = HB_BUF_INIT;
	struct hb_error err;

	hb_term_put_version(&whole);
	hb_buf_add(&whole, PyBytes_AS_STRING(raw), (size_t)PyBytes_GET_SIZE(raw));
	if (whole.failed || hb_term_to_erl(whole.data, whole.len, &text, &err) == -1)
		PyErr_NoMemory();
	else
		repr = PyUnicode_DecodeUTF8((const char *)text.data, (Py_ssize_t)text.len, "replace");
	hb_buf_free(&whole);
	hb_buf_free(&text);
	return repr;
}

static PyObject *
term_reduce(PyObject *self, PyObject *unused)
{
	return Py_BuildValue("O(O)", Py_TYPE(self), ((struct term_object *)self)->raw);
}

static PyMethodDef term_methods[] = {
    {"__reduce__", term_reduce, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef term_members[] = {
    {"raw", T_OBJECT, offsetof(struct term_object, raw), READONLY, "its encoding in the external term format"},
    {NULL, 0, 0, 0, NULL},
};

#define TERM_SLOTS(doc) \
	{ \
		{Py_tp_doc, (void *)doc}, {Py_tp_new, term_new}, {Py_tp_dealloc, term_dealloc}, {Py_tp_hash, term_hash}, \
		{Py_tp_richcompare, term_compare}, {Py_tp_repr, term_repr}, {Py_tp_methods, term_methods}, \
		{Py_tp_members, term_members}, {0, NULL}, \
	}
#define TERM_SPEC(type_name, type_slots) \
	{ \
		.name = "hornbeam_erlang." type_name, .basicsize = sizeof(struct term_object), \
		.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, .slots = type_slots, \
	}

static PyType_Slot term_slots[] =
    TERM_SLOTS("Term(raw)\n--\n\nAn Erlang term that Python has no value for; it goes back as it came.");
static PyType_Slot pid_slots[] = TERM_SLOTS("Pid(raw)\n--\n\nThe identifier of an Erlang process.");
static PyType_Slot ref_slots[] = TERM_SLOTS("Ref(raw)\n--\n\nAn Erlang reference.");

static PyType_Spec term_spec = TERM_SPEC("Term", term_slots);
static PyType_Spec pid_spec = TERM_SPEC("Pid", pid_slots);
static PyType_Spec ref_spec = TERM_SPEC("Ref", ref_slots);

static PyObject *
make_type(PyObject *module, PyType_Spec *spec, PyObject *base)
{
	PyObject *type = PyType_FromModuleAndSpec(module, spec, base);

	if (type != NULL && PyModule_AddType(module, (PyTypeObject *)type) == -1)
		Py_CLEAR(type);
	return type;
}

int
types_init(struct hb_convert *c, PyObject *module)
{
	c->atom_type = make_type(module, &atom_spec, (PyObject *)&PyUnicode_Type);
	if (c->atom_type == NULL)
		return -1;
	c->term_type = make_type(module, &term_spec, NULL);
	if (c->term_type == NULL)
		return -1;
	c->pid_type = make_type(module, &pid_spec, NULL);
	if (c->pid_type == NULL)
		return -1;
	c->ref_type = make_type(module, &ref_spec, NULL);
	return c->ref_type == NULL ? -1 : 0;
}

PyObject *
types_atom(struct hb_convert *c, const unsigned char *name, size_t len)
{
	PyObject *text = PyUnicode_DecodeUTF8((const char *)name, (Py_ssize_t)len, NULL), *atom;

	if (text == NULL)
		return NULL;
	atom = PyDict_GetItemWithError(c->atoms, text);
	if (atom != NULL) {
		Py_DECREF(text);
		return Py_NewRef(atom);
	}
	atom = PyErr_Occurred() ? NULL : PyObject_CallOneArg(c->atom_type, text);
	if (atom != NULL && PyDict_GET_SIZE(c->atoms) < HB_CONVERT_ATOMS_MAX &&
	    PyDict_SetItem(c->atoms, text, atom) == -1)
		Py_CLEAR(atom);
	Py_DECREF(text);
	return atom;
}

PyObject *
types_term(struct hb_convert *c, enum hb_term_type type, const void *raw, size_t len)
{
	PyObject *bytes = PyBytes_FromStringAndSize(raw, (Py_ssize_t)len), *term;
	PyObject *as = type == HB_TERM_PID ? c->pid_type : type == HB_TERM_REF ? c->ref_type : c->term_type;

	if (bytes == NULL)
		return NULL;
	term = term_alloc((PyTypeObject *)as, bytes);
	Py_DECREF(bytes);
	return term;
}

PyObject *
types_raw(PyObject *term)
{
	return ((struct term_object *)term)->raw;
}
