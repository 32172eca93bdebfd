/* HTTP for an ASGI application: what receive() gives, send() takes, and the end comes to. */
#include <string.h>

#include "py/asgi_message.h"
#include "py/asgi_response.h"
#include "py/errors.h"

enum { PARTS = 16 };

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
		hb_py_response_lose(c);
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
	if (c->r != NULL && !c->lost) {
		if (!c->read_all)
			return receive_body(c, message);
		if (!c->py->server->gone(c->r))
			return 0;
	}
	*message = PyDict_Copy(c->py->asgi->disconnect_event);
	return *message != NULL ? 1 : -1;
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

	if (c->response != HB_PY_RESPONSE_START)
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
	if (c->lost)
		return hb_py_asgi_raise_lost(c);
	if (c->response == HB_PY_RESPONSE_DONE)
		return hb_py_message_unexpected(type, "the response is complete");
	if (c->r == NULL && !(c->bodyless && kind == HB_PY_SEND_BODY))
		return hb_py_message_unexpected(type, "the request is over");
	switch ((int)kind) {
	case HB_PY_SEND_BODY:
		return hb_py_response_body(c, message, type);
	case HB_PY_SEND_START:
		return hb_py_response_start(c, message, type);
	case HB_PY_SEND_EARLY_HINT:
		return send_early_hint(c, message, type);
	}
	return hb_py_message_unexpected(type, "it is not of HTTP");
}

static void
http_notify(struct hb_py_asgi_call *c, unsigned events)
{
	/* A client that has only closed its side may still read: the server knows. */
	if (events & (HB_PY_WRITABLE | HB_PY_GONE) && c->pending != NULL)
		hb_py_response_push(c);
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

	if (c->r == NULL || (c->response == HB_PY_RESPONSE_DONE && c->pending != NULL)) {
		end_background(c, how);
		return;
	}
	gone = c->lost || c->py->server->gone(c->r);
	if (how == HB_PY_END_RAISED) {
		if (!hb_py_asgi_take_lost(c)) {
			hb_py_tell_exception(c->py, c->r);
			hb_py_asgi_log_exception(c, "");
		}
	} else if (how == HB_PY_END_CANCELLED) {
		if (!gone)
			hb_py_asgi_log(c, "the application was cancelled");
	} else if (!gone)
		hb_py_asgi_log(c, c->response == HB_PY_RESPONSE_START ? "the application returned without a response"
		                                    : "the application returned in the middle of its response");
	hb_py_asgi_fail(c);
	hb_py_await_wake(c, &c->senders);
	hb_py_await_wake(c, &c->receivers);
}

const struct hb_py_asgi_kind hb_py_asgi_http = {http_receive, http_send, http_notify, http_ended};
