/*
 * The selector's part in C: watches, the wait and the timer.  The timer is a
 * timerfd, exact, and set only when the next deadline comes nearer: a loop
 * whose deadlines are far away pays nothing for them, and the base needs no
 * precise timers.
 */
#include "py/selector.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "py/aio.h"
#include "py/watch.h"

enum { WATCHES_AT_FIRST = 64 };

static void
note(struct hb_watch *w, unsigned ready)
{
	if (w->ready == 0)
		TAILQ_INSERT_TAIL(&w->selector->active, w, active);
	w->ready |= ready;
}

static void
on_readable(int fd, short what, void *arg)
{
	note(arg, HB_SELECT_READ);
}

static void
on_writable(int fd, short what, void *arg)
{
	note(arg, HB_SELECT_WRITE);
}

/* Edge-triggered: the count is never read, the next setting starts anew. */
static void
on_timer(int fd, short what, void *arg)
{
	struct hb_selector *s = arg;

	s->timer_at = 0;
}

int64_t
hb_selector_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t
hb_selector_nanoseconds(double seconds)
{
	int64_t whole = (int64_t)(seconds * 1e9);

	return (double)whole < seconds * 1e9 ? whole + 1 : whole;
}

static void
set_timer(struct hb_selector *s, int64_t deadline)
{
	struct itimerspec at = {.it_value = {deadline / 1000000000, deadline % 1000000000}};

	if (s->timer_at != 0 && s->timer_at <= deadline)
		return;
	if (timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) == 0)
		s->timer_at = deadline;
}

static void
wait_alone(struct hb_selector *s, bool block)
{
	event_base_loop(s->base, EVLOOP_ONCE | (block ? 0 : EVLOOP_NONBLOCK));
}

int
hb_selector_wait(struct hb_selector *s, int64_t deadline)
{
	bool block = deadline != HB_SELECT_POLL;
	PyThreadState *left;

	if (deadline != HB_SELECT_POLL && deadline != HB_SELECT_FOREVER)
		set_timer(s, deadline);
	hb_py_watch_sleep(s->mark);
	s->waiting = true;
	left = PyEval_SaveThread();
	if (s->hooks.wait != NULL)
		s->hooks.wait(s->hooks.arg, block);
	else
		wait_alone(s, block);
	PyEval_RestoreThread(left);
	s->waiting = false;
	hb_py_watch_begin(s->mark);
	/* A loop that the application runs inside a request only waits. */
	if (s->hooks.work != NULL && !s->working) {
		s->working = true;
		s->hooks.work(s->hooks.arg);
		s->working = false;
	}
	return 0;
}

struct hb_watch *
hb_selector_next(struct hb_selector *s, unsigned *mask)
{
	struct hb_watch *w = TAILQ_FIRST(&s->active);

	if (w == NULL)
		return NULL;
	TAILQ_REMOVE(&s->active, w, active);
	*mask = w->ready;
	w->ready = 0;
	return w;
}

int
hb_selector_fd(struct hb_selector *s, PyObject *fileobj)
{
	PyObject *number, *given;
	long fd;

	if (PyLong_Check(fileobj))
		number = Py_NewRef(fileobj);
	else {
		given = PyObject_CallMethodNoArgs(fileobj, s->aio->fileno);
		number = given != NULL ? PyNumber_Long(given) : NULL;
		Py_XDECREF(given);
	}
	if (number == NULL) {
		if (PyErr_ExceptionMatches(PyExc_AttributeError) || PyErr_ExceptionMatches(PyExc_TypeError) ||
		    PyErr_ExceptionMatches(PyExc_ValueError))
			PyErr_Format(PyExc_ValueError, "Invalid file object: %R", fileobj);
		return -1;
	}
	fd = PyLong_AsLong(number);
	Py_DECREF(number);
	if (fd == -1 && PyErr_Occurred())
		return -1;
	if (fd < 0 || fd > INT_MAX) {
		PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %ld", fd);
		return -1;
	}
	return (int)fd;
}

struct hb_watch *
hb_selector_find(const struct hb_selector *s, int fd)
{
	return (size_t)fd < s->size ? s->watches[fd] : NULL;
}

/* The base has no lock: while the loop waits only its own thread could use it, and that one waits. */
static int
check_usable(const struct hb_selector *s)
{
	if (s->closed)
		PyErr_SetString(PyExc_RuntimeError, "the selector is closed");
	else if (s->waiting)
		PyErr_SetString(PyExc_RuntimeError,
		    "not thread-safe: the event loop waits in another thread (use call_soon_threadsafe)");
	else
		return 0;
	return -1;
}

static int
grow(struct hb_selector *s, int fd)
{
	size_t size = s->size != 0 ? s->size : WATCHES_AT_FIRST;
	struct hb_watch **watches;

	while (size <= (size_t)fd)
		size *= 2;
	if (size == s->size)
		return 0;
	watches = PyMem_Realloc(s->watches, size * sizeof *watches);
	if (watches == NULL) {
		PyErr_NoMemory();
		return -1;
	}
	for (size_t i = s->size; i < size; i++)
		watches[i] = NULL;
	s->watches = watches;
	s->size = size;
	return 0;
}

static void
assign(struct hb_watch *w, struct event_base *base)
{
	event_assign(&w->in, base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	event_assign(&w->out, base, w->fd, EV_WRITE | EV_PERSIST, on_writable, w);
}

struct hb_watch *
hb_selector_add(struct hb_selector *s, PyObject *fileobj, int fd)
{
	struct hb_watch *w;

	if (check_usable(s) == -1 || grow(s, fd) == -1)
		return NULL;
	w = PyMem_Calloc(1, sizeof *w);
	if (w == NULL) {
		PyErr_NoMemory();
		return NULL;
	}
	w->selector = s;
	w->fd = fd;
	w->fileobj = Py_NewRef(fileobj);
	assign(w, s->base);
	s->watches[fd] = w;
	s->count++;
	return w;
}

static int
set_one(struct hb_watch *w, struct event *ev, unsigned bit, unsigned events)
{
	if ((w->events & bit) == (events & bit) || w->selector->forked)
		return 0;
	if ((events & bit) == 0) {
		w->ready &= ~bit;
		return event_del(ev);
	}
	return event_add(ev, NULL);
}

int
hb_selector_set(struct hb_watch *w, unsigned events)
{
	struct hb_selector *s = w->selector;
	bool queued = w->ready != 0;

	if (check_usable(s) == -1)
		return -1;
	errno = 0;
	if (set_one(w, &w->in, HB_SELECT_READ, events) == -1 || set_one(w, &w->out, HB_SELECT_WRITE, events) == -1) {
		if (errno == 0)
			errno = EINVAL;
		PyErr_SetFromErrno(PyExc_OSError);
		return -1;
	}
	if (queued && w->ready == 0)
		TAILQ_REMOVE(&s->active, w, active);
	w->events = events;
	return 0;
}

static void
drop(struct hb_watch *w)
{
	struct hb_selector *s = w->selector;

	if (!s->forked) {
		event_del(&w->in);
		event_del(&w->out);
	}
	if (w->ready != 0)
		TAILQ_REMOVE(&s->active, w, active);
	s->watches[w->fd] = NULL;
	s->count--;
	Py_XDECREF(w->fileobj);
	Py_XDECREF(w->data);
	Py_XDECREF(w->reader);
	Py_XDECREF(w->writer);
	PyMem_Free(w);
}

int
hb_selector_remove(struct hb_watch *w)
{
	if (check_usable(w->selector) == -1)
		return -1;
	drop(w);
	return 0;
}

static void
on_signal(int number, short what, void *arg)
{
	const struct hb_signal *signal = arg;
	unsigned char byte = (unsigned char)number;

	(void)send(signal->fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
end_signal(struct hb_selector *s, int number)
{
	struct hb_signal **at = &s->signals, *signal;

	while ((signal = *at) != NULL)
		if (signal->number == number || number == 0) {
			*at = signal->next;
			if (!s->forked)
				event_del(&signal->event);
			PyMem_Free(signal);
		} else
			at = &signal->next;
}

/* watch_signal(number, fd) */
static PyObject *
selector_watch_signal(PyObject *self, PyObject *args)
{
	struct hb_selector *s = (struct hb_selector *)self;
	struct hb_signal *signal;
	int number, fd;

	if (!PyArg_ParseTuple(args, "ii", &number, &fd) || check_usable(s) == -1)
		return NULL;
	end_signal(s, number);
	signal = PyMem_Calloc(1, sizeof *signal);
	if (signal == NULL)
		return PyErr_NoMemory();
	signal->number = number;
	signal->fd = fd;
	evsignal_assign(&signal->event, s->base, number, on_signal, signal);
	if (event_add(&signal->event, NULL) == -1) {
		PyMem_Free(signal);
		return PyErr_SetFromErrno(PyExc_OSError);
	}
	signal->next = s->signals;
	s->signals = signal;
	Py_RETURN_NONE;
}

static PyObject *
selector_end_signal(PyObject *self, PyObject *number)
{
	struct hb_selector *s = (struct hb_selector *)self;
	long n = PyLong_AsLong(number);

	if ((n == -1 && PyErr_Occurred()) || check_usable(s) == -1)
		return NULL;
	end_signal(s, (int)n);
	Py_RETURN_NONE;
}

static int
open_base(struct hb_selector *s)
{
	struct event_config *config = event_config_new();

	if (config != NULL) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		s->base = event_base_new_with_config(config);
		event_config_free(config);
	}
	s->own_base = true;
	return s->base != NULL ? 0 : -1;
}

static int
add_timer(struct hb_selector *s)
{
	event_assign(&s->timer, s->base, s->timer_fd, EV_READ | EV_PERSIST | EV_ET, on_timer, s);
	return event_add(&s->timer, NULL);
}

static void
close_all(struct hb_selector *s)
{
	if (s->closed)
		return;
	for (size_t i = 0; i < s->size; i++)
		if (s->watches[i] != NULL)
			drop(s->watches[i]);
	end_signal(s, 0);
	s->closed = true;
	PyMem_Free(s->watches);
	s->watches = NULL;
	s->size = 0;
	if (s->base != NULL && !s->forked)
		event_del(&s->timer);
	if (s->base != NULL && s->own_base)
		event_base_free(s->base);
	s->base = NULL;
	if (s->timer_fd != -1)
		close(s->timer_fd);
	s->timer_fd = -1;
}

static PyObject *
selector_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
	struct hb_selector *s = (struct hb_selector *)type->tp_alloc(type, 0);

	if (s == NULL)
		return NULL;
	TAILQ_INIT(&s->active);
	s->timer_fd = -1;
	s->aio = hb_aio_of(type);
	if (s->aio == NULL)
		goto fail;
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->timer_fd == -1 || open_base(s) == -1 || add_timer(s) == -1) {
		PyErr_SetFromErrno(PyExc_OSError);
		goto fail;
	}
	return (PyObject *)s;

fail:
	Py_DECREF(s);
	return NULL;
}

static int
move_watch(struct hb_watch *w, struct event_base *base)
{
	unsigned events = w->events;

	event_del(&w->in);
	event_del(&w->out);
	assign(w, base);
	w->events = 0;
	return hb_selector_set(w, events);
}

int
hb_selector_borrow(struct hb_selector *s, struct event_base *base)
{
	event_del(&s->timer);
	end_signal(s, 0);
	for (size_t i = 0; i < s->size; i++)
		if (s->watches[i] != NULL && move_watch(s->watches[i], base) == -1)
			return -1;
	event_base_free(s->base);
	s->base = base;
	s->own_base = false;
	s->timer_at = 0;
	if (add_timer(s) == 0)
		return 0;
	PyErr_SetString(PyExc_OSError, "the event base does not take a timer");
	return -1;
}

static int
selector_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct hb_selector *s = (struct hb_selector *)self;

	Py_VISIT(Py_TYPE(self));
	for (size_t i = 0; i < s->size; i++)
		if (s->watches[i] != NULL) {
			Py_VISIT(s->watches[i]->fileobj);
			Py_VISIT(s->watches[i]->data);
			Py_VISIT(s->watches[i]->reader);
			Py_VISIT(s->watches[i]->writer);
		}
	return 0;
}

/* The watches stay watched: only what they hold of Python's goes. */
static int
selector_clear(PyObject *self)
{
	struct hb_selector *s = (struct hb_selector *)self;

	for (size_t i = 0; i < s->size; i++)
		if (s->watches[i] != NULL) {
			Py_CLEAR(s->watches[i]->fileobj);
			Py_CLEAR(s->watches[i]->data);
			Py_CLEAR(s->watches[i]->reader);
			Py_CLEAR(s->watches[i]->writer);
		}
	return 0;
}

static void
selector_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	close_all((struct hb_selector *)self);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyObject *
or_none(PyObject *object)
{
	return object != NULL ? object : Py_None;
}

static PyObject *
make_key(struct hb_watch *w)
{
	PyObject *data = w->data != NULL ? Py_NewRef(w->data)
	                                 : PyTuple_Pack(2, or_none(w->reader), or_none(w->writer));
	PyObject *key;

	if (data == NULL)
		return NULL;
	key = PyObject_CallFunction(w->selector->aio->selector_key, "OiIO", or_none(w->fileobj), w->fd, w->events, data);
	Py_DECREF(data);
	return key;
}

/* A file object that is closed by now is found by itself, as in the standard library. */
static struct hb_watch *
look_up(struct hb_selector *s, PyObject *fileobj)
{
	PyObject *type, *value, *tb;
	int fd = hb_selector_fd(s, fileobj);
	struct hb_watch *w;

	if (fd != -1) {
		w = hb_selector_find(s, fd);
		if (w == NULL)
			PyErr_Format(PyExc_KeyError, "%R is not registered", fileobj);
		return w;
	}
	PyErr_Fetch(&type, &value, &tb);
	for (size_t i = 0; i < s->size; i++)
		if (s->watches[i] != NULL && s->watches[i]->fileobj == fileobj) {
			Py_XDECREF(type);
			Py_XDECREF(value);
			Py_XDECREF(tb);
			return s->watches[i];
		}
	PyErr_Restore(type, value, tb);
	return NULL;
}

static int
get_events(PyObject *object, unsigned *events)
{
	long n = PyLong_AsLong(object);

	if (n == -1 && PyErr_Occurred())
		return -1;
	if (n <= 0 || (n & ~(HB_SELECT_READ | HB_SELECT_WRITE)) != 0) {
		PyErr_Format(PyExc_ValueError, "Invalid events: %R", object);
		return -1;
	}
	*events = (unsigned)n;
	return 0;
}

static char *key_names[] = {(char[]){"fileobj"}, (char[]){"events"}, (char[]){"data"}, NULL};

static PyObject *
selector_register(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct hb_selector *s = (struct hb_selector *)self;
	PyObject *fileobj, *mask, *data = Py_None, *key;
	struct hb_watch *w;
	unsigned events;
	int fd;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O", key_names, &fileobj, &mask, &data) ||
	    get_events(mask, &events) == -1 || (fd = hb_selector_fd(s, fileobj)) == -1)
		return NULL;
	if (hb_selector_find(s, fd) != NULL) {
		PyErr_Format(PyExc_KeyError, "%R (FD %d) is already registered", fileobj, fd);
		return NULL;
	}
	w = hb_selector_add(s, fileobj, fd);
	if (w == NULL)
		return NULL;
	w->data = Py_NewRef(data);
	if (hb_selector_set(w, events) == -1) {
		drop(w);
		return NULL;
	}
	key = make_key(w);
	if (key == NULL)
		drop(w);
	return key;
}

static PyObject *
selector_modify(PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *fileobj, *mask, *data = Py_None;
	struct hb_watch *w;
	unsigned events;

	if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O", key_names, &fileobj, &mask, &data) ||
	    get_events(mask, &events) == -1 || (w = look_up((struct hb_selector *)self, fileobj)) == NULL ||
	    hb_selector_set(w, events) == -1)
		return NULL;
	Py_XSETREF(w->data, Py_NewRef(data));
	return make_key(w);
}

static PyObject *
selector_unregister(PyObject *self, PyObject *fileobj)
{
	struct hb_watch *w = look_up((struct hb_selector *)self, fileobj);
	PyObject *key = w != NULL ? make_key(w) : NULL;

	if (key == NULL)
		return NULL;
	if (hb_selector_remove(w) == -1)
		Py_CLEAR(key);
	return key;
}

static PyObject *
selector_get_key(PyObject *self, PyObject *fileobj)
{
	struct hb_watch *w = look_up((struct hb_selector *)self, fileobj);

	return w != NULL ? make_key(w) : NULL;
}

static PyObject *
selector_descriptors(PyObject *self, PyObject *unused)
{
	struct hb_selector *s = (struct hb_selector *)self;
	PyObject *list, *fd;

	if (s->closed)
		Py_RETURN_NONE;
	list = PyList_New(0);
	for (size_t i = 0; i < s->size && list != NULL; i++) {
		if (s->watches[i] == NULL)
			continue;
		fd = PyLong_FromSize_t(i);
		if (fd == NULL || PyList_Append(list, fd) == -1)
			Py_CLEAR(list);
		Py_XDECREF(fd);
	}
	return list;
}

static int
get_deadline(PyObject *timeout, int64_t *deadline)
{
	double seconds;

	if (timeout == NULL || timeout == Py_None) {
		*deadline = HB_SELECT_FOREVER;
		return 0;
	}
	seconds = PyFloat_AsDouble(timeout);
	if (seconds == -1.0 && PyErr_Occurred())
		return -1;
	if (seconds <= 0)
		*deadline = HB_SELECT_POLL;
	else if (seconds >= 1e9)
		*deadline = HB_SELECT_FOREVER;
	else
		*deadline = hb_selector_now() + hb_selector_nanoseconds(seconds);
	return 0;
}

static PyObject *
selector_select(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
	struct hb_selector *s = (struct hb_selector *)self;
	PyObject *list, *key, *item;
	struct hb_watch *w;
	int64_t deadline;
	unsigned mask;

	if (get_deadline(n > 0 ? args[0] : NULL, &deadline) == -1 || check_usable(s) == -1 ||
	    hb_selector_wait(s, deadline) == -1)
		return NULL;
	list = PyList_New(0);
	while (list != NULL && (w = hb_selector_next(s, &mask)) != NULL) {
		key = make_key(w);
		item = key != NULL ? Py_BuildValue("(NI)", key, mask) : NULL;
		if (item == NULL || PyList_Append(list, item) == -1)
			Py_CLEAR(list);
		Py_XDECREF(item);
	}
	return list;
}

static PyObject *
selector_close(PyObject *self, PyObject *unused)
{
	close_all((struct hb_selector *)self);
	Py_RETURN_NONE;
}

static PyMethodDef selector_methods[] = {
	{"register", (PyCFunction)(void (*)(void))selector_register, METH_VARARGS | METH_KEYWORDS, NULL},
	{"modify", (PyCFunction)(void (*)(void))selector_modify, METH_VARARGS | METH_KEYWORDS, NULL},
	{"unregister", selector_unregister, METH_O, NULL},
	{"get_key", selector_get_key, METH_O, NULL},
	{"descriptors", selector_descriptors, METH_NOARGS, NULL},
	{"watch_signal", selector_watch_signal, METH_VARARGS, NULL},
	{"end_signal", selector_end_signal, METH_O, NULL},
	{"select", (PyCFunction)(void (*)(void))selector_select, METH_FASTCALL, NULL},
	{"close", selector_close, METH_NOARGS, NULL},
	{NULL},
};

static PyType_Slot selector_slots[] = {
	{Py_tp_new, selector_new},
	{Py_tp_dealloc, selector_dealloc},
	{Py_tp_traverse, selector_traverse},
	{Py_tp_clear, selector_clear},
	{Py_tp_methods, selector_methods},
	{0, NULL},
};

PyType_Spec hb_selector_spec = {
	"_hornbeam_loop.SelectorCore",
	sizeof(struct hb_selector),
	0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
	selector_slots,
};
