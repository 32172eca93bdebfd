/* The blocking functions: see blocking.h. */
#include "blocking.h"

#include "ops.h"

static PyObject *
run(PyObject *module, const struct hb_op *op, PyObject *const *args, Py_ssize_t n)
{
	struct hb_module *m = PyModule_GetState(module);
	struct hb_scratch *s = hb_client_take(&m->client);
	struct hb_asked asked;
	PyObject *result = NULL;

	if (s == NULL)
		return NULL;
	if (hb_op_ask(m, op, args, n, &s->request, &asked) == 0 && hb_client_call(&m->client, op->op, s, asked.timeout) == 0)
		result = hb_op_read(m, op, s->reply.data, s->reply.len, asked.arg);
	hb_client_give(&m->client, s);
	return result;
}

#define FUNCTION(name, ...) \
	static PyObject *blocking_##name(PyObject *module, PyObject *const *args, Py_ssize_t n) \
	{ \
		return run(module, &hb_ops[HB_OPS_##name], args, n); \
	}
#define METHOD(name, ...) {#name, (PyCFunction)(void (*)(void))blocking_##name, METH_FASTCALL, NULL},

HB_OPS(FUNCTION)

PyMethodDef hb_blocking_methods[] = {HB_OPS(METHOD){NULL, NULL, 0, NULL}};
