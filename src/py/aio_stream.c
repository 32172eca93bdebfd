/*
 * The hot paths of a stream transport: what is readable goes to the protocol,
 * and a write goes to the socket.  All else is asyncio's own transport, whose
 * attributes are slots in loop.py's StreamTransport so that C finds them.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "py/aio.h"

enum { SCRATCH = 256 * 1024 }; /* what asyncio asks a socket for */

struct slot_name {
	const char *name;
	size_t field;
};

static const struct slot_name stream_slots[] = {
	{"_loop", offsetof(struct hb_aio_stream, loop)},
	{"_sock_fd", offsetof(struct hb_aio_stream, fd)},
	{"_protocol", offsetof(struct hb_aio_stream, protocol)},
	{"_buffer", offsetof(struct hb_aio_stream, buffer)},
	{"_conn_lost", offsetof(struct hb_aio_stream, conn_lost)},
	{"_eof", offsetof(struct hb_aio_stream, eof)},
	{"_empty_waiter", offsetof(struct hb_aio_stream, empty_waiter)},
	{"_buffered", offsetof(struct hb_aio_stream, buffered)},
};

int
hb_aio_stream_init(struct hb_aio *aio, PyTypeObject *type)
{
	for (size_t i = 0; i < sizeof stream_slots / sizeof *stream_slots; i++)
		if (hb_aio_slot(type, stream_slots[i].name, (void *)((char *)&aio->stream + stream_slots[i].field)) == -1)
			return -1;
	aio->scratch = PyMem_Malloc(SCRATCH);
	if (aio->scratch != NULL)
		return 0;
	PyErr_NoMemory();
	return -1;
}

/* Whether a slot has the value that it has most of the time. */
static bool
slot_is(PyObject *self, Py_ssize_t offset, PyObject *usual)
{
	return HB_AIO_SLOT(self, offset) == usual;
}

static bool
is_connected(const struct hb_aio *aio, PyObject *self)
{
	PyObject *lost = HB_AIO_SLOT(self, aio->stream.conn_lost);

	return lost != NULL && !hb_aio_is_true(lost);
}

static int
fd_of(const struct hb_aio *aio, PyObject *self)
{
	PyObject *fd = HB_AIO_SLOT(self, aio->stream.fd);

	return fd != NULL && PyLong_Check(fd) ? (int)PyLong_AsLong(fd) : -1;
}

static PyObject *
ignore(PyObject *result)
{
	if (result == NULL)
		return NULL;
	Py_DECREF(result);
	Py_RETURN_NONE;
}

/* The exception that is set ends the connection, unless it is to end more than that. */
static PyObject *
fail(const struct hb_aio *aio, PyObject *self, const char *what)
{
	PyObject *type, *value, *tb, *text, *result = NULL;

	if (PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
		return NULL;
	PyErr_Fetch(&type, &value, &tb);
	PyErr_NormalizeException(&type, &value, &tb);
	if (tb != NULL)
		PyException_SetTraceback(value, tb);
	text = PyUnicode_FromString(what);
	if (text != NULL)
		result = PyObject_CallMethodObjArgs(self, aio->fatal_error, value, text, NULL);
	Py_XDECREF(text);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(tb);
	return ignore(result);
}

static PyObject *
deliver(const struct hb_aio *aio, PyObject *self, size_t n)
{
	PyObject *protocol = HB_AIO_SLOT(self, aio->stream.protocol), *data, *result;

	data = PyBytes_FromStringAndSize(aio->scratch, (Py_ssize_t)n);
	if (data == NULL || protocol == NULL) {
		Py_XDECREF(data);
		return NULL;
	}
	Py_INCREF(protocol);
	result = PyObject_CallMethodOneArg(protocol, aio->data_received, data);
	Py_DECREF(protocol);
	Py_DECREF(data);
	if (result == NULL)
		return fail(aio, self, "Fatal error: protocol.data_received() call failed.");
	return ignore(result);
}

static PyObject *
stream_read_ready(PyObject *self, PyTypeObject *type, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	struct hb_aio *aio = PyType_GetModuleState(type);
	ssize_t n;

	if (!slot_is(self, aio->stream.buffered, Py_False))
		return PyObject_CallMethod(self, "_slow_read_ready", NULL);
	if (!is_connected(aio, self))
		Py_RETURN_NONE;
	n = recv(fd_of(aio, self), aio->scratch, SCRATCH, MSG_DONTWAIT);
	if (n > 0)
		return deliver(aio, self, (size_t)n);
	if (n == 0)
		return ignore(PyObject_CallMethod(self, "_read_ready__on_eof", NULL));
	if (errno == EAGAIN || errno == EINTR)
		Py_RETURN_NONE;
	PyErr_SetFromErrno(PyExc_OSError);
	return fail(aio, self, "Fatal read error on socket transport");
}

static bool
is_writable(const struct hb_aio *aio, PyObject *self)
{
	PyObject *buffer = HB_AIO_SLOT(self, aio->stream.buffer);

	return slot_is(self, aio->stream.eof, Py_False) && slot_is(self, aio->stream.empty_waiter, Py_None) &&
	    is_connected(aio, self) && buffer != NULL && PyByteArray_CheckExact(buffer) &&
	    PyByteArray_GET_SIZE(buffer) == 0;
}

/* What the socket did not take waits, as in asyncio. */
static PyObject *
keep(PyObject *self, const char *p, Py_ssize_t n)
{
	PyObject *rest = PyMemoryView_FromMemory((char *)(uintptr_t)p, n, PyBUF_READ), *result;

	result = rest != NULL ? PyObject_CallMethod(self, "_keep", "O", rest) : NULL;
	Py_XDECREF(rest);
	return ignore(result);
}

static PyObject *
stream_write(PyObject *self, PyTypeObject *type, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
	struct hb_aio *aio = PyType_GetModuleState(type);
	PyObject *result;
	Py_buffer view;
	ssize_t n;

	if (nargs != 1 || names != NULL) {
		PyErr_SetString(PyExc_TypeError, "write() takes the data and nothing else");
		return NULL;
	}
	if (!is_writable(aio, self) ||
	    (!PyBytes_Check(args[0]) && !PyByteArray_Check(args[0]) && !PyMemoryView_Check(args[0])) ||
	    PyObject_GetBuffer(args[0], &view, PyBUF_SIMPLE) == -1) {
		PyErr_Clear();
		return PyObject_CallMethod(self, "_slow_write", "O", args[0]);
	}
	n = view.len > 0 ? send(fd_of(aio, self), view.buf, (size_t)view.len, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		n = 0;
	if (n == -1) {
		PyErr_SetFromErrno(PyExc_OSError);
		result = fail(aio, self, "Fatal write error on socket transport");
	} else if (n == view.len)
		result = Py_NewRef(Py_None);
	else
		result = keep(self, (const char *)view.buf + n, view.len - n);
	PyBuffer_Release(&view);
	return result;
}

#define METHOD (METH_METHOD | METH_FASTCALL | METH_KEYWORDS)

static PyMethodDef stream_methods[] = {
	{"write", (PyCFunction)(void (*)(void))stream_write, METHOD, NULL},
	{"_read_ready", (PyCFunction)(void (*)(void))stream_read_ready, METHOD, NULL},
	{NULL},
};

static PyType_Slot stream_type_slots[] = {
	{Py_tp_methods, stream_methods},
	{0, NULL},
};

/* Nothing of its own: its state is that of the transport it is mixed into. */
PyType_Spec hb_aio_stream_spec = {
	"_hornbeam_loop.StreamCore",
	sizeof(PyObject),
	0,
	Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
	stream_type_slots,
};
