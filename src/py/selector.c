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

static int
wait_alone(struct hb_selector *s, bool block)
{
	return event_base_loop(s->base, EVLOOP_ONCE | (block ? 0 : EVLOOP_NONBLOCK));
}

int
hb_selector_wait(struct hb_selector *s, int64_t deadline)
{
	bool block = deadline != HB_SELECT_POLL;
	PyThreadState *left;
	int rc = 0;

	if (deadline != HB_SELECT_POLL && deadline != HB_SELECT_FOREVER)
		set_timer(s, deadline);
	hb_py_watch_sleep(s->mark);
	s->waiting = true;
	left = PyEval_SaveThread();
	if (s->hooks.wait != NULL)
		s->hooks.wait(s->hooks.arg, block);
	else
		rc = wait_alone(s, block);
	PyEval_RestoreThread(left);
	s->waiting = false;
	if (rc == -1) {
		PyErr_SetString(PyExc_OSError, "the event loop does not work any more: was its descriptor closed?");
		return -1;
	}
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
int
hb_selector_check(const struct hb_selector *s)
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

	if (hb_selector_check(s) == -1 || grow(s, fd) == -1)
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

	if (hb_selector_check(s) == -1)
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

void
hb_selector_drop(struct hb_watch *w)
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
	if (hb_selector_check(w->selector) == -1)
		return -1;
	hb_selector_drop(w);
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

int
hb_selector_watch_signal(struct hb_selector *s, int number, int fd)
{
	struct hb_signal *signal;

	if (hb_selector_check(s) == -1)
		return -1;
	end_signal(s, number);
	signal = PyMem_Calloc(1, sizeof *signal);
	if (signal == NULL) {
		PyErr_NoMemory();
		return -1;
	}
	signal->number = number;
	signal->fd = fd;
	evsignal_assign(&signal->event, s->base, number, on_signal, signal);
	if (event_add(&signal->event, NULL) == -1) {
		PyMem_Free(signal);
		PyErr_SetFromErrno(PyExc_OSError);
		return -1;
	}
	signal->next = s->signals;
	s->signals = signal;
	return 0;
}

int
hb_selector_end_signal(struct hb_selector *s, int number)
{
	if (hb_selector_check(s) == -1)
		return -1;
	end_signal(s, number);
	return 0;
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

int
hb_selector_open(struct hb_selector *s)
{
	TAILQ_INIT(&s->active);
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (s->timer_fd != -1 && open_base(s) == 0 && add_timer(s) == 0)
		return 0;
	PyErr_SetFromErrno(PyExc_OSError);
	return -1;
}

void
hb_selector_close(struct hb_selector *s)
{
	if (s->closed)
		return;
	for (size_t i = 0; i < s->size; i++)
		if (s->watches[i] != NULL)
			hb_selector_drop(s->watches[i]);
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
