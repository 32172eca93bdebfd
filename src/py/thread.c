/*
 * Threads for requests.  threading starts them, so that Python knows each by
 * its name; each keeps its thread state for good.
 */
#include <stdlib.h>

#include "common/str.h"
#include "py/errors.h"
#include "py/state.h"

struct start {
	void (*run)(void *arg);
	void *arg;
};

static _Thread_local PyThreadState *own;

static PyObject *
thread_main(PyObject *capsule, PyObject *unused)
{
	struct start *start = PyCapsule_GetPointer(capsule, NULL);

	if (start == NULL)
		return NULL;
	own = PyEval_SaveThread();
	start->run(start->arg);
	PyEval_RestoreThread(own);
	Py_RETURN_NONE;
}

static PyMethodDef main_def = {"run", thread_main, METH_NOARGS, NULL};

static void
free_start(PyObject *capsule)
{
	free(PyCapsule_GetPointer(capsule, NULL));
}

/* A function of Python's that calls run(arg). */
static PyObject *
make_target(void (*run)(void *arg), void *arg)
{
	struct start *start = hb_xcalloc(1, sizeof *start);
	PyObject *capsule, *target;

	*start = (struct start){run, arg};
	capsule = PyCapsule_New(start, NULL, free_start);
	if (capsule == NULL) {
		free(start);
		return NULL;
	}
	target = PyCFunction_New(&main_def, capsule);
	Py_DECREF(capsule);
	return target;
}

int
hb_py_thread_start(struct hb_py *py, const char *name, void (*run)(void *arg), void *arg, struct hb_error *err)
{
	PyObject *module = PyImport_ImportModule("threading"), *target = make_target(run, arg);
	PyObject *type = module != NULL ? PyObject_GetAttrString(module, "Thread") : NULL;
	PyObject *args = PyTuple_New(0), *kwargs = NULL, *thread = NULL, *done = NULL;

	if (type != NULL && target != NULL && args != NULL)
		kwargs = Py_BuildValue("{s:O,s:s}", "target", target, "name", name);
	if (kwargs != NULL)
		thread = PyObject_Call(type, args, kwargs);
	if (thread != NULL)
		done = PyObject_CallMethod(thread, "start", NULL);
	if (done == NULL)
		hb_py_take_exception(err, HB_ERROR_SYSTEM, "worker: a thread does not start");
	Py_XDECREF(module);
	Py_XDECREF(target);
	Py_XDECREF(type);
	Py_XDECREF(args);
	Py_XDECREF(kwargs);
	Py_XDECREF(thread);
	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

void
hb_py_thread_enter(void)
{
	PyEval_RestoreThread(own);
}

void
hb_py_thread_leave(void)
{
	own = PyEval_SaveThread();
}
