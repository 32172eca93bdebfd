/* The module _hornbeam_loop: its types in C, and the classes in Python (loop.py) that are made of them. */
#include <string.h>

#include "py/aio.h"

static const unsigned char source[] = {
#include "src/py/loop_py.h"
	'\0'
};

static struct PyModuleDef module_def;

struct hb_aio *
hb_aio_of(PyTypeObject *type)
{
	PyObject *module = PyType_GetModuleByDef(type, &module_def);

	return module != NULL ? PyModule_GetState(module) : NULL;
}

bool
hb_aio_is_true(PyObject *object)
{
	if (object == Py_True)
		return true;
	if (object == Py_False || object == NULL || object == Py_None)
		return false;
	if (PyObject_IsTrue(object) == 1)
		return true;
	PyErr_Clear();
	return false;
}

struct import {
	const char *module;
	const char *name;
	size_t field;
};

static const struct import imports[] = {
	{"asyncio", "Handle", offsetof(struct hb_aio, handle)},
	{"asyncio", "TimerHandle", offsetof(struct hb_aio, timer)},
	{"asyncio", "Future", offsetof(struct hb_aio, future)},
	{"asyncio", "Task", offsetof(struct hb_aio, task)},
	{"asyncio", "SelectorEventLoop", offsetof(struct hb_aio, base_loop)},
	{"asyncio.tasks", "_current_tasks", offsetof(struct hb_aio, current_tasks)},
	{"asyncio.tasks", "_all_tasks", offsetof(struct hb_aio, all_tasks)},
	{"selectors", "SelectorKey", offsetof(struct hb_aio, selector_key)},
};

static int
import_all(struct hb_aio *aio)
{
	for (size_t i = 0; i < sizeof imports / sizeof *imports; i++) {
		PyObject *module = PyImport_ImportModule(imports[i].module);
		PyObject *found = module != NULL ? PyObject_GetAttrString(module, imports[i].name) : NULL;

		Py_XDECREF(module);
		if (found == NULL)
			return -1;
		memcpy((char *)aio + imports[i].field, &found, sizeof found);
	}
	return 0;
}

/* Interned, or the callee compares them letter by letter. */
static PyObject *
keywords(const char *const *names, Py_ssize_t n)
{
	PyObject *tuple = PyTuple_New(n);

	for (Py_ssize_t i = 0; i < n && tuple != NULL; i++) {
		PyObject *name = PyUnicode_InternFromString(names[i]);

		if (name != NULL)
			PyTuple_SET_ITEM(tuple, i, name);
		else
			Py_CLEAR(tuple);
	}
	return tuple;
}

static int
make_names(struct hb_aio *aio)
{
	static const char *const task[] = {"loop", "name", "context"};

	aio->no_args = PyTuple_New(0);
	aio->names_loop = keywords(task, 1);
	aio->names_task = keywords(task, 3);
	aio->append = PyUnicode_InternFromString("append");
	aio->popleft = PyUnicode_InternFromString("popleft");
	aio->fileno = PyUnicode_InternFromString("fileno");
	aio->data_received = PyUnicode_InternFromString("data_received");
	aio->fatal_error = PyUnicode_InternFromString("_fatal_error");
	return aio->no_args != NULL && aio->names_loop != NULL && aio->names_task != NULL &&
	    aio->append != NULL && aio->popleft != NULL && aio->fileno != NULL && aio->data_received != NULL &&
	    aio->fatal_error != NULL ? 0 : -1;
}

static PyTypeObject *
add_type(PyObject *module, PyType_Spec *spec)
{
	PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);

	if (type != NULL && PyModule_AddType(module, type) == -1)
		Py_CLEAR(type);
	return type;
}

static int
run_source(PyObject *module)
{
	PyObject *code = Py_CompileString((const char *)source, "<hornbeam loop>", Py_file_input);
	PyObject *dict = PyModule_GetDict(module), *done = NULL;

	if (code != NULL && PyDict_SetItemString(dict, "__builtins__", PyEval_GetBuiltins()) == 0)
		done = PyEval_EvalCode(code, dict, dict);
	Py_XDECREF(code);
	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

static int
module_exec(PyObject *module)
{
	struct hb_aio *aio = PyModule_GetState(module);
	PyObject *stream;
	int rc;

	if (import_all(aio) == -1 || make_names(aio) == -1 || hb_aio_handle_init(aio) == -1 ||
	    hb_aio_tasks_init(aio->all_tasks) == -1)
		return -1;
	aio->selector_type = add_type(module, &hb_selector_spec);
	aio->core_type = add_type(module, &hb_aio_core_spec);
	aio->stream_core = add_type(module, &hb_aio_stream_spec);
	if (aio->selector_type == NULL || aio->core_type == NULL || aio->stream_core == NULL ||
	    run_source(module) == -1)
		return -1;
	aio->report = PyObject_GetAttrString(module, "report");
	stream = PyObject_GetAttrString(module, "StreamTransport");
	rc = aio->report != NULL && stream != NULL ? hb_aio_stream_init(aio, (PyTypeObject *)stream) : -1;
	Py_XDECREF(stream);
	return rc;
}

/* Every object that the state owns. */
static const size_t owned[] = {
	offsetof(struct hb_aio, selector_type), offsetof(struct hb_aio, core_type), offsetof(struct hb_aio, stream_core),
	offsetof(struct hb_aio, handle), offsetof(struct hb_aio, timer), offsetof(struct hb_aio, future),
	offsetof(struct hb_aio, task), offsetof(struct hb_aio, base_loop), offsetof(struct hb_aio, current_tasks),
	offsetof(struct hb_aio, all_tasks), offsetof(struct hb_aio, selector_key),
	offsetof(struct hb_aio, report), offsetof(struct hb_aio, no_args), offsetof(struct hb_aio, names_loop),
	offsetof(struct hb_aio, names_task), offsetof(struct hb_aio, append), offsetof(struct hb_aio, popleft),
	offsetof(struct hb_aio, fileno), offsetof(struct hb_aio, data_received), offsetof(struct hb_aio, fatal_error),
};

static PyObject **
owned_at(struct hb_aio *aio, size_t i)
{
	return (PyObject **)(void *)((char *)aio + owned[i]);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
	struct hb_aio *aio = PyModule_GetState(module);

	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		Py_VISIT(*owned_at(aio, i));
	return 0;
}

static int
module_clear(PyObject *module)
{
	struct hb_aio *aio = PyModule_GetState(module);

	for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
		Py_CLEAR(*owned_at(aio, i));
	return 0;
}

static void
module_free(void *module)
{
	struct hb_aio *aio = PyModule_GetState(module);

	module_clear(module);
	PyMem_Free(aio->scratch);
	aio->scratch = NULL;
}

static PyModuleDef_Slot module_slots[] = {
	{Py_mod_exec, module_exec},
	{0, NULL},
};

static struct PyModuleDef module_def = {
	PyModuleDef_HEAD_INIT,
	.m_name = "_hornbeam_loop",
	.m_size = sizeof(struct hb_aio),
	.m_slots = module_slots,
	.m_traverse = module_traverse,
	.m_clear = module_clear,
	.m_free = module_free,
};

PyObject *
hb_aio_module(void)
{
	return PyModuleDef_Init(&module_def);
}
