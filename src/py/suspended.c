/*
 * Where a suspended coroutine waits: see suspended.h.  The stack of its thread
 * shows only the loop.
 */
#include "py/suspended.h"

#include "common/log.h"

enum { DEPTH = 64 };

/* The first of the attributes that is there and is not None, owned; else NULL. */
static PyObject *
find(PyObject *object, const char *const *names)
{
	PyObject *value;

	for (; *names != NULL; names++) {
		value = PyObject_GetAttrString(object, *names);
		if (value != NULL && value != Py_None)
			return value;
		PyErr_Clear();
		Py_XDECREF(value);
	}
	return NULL;
}

static void
log_frame(PyFrameObject *frame)
{
	PyCodeObject *code = PyFrame_GetCode(frame);
	const char *file = PyUnicode_AsUTF8(code->co_filename), *name = PyUnicode_AsUTF8(code->co_qualname);

	PyErr_Clear();
	hb_err("app:   File \"%s\", line %d, in %s", file != NULL ? file : "?", PyFrame_GetLineNumber(frame),
	    name != NULL ? name : "?");
	Py_DECREF(code);
}

void
hb_py_suspended_log(PyObject *coroutine)
{
	static const char *const frames[] = {"cr_frame", "gi_frame", "ag_frame", NULL};
	static const char *const awaited[] = {"cr_await", "gi_yieldfrom", "ag_await", NULL};
	PyObject *object = Py_NewRef(coroutine), *next, *frame;

	for (int depth = 0; object != NULL && depth < DEPTH; depth++) {
		frame = find(object, frames);
		if (frame != NULL && PyFrame_Check(frame)) {
			if (depth == 0)
				hb_err("app: it waits here (most recent call last):");
			log_frame((PyFrameObject *)frame);
		}
		next = find(object, awaited);
		Py_XDECREF(frame);
		Py_DECREF(object);
		object = next;
	}
	Py_XDECREF(object);
}
