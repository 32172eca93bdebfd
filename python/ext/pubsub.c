/* What publish/subscribe keeps in the module's state, and its functions: see pubsub.h. */
#include "module.h"
#include "watch.h"

static int
make_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type)
{
	*type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
	return *type != NULL ? 0 : -1;
}

static int
make_names(struct hb_pubsub *p)
{
	const struct {
		PyObject **name;
		const char *text;
	} names[] = {
	    {&p->key, "hornbeam_erlang process"},
	    {&p->add_reader, "add_reader"},
	    {&p->remove_reader, "remove_reader"},
	    {&p->create_future, "create_future"},
	    {&p->set_result, "set_result"},
	    {&p->done, "done"},
	    {&p->call_later, "call_later"},
	    {&p->cancel, "cancel"},
	    {&p->is_closed, "is_closed"},
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		*names[i].name = PyUnicode_InternFromString(names[i].text);
		if (*names[i].name == NULL)
			return -1;
	}
	return 0;
}

int
hb_pubsub_init(struct hb_module *m, PyObject *module)
{
	struct hb_pubsub *p = &m->pubsub;
	PyObject *capsule = PySys_GetObject(HB_PY_CURRENT);

	if (make_names(p) == -1 || make_type(module, &hb_process_spec, &p->process_type) == -1 ||
	    make_type(module, &hb_subscription_spec, &p->subscription_type) == -1 ||
	    make_type(module, &hb_awaited_spec, &p->awaited_type) == -1 ||
	    make_type(module, &hb_watch_spec, &p->watch_type) == -1 ||
	    PyModule_AddObjectRef(module, "Subscription", (PyObject *)p->subscription_type) == -1)
		return -1;
	if (capsule == NULL)
		return 0;
	p->current = PyCapsule_GetPointer(capsule, HB_PY_CURRENT);
	if (p->current == NULL)
		return -1;
	p->current->left = hb_process_leave;
	p->current->ended = hb_process_end;
	p->current->disconnected = m->client.disconnected_error;
	m->client.queue = p->current->queue;
	return p->current->enable(p->current->py);
}

int
hb_pubsub_traverse(struct hb_pubsub *p, visitproc visit, void *arg)
{
	Py_VISIT(p->process_type);
	Py_VISIT(p->subscription_type);
	Py_VISIT(p->awaited_type);
	Py_VISIT(p->watch_type);
	Py_VISIT(p->running_loop);
	return 0;
}

void
hb_pubsub_clear(struct hb_pubsub *p)
{
	if (p->current != NULL) {
		p->current->left = p->current->ended = NULL;
		p->current->disconnected = NULL;
	}
	p->current = NULL;
	hb_watch_clear(p);
	for (size_t i = 0; i < HB_PUBSUB_CACHE; i++) {
		p->cache[i].serial = 0;
		Py_CLEAR(p->cache[i].topic);
		Py_CLEAR(p->cache[i].pair);
	}
	Py_CLEAR(p->process_type);
	Py_CLEAR(p->subscription_type);
	Py_CLEAR(p->awaited_type);
	Py_CLEAR(p->watch_type);
	Py_CLEAR(p->running_loop);
	Py_CLEAR(p->key);
	Py_CLEAR(p->add_reader);
	Py_CLEAR(p->remove_reader);
	Py_CLEAR(p->create_future);
	Py_CLEAR(p->set_result);
	Py_CLEAR(p->done);
	Py_CLEAR(p->call_later);
	Py_CLEAR(p->cancel);
	Py_CLEAR(p->is_closed);
}

/* The subscriber of subscribe() and receive_pubsub(), owned. */
static PyObject *
pubsub_current(PyObject *module, PyObject *unused)
{
	struct hb_module *m = PyModule_GetState(module);
	struct hb_process *process = hb_process_current(m);

	if (process == NULL)
		return NULL;
	if (process->own == NULL)
		process->own = hb_subscription_new(m, m->pubsub.subscription_type, process);
	return Py_XNewRef((PyObject *)process->own);
}

PyMethodDef hb_pubsub_methods[] = {
    {"current", pubsub_current, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
