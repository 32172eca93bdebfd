/* The timers of the loop: the heap of asyncio's _scheduled, kept in the order of heapq. */
#include <math.h>

#include "py/aio.h"

enum { MANY_TIMERS = 100 }; /* with half of them cancelled these are cleaned up, as in asyncio */

double
hb_aio_time(void)
{
	/* as time.monotonic() computes it */
	return (double)hb_selector_now() / 1e9;
}

static PyObject *
item(const struct hb_aio_core *core, Py_ssize_t i)
{
	return PyList_GET_ITEM(core->scheduled, i);
}

static double
when_of(const struct hb_aio_core *core, PyObject *timer)
{
	PyObject *when = HB_AIO_SLOT(timer, core->aio->at.when);
	double seconds = PyFloat_CheckExact(when) ? PyFloat_AS_DOUBLE(when) : PyFloat_AsDouble(when);

	if (seconds == -1.0) /* made in debug mode, by asyncio's constructor, with no number */
		PyErr_Clear();
	return seconds;
}

static void
put(struct hb_aio_core *core, Py_ssize_t i, PyObject *timer)
{
	PyList_SET_ITEM(core->scheduled, i, timer);
}

static void
sift_up(struct hb_aio_core *core, Py_ssize_t i)
{
	PyObject *timer = item(core, i), *parent;
	double when = when_of(core, timer);

	for (; i > 0; i = (i - 1) / 2) {
		parent = item(core, (i - 1) / 2);
		if (when >= when_of(core, parent))
			break;
		put(core, i, parent);
	}
	put(core, i, timer);
}

static void
sift_down(struct hb_aio_core *core, Py_ssize_t i)
{
	Py_ssize_t n = PyList_GET_SIZE(core->scheduled), child;
	PyObject *timer = item(core, i);
	double when = when_of(core, timer);

	for (; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && when_of(core, item(core, child + 1)) < when_of(core, item(core, child)))
			child++;
		if (when <= when_of(core, item(core, child)))
			break;
		put(core, i, item(core, child));
	}
	put(core, i, timer);
}

static void
set_scheduled(const struct hb_aio_core *core, PyObject *timer, PyObject *flag)
{
	Py_XSETREF(HB_AIO_SLOT(timer, core->aio->at.scheduled), Py_NewRef(flag));
}

int
hb_aio_timers_push(struct hb_aio_core *core, PyObject *timer)
{
	if (PyList_Append(core->scheduled, timer) == -1)
		return -1;
	sift_up(core, PyList_GET_SIZE(core->scheduled) - 1);
	set_scheduled(core, timer, Py_True);
	return 0;
}

/* The first timer, owned by the caller, or NULL where memory is out. */
static PyObject *
pop(struct hb_aio_core *core)
{
	Py_ssize_t last = PyList_GET_SIZE(core->scheduled) - 1;
	PyObject *first = item(core, 0);

	put(core, 0, item(core, last));
	put(core, last, first);
	Py_INCREF(first);
	if (PyList_SetSlice(core->scheduled, last, last + 1, NULL) == -1) {
		Py_DECREF(first);
		return NULL;
	}
	if (last > 0)
		sift_down(core, 0);
	set_scheduled(core, first, Py_False);
	return first;
}

static int
clean_up(struct hb_aio_core *core)
{
	PyObject *kept = PyList_New(0), *before = core->scheduled, *timer;

	if (kept == NULL)
		return -1;
	for (Py_ssize_t i = 0; i < PyList_GET_SIZE(core->scheduled); i++) {
		timer = item(core, i);
		if (hb_aio_handle_cancelled(core->aio, timer))
			set_scheduled(core, timer, Py_False);
		else if (PyList_Append(kept, timer) == -1) {
			Py_DECREF(kept);
			return -1;
		}
	}
	core->scheduled = kept;
	for (Py_ssize_t i = PyList_GET_SIZE(kept) / 2 - 1; i >= 0; i--)
		sift_down(core, i);
	core->timers_cancelled = 0;
	Py_DECREF(before);
	return 0;
}

int
hb_aio_timers_first(struct hb_aio_core *core, double *when)
{
	Py_ssize_t n = PyList_GET_SIZE(core->scheduled);
	PyObject *timer;

	*when = INFINITY;
	if (n == 0)
		return 0;
	if (n > MANY_TIMERS && core->timers_cancelled > n / 2 && clean_up(core) == -1)
		return -1;
	while (PyList_GET_SIZE(core->scheduled) > 0 && hb_aio_handle_cancelled(core->aio, item(core, 0))) {
		core->timers_cancelled--;
		timer = pop(core);
		if (timer == NULL)
			return -1;
		Py_DECREF(timer);
	}
	if (PyList_GET_SIZE(core->scheduled) > 0)
		*when = when_of(core, item(core, 0));
	return 0;
}

int
hb_aio_timers_run(struct hb_aio_core *core, double end)
{
	PyObject *timer;

	while (PyList_GET_SIZE(core->scheduled) > 0 && when_of(core, item(core, 0)) < end) {
		timer = pop(core);
		if (timer == NULL || hb_aio_ready(core, timer) == -1) {
			Py_XDECREF(timer);
			return -1;
		}
		Py_DECREF(timer);
	}
	return 0;
}
