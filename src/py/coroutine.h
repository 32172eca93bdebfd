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

#endif
