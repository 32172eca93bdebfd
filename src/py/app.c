/* Applications by name: "module:callable", "module:object.attribute", "module:factory()". */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "py/detect.h"
#include "py/errors.h"
#include "py/lifespan.h"
#include "py/state.h"

/* module's attribute by a dotted name. */
static PyObject *
get_attribute(PyObject *module, const char *name)
{
	PyObject *object = Py_NewRef(module), *next;
	char *copy = hb_xstrdup(name), *rest = copy, *part;

	while (object != NULL && (part = strsep(&rest, ".")) != NULL) {
		next = PyObject_GetAttrString(object, part);
		Py_DECREF(object);
		object = next;
	}
	free(copy);
	return object;
}

/* Says which of the usual names the module does have, for one that it does not. */
static void
suggest_name(PyObject *module, const char *module_name)
{
	static const char *const usual[] = {"application", "app", "create_app", "make_app"};
	PyObject *type, *value, *tb, *there;

	PyErr_Fetch(&type, &value, &tb);
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
		there = PyObject_GetAttrString(module, usual[i]);
		PyErr_Clear();
		Py_XDECREF(there);
		if (there == NULL)
			continue;
		PyErr_Format(PyExc_AttributeError, "%S; did you mean %s:%s%s?", value, module_name, usual[i],
		    i < 2 ? "" : "()");
		break;
	}
	if (!PyErr_Occurred()) {
		PyErr_Restore(type, value, tb);
		return;
	}
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(tb);
}

/* The attribute of a module that is named to be the application, or to make it. */
static PyObject *
get_named(PyObject *module, const char *module_name, const char *name)
{
	PyObject *found = get_attribute(module, name);

	if (found == NULL && strchr(name, '.') == NULL && PyErr_ExceptionMatches(PyExc_AttributeError))
		suggest_name(module, module_name);
	return found;
}

static PyObject *
call_factory(PyObject *factory, const char *spec)
{
	PyObject *made = PyObject_CallNoArgs(factory), *closed;

	if (made == NULL || !PyCoro_CheckExact(made))
		return made;
	closed = PyObject_CallMethod(made, "close", NULL);
	Py_XDECREF(closed);
	Py_DECREF(made);
	PyErr_Format(PyExc_TypeError, "%s is an async function: what makes an application must be an ordinary one", spec);
	return NULL;
}

/* Whether it is the module name, or a package that it is in. */
static bool
is_part(const char *missing, const char *name)
{
	size_t len = strlen(missing);

	return strncmp(name, missing, len) == 0 && (name[len] == '\0' || name[len] == '.');
}

/* Adds to the exception, whose traceback stays, what the configuration says of where such a module is looked for. */
static void
add_hint(const struct hb_py *py, PyObject *error, const char *missing, const char *name)
{
	PyObject *said, *whole;

	if (!is_part(missing, name) && strchr(missing, '.') != NULL)
		return;
	said = PyObject_GetAttrString(error, "msg");
	whole = said != NULL ? PyUnicode_FromFormat("%S; %s", said, is_part(missing, name) ? py->path_is : py->venv_is)
	                     : NULL;
	if (whole == NULL || PyObject_SetAttrString(error, "msg", whole) == -1)
		PyErr_Clear();
	Py_XDECREF(said);
	Py_XDECREF(whole);
}

/* What is missing: the application, whose place python.path names, or something that it imports. */
static void
explain_missing(const struct hb_py *py, const char *name)
{
	PyObject *type, *value, *tb, *missing = NULL;
	const char *text = NULL;

	PyErr_Fetch(&type, &value, &tb);
	PyErr_NormalizeException(&type, &value, &tb);
	if (value != NULL)
		missing = PyObject_GetAttrString(value, "name");
	if (missing != NULL && PyUnicode_Check(missing))
		text = PyUnicode_AsUTF8(missing);
	PyErr_Clear();
	if (text != NULL)
		add_hint(py, value, text, name);
	Py_XDECREF(missing);
	PyErr_Restore(type, value, tb);
}

/* A file's name in the place of the module's, as other servers' users may try. */
static PyObject *
import_module(const struct hb_py *py, const char *name)
{
	PyObject *module = PyImport_ImportModule(name);
	size_t len = strlen(name);

	if (module != NULL || !PyErr_ExceptionMatches(PyExc_ModuleNotFoundError))
		return module;
	if (len > 3 && strcmp(name + len - 3, ".py") == 0) {
		char *stem = hb_xstrndup(name, len - 3);

		PyErr_Format(PyExc_ModuleNotFoundError, "%s is the name of a file; the module is %s", name, stem);
		free(stem);
	} else
		explain_missing(py, name);
	return NULL;
}

/* Each request to what cannot be called would fail. */
static int
check_callable(const char *spec, PyObject *found, enum hb_py_interface interface, bool *async)
{
	if (!PyCallable_Check(found)) {
		PyErr_Format(PyExc_TypeError, "%s is not callable: %R", spec, found);
		return -1;
	}
	return hb_py_detect(found, interface, async);
}

static PyObject *
find(const struct hb_py *py, const char *spec, enum hb_py_interface interface, bool *async)
{
	const char *colon = strchr(spec, ':');
	char *module_name = NULL, *name = NULL;
	PyObject *module = NULL, *found = NULL, *factory;
	size_t len;

	if (colon == NULL || colon == spec || colon[1] == '\0') {
		PyErr_Format(PyExc_ValueError, "%s is not like module:callable", spec);
		return NULL;
	}
	module_name = hb_xstrndup(spec, (size_t)(colon - spec));
	name = hb_xstrdup(colon + 1);
	len = strlen(name);
	module = import_module(py, module_name);
	if (module == NULL)
		goto out;
	if (len > 2 && strcmp(name + len - 2, "()") == 0) {
		name[len - 2] = '\0';
		factory = get_named(module, module_name, name);
		found = factory != NULL ? call_factory(factory, spec) : NULL;
		Py_XDECREF(factory);
	} else
		found = get_named(module, module_name, name);
	if (found != NULL && check_callable(spec, found, interface, async) == -1)
		Py_CLEAR(found);
out:
	Py_XDECREF(module);
	free(module_name);
	free(name);
	return found;
}

/* The traceback goes to the log, its last line to err. */
static void
report_load(struct hb_py *py, const char *spec, struct hb_error *err)
{
	char *what = hb_xasprintf("worker: the application %s cannot be loaded", spec);
	PyObject *type, *value, *tb;

	PyErr_Fetch(&type, &value, &tb);
	PyErr_Restore(Py_XNewRef(type), Py_XNewRef(value), Py_XNewRef(tb));
	hb_py_take_exception(err, HB_ERROR_APPLICATION, what);
	PyErr_Restore(type, value, tb);
	hb_py_log_exception(py, what + sizeof "worker: the application " - 1);
	free(what);
}

struct hb_py_app *
hb_py_app_load(struct hb_py *py, const char *spec, enum hb_py_interface interface, struct hb_error *err)
{
	bool async = false;
	PyObject *callable = find(py, spec, interface, &async);
	struct hb_py_app *app;

	if (callable == NULL) {
		report_load(py, spec, err);
		return NULL;
	}
	Py_XSETREF(py->context, PyContext_CopyCurrent());
	app = hb_xcalloc(1, sizeof *app);
	app->callable = callable;
	app->spec = hb_xstrdup(spec);
	app->async = async;
	app->mount_apart = async && hb_py_detect_mount_apart(callable);
	if (async && hb_py_asgi_init(py) == -1) {
		hb_py_take_exception(err, HB_ERROR_SYSTEM, "worker: asyncio does not start");
		hb_py_app_free(py, app);
		return NULL;
	}
	if (async)
		hb_py_lifespan_add(py, app);
	return app;
}

void
hb_py_app_free(struct hb_py *py, struct hb_py_app *app)
{
	if (app == NULL)
		return;
	hb_py_asgi_forget(py, app);
	Py_XDECREF(app->callable);
	Py_XDECREF(app->state);
	free(app->spec);
	free(app);
}

bool
hb_py_app_is_async(const struct hb_py_app *app)
{
	return app->async;
}
