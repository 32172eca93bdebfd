/* Responses of ASGI applications: see asgi_response.h. */
#include "py/asgi_response.h"

#include "http/response.h"
#include "py/asgi_message.h"

/* The response is whole: whoever still waits learns it. */
void
hb_py_response_complete(struct hb_py_asgi_call *c)
{
	hb_py_asgi_finish(c);
	hb_py_await_wake(c, &c->senders);
	hb_py_await_wake(c, &c->receivers);
}

/* No sender waits any more; from now on each learns that the client has gone. */
void
hb_py_response_lose(struct hb_py_asgi_call *c)
{
	c->lost = true;
	c->blocked = false;
	Py_CLEAR(c->pending);
	hb_py_await_wake(c, &c->senders);
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

	if (!more)
		c->response = HB_PY_RESPONSE_DONE;
	if (c->r == NULL)
		return 1; /* it was complete without a body */
	if (!more && !c->wrote)
		c->r->length = n;
	if (c->bodyless)
		(void)server->write(c->r, p, (size_t)n, more);
	else if (n > 0 || (more && !c->wrote)) {
		taken = server->write(c->r, p, (size_t)n, more);
		if (taken >= 0 && taken < n) {
			c->wrote = true;
			return keep(c, body, p, n, taken) == 0 ? 1 : -1;
		}
		if (taken < 0 && n > 0 && server->gone(c->r)) {
			hb_py_response_lose(c);
			return hb_py_asgi_raise_lost(c);
		}
	}
	c->wrote = true;
	if (!more || c->bodyless)
		hb_py_response_complete(c);
	return 1;
}

int
hb_py_response_body(struct hb_py_asgi_call *c, PyObject *message, PyObject *type)
{
	PyObject *body;
	Py_buffer view;
	bool more;
	int rc;

	if (c->response == HB_PY_RESPONSE_START)
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

int
hb_py_response_start(struct hb_py_asgi_call *c, PyObject *message, PyObject *type)
{
	unsigned status;

	if (c->response != HB_PY_RESPONSE_START)
		return hb_py_message_unexpected(type, "the response has been started already");
	if (hb_py_message_head(c, message, &status) == -1)
		return -1;
	c->response = HB_PY_RESPONSE_BODY;
	c->bodyless = hb_http_bodyless(status, c->r->head->method_id == HB_HTTP_M_HEAD);
	return 1;
}

/* The peer has taken something: more of what is pending goes out. */
void
hb_py_response_push(struct hb_py_asgi_call *c)
{
	Py_ssize_t left = PyBytes_GET_SIZE(c->pending) - c->pending_off;
	ssize_t taken = c->py->server->write(c->r, PyBytes_AS_STRING(c->pending) + c->pending_off, (size_t)left,
	    c->response != HB_PY_RESPONSE_DONE);

	if (taken >= 0 && taken < left) {
		c->pending_off += taken;
		return;
	}
	if (taken < 0 && c->py->server->gone(c->r)) {
		hb_py_response_lose(c);
		return;
	}
	Py_CLEAR(c->pending);
	c->blocked = false;
	if (c->response == HB_PY_RESPONSE_DONE)
		hb_py_response_complete(c);
	else
		hb_py_await_wake(c, &c->senders);
}

