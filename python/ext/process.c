/*
 * The current process of publish/subscribe: what a request keeps in a worker,
 * and else what a thread keeps in its dict, which Python drops at its end.
 */
#include <unistd.h>

#include "module.h"

static struct hb_process *
make(struct hb_module *m)
{
	struct hb_process *p = PyObject_New(struct hb_process, m->pubsub.process_type);

	if (p == NULL)
		return NULL;
	p->pid = getpid();
	p->end = HB_END_NONE;
	p->own = NULL;
	LIST_INIT(&p->subscriptions);
	return p;
}

static void
end(struct hb_process *p, enum hb_end how)
{
	struct hb_subscription *s;

	if (p->end < how)
		p->end = how;
	LIST_FOREACH(s, &p->subscriptions, link)
		hb_subscription_end(s, how);
}

void
hb_process_leave(PyObject *process)
{
	end((struct hb_process *)process, HB_END_LEFT);
}

void
hb_process_end(PyObject *process)
{
	end((struct hb_process *)process, HB_END_OVER);
}

static void
process_dealloc(PyObject *self)
{
	struct hb_process *p = (struct hb_process *)self;
	PyTypeObject *type = Py_TYPE(self);
	struct hb_subscription *s;

	end(p, HB_END_OVER);
	while ((s = LIST_FIRST(&p->subscriptions)) != NULL) {
		LIST_REMOVE(s, link);
		s->process = NULL;
	}
	Py_CLEAR(p->own);
	type->tp_free(self);
	Py_DECREF(type);
}

static struct hb_process *
raise_end(struct hb_module *m)
{
	PyErr_SetString(m->client.error, "the request has ended, and its subscriptions with it");
	return NULL;
}

/* A child of fork(2) has none of its parent's. */
static bool
is_parents(const struct hb_process *p)
{
	return p->pid != getpid();
}

static struct hb_process *
of_call(struct hb_module *m, struct hb_py_kept *kept)
{
	struct hb_process *p;

	if (kept->over)
		return raise_end(m);
	if (kept->object != NULL && is_parents((struct hb_process *)kept->object))
		Py_CLEAR(kept->object);
	if (kept->object == NULL) {
		kept->object = (PyObject *)make(m);
		p = (struct hb_process *)kept->object;
		if (p != NULL && kept->left)
			p->end = HB_END_LEFT;
	}
	return (struct hb_process *)kept->object;
}

static struct hb_process *
of_thread(struct hb_module *m)
{
	PyObject *dict = PyThreadState_GetDict(), *p;

	if (dict == NULL) {
		PyErr_SetString(PyExc_RuntimeError, "the interpreter has ended");
		return NULL;
	}
	p = PyDict_GetItemWithError(dict, m->pubsub.key);
	if (p != NULL && !is_parents((struct hb_process *)p))
		return (struct hb_process *)p;
	if (p == NULL && PyErr_Occurred())
		return NULL;
	p = (PyObject *)make(m);
	if (p == NULL)
		return NULL;
	if (PyDict_SetItem(dict, m->pubsub.key, p) == -1) {
		Py_DECREF(p);
		return NULL;
	}
	Py_DECREF(p);
	return (struct hb_process *)p;
}

struct hb_process *
hb_process_current(struct hb_module *m)
{
	struct hb_py_current *current = m->pubsub.current;
	struct hb_py_kept *kept = current != NULL ? current->find(current->py) : NULL;

	return kept != NULL ? of_call(m, kept) : of_thread(m);
}

int
hb_process_end_thread(struct hb_module *m)
{
	PyObject *dict = PyThreadState_GetDict();

	if (dict == NULL || PyDict_DelItem(dict, m->pubsub.key) == 0)
		return 0;
	if (!PyErr_ExceptionMatches(PyExc_KeyError))
		return -1;
	PyErr_Clear();
	return 0;
}

static PyType_Slot process_slots[] = {
    {Py_tp_dealloc, process_dealloc},
    {0, NULL},
};

PyType_Spec hb_process_spec = {
    .name = "hornbeam_erlang._hornbeam.Process",
    .basicsize = sizeof(struct hb_process),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = process_slots,
};
