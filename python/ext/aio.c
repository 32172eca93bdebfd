/* The operations for asyncio: see aio.h. */
#include "aio.h"

#include "aio_client.h"

int
hb_aio_init(struct hb_aio *a, PyObject *module)
{
	static const char *const texts[] = {"create_future", "call_soon", "call_later", "cancel", "set_result",
	    "set_exception", "_log_traceback", "add_reader", "remove_reader", "add_writer", "remove_writer"};
	PyObject **names[] = {&a->create_future, &a->call_soon, &a->call_later, &a->cancel, &a->set_result,
	    &a->set_exception, &a->log_traceback, &a->add_reader, &a->remove_reader, &a->add_writer, &a->remove_writer};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if ((*names[i] = PyUnicode_InternFromString(texts[i])) == NULL)
			return -1;
	return aio_client_init(a, module);
}

int
hb_aio_traverse(struct hb_aio *a, visitproc visit, void *arg)
{
	Py_VISIT(a->type);
	Py_VISIT(a->get_running_loop);
	Py_VISIT(a->invalid_state);
	return 0;
}

void
hb_aio_clear(struct hb_aio *a)
{
	PyObject **owned[] = {&a->type, &a->get_running_loop, &a->invalid_state, &a->create_future, &a->call_soon,
	    &a->call_later, &a->cancel, &a->set_result, &a->set_exception, &a->log_traceback, &a->add_reader,
	    &a->remove_reader, &a->add_writer, &a->remove_writer};

	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		Py_CLEAR(*owned[i]);
}

/* asyncio is imported by the first call, so that programs without it do without. */
static int
import_asyncio(struct hb_aio *a)
{
	PyObject *asyncio;

	if (a->get_running_loop != NULL)
		return 0;
	asyncio = PyImport_ImportModule("asyncio");
	if (asyncio == NULL)
		return -1;
	a->invalid_state = PyObject_GetAttrString(asyncio, "InvalidStateError");
	if (a->invalid_state != NULL)
		a->get_running_loop = PyObject_GetAttrString(asyncio, "get_running_loop");
	Py_DECREF(asyncio);
	return a->get_running_loop != NULL ? 0 : -1;
}

/* The Future of the operation, or a pair of it and the number of the call. */
static PyObject *
start(PyObject *module, const struct hb_op *op, PyObject *const *args, Py_ssize_t n)
{
	struct hb_module *m = PyModule_GetState(module);
	struct aio_client *client = NULL;
	PyObject *loop, *future = NULL;
	uint32_t id = 0;

	if (import_asyncio(&m->aio) == -1)
		return NULL;
	loop = PyObject_CallNoArgs(m->aio.get_running_loop);
	if (loop != NULL)
		future = PyObject_CallMethodNoArgs(loop, m->aio.create_future);
	if (future != NULL)
		client = aio_client_of(module, loop);
	if (client != NULL)
		id = aio_client_call(client, loop, op, args, n, future);
	Py_XDECREF(client);
	Py_XDECREF(loop);
	if (id == 0)
		Py_CLEAR(future);
	if (future == NULL || !hb_frame_can_cancel(op->op))
		return future;
	return Py_BuildValue("(Nk)", future, (unsigned long)id);
}

/* aio_cancel(future, number): nobody waits for it any more. */
static PyObject *
aio_cancel(PyObject *module, PyObject *args)
{
	struct hb_module *m = PyModule_GetState(module);
	struct aio_client *client;
	PyObject *future, *loop;
	unsigned long id;
	int rc = 0;

	if (!PyArg_ParseTuple(args, "Ok:aio_cancel", &future, &id))
		return NULL;
	loop = PyObject_CallMethod(future, "get_loop", NULL);
	if (loop == NULL)
		return NULL;
	for (client = m->aio.clients; client != NULL; client = client->next)
		if (PyWeakref_GET_OBJECT(client->loop) == loop)
			break;
	if (client != NULL) {
		Py_INCREF(client);
		rc = aio_client_cancel(client, loop, (uint32_t)id, future);
		Py_DECREF(client);
	}
	Py_DECREF(loop);
	return rc == -1 ? NULL : Py_NewRef(Py_None);
}

#define FUNCTION(name, ...) \
	static PyObject *aio_##name(PyObject *module, PyObject *const *args, Py_ssize_t n) \
	{ \
		return start(module, &hb_ops[HB_OPS_##name], args, n); \
	}
#define METHOD(name, ...) {"aio_" #name, (PyCFunction)(void (*)(void))aio_##name, METH_FASTCALL, NULL},

HB_OPS(FUNCTION)

PyMethodDef hb_aio_methods[] = {
    HB_OPS(METHOD)
    {"aio_cancel", aio_cancel, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
