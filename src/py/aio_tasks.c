/*
 * asyncio keeps all tasks in a WeakSet, which is written in Python: an add and
 * a removal for each request, 12% of a small one's instructions.  Here are the
 * two in C, on the same set; the rest of it stays as it is.
 */
#include "py/aio.h"

/* What a WeakSet is made of. */
struct weak_set {
	PyObject *data;
	PyObject *pending;   /* removals that wait for an iteration's end */
	PyObject *iterating;
	PyObject *remove;    /* the weak references' callback */
	PyObject *slow_add;
};

static struct weak_set *
set_of(PyObject *capsule)
{
	return PyCapsule_GetPointer(capsule, "hornbeam.tasks");
}

static PyObject *
add_task(PyObject *capsule, PyObject *task)
{
	struct weak_set *s = set_of(capsule);
	PyObject *ref;
	int rc;

	if (PyList_GET_SIZE(s->pending) > 0)
		return PyObject_CallOneArg(s->slow_add, task);
	ref = PyWeakref_NewRef(task, s->remove);
	rc = ref != NULL ? PySet_Add(s->data, ref) : -1;
	Py_XDECREF(ref);
	return rc == 0 ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
remove_task(PyObject *capsule, PyObject *ref)
{
	struct weak_set *s = set_of(capsule);
	int rc;

	if (PySet_GET_SIZE(s->iterating) > 0)
		rc = PyList_Append(s->pending, ref);
	else
		rc = PySet_Discard(s->data, ref);
	return rc != -1 ? Py_NewRef(Py_None) : NULL;
}

static PyMethodDef add_def = {"add", add_task, METH_O, NULL};
static PyMethodDef remove_def = {"remove", remove_task, METH_O, NULL};

static void
free_set(PyObject *capsule)
{
	struct weak_set *s = set_of(capsule);

	Py_XDECREF(s->data);
	Py_XDECREF(s->pending);
	Py_XDECREF(s->iterating);
	Py_XDECREF(s->slow_add);
	PyMem_Free(s);
}

/* Whether it is built as CPython 3.11 builds it. */
static bool
take_apart(struct weak_set *s, PyObject *all)
{
	s->data = PyObject_GetAttrString(all, "data");
	s->pending = PyObject_GetAttrString(all, "_pending_removals");
	s->iterating = PyObject_GetAttrString(all, "_iterating");
	s->slow_add = PyObject_GetAttrString(all, "add");
	return s->data != NULL && PySet_CheckExact(s->data) && s->pending != NULL && PyList_CheckExact(s->pending) &&
	    s->iterating != NULL && PySet_CheckExact(s->iterating) && s->slow_add != NULL &&
	    PyMethod_Check(s->slow_add);
}

int
hb_aio_tasks_init(PyObject *all)
{
	struct weak_set *s = PyMem_Calloc(1, sizeof *s);
	PyObject *capsule = s != NULL ? PyCapsule_New(s, "hornbeam.tasks", free_set) : NULL, *add = NULL;
	int rc = -1;

	if (capsule == NULL) {
		PyMem_Free(s);
		return -1;
	}
	if (!take_apart(s, all)) {
		PyErr_Clear();
		Py_DECREF(capsule);
		return 0; /* another Python's, or in C already */
	}
	add = PyCFunction_New(&add_def, capsule);
	s->remove = PyCFunction_New(&remove_def, capsule);
	if (add != NULL && s->remove != NULL)
		rc = PyObject_SetAttrString(all, "add", add);
	Py_XDECREF(add);
	Py_DECREF(capsule);
	return rc;
}
