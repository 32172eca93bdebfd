/* The end of a call: its future's result or exception. */
#include "aio_client.h"

void
aio_call_free(struct aio_call *call)
{
	Py_XDECREF(call->future);
	Py_XDECREF(call->arg);
	PyMem_Free(call);
}

/* A lease that nobody waits for any more is given back, or the next caller would wait until it ends. */
static void
give_lease_back(struct aio_client *client, const struct aio_call *call, PyObject *value)
{
	PyObject *loop = PyWeakref_GetObject(client->loop), *args[2] = {call->arg, NULL};

	if (loop == Py_None || PyTuple_GET_ITEM(value, 0) == Py_True)
		return;
	Py_INCREF(loop);
	args[1] = PyTuple_GET_ITEM(value, 1);
	/* What fails here is a link that was lost, and its leases with it. */
	if (aio_client_call(client, loop, &hb_ops[HB_OPS_fetch_drop], args, 2, NULL) == 0)
		PyErr_Clear();
	Py_DECREF(loop);
}

/* Hands the value over, or the exception that is set where it is NULL.  -1: its future is done already. */
static int
resolve(struct hb_aio *a, PyObject *future, PyObject *value)
{
	PyObject *type, *error, *trace, *done;

	if (value != NULL) {
		done = PyObject_CallMethodOneArg(future, a->set_result, value);
	} else {
		PyErr_Fetch(&type, &error, &trace);
		PyErr_NormalizeException(&type, &error, &trace);
		done = PyObject_CallMethodOneArg(future, a->set_exception, error);
		/* Who had to be told may have been cancelled meanwhile: nothing to log then. */
		if (done != NULL && PyObject_SetAttr(future, a->log_traceback, Py_False) == -1)
			PyErr_Clear();
		Py_XDECREF(type);
		Py_XDECREF(error);
		Py_XDECREF(trace);
	}
	Py_XDECREF(done);
	if (done != NULL)
		return 0;
	if (PyErr_ExceptionMatches(a->invalid_state))
		PyErr_Clear();
	else
		PyErr_WriteUnraisable(future);
	return -1;
}

void
aio_call_done(void *arg, struct hb_mux_call *mux_call, const unsigned char *payload, size_t len,
    const struct hb_error *err)
{
	struct aio_client *client = arg;
	struct aio_call *call = (struct aio_call *)mux_call;
	PyObject *value = NULL;

	if (call->future != NULL) {
		if (err == NULL)
			value = hb_op_read(client->m, call->op, payload, len, call->arg);
		else
			hb_client_raise(&client->m->client, err);
		if (resolve(&client->m->aio, call->future, value) == -1 && value != NULL &&
		    call->op == &hb_ops[HB_OPS_fetch])
			give_lease_back(client, call, value);
	}
	Py_XDECREF(value);
	aio_call_free(call);
}
