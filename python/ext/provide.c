/* Functions of this process that the companion asks for: see provide.h. */
#include "provide.h"

#include "common/clock.h"
#include "module.h"
#include "term/term.h"

/* Milliseconds for the companion to know of a function. */
enum { PROVIDE_TIMEOUT = 5000 };

/* The deadline of the function that this thread runs; 0: none. */
static _Thread_local int64_t limit;

/* Where the companion's tasks come; NULL with an exception. */
static struct hb_subscriber *
listener(struct hb_module *m, struct hb_push *push)
{
	struct hb_provide *p = &m->provide;

	/* A child of fork(2) can only free its parent's. */
	if (p->listener != NULL && !hb_subscriber_is_mine(p->listener)) {
		hb_subscriber_free(p->listener);
		p->listener = NULL;
	}
	if (p->listener == NULL) {
		p->listener = hb_subscriber_new(push, NULL);
		hb_push_listen(push, p->listener);
	}
	return p->listener;
}

/* provide(name, there) */
static PyObject *
provide(PyObject *module, PyObject *args)
{
	struct hb_module *m = PyModule_GetState(module);
	struct hb_push *push = hb_client_push(&m->client);
	struct hb_error err;
	const char *name;
	Py_ssize_t len;
	PyObject *text;
	int there, result;

	if (push == NULL || !PyArg_ParseTuple(args, "Up:provide", &text, &there))
		return NULL;
	if ((name = PyUnicode_AsUTF8AndSize(text, &len)) == NULL)
		return NULL;
	if (len < 1 || len > HB_PUSH_NAME_MAX)
		return PyErr_Format(PyExc_ValueError, "a name has 1 to %d bytes in UTF-8, not %zd", HB_PUSH_NAME_MAX, len);
	(void)listener(m, push);
	Py_BEGIN_ALLOW_THREADS
	result = hb_push_provide(push, name, (size_t)len, there, hb_clock_ms() + PROVIDE_TIMEOUT, &err);
	Py_END_ALLOW_THREADS
	if (result == -1)
		return hb_client_raise(&m->client, &err);
	Py_RETURN_NONE;
}

/* {RunId, Name, B, Ms} of HB_OP_RUN as (key, name, args, ms), RunId of HB_OP_STOP as (key, None, None, 0); key is (link, RunId) */
static PyObject *
read_task(struct hb_module *m, const struct hb_message *message)
{
	struct hb_term_reader r;
	struct hb_error err;
	const unsigned char *name, *terms;
	size_t name_len, terms_len;
	int64_t number, ms;
	uint32_t arity;

	if (hb_term_open(&r, message->body, message->len, &err) == -1)
		return hb_client_raise(&m->client, &err);
	if (message->op == HB_OP_STOP) {
		if (hb_term_want_int(&r, &number, &err) == -1)
			return hb_client_raise(&m->client, &err);
		return Py_BuildValue("((KL)OOi)", (unsigned long long)message->link, (long long)number, Py_None, Py_None, 0);
	}
	if (hb_term_want_tuple(&r, &arity, &err) == -1 || hb_term_want_int(&r, &number, &err) == -1 ||
	    hb_term_want_binary(&r, &name, &name_len, &err) == -1 ||
	    hb_term_want_binary(&r, &terms, &terms_len, &err) == -1 || hb_term_want_int(&r, &ms, &err) == -1)
		return hb_client_raise(&m->client, &err);
	return Py_BuildValue("((KL)s#y#L)", (unsigned long long)message->link, (long long)number, (const char *)name,
	    (Py_ssize_t)name_len, (const char *)terms, (Py_ssize_t)terms_len, (long long)ms);
}

/* take_task(): waits for the next one; ((0, 0), None, None, 0) where a wait was interrupted */
static PyObject *
take_task(PyObject *module, PyObject *unused)
{
	struct hb_module *m = PyModule_GetState(module);
	struct hb_push *push = hb_client_push(&m->client);
	struct hb_message *message = NULL;
	struct hb_subscriber *s;
	enum hb_push_result result;
	struct hb_error err;
	PyObject *task;

	if (push == NULL)
		return NULL;
	s = listener(m, push);
	Py_BEGIN_ALLOW_THREADS
	result = hb_push_next(s, 0, &message, &err);
	Py_END_ALLOW_THREADS
	if (result == HB_PUSH_FAILED)
		return hb_client_raise(&m->client, &err);
	if (result != HB_PUSH_MESSAGE)
		return Py_BuildValue("((ii)OOi)", 0, 0, Py_None, Py_None, 0);
	task = read_task(m, message);
	hb_message_unref(message);
	return task;
}

/* {RunId, outcome}; the outcome is appended by the caller. */
static struct hb_scratch *
begin_ran(struct hb_module *m, long long number)
{
	struct hb_scratch *s = hb_client_take(&m->client);

	if (s != NULL) {
		hb_term_put_tuple(&s->request, 2);
		hb_term_put_int(&s->request, number);
	}
	return s;
}

static PyObject *
post_ran(struct hb_module *m, unsigned long long link, struct hb_scratch *s)
{
	struct hb_push *push = hb_client_push(&m->client);
	struct hb_error err;
	int result = -1;

	if (push != NULL) {
		result = hb_push_post(push, link, HB_OP_RAN, &s->request, &err);
		if (result == -1)
			hb_client_raise(&m->client, &err);
	}
	hb_client_give(&m->client, s);
	return result == -1 ? NULL : Py_NewRef(Py_None);
}

/* ran(key, value) */
static PyObject *
ran(PyObject *module, PyObject *args)
{
	struct hb_module *m = PyModule_GetState(module);
	struct hb_scratch *s;
	unsigned long long link;
	long long number;
	PyObject *value;

	if (!PyArg_ParseTuple(args, "(KL)O:ran", &link, &number, &value) || (s = begin_ran(m, number)) == NULL)
		return NULL;
	hb_term_put_tuple(&s->request, 2);
	hb_term_put_atom(&s->request, "ok");
	if (hb_convert_to_binary(&m->convert, value, &s->request) == -1) {
		hb_client_give(&m->client, s);
		return NULL;
	}
	return post_ran(m, link, s);
}

/* ran_raised(key, type, text, traceback) */
static PyObject *
ran_raised(PyObject *module, PyObject *args)
{
	struct hb_module *m = PyModule_GetState(module);
	struct hb_scratch *s;
	unsigned long long link;
	long long number;
	PyObject *texts[3];

	if (!PyArg_ParseTuple(args, "(KL)UUU:ran_raised", &link, &number, &texts[0], &texts[1], &texts[2]) ||
	    (s = begin_ran(m, number)) == NULL)
		return NULL;
	hb_term_put_tuple(&s->request, 4);
	hb_term_put_atom(&s->request, "raised");
	for (size_t i = 0; i < 3; i++) {
		PyObject *bytes = PyUnicode_AsEncodedString(texts[i], "utf-8", "backslashreplace");

		if (bytes == NULL) {
			hb_client_give(&m->client, s);
			return NULL;
		}
		hb_term_put_binary(&s->request, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
		Py_DECREF(bytes);
	}
	return post_ran(m, link, s);
}

int
hb_provide_limit(struct hb_module *m, int64_t *timeout)
{
	struct hb_error err;
	int64_t left;

	if (limit == 0)
		return 0;
	left = limit - hb_clock_ms();
	if (left <= 0) {
		hb_error_set(&err, HB_ERROR_TIMEOUT, "the deadline of the function that makes this call has passed");
		hb_client_raise(&m->client, &err);
		return -1;
	}
	if (*timeout > left)
		*timeout = left;
	return 0;
}

/* limit_calls(ms): the function that this thread begins to run has so long; 0: as long as it likes */
static PyObject *
limit_calls(PyObject *module, PyObject *arg)
{
	long long ms = PyLong_AsLongLong(arg);

	(void)module;
	if (ms == -1 && PyErr_Occurred())
		return NULL;
	if (ms > 0)
		limit = hb_clock_ms() + ms;
	Py_RETURN_NONE;
}

/* leave_thread(): the function has ended, and what it has subscribed to goes with it */
static PyObject *
leave_thread(PyObject *module, PyObject *unused)
{
	limit = 0;
	return hb_process_end_thread(PyModule_GetState(module)) == -1 ? NULL : Py_NewRef(Py_None);
}

PyMethodDef hb_provide_methods[] = {
    {"provide", provide, METH_VARARGS, NULL},
    {"take_task", take_task, METH_NOARGS, NULL},
    {"ran", ran, METH_VARARGS, NULL},
    {"ran_raised", ran_raised, METH_VARARGS, NULL},
    {"limit_calls", limit_calls, METH_O, NULL},
    {"leave_thread", leave_thread, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
