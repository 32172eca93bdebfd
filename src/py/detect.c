/*
 * WSGI or ASGI: see detect.h.  Partials are looked through, and decorators that
 * take whatever comes; who cannot be looked into speaks WSGI unless the
 * configuration says otherwise.
 */
#include "py/detect.h"

#include <string.h>

enum { DEPTH = 16 }; /* decorators around an application */

struct shape {
	bool async;  /* made by async def */
	bool class;  /* to call it makes an instance */
	bool known;  /* the rest is */
	bool any;    /* it takes any number of arguments */
	bool scope;  /* the first is called so */
	int least;   /* arguments by place that it needs */
	int most;    /* and takes */
};

/* An attribute, or NULL where there is none. */
static PyObject *
find_attribute(PyObject *object, const char *name)
{
	PyObject *value = PyObject_GetAttrString(object, name);

	if (value == NULL)
		PyErr_Clear();
	return value;
}

static bool
is_partial(PyObject *object)
{
	return strcmp(Py_TYPE(object)->tp_name, "functools.partial") == 0;
}

/* What a call of the object calls in turn: a new reference, NULL where that is not known; *given arguments and those named in bound are its own. */
static PyObject *
look_through(PyObject *object, int *given, PyObject *bound)
{
	PyObject *args, *keywords;

	if (PyFunction_Check(object))
		return find_attribute(object, "__wrapped__");
	if (is_partial(object)) {
		keywords = find_attribute(object, "keywords");
		if (keywords != NULL && PyDict_Update(bound, keywords) == -1)
			PyErr_Clear();
		Py_XDECREF(keywords);
		args = find_attribute(object, "args");
		*given += args != NULL && PyTuple_Check(args) ? (int)PyTuple_GET_SIZE(args) : 0;
		Py_XDECREF(args);
		return find_attribute(object, "func");
	}
	*given += 1;
	if (PyMethod_Check(object))
		return Py_NewRef(PyMethod_GET_FUNCTION(object));
	if (PyType_Check(object))
		return find_attribute(object, "__init__");
	return find_attribute((PyObject *)Py_TYPE(object), "__call__");
}

static void
read_signature(PyObject *function, int given, PyObject *bound, struct shape *shape)
{
	PyCodeObject *code = (PyCodeObject *)PyFunction_GET_CODE(function);
	PyObject *defaults = PyFunction_GET_DEFAULTS(function), *names = PyCode_GetVarnames(code);

	shape->known = true;
	shape->any = (code->co_flags & CO_VARARGS) != 0;
	shape->most = code->co_argcount - given;
	shape->least = shape->most - (defaults != NULL ? (int)PyTuple_GET_SIZE(defaults) : 0);
	/* Behind one that is given by its name none can be given by its place. */
	for (int i = given; names != NULL && i < code->co_argcount; i++) {
		if (PyDict_Contains(bound, PyTuple_GET_ITEM(names, i)) == 1) {
			shape->any = false;
			shape->most = i - given;
			break;
		}
	}
	if (shape->least > shape->most)
		shape->least = shape->most;
	shape->scope = names != NULL && given < code->co_argcount &&
	    PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, given), "scope") == 0;
	Py_XDECREF(names);
	PyErr_Clear();
}

/* As asyncio.iscoroutinefunction() has it: whoever marks an object so vouches for it. */
static bool
is_marked(PyObject *object)
{
	PyObject *name = PyUnicode_FromString("asyncio.coroutines"), *module, *marker, *own;
	bool same;

	module = name != NULL ? PyImport_GetModule(name) : NULL;
	marker = module != NULL ? find_attribute(module, "_is_coroutine") : NULL;
	own = marker != NULL ? find_attribute(object, "_is_coroutine") : NULL;
	same = own != NULL && own == marker;
	Py_XDECREF(name);
	Py_XDECREF(module);
	Py_XDECREF(marker);
	Py_XDECREF(own);
	PyErr_Clear();
	return same;
}

static struct shape
find_shape(PyObject *callable)
{
	struct shape shape = {0};
	PyObject *object = Py_NewRef(callable), *bound = PyDict_New(), *next;
	bool outermost = true;
	int given = 0;

	for (int depth = 0; bound != NULL && object != NULL && depth < DEPTH; depth++) {
		shape.class = shape.class || PyType_Check(object);
		if (PyFunction_Check(object)) {
			if (outermost)
				shape.async = (((PyCodeObject *)PyFunction_GET_CODE(object))->co_flags & CO_COROUTINE) != 0;
			outermost = false;
			read_signature(object, given, bound, &shape);
			if (!shape.any)
				break;
		}
		next = look_through(object, &given, bound);
		Py_DECREF(object);
		object = next;
	}
	Py_XDECREF(object);
	Py_XDECREF(bound);
	PyErr_Clear();
	shape.async = shape.async || is_marked(callable);
	return shape;
}

static int
refuse(PyObject *callable, const char *why)
{
	PyErr_Format(PyExc_TypeError, "%.200R %s", callable, why);
	return -1;
}

static bool
takes(const struct shape *s, int n)
{
	return !s->known || s->any || (s->least <= n && n <= s->most);
}

/* Instances of an asynchronous class are what is to be called. */
static int
check_class(PyObject *callable, bool *async)
{
	PyObject *await = find_attribute(callable, "__await__"), *call = find_attribute(callable, "__call__");
	bool instances_run = call != NULL && find_shape(call).async;

	*async = await != NULL;
	Py_XDECREF(await);
	Py_XDECREF(call);
	if (*async || !instances_run)
		return 0;
	if (find_shape(callable).least == 1)
		return refuse(callable, "is an application of ASGI 2, which takes a scope alone: "
		                        "asgiref.compatibility.guarantee_single_callable makes one of ASGI 3 of it");
	return refuse(callable, "is a class, whose instances are applications: name an instance, or Class()");
}

static int
check_asgi(PyObject *callable, const struct shape *s)
{
	if (takes(s, 3))
		return 0;
	if (s->least == 1 && s->most == 1 && !s->async)
		return refuse(callable, "is an application of ASGI 2, which takes a scope alone: "
		                        "asgiref.compatibility.guarantee_single_callable makes one of ASGI 3 of it");
	return refuse(callable, "is no ASGI application: one takes scope, receive and send");
}

/* Each request to a factory that stands in its application's place would fail. */
static int
check_wsgi(PyObject *callable, const struct shape *s)
{
	if (PyFunction_Check(callable) && s->known && !s->any && s->most == 0)
		return refuse(callable, "takes no arguments: where it makes the application, put () behind its name");
	return 0;
}

int
hb_py_detect(PyObject *callable, enum hb_py_interface wanted, bool *async)
{
	struct shape s = find_shape(callable);

	*async = wanted == HB_PY_ASGI;
	if (wanted == HB_PY_WSGI)
		return s.async ? refuse(callable, "is asynchronous: it speaks ASGI, not WSGI") : check_wsgi(callable, &s);
	if (PyType_Check(callable)) {
		bool awaited;

		if (check_class(callable, &awaited) == -1)
			return -1;
		*async = *async || awaited;
		return 0;
	}
	if (wanted == HB_PY_AUTO)
		*async = s.async || (s.known && (s.scope || (s.least == 3 && !s.any)));
	return *async ? check_asgi(callable, &s) : check_wsgi(callable, &s);
}

/* Whether a class, or one above it, is that of Starlette's applications. */
static bool
is_starlette(PyTypeObject *type)
{
	PyObject *mro = type->tp_mro, *module;
	bool found = false;

	for (Py_ssize_t i = 0; mro != NULL && !found && i < PyTuple_GET_SIZE(mro); i++) {
		PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);

		if (strcmp(base->tp_name, "Starlette") != 0 && strcmp(base->tp_name, "Router") != 0)
			continue;
		module = find_attribute((PyObject *)base, "__module__");
		found = module != NULL && PyUnicode_Check(module) &&
		    (PyUnicode_CompareWithASCIIString(module, "starlette.applications") == 0 ||
		        PyUnicode_CompareWithASCIIString(module, "starlette.routing") == 0);
		Py_XDECREF(module);
	}
	return found;
}

/* Its releases that follow the specification have this function. */
static bool
starlette_follows(void)
{
	PyObject *module = PyImport_ImportModule("starlette._utils");
	PyObject *function = module != NULL ? find_attribute(module, "get_route_path") : NULL;

	PyErr_Clear();
	Py_XDECREF(module);
	Py_XDECREF(function);
	return function != NULL;
}

/* Middleware keeps the application that it is around in `app`. */
bool
hb_py_detect_mount_apart(PyObject *callable)
{
	PyObject *object = Py_NewRef(callable), *next;
	bool found = false;

	for (int depth = 0; object != NULL && !found && depth < DEPTH; depth++) {
		found = is_starlette(Py_TYPE(object));
		next = found ? NULL : find_attribute(object, is_partial(object) ? "func" : "app");
		Py_DECREF(object);
		object = next;
	}
	Py_XDECREF(object);
	return found && !starlette_follows();
}
