/*
 * What objects that are coroutines in all but name have in common: those of
 * the worker and of the extension module, which is not linked with it.
 */
#ifndef HB_PY_COROUTINE_H
#define HB_PY_COROUTINE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Raises what throw(*args) is to raise. */
static inline void
hb_coroutine_raise(PyObject *args)
{
	PyObject *type = PyTuple_GET_SIZE(args) > 0 ? PyTuple_GET_ITEM(args, 0) : Py_None;

	if (PyExceptionInstance_Check(type))
		PyErr_SetObject((PyObject *)Py_TYPE(type), type);
	else if (PyExceptionClass_Check(type))
		PyErr_SetObject(type, PyTuple_GET_SIZE(args) > 1 ? PyTuple_GET_ITEM(args, 1) : NULL);
	else
		PyErr_SetString(PyExc_TypeError, "throw() takes an exception");
}

/* What a Future is awaited by. */
static inline PyObject *
hb_coroutine_await(PyObject *future)
{
	PyAsyncMethods *methods = Py_TYPE(future)->tp_as_async;

	return methods != NULL && methods->am_await != NULL ? methods->am_await(future) : PyObject_GetIter(future);
}

/* Ends a Future that something sleeps on, if it is not done; the names are "done" and "set_result". */
static inline void
hb_coroutine_wake(PyObject *future, PyObject *done_name, PyObject *set_result_name)
{
	PyObject *done = PyObject_CallMethodNoArgs(future, done_name);

	if (done == Py_False) {
		Py_DECREF(done);
		done = PyObject_CallMethodOneArg(future, set_result_name, Py_None);
	}
	if (done == NULL)
		PyErr_WriteUnraisable(future);
	Py_XDECREF(done);
}

/* One that is not awaited does nothing: says so, as a coroutine does. */
static inline void
hb_coroutine_warn_unused(const char *name)
{
	PyObject *type, *value, *tb;

	PyErr_Fetch(&type, &value, &tb);
	if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%s' was never awaited", name) == -1)
		PyErr_WriteUnraisable(NULL);
	PyErr_Restore(type, value, tb);
}

#endif
