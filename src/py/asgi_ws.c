/*
 * WebSocket for an ASGI application.  The server answers pings and makes the
 * closing handshake; here is which message may come when.
 */
#include <string.h>

#include "http/ws.h"
#include "py/asgi_message.h"
#include "py/asgi_response.h"
#include "py/errors.h"

enum state {
	CONNECTING,   /* websocket.connect was not received yet */
	HANDSHAKE,    /* it was; the application accepts or refuses */
	OPEN,
	CLOSING,      /* the application has closed it */
	DISCONNECTED, /* websocket.disconnect was received */
	REFUSED       /* before it was accepted, by a response or none */
};

/* What a call keeps of its connection's end, to say it again. */
static int
disconnect(struct hb_py_asgi_call *c, unsigned code, const unsigned char *reason, size_t len, PyObject **message)
{
	struct hb_py_asgi_names *n = &c->py->asgi->names;
	PyObject *number = PyLong_FromUnsignedLong(code);
	PyObject *text = PyUnicode_DecodeUTF8((const char *)reason, (Py_ssize_t)len, "replace");
	PyObject *m = number != NULL && text != NULL ? PyDict_New() : NULL;

	if (m != NULL && (PyDict_SetItem(m, n->type, n->websocket_disconnect) == -1 ||
	                     PyDict_SetItem(m, n->code, number) == -1 || PyDict_SetItem(m, n->reason, text) == -1))
		Py_CLEAR(m);
	Py_XDECREF(number);
	Py_XDECREF(text);
	*message = m;
	return m != NULL ? 1 : -1;
}

static int
connect(struct hb_py_asgi_call *c, PyObject **message)
{
	struct hb_py_asgi_names *n = &c->py->asgi->names;

	if (c->state == CONNECTING)
		c->state = HANDSHAKE;
	c->read_all = true;
	*message = PyDict_New();
	if (*message != NULL && PyDict_SetItem(*message, n->type, n->websocket_connect) == -1)
		Py_CLEAR(*message);
	return *message != NULL ? 1 : -1;
}

static int
receive_message(struct hb_py_asgi_call *c, PyObject **message)
{
	struct hb_py_asgi_names *n = &c->py->asgi->names;
	struct hb_py_message m;
	PyObject *d, *value;
	bool text;

	c->py->server->receive(c->r, &m);
	text = m.kind == HB_PY_MESSAGE_TEXT;
	switch (m.kind) {
	case HB_PY_MESSAGE_NONE:
		return 0;
	case HB_PY_MESSAGE_CLOSED:
		c->state = DISCONNECTED;
		c->code = m.code;
		return disconnect(c, m.code, m.p, m.len, message);
	case HB_PY_MESSAGE_TEXT:
	case HB_PY_MESSAGE_BINARY:
		break;
	}
	value = text ? PyUnicode_DecodeUTF8((const char *)m.p, (Py_ssize_t)m.len, NULL)
	             : PyBytes_FromStringAndSize((const char *)m.p, (Py_ssize_t)m.len);
	d = value != NULL ? PyDict_New() : NULL;
	if (d != NULL && (PyDict_SetItem(d, n->type, n->websocket_receive) == -1 ||
	                     PyDict_SetItem(d, text ? n->text : n->bytes, value) == -1))
		Py_CLEAR(d);
	Py_XDECREF(value);
	*message = d;
	return d != NULL ? 1 : -1;
}

static int
ws_receive(struct hb_py_asgi_call *c, PyObject **message)
{
	if (!c->read_all)
		return connect(c, message);
	if (c->state == DISCONNECTED)
		return disconnect(c, c->code, NULL, 0, message);
	if (c->r != NULL && (c->state == OPEN || c->state == CLOSING))
		return receive_message(c, message);
	if (c->r != NULL && !c->lost && !c->py->server->gone(c->r))
		return 0; /* until it is accepted, or the client gives up */
	return disconnect(c, HB_WS_ABNORMAL, NULL, 0, message);
}

static int
send_accept(struct hb_py_asgi_call *c, PyObject *message, PyObject *type)
{
	struct hb_py_asgi_names *n = &c->py->asgi->names;
	PyObject *subprotocol, *headers = PyDict_GetItemWithError(message, n->headers);
	struct hb_py_text text = {NULL, 0};
	struct hb_py_fields fields;
	struct hb_error err;
	int rc = -1;

	if (c->state != CONNECTING && c->state != HANDSHAKE)
		return hb_py_message_unexpected(type, c->state == OPEN ? "it was accepted already" : "it is closed");
	if (PyErr_Occurred() || hb_py_message_text(message, n->subprotocol, "subprotocol", &subprotocol) == -1)
		return -1;
	if (hb_py_fields_get(&fields, headers == Py_None ? NULL : headers) == -1)
		goto out;
	if (subprotocol != NULL) {
		Py_ssize_t len;

		text.p = PyUnicode_AsUTF8AndSize(subprotocol, &len);
		if (text.p == NULL) {
			hb_py_fields_free(&fields);
			goto out;
		}
		text.len = (size_t)len;
	}
	rc = c->py->server->accept(c->r, text, fields.fields, fields.count, &err);
	hb_py_fields_free(&fields);
	if (rc == -1) {
		PyErr_SetString(PyExc_ValueError, err.text);
		goto out;
	}
	c->state = OPEN;
	hb_py_await_wake(c, &c->receivers);
	rc = 1;
out:
	Py_XDECREF(subprotocol);
	return rc;
}

static int
put(struct hb_py_asgi_call *c, const void *p, size_t n, bool text)
{
	int rc = c->py->server->send(c->r, p, n, text);

	if (rc == -1)
		return hb_py_asgi_raise_lost(c);
	c->blocked = rc == 1;
	return 1;
}

static int
send_message(struct hb_py_asgi_call *c, PyObject *message, PyObject *type)
{
	struct hb_py_asgi_names *n = &c->py->asgi->names;
	PyObject *text, *bytes = PyDict_GetItemWithError(message, n->bytes);
	Py_buffer view;
	Py_ssize_t len;
	const char *p;
	int rc = -1;

	if (c->state == DISCONNECTED)
		return hb_py_asgi_raise_lost(c);
	if (c->state != OPEN)
		return hb_py_message_unexpected(type, c->state == CLOSING || c->state == REFUSED ? "it is closed"
		                                                                                 : "it was not accepted");
	if (bytes == Py_None)
		bytes = NULL;
	if (PyErr_Occurred() || hb_py_message_text(message, n->text, "'text'", &text) == -1)
		return -1;
	if ((text == NULL) == (bytes == NULL))
		PyErr_SetString(PyExc_ValueError, "websocket.send: exactly one of 'text' and 'bytes' is needed");
	else if (text != NULL) {
		p = PyUnicode_AsUTF8AndSize(text, &len);
		rc = p != NULL ? put(c, p, (size_t)len, true) : -1;
	} else if (!PyBytes_Check(bytes) && !PyByteArray_Check(bytes) && !PyMemoryView_Check(bytes))
		PyErr_Format(PyExc_TypeError, "the 'bytes' of a message must be bytes, not %.100s",
		    Py_TYPE(bytes)->tp_name);
	else if (PyObject_GetBuffer(bytes, &view, PyBUF_SIMPLE) == 0) {
		rc = put(c, view.buf, (size_t)view.len, false);
		PyBuffer_Release(&view);
	}
	Py_XDECREF(text);
	return rc;
}

static int
get_code(PyObject *message, PyObject *key, unsigned *code)
{
	PyObject *number = PyDict_GetItemWithError(message, key);
	long value;

	if (number == NULL && PyErr_Occurred())
		return -1;
	if (number == NULL || number == Py_None)
		return 0;
	if (!PyLong_Check(number)) {
		PyErr_Format(PyExc_TypeError, "the 'code' of a message must be int, not %.100s",
		    Py_TYPE(number)->tp_name);
		return -1;
	}
	value = PyLong_AsLong(number);
	if (value < 0 || value > 65535 || (value != HB_WS_NO_STATUS && !hb_ws_code_ok((unsigned)value))) {
		PyErr_Clear();
		PyErr_Format(PyExc_ValueError, "websocket.close: a close frame cannot have the code %.100R", number);
		return -1;
	}
	*code = (unsigned)value;
	return 0;
}

static int
send_close(struct hb_py_asgi_call *c, PyObject *message, PyObject *type)
{
	struct hb_py_asgi_names *n = &c->py->asgi->names;
	struct hb_py_text text = {"", 0};
	unsigned code = HB_WS_NORMAL;
	PyObject *reason;
	Py_ssize_t len = 0;

	if (c->state == CLOSING || c->state == REFUSED)
		return hb_py_message_unexpected(type, "it is closed already");
	if (get_code(message, n->code, &code) == -1 ||
	    hb_py_message_text(message, n->reason, "'reason'", &reason) == -1)
		return -1;
	if (reason != NULL) {
		text.p = PyUnicode_AsUTF8AndSize(reason, &len);
		text.len = (size_t)len;
	}
	if (text.p != NULL && c->state != DISCONNECTED)
		c->py->server->close(c->r, code, text);
	Py_XDECREF(reason);
	if (text.p == NULL)
		return -1;
	if (c->state == DISCONNECTED)
		return 1; /* both sides may close it at the same time */
	if (c->state == OPEN)
		c->state = CLOSING;
	else {
		c->state = REFUSED;
		hb_py_response_complete(c);
	}
	return 1;
}

static int
send_denial(struct hb_py_asgi_call *c, PyObject *message, PyObject *type, bool start)
{
	if (start && c->state != CONNECTING && c->state != HANDSHAKE)
		return hb_py_message_unexpected(type, c->state == OPEN ? "it was accepted already" : "it is closed");
	if (!start && c->state != REFUSED)
		return hb_py_message_unexpected(type, "the response has not been started");
	if (!start)
		return hb_py_response_body(c, message, type);
	if (hb_py_response_start(c, message, type) == -1)
		return -1;
	c->state = REFUSED;
	return 1;
}

static int
ws_send(struct hb_py_asgi_call *c, PyObject *message)
{
	enum hb_py_message_type kind;
	PyObject *type;

	if (hb_py_message_type(&c->py->asgi->names, message, &kind, &type) == -1)
		return -1;
	if (c->lost && kind != HB_PY_SEND_CLOSE)
		return hb_py_asgi_raise_lost(c);
	if (c->r == NULL && !(c->bodyless && kind == HB_PY_SEND_DENIAL_BODY && c->response == HB_PY_RESPONSE_BODY))
		return hb_py_message_unexpected(type, "it is closed");
	switch ((int)kind) {
	case HB_PY_SEND_MESSAGE:
		return send_message(c, message, type);
	case HB_PY_SEND_ACCEPT:
		return send_accept(c, message, type);
	case HB_PY_SEND_CLOSE:
		return send_close(c, message, type);
	case HB_PY_SEND_DENIAL_START:
	case HB_PY_SEND_DENIAL_BODY:
		return send_denial(c, message, type, kind == HB_PY_SEND_DENIAL_START);
	}
	return hb_py_message_unexpected(type, "it is not of WebSocket");
}

static void
ws_notify(struct hb_py_asgi_call *c, unsigned events)
{
	if (events & HB_PY_GONE)
		hb_py_response_lose(c);
	if (events & HB_PY_WRITABLE) {
		if (c->pending != NULL)
			hb_py_response_push(c);
		else {
			c->blocked = false;
			hb_py_await_wake(c, &c->senders);
		}
	}
	/* Nobody else is there to end it. */
	if (c->ended && c->r != NULL && c->pending == NULL)
		hb_py_asgi_finish(c);
	hb_py_await_wake(c, &c->receivers);
}

static void
ws_ended(struct hb_py_asgi_call *c, enum hb_py_end how)
{
	bool gone = c->lost || c->state == DISCONNECTED, quiet = false;

	if (how == HB_PY_END_RAISED) {
		quiet = hb_py_asgi_take_lost(c);
		if (!quiet && c->r != NULL)
			hb_py_tell_exception(c->py, c->r);
		if (!quiet)
			hb_py_asgi_log_exception(c, c->r == NULL ? "after it was closed" : "");
	}
	if (c->r == NULL || (c->pending != NULL && c->response == HB_PY_RESPONSE_DONE))
		return;
	if (how == HB_PY_END_RETURNED && (c->state == CONNECTING || c->state == HANDSHAKE) && !gone &&
	    !c->py->server->gone(c->r)) {
		hb_py_asgi_log(c, "the application returned without accepting or closing the WebSocket");
		hb_py_asgi_fail(c);
	} else if (how == HB_PY_END_RETURNED && c->state == REFUSED && !gone) {
		hb_py_asgi_log(c, "the application returned in the middle of its response");
		hb_py_asgi_fail(c);
	} else if (how == HB_PY_END_RETURNED || quiet)
		hb_py_asgi_finish(c);
	else
		hb_py_asgi_fail(c);
	hb_py_await_wake(c, &c->senders);
	hb_py_await_wake(c, &c->receivers);
}

const struct hb_py_asgi_kind hb_py_asgi_websocket = {ws_receive, ws_send, ws_notify, ws_ended};
