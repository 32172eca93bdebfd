/* The extension module _hornbeam. */
#include "module.h"

#include "blocking.h"

static PyObject *
module_encode(PyObject *module, PyObject *value)
{
	struct hb_module *m = PyModule_GetState(module);
	struct hb_buf b = HB_BUF_INIT;
	PyObject *bytes = NULL;

	hb_term_put_version(&b);
	if (hb_convert_to_term(&m->convert, value, &b) == 0)
		bytes = PyBytes_FromStringAndSize((const char *)b.data, (Py_ssize_t)b.len);
	hb_buf_free(&b);
	return bytes;
}

static PyObject *
module_decode(PyObject *module, PyObject *data)
{
	struct hb_module *m = PyModule_GetState(module);
	PyObject *value;
	Py_buffer view;

	if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) == -1)
		return NULL;
	value = hb_convert_from_term(&m->convert, view.buf, (size_t)view.len);
	PyBuffer_Release(&view);
	return value;
}

static PyObject *
module_configure(PyObject *module, PyObject *args)
{
	struct hb_module *m = PyModule_GetState(module);

	return hb_client_configure(&m->client, args);
}

static PyMethodDef module_methods[] = {
    {"encode", module_encode, METH_O, "encode(value, /)\n--\n\nThe value in Erlang's external term format."},
    {"decode", module_decode, METH_O, "decode(data, /)\n--\n\nThe value of a term in the external term format."},
    {"configure", module_configure, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int
module_exec(PyObject *module)
{
	struct hb_module *m = PyModule_GetState(module);

	if (hb_convert_init(&m->convert, module) == -1 || hb_client_init(&m->client) == -1 ||
	    hb_aio_init(&m->aio, module) == -1 || hb_pubsub_init(m, module) == -1 ||
	    PyModule_AddFunctions(module, hb_pubsub_methods) == -1 ||
	    PyModule_AddFunctions(module, hb_provide_methods) == -1)
		return -1;
	if (PyModule_AddStringConstant(module, "version", PACKAGE_VERSION) == -1)
		return -1;
	if (PyModule_AddFunctions(module, hb_blocking_methods) == -1)
		return -1;
	return PyModule_AddFunctions(module, hb_aio_methods);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
	struct hb_module *m = PyModule_GetState(module);

	return hb_convert_traverse(&m->convert, visit, arg) || hb_client_traverse(&m->client, visit, arg) ||
	    hb_aio_traverse(&m->aio, visit, arg) || hb_pubsub_traverse(&m->pubsub, visit, arg);
}

static int
module_clear(PyObject *module)
{
	struct hb_module *m = PyModule_GetState(module);

	hb_pubsub_clear(&m->pubsub);
	hb_convert_clear(&m->convert);
	hb_client_clear(&m->client);
	hb_aio_clear(&m->aio);
	return 0;
}

static void
module_free(void *module)
{
	module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

struct PyModuleDef hb_module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_hornbeam",
    .m_doc = "The C part of hornbeam_erlang.",
    .m_size = sizeof(struct hb_module),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__hornbeam(void);

PyMODINIT_FUNC
PyInit__hornbeam(void)
{
	return PyModuleDef_Init(&hb_module_def);
}
