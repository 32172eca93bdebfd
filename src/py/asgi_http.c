/*
 * HTTP for an ASGI application.  The head is held until the first part of the
 * body, so that a response of one part is one write with its length; what the
 * peer does not take at once is kept here, and the sender waits.
 */
#include <string.h>

#include "http/response.h"
#include "py/asgi_message.h"

enum { PARTS = 16 };

enum state {
	START, /* http.response.start is expected */
	BODY,
	DONE   /* the last part of the body was sent */
};

/* The response is whole: whoever still waits learns it. */
static void
complete(struct hb_py_asgi_call *c)
{
	hb_py_asgi_finish(c);
	hb_py_await_wake(c, &c->senders);
	hb_py_await_wake(c, &c->receivers);
}

/* No sender waits any more; from now on each learns that the client has gone. */
static void
lose(struct hb_py_asgi_call *c)
{
	c->lost = true;
	c->blocked = false;
	Py_CLEAR(c->pending);
	hb_py_await_wake(c, &c->senders);
}

/* Parts of a body as one bytes object: the one copy that is made of them. */
static PyObject *
join(struct hb_py_asgi_names *n, const struct hb_py_part *parts, int count)
{
	PyObject *body;
	size_t total = 0;
	char *p;

	for (int i = 0; i < count; i++)
		total += parts[i].len;
	if (total == 0)
		return Py_NewRef(n->empty_bytes);
	body = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)total);
	if (body == NULL)
		return NULL;
	p = PyBytes_AS_STRING(body);
	for (int i = 0; i < count; i++) {
		memcpy(p, parts[i].p, parts[i].len);
		p += parts[i].len;
	}
	return body;
}

static int
receive_body(struct hb_py_asgi_call *c, PyObject **message)
{
	struct hb_py_asgi *asgi = c->py->asgi;
	struct hb_py_part parts[PARTS];
	PyObject *body, *m;
	bool last = false;
	int count = c->py->server->read(c->r, parts, PARTS, &last);

	if (count <= 0 && !last) {
		if (count == 0)
			return 0;
		lose(c);
		*message = PyDict_Copy(asgi->disconnect_event);
		return *message != NULL ? 1 : -1;
	}
	c->read_all = last;
	m = PyDict_Copy(asgi->request_event);
	if (m == NULL)
		return -1;
	if (count > 0) {
		body = join(&asgi->names, parts, count);
		if (body == NULL || PyDict_SetItem(m, asgi->names.body, body) == -1) {
			Py_XDECREF(body);
			Py_DECREF(m);
			return -1;
		}
		Py_DECREF(body);
	}
	if (!last && PyDict_SetItem(m, asgi->names.more_body, Py_True) == -1) {
		Py_DECREF(m);
		return -1;
	}
	*message = m;
	return 1;
}

static int
http_receive(struct hb_py_asgi_call *c, PyObject **message)
{
	if (c->r != NULL && !c->lost && !c->timed_out) {
		if (!c->read_all)
			return receive_body(c, message);
		if (!c->py->server->gone(c->r))
			return 0;
	}
	*message = PyDict_Copy(c->py->asgi->disconnect_event);
	return *message != NULL ? 1 : -1;
}

/* What is left of a part: bytes are kept as they are, the rest of what could change is copied. */
static int
keep(struct hb_py_asgi_call *c, PyObject *body, const char *p, Py_ssize_t n, Py_ssize_t taken)
{
	if (PyBytes_CheckExact(body)) {
		c->pending = Py_NewRef(body);
		c->pending_off = taken;
	} else {
		c->pending = PyBytes_FromStringAndSize(p + taken, n - taken);
		c->pending_off = 0;
	}
	if (c->pending == NULL)
		return -1;
	c->blocked = true;
	return 0;
}

static int
write_part(struct hb_py_asgi_call *c, PyObject *body, const char *p, Py_ssize_t n, bool more)
{
	const struct hb_py_server *server = c->py->server;
	ssize_t taken;

	if (!more) {
		c->state = DONE;
		if (!c->wrote)
			c->r->length = n;
	}
	if (!c->bodyless && (n > 0 || (more && !c->wrote))) {
		taken = server->write(c->r, p, (size_t)n, more);
		if (taken >= 0 && taken < n) {
			c->wrote = true;
			return keep(c, body, p, n, taken) == 0 ? 1 : -1;
		}
		if (taken < 0 && n > 0 && (c->timed_out || server->gone(c->r))) {
			lose(c);
			return hb_py_asgi_raise_lost(c);
		}
	}
	c->wrote = true;
	if (!more)
		complete(c);
	return 1;
}

static int
send_body(struct hb_py_asgi_call *c, PyObject *message, PyObject *type)
{
	PyObject *body;
	Py_buffer view;
	bool more;
	int rc;

	if (c->state == START)
		return hb_py_message_unexpected(type, "the response has not been started");
	if (hb_py_message_body(&c->py->asgi->names, message, &body, &more) == -1)
		return -1;
	if (body == NULL)
		body = Py_NewRef(c->py->asgi->names.empty_bytes);
	if (PyBytes_Check(body))
		rc = write_part(c, body, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), more);
	else if (PyObject_GetBuffer(body, &view, PyBUF_SIMPLE) == 0) {
		rc = write_part(c, body, view.buf, view.len, more);
		PyBuffer_Release(&view);
	} else
		rc = -1;
	Py_DECREF(body);
	return rc;
}

static int
send_start(struct hb_py_asgi_call *c, PyObject *message, PyObject *type)
{
	unsigned status;

	if (c->state != START)
		return hb_py_message_unexpected(type, "the response has been started already");
	if (hb_py_message_head(c, message, &status) == -1)
		return -1;
	c->state = BODY;
	c->bodyless = hb_http_bodyless(status, c->r->head->method_id == HB_HTTP_M_HEAD);
	return 1;
}

static int
send_early_hint(struct hb_py_asgi_call *c, PyObject *message, PyObject *type)
{
	struct hb_py_asgi_names *n = &c->py->asgi->names;
	PyObject *links = PyDict_GetItemWithError(message, n->links), *list;
	struct hb_py_field fields[32];
	struct hb_py_head head = {.status = 103, .reason = "", .fields = fields};
	struct hb_error err;
	int rc = -1;

	if (c->state != START)
		return hb_py_message_unexpected(type, "the response has been started already");
	if (links == NULL)
		return PyErr_Occurred() ? -1 : 1;
	list = PySequence_Fast(links, "the 'links' of an early hint must be a list of bytes");
	if (list == NULL)
		return -1;
	for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); i++) {
		PyObject *link = PySequence_Fast_GET_ITEM(list, i);

		if (!PyBytes_Check(link)) {
			PyErr_Format(PyExc_TypeError, "the 'links' of an early hint must be bytes, not %.100s",
			    Py_TYPE(link)->tp_name);
			goto out;
		}
		if (head.count == Py_ARRAY_LENGTH(fields)) {
			PyErr_SetString(PyExc_ValueError, "an early hint has too many links");
			goto out;
		}
		fields[head.count++] = (struct hb_py_field){"link", PyBytes_AS_STRING(link), 4,
		    (size_t)PyBytes_GET_SIZE(link)};
	}
	rc = head.count > 0 ? c->py->server->interim(c->r, &head, &err) : 0;
	if (rc == -1)
		PyErr_SetString(PyExc_ValueError, err.text);
	else
		rc = 1;
out:
	Py_DECREF(list);
	return rc;
}

static int
http_send(struct hb_py_asgi_call *c, PyObject *message)
{
	enum hb_py_message_type kind;
	PyObject *type;

	if (hb_py_message_type(&c->py->asgi->names, message, &kind, &type) == -1)
		return -1;
	if (c->lost || (c->timed_out && c->r != NULL))
		return hb_py_asgi_raise_lost(c);
	if (c->state == DONE)
		return hb_py_message_unexpected(type, "the response is complete");
	if (c->r == NULL)
		return hb_py_message_unexpected(type, "the request is over");
	switch ((int)kind) {
	case HB_PY_SEND_BODY:
		return send_body(c, message, type);
	case HB_PY_SEND_START:
		return send_start(c, message, type);
	case HB_PY_SEND_EARLY_HINT:
		return send_early_hint(c, message, type);
	}
	return hb_py_message_unexpected(type, "it is not of HTTP");
}

/* The peer has taken something: more of what is pending goes out. */
static void
push(struct hb_py_asgi_call *c)
{
	Py_ssize_t left = PyBytes_GET_SIZE(c->pending) - c->pending_off;
	ssize_t taken = c->py->server->write(c->r, PyBytes_AS_STRING(c->pending) + c->pending_off, (size_t)left,
	    c->state != DONE);

	if (taken >= 0 && taken < left) {
		c->pending_off += taken;
		return;
	}
	if (taken < 0 && c->py->server->gone(c->r)) {
		lose(c);
		return;
	}
	Py_CLEAR(c->pending);
	c->blocked = false;
	if (c->state == DONE)
		complete(c);
	else
		hb_py_await_wake(c, &c->senders);
}

static void
http_notify(struct hb_py_asgi_call *c, unsigned events)
{
	if (events & (HB_PY_GONE | HB_PY_TIMEOUT) && c->blocked)
		lose(c);
	if (events & HB_PY_WRITABLE && c->pending != NULL)
		push(c);
	/* Nobody else is there to end it. */
	if (c->ended && c->r != NULL && c->pending == NULL)
		hb_py_asgi_finish(c);
	hb_py_await_wake(c, &c->receivers);
}

/* The end of an application whose response is complete: what it did behind that. */
static void
end_background(struct hb_py_asgi_call *c, enum hb_py_end how)
{
	if (how == HB_PY_END_RAISED && !hb_py_asgi_take_lost(c))
		hb_py_asgi_log_exception(c, "after the response");
}

static void
http_ended(struct hb_py_asgi_call *c, enum hb_py_end how)
{
	bool gone;

	if (c->r == NULL || (c->state == DONE && c->pending != NULL)) {
		end_background(c, how);
		return;
	}
	gone = c->lost || c->timed_out || c->py->server->gone(c->r);
	if (how == HB_PY_END_RAISED) {
		if (!hb_py_asgi_take_lost(c))
			hb_py_asgi_log_exception(c, "");
	} else if (how == HB_PY_END_CANCELLED) {
		if (!gone)
			hb_py_asgi_log(c, "the application was cancelled");
	} else if (!gone)
		hb_py_asgi_log(c, c->state == START ? "the application returned without a response"
		                                    : "the application returned in the middle of its response");
	hb_py_asgi_fail(c);
	hb_py_await_wake(c, &c->senders);
	hb_py_await_wake(c, &c->receivers);
}

const struct hb_py_asgi_kind hb_py_asgi_http = {http_receive, http_send, http_notify, http_ended};
