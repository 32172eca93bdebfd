/*
 * A WSGI request from the call of the application to the close() of what it
 * returned.  Where the peer is slow the request pauses between two parts and
 * is run again later: nothing here waits, but for write().
 */
#include "py/asgi.h"
#include "py/call.h"
#include "py/environ.h"
#include "py/errors.h"
#include "py/input.h"
#include "py/wrapper.h"

/* In its context; an exception is set where there is no result. */
static void
call_application(struct hb_py_call *c)
{
	struct hb_py_request *r = c->r;
	PyObject *args[3] = {NULL}, *environ;

	c->input = hb_py_input_new(c->py, r->body, r->body_len);
	environ = c->input != NULL ? hb_py_environ(c->py, r, c->input) : NULL;
	if (environ == NULL)
		return;
	args[1] = environ;
	args[2] = (PyObject *)c;
	c->result = PyObject_Vectorcall(r->app->callable, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
	Py_DECREF(environ);
}

/* NULL with an exception. */
static struct hb_py_call *
begin(struct hb_py *py, struct hb_py_request *r)
{
	struct hb_py_call *c = hb_py_call_new(py, r);

	if (c == NULL)
		return NULL;
	c->context = PyContext_Copy(py->context);
	if (c->context == NULL) {
		hb_py_call_end(c);
		return NULL;
	}
	r->call = c;
	r->length = -1;
	return c;
}

static int
check_part(PyObject *part)
{
	if (PyBytes_Check(part))
		return 0;
	PyErr_Format(PyExc_TypeError, "the application's body must be of bytes, not %.100s", Py_TYPE(part)->tp_name);
	return -1;
}

/* The length of a body that is all at hand. */
static int
measure(struct hb_py_call *c)
{
	PyObject **parts = PySequence_Fast_ITEMS(c->result);
	Py_ssize_t n = PySequence_Fast_GET_SIZE(c->result);
	int64_t total = 0;

	for (Py_ssize_t i = 0; i < n; i++) {
		if (check_part(parts[i]) == -1)
			return -1;
		total += PyBytes_GET_SIZE(parts[i]);
	}
	if (!c->py->server->committed(c->r))
		c->r->length = total;
	return 0;
}

static enum hb_py_sent
send_sequence(struct hb_py_call *c)
{
	enum hb_py_sent sent = HB_PY_SENT;

	if (c->index == 0 && measure(c) == -1)
		return HB_PY_FAILED;
	while (sent == HB_PY_SENT) {
		if (c->pending == NULL) {
			if (c->index >= PySequence_Fast_GET_SIZE(c->result))
				break;
			c->pending = Py_NewRef(PySequence_Fast_GET_ITEM(c->result, c->index));
			c->index++;
			if (check_part(c->pending) == -1)
				return HB_PY_FAILED;
		}
		sent = hb_py_call_push(c, false);
	}
	return sent;
}

/* An application that forgot to return is told so. */
static void
refuse_result(PyObject *result)
{
	if (PyErr_ExceptionMatches(PyExc_TypeError) && Py_TYPE(result)->tp_iter == NULL)
		PyErr_Format(PyExc_TypeError, "the application must return an iterable of bytes, not %s",
		    Py_TYPE(result)->tp_name);
}

static enum hb_py_sent
send_iterable(struct hb_py_call *c)
{
	enum hb_py_sent sent = HB_PY_SENT;

	if (c->iter == NULL) {
		c->iter = PyObject_GetIter(c->result);
		if (c->iter == NULL) {
			refuse_result(c->result);
			return HB_PY_FAILED;
		}
	}
	while (sent == HB_PY_SENT) {
		if (c->pending == NULL) {
			c->pending = PyIter_Next(c->iter);
			if (c->pending == NULL) {
				if (PyErr_Occurred())
					return HB_PY_FAILED;
				break;
			}
			if (check_part(c->pending) == -1)
				return HB_PY_FAILED;
		}
		sent = hb_py_call_push(c, true);
	}
	return sent;
}

/* From the file itself, where the result is a file_wrapper around a real one. */
static enum hb_py_sent
send_file(struct hb_py_call *c)
{
	ssize_t taken;

	if (!c->started) {
		PyErr_SetString(PyExc_AssertionError, "the application gave a body before it called start_response");
		return HB_PY_FAILED;
	}
	if (!c->py->server->committed(c->r))
		c->r->length = c->file_left;
	c->waiting = true;
	Py_BEGIN_ALLOW_THREADS
	taken = c->py->server->send_file(c->r, c->file, c->file_off, (size_t)c->file_left);
	Py_END_ALLOW_THREADS
	c->waiting = false;
	if (taken == HB_PY_READ_IT) {
		c->file = HB_PY_FILE_NONE;
		return send_iterable(c);
	}
	if (taken < 0)
		return HB_PY_UNWANTED;
	c->file_off += taken;
	c->file_left -= taken;
	return c->file_left == 0 ? HB_PY_SENT : HB_PY_SLOW;
}

static enum hb_py_sent
send_other(struct hb_py_call *c)
{
	if (c->file == HB_PY_FILE_UNKNOWN && (Py_TYPE(c->result) != c->py->wrapper_type ||
	    !hb_py_wrapper_file(c->py, c->result, &c->file, &c->file_off, &c->file_left)))
		c->file = HB_PY_FILE_NONE;
	return c->file >= 0 ? send_file(c) : send_iterable(c);
}

static enum hb_py_sent
send_result(struct hb_py_call *c)
{
	enum hb_py_sent sent;

	if (c->result == NULL)
		return HB_PY_FAILED;
	sent = PyList_CheckExact(c->result) || PyTuple_CheckExact(c->result) ? send_sequence(c) : send_other(c);
	if (sent == HB_PY_SENT && !c->started) {
		PyErr_SetString(PyExc_AssertionError, "the application did not call start_response");
		return HB_PY_FAILED;
	}
	return sent;
}

/* PEP 3333: close() is called whatever happened. */
static void
close_result(struct hb_py_call *c)
{
	PyObject *close, *done;

	if (c->result == NULL || PyList_CheckExact(c->result) || PyTuple_CheckExact(c->result))
		return;
	close = PyObject_GetAttr(c->result, c->py->names.close);
	if (close == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
		PyErr_Clear();
		return;
	}
	done = close != NULL ? PyObject_CallNoArgs(close) : NULL;
	Py_XDECREF(close);
	if (done == NULL)
		hb_py_log_failure(c->py, c->r);
	Py_XDECREF(done);
}

/* What the application has left to do, in its context. */
static enum hb_py_step
go_on(struct hb_py_call *c)
{
	struct hb_py *py = c->py;
	struct hb_py_request *r = c->r;
	enum hb_py_sent sent = send_result(c);

	if (sent == HB_PY_SLOW)
		return HB_PY_PAUSED;
	if (sent == HB_PY_FAILED) {
		if (!hb_py_kept_take_left(py, &c->kept)) {
			hb_py_tell_exception(py, r);
			hb_py_log_failure(py, r);
		}
		py->server->fail(r);
	} else
		py->server->finish(r);
	close_result(c);
	return HB_PY_DONE;
}

static void
end(struct hb_py_call *c)
{
	PyObject *input = c->input;
	struct hb_py *py = c->py;

	c->r->call = NULL;
	hb_py_call_end(c);
	hb_py_input_end(py, input);
}

void
hb_py_abandon(struct hb_py *py, struct hb_py_request *r)
{
	PyGILState_STATE gil = PyGILState_Ensure();
	struct hb_py_call *c = r->call;

	if (c != NULL && !r->app->async)
		hb_py_kept_end(py, &c->kept);
	PyGILState_Release(gil);
}

enum hb_py_step
hb_py_run(struct hb_py *py, struct hb_py_request *r)
{
	struct hb_py_call *c = r->call;
	enum hb_py_step step;
	PyObject *before;

	if (r->app->async)
		return hb_py_asgi_run(py, r);
	if (c == NULL)
		c = begin(py, r);
	if (c == NULL || PyContext_Enter(c->context) == -1) {
		hb_py_tell_exception(py, r);
		hb_py_log_failure(py, r);
		py->server->fail(r);
		if (c != NULL)
			end(c);
		return HB_PY_DONE;
	}
	c->running = true;
	before = hb_py_current_run((PyObject *)c);
	if (c->input == NULL && hb_py_current_set(py, (PyObject *)c) == 0)
		call_application(c);
	step = go_on(c);
	hb_py_current_run(before);
	c->running = false;
	if (PyContext_Exit(c->context) == -1)
		hb_py_log_failure(py, r);
	if (step == HB_PY_DONE)
		end(c);
	return step;
}
