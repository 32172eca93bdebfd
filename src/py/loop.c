/*
 * The worker's asyncio loop: made on the server's event base, and run around
 * a main task, under which anyio's worker threads and task groups find their root.
 */
#include "py/loop.h"


#include "common/log.h"
#include "py/aio.h"
#include "py/errors.h"
#include "py/watch.h"

struct hb_py_loop {
	PyObject *selector;
	PyObject *loop;
	PyObject *stopped; /* a future: hb_py_loop_stop was called */
	struct hb_py_loop_hooks hooks;
	bool stopping;
};

PyObject *
hb_py_loop(struct hb_py *py)
{
	return py->loop != NULL ? py->loop->loop : NULL;
}

PyObject *
hb_py_loop_task(struct hb_py *py, PyObject *coro)
{
	return hb_aio_start((struct hb_aio_core *)py->loop->loop, coro);
}

PyObject *
hb_py_loop_future(struct hb_py *py)
{
	return hb_aio_future((struct hb_aio_core *)py->loop->loop);
}

static struct hb_py *
py_of(PyObject *capsule)
{
	return PyCapsule_GetPointer(capsule, "hornbeam.py");
}

static PyObject *
main_start(PyObject *capsule, PyObject *unused)
{
	return hb_py_lifespan_start(py_of(capsule));
}

static PyObject *
main_ready(PyObject *capsule, PyObject *unused)
{
	struct hb_py_loop *l = py_of(capsule)->loop;

	if (l->hooks.ready != NULL)
		l->hooks.ready(l->hooks.arg);
	Py_RETURN_NONE;
}

static PyObject *
main_stop(PyObject *capsule, PyObject *unused)
{
	return hb_py_lifespan_stop(py_of(capsule));
}

static PyMethodDef start_def = {"start", main_start, METH_NOARGS, NULL};
static PyMethodDef ready_def = {"ready", main_ready, METH_NOARGS, NULL};
static PyMethodDef stop_def = {"stop", main_stop, METH_NOARGS, NULL};

static void
set_mark(struct hb_py_loop *l, struct hb_py_watch_mark *mark)
{
	if (l->loop != NULL)
		((struct hb_aio_core *)l->loop)->mark = mark;
	if (l->selector != NULL)
		((struct hb_selector *)l->selector)->mark = mark;
}

/* Where asyncio is imported first, by an application or by us, the policy follows. */
static const char hook[] =
	"import sys\n"
	"import _frozen_importlib\n"
	"class Finder:\n"
	"    @classmethod\n"
	"    def find_spec(cls, name, path=None, target=None):\n"
	"        if name != 'asyncio':\n"
	"            return None\n"
	"        sys.meta_path.remove(cls)\n"
	"        spec = _frozen_importlib._find_spec(name, path, target)\n"
	"        if spec is not None:\n"
	"            exec_module = spec.loader.exec_module\n"
	"            def exec_and_set(module):\n"
	"                exec_module(module)\n"
	"                from _hornbeam_loop import WorkerPolicy\n"
	"                module.set_event_loop_policy(WorkerPolicy())\n"
	"            spec.loader.exec_module = exec_and_set\n"
	"        return spec\n"
	"sys.meta_path.insert(0, Finder)\n";

int
hb_py_loop_init(struct hb_py *py)
{
	PyObject *globals = Py_BuildValue("{sO}", "__builtins__", PyEval_GetBuiltins()), *done = NULL;

	if (globals != NULL)
		done = PyRun_String(hook, Py_file_input, globals, globals);
	Py_XDECREF(globals);
	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

/* What libevent says of a descriptor that cannot be watched is in the application's exception. */
static void
on_libevent_log(int severity, const char *text)
{
	hb_debug("worker: libevent: %s", text);
}

static int
open_loop(struct hb_py_loop *l, PyObject *module, struct event_base *base)
{
	struct hb_selector *selector;

	l->loop = PyObject_CallMethod(module, "get_worker_loop", NULL);
	l->selector = l->loop != NULL ? PyObject_GetAttrString(l->loop, "_selector") : NULL;
	if (l->selector == NULL)
		return -1;
	selector = (struct hb_selector *)l->selector;
	if (hb_selector_borrow(selector, base) == -1)
		return -1;
	selector->hooks = l->hooks;
	((struct hb_aio_core *)l->loop)->serving = true;
	l->stopped = hb_aio_future((struct hb_aio_core *)l->loop);
	return l->stopped != NULL ? 0 : -1;
}

static int
serve(struct hb_py *py, PyObject *module)
{
	PyObject *capsule = PyCapsule_New(py, "hornbeam.py", NULL), *start = NULL, *ready = NULL, *stop = NULL,
	         *done = NULL;

	if (capsule != NULL) {
		start = PyCFunction_New(&start_def, capsule);
		ready = PyCFunction_New(&ready_def, capsule);
		stop = PyCFunction_New(&stop_def, capsule);
	}
	if (start != NULL && ready != NULL && stop != NULL)
		done = PyObject_CallMethod(module, "serve", "OOOOO", py->loop->loop, start, ready, py->loop->stopped, stop);
	Py_XDECREF(capsule);
	Py_XDECREF(start);
	Py_XDECREF(ready);
	Py_XDECREF(stop);
	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

int
hb_py_loop_run(struct hb_py *py, struct event_base *base, const struct hb_py_loop_hooks *hooks, struct hb_error *err)
{
	struct hb_py_loop l = {.hooks = *hooks};
	PyObject *module = PyImport_ImportModule("_hornbeam_loop");
	int rc = -1;

	event_set_log_callback(on_libevent_log);
	py->loop = &l;
	py->watch = hb_py_watch_new(py->stacks);
	if (module != NULL && open_loop(&l, module, base) == 0) {
		set_mark(&l, hb_py_watch_mark(py->watch));
		rc = serve(py, module);
	}
	if (rc == -1)
		hb_py_take_exception(err, HB_ERROR_APPLICATION, "worker");
	py->loop = NULL;
	set_mark(&l, NULL);
	hb_py_watch_free(py->watch);
	py->watch = NULL;
	Py_XDECREF(l.selector);
	Py_XDECREF(l.loop);
	Py_XDECREF(l.stopped);
	Py_XDECREF(module);
	return rc;
}

void
hb_py_loop_forked(struct hb_py *py)
{
	hb_py_watch_forked(py->watch);
	if (py->loop != NULL && py->loop->selector != NULL)
		((struct hb_selector *)py->loop->selector)->forked = true;
}

int
hb_py_loop_fd(const struct hb_py *py)
{
	return ((struct hb_selector *)py->loop->selector)->timer_fd;
}

void
hb_py_loop_stop(struct hb_py *py)
{
	PyObject *done;

	if (py->loop == NULL || py->loop->stopping)
		return;
	py->loop->stopping = true;
	done = PyObject_CallMethod(py->loop->stopped, "set_result", "O", Py_None);
	if (done == NULL)
		PyErr_Clear();
	Py_XDECREF(done);
}
