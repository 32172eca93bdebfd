/* Holds the place of the asyncio loop until it is here; whoever brings it removes this. */
#include "py/errors.h"
#include "py/loop.h"

static const struct hb_py_loop_hooks *hooks;
static struct hb_py *the_py;
static bool stopped;

static PyObject *
turn(PyObject *self, PyObject *arg)
{
	long us = PyLong_AsLong(arg);

	Py_BEGIN_ALLOW_THREADS
	hooks->wait(hooks->arg, us);
	Py_END_ALLOW_THREADS
	hooks->work(hooks->arg);
	return PyBool_FromLong(!stopped);
}

static PyObject *
ready(PyObject *self, PyObject *arg)
{
	hooks->ready(hooks->arg);
	Py_RETURN_NONE;
}

static PyMethodDef turn_def = {"turn", turn, METH_O, NULL};
static PyMethodDef ready_def = {"ready", ready, METH_NOARGS, NULL};

static const char source[] =
    "import asyncio, selectors\n"
    "class S(selectors.EpollSelector):\n"
    "    on = False\n"
    "    def select(self, timeout=None):\n"
    "        if not self.on:\n"
    "            return super().select(timeout)\n"
    "        us = 2000 if timeout is None else min(2000, int(timeout * 1000000))\n"
    "        if not turn(max(us, 0)):\n"
    "            done.set()\n"
    "        return super().select(0)\n"
    "async def main():\n"
    "    global done\n"
    "    done = asyncio.Event()\n"
    "    ready()\n"
    "    s.on = True\n"
    "    await done.wait()\n"
    "    s.on = False\n"
    "s = S()\n"
    "loop = asyncio.SelectorEventLoop(s)\n"
    "asyncio.set_event_loop(loop)\n"
    "loop.run_until_complete(main())\n";

int
hb_py_loop_run(struct hb_py *py, struct event_base *base, const struct hb_py_loop_hooks *h, struct hb_error *err)
{
	PyObject *d = PyDict_New(), *r;

	hooks = h;
	the_py = py;
	PyDict_SetItemString(d, "turn", PyCFunction_New(&turn_def, NULL));
	PyDict_SetItemString(d, "ready", PyCFunction_New(&ready_def, NULL));
	PyDict_SetItemString(d, "__builtins__", PyEval_GetBuiltins());
	r = PyRun_String(source, Py_file_input, d, d);
	if (r == NULL) {
		hb_py_log_exception(py, "loop");
		return hb_error_set(err, HB_ERROR_SYSTEM, "worker: no asyncio loop yet");
	}
	return 0;
}

void
hb_py_loop_stop(struct hb_py *py)
{
	stopped = true;
}

PyObject *
hb_py_loop_task(struct hb_py *py, PyObject *coro)
{
	PyObject *m = PyImport_ImportModule("asyncio");
	PyObject *loop = PyObject_CallMethod(m, "get_running_loop", NULL);
	PyObject *t = PyObject_CallMethod(loop, "create_task", "O", coro);

	Py_DECREF(m);
	Py_DECREF(loop);
	return t;
}
