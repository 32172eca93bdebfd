/*
 * Start and end of the interpreter.  It knows itself as the environment's
 * Python or the system's, so that subprocess and multiprocessing start the
 * right program; signals stay with the worker.
 */
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "py/aio.h"
#include "py/asgi.h"
#include "py/call.h"
#include "py/errors.h"
#include "py/input.h"
#include "py/loop.h"
#include "py/stacks.h"
#include "py/state.h"
#include "py/venv.h"
#include "py/waiting.h"
#include "py/wrapper.h"

PyTypeObject *
hb_py_type(PyType_Spec *spec)
{
	return (PyTypeObject *)PyType_FromSpec(spec);
}

static int
set_config(PyConfig *config, const char *program, struct hb_error *err)
{
	wchar_t *argv[] = {(wchar_t[]){L"hornbeamd"}};
	PyStatus status;

	config->parse_argv = 0;
	config->install_signal_handlers = 0;
	config->faulthandler = 1;
	config->buffered_stdio = 0; /* what print() writes is seen at once */
	config->pathconfig_warnings = 0;
	status = PyConfig_SetBytesString(config, &config->program_name, program);
	if (!PyStatus_Exception(status))
		status = PyConfig_SetArgv(config, 1, argv);
	if (!PyStatus_Exception(status))
		status = Py_InitializeFromConfig(config);
	if (PyStatus_Exception(status))
		return hb_error_set(err, HB_ERROR_SYSTEM, "worker: Python does not start: %s",
		    status.err_msg != NULL ? status.err_msg : "unknown cause");
	return 0;
}

static int
initialise(const char *program, struct hb_error *err)
{
	PyConfig config;
	int rc;

	if (PyImport_AppendInittab("_hornbeam_loop", hb_aio_module) == -1)
		return hb_error_set(err, HB_ERROR_SYSTEM, "worker: Python does not start: out of memory");
	PyConfig_InitPythonConfig(&config);
	rc = set_config(&config, program, err);
	PyConfig_Clear(&config);
	return rc;
}

/* In front of what site.py has made, in their order. */
static int
set_path(const struct hb_py_options *o)
{
	PyObject *path = PySys_GetObject("path"), *dir;
	int rc = 0;

	if (path == NULL || !PyList_Check(path)) {
		PyErr_SetString(PyExc_RuntimeError, "no sys.path");
		return -1;
	}
	for (size_t i = 0; i < o->path_count && rc == 0; i++) {
		dir = PyUnicode_DecodeFSDefault(o->path[i]);
		rc = dir != NULL ? PyList_Insert(path, (Py_ssize_t)i, dir) : -1;
		Py_XDECREF(dir);
	}
	if (rc == 0 && o->module_dir != NULL) {
		dir = PyUnicode_DecodeFSDefault(o->module_dir);
		rc = dir != NULL ? PyList_Append(path, dir) : -1;
		Py_XDECREF(dir);
	}
	return rc;
}

/* For an error that has to do with it. */
static char *
path_text(const struct hb_py_options *o)
{
	char *text = hb_xstrdup(o->path_count > 0 ? "python.path is " : "python.path is empty");

	for (size_t i = 0; i < o->path_count; i++) {
		char *longer = hb_xasprintf("%s%s%s", text, i > 0 ? ":" : "", o->path[i]);

		free(text);
		text = longer;
	}
	return text;
}

static PyObject *
at_fork(PyObject *capsule, enum hb_py_fork moment)
{
	struct hb_py *py = PyCapsule_GetPointer(capsule, "hornbeam.py");

	if (py == NULL)
		return NULL;
	py->server->fork(py->server->arg, moment);
	if (moment == HB_PY_FORK_CHILD) {
		hb_py_stacks_forked(py->stacks);
		hb_py_loop_forked(py);
	}
	Py_RETURN_NONE;
}

static PyObject *
before_fork(PyObject *capsule, PyObject *unused)
{
	return at_fork(capsule, HB_PY_FORK_BEFORE);
}

static PyObject *
after_fork_in_parent(PyObject *capsule, PyObject *unused)
{
	return at_fork(capsule, HB_PY_FORK_PARENT);
}

static PyObject *
after_fork_in_child(PyObject *capsule, PyObject *unused)
{
	return at_fork(capsule, HB_PY_FORK_CHILD);
}

static PyMethodDef fork_defs[] = {
	{"before", before_fork, METH_NOARGS, NULL},
	{"after_in_parent", after_fork_in_parent, METH_NOARGS, NULL},
	{"after_in_child", after_fork_in_child, METH_NOARGS, NULL},
};

/* os.register_at_fork(before=..., after_in_parent=..., after_in_child=...) */
static int
watch_forks(struct hb_py *py)
{
	PyObject *capsule = NULL, *module = NULL, *hook = NULL, *args = NULL, *kwargs = NULL, *done = NULL;
	bool complete = true;

	capsule = PyCapsule_New(py, "hornbeam.py", NULL);
	module = PyImport_ImportModule("os");
	if (module != NULL)
		hook = PyObject_GetAttrString(module, "register_at_fork");
	args = PyTuple_New(0);
	kwargs = PyDict_New();
	for (size_t i = 0; i < sizeof fork_defs / sizeof *fork_defs && complete; i++) {
		PyObject *function = capsule != NULL ? PyCFunction_New(&fork_defs[i], capsule) : NULL;

		complete = function != NULL && kwargs != NULL &&
		    PyDict_SetItemString(kwargs, fork_defs[i].ml_name, function) == 0;
		Py_XDECREF(function);
	}
	if (complete && hook != NULL && args != NULL)
		done = PyObject_Call(hook, args, kwargs);
	Py_XDECREF(capsule);
	Py_XDECREF(module);
	Py_XDECREF(hook);
	Py_XDECREF(args);
	Py_XDECREF(kwargs);
	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

/* hornbeam_erlang reads this when it is first used: inside a worker it needs no detour by the master. */
static int
set_link(const char *path)
{
	PyObject *text;
	int rc;

	if (path == NULL)
		return 0;
	text = PyUnicode_DecodeFSDefault(path);
	rc = text != NULL ? PySys_SetObject("_hornbeam_link", text) : -1;
	Py_XDECREF(text);
	return rc;
}

static int
set_waiting(const struct hb_py_waiting *waiting)
{
	PyObject *capsule = PyCapsule_New((void *)(uintptr_t)waiting, HB_PY_WAITING, NULL);
	int rc = capsule != NULL ? PySys_SetObject(HB_PY_WAITING, capsule) : -1;

	Py_XDECREF(capsule);
	return rc;
}

struct hb_py *
hb_py_start(const struct hb_py_options *o, struct hb_error *err)
{
	char *program = o->venv != NULL ? hb_py_venv_program(o->venv, HB_PYTHON_VERSION, err)
	                                : hb_xstrdup(HB_PYTHON);
	struct hb_py *py;

	if (program == NULL)
		return NULL;
	if (initialise(program, err) == -1) {
		free(program);
		return NULL;
	}
	free(program);
	py = hb_xcalloc(1, sizeof *py);
	py->server = o->server;
	py->path_is = path_text(o);
	py->venv_is = o->venv != NULL ? hb_xasprintf("python.venv is %s", o->venv) : hb_xstrdup("python.venv is not set");
	py->stacks = hb_py_stacks_new();
	py->multiprocess = o->multiprocess;
	py->multithread = o->multithread;
	py->lifespan = o->lifespan;
	py->lifespan_timeout = o->lifespan_timeout;
	if (hb_py_names_init(&py->names) == -1 || hb_py_input_init(py) == -1 || hb_py_errors_init(py) == -1 ||
	    hb_py_wrapper_init(py) == -1 || hb_py_call_init(py) == -1 || set_path(o) == -1 ||
	    set_link(o->link_path) == -1 || set_waiting(o->waiting) == -1 ||
	    hb_py_current_init(py, o->pubsub_queue) == -1 || watch_forks(py) == -1 || hb_py_loop_init(py) == -1) {
		hb_py_take_exception(err, HB_ERROR_SYSTEM, "worker: Python does not start");
		hb_py_stop(py);
		return NULL;
	}
	return py;
}

void
hb_py_stop(struct hb_py *py)
{
	if (py == NULL)
		return;
	hb_py_asgi_clear(py);
	hb_py_current_clear(py);
	hb_py_stacks_free(py->stacks);
	Py_CLEAR(py->spare_input);
	Py_CLEAR(py->spare_call);
	Py_CLEAR(py->errors);
	Py_CLEAR(py->context);
	Py_CLEAR(py->format);
	Py_CLEAR(py->decode);
	hb_py_names_clear(&py->names);
	Py_CLEAR(py->input_type);
	Py_CLEAR(py->errors_type);
	Py_CLEAR(py->wrapper_type);
	for (size_t i = 0; i < 3; i++)
		Py_CLEAR(py->file_types[i]);
	Py_CLEAR(py->call_type);
	Py_FinalizeEx();
	free(py->path_is);
	free(py->venv_is);
	free(py);
}

/* A full collection would look at every module, class and route again: milliseconds in which nobody is answered. */
void
hb_py_settle(struct hb_py *py)
{
	PyObject *gc = PyImport_ImportModule("gc"), *freed, *frozen = NULL;

	freed = gc != NULL ? PyObject_CallMethod(gc, "collect", NULL) : NULL;
	if (freed != NULL)
		frozen = PyObject_CallMethod(gc, "freeze", NULL);
	if (frozen == NULL)
		hb_py_log_exception(py, "gc.freeze()");
	Py_XDECREF(gc);
	Py_XDECREF(freed);
	Py_XDECREF(frozen);
}

void
hb_py_enter(struct hb_py *py)
{
	PyEval_RestoreThread(py->left);
}

void
hb_py_leave(struct hb_py *py)
{
	py->left = PyEval_SaveThread();
}
