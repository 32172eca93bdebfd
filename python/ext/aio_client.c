/* The client of one asyncio loop: see aio.h. */
#include "aio_client.h"

#include <errno.h>
#include <structmember.h>

#include "common/clock.h"
#include "term/term.h"

/* The loop, owned; NULL: it is gone. */
static PyObject *
loop_of(struct aio_client *client)
{
	PyObject *loop = PyWeakref_GetObject(client->loop);

	return loop == Py_None ? NULL : Py_NewRef(loop);
}

/* What the loop does about a failure in a callback is to go on; so is this. */
static void
report(struct aio_client *client)
{
	if (PyErr_Occurred())
		PyErr_WriteUnraisable((PyObject *)client);
}

/* loop.name(fd) */
static int
unwatch(struct aio_client *client, PyObject *loop, PyObject *name, int fd)
{
	PyObject *number = PyLong_FromLong(fd), *done = NULL;

	if (number != NULL)
		done = PyObject_CallMethodOneArg(loop, name, number);
	Py_XDECREF(number);
	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

static void
closing(void *arg, int fd)
{
	struct aio_client *client = arg;
	PyObject *loop, *type, *value, *trace;

	if (client->fd != fd)
		return;
	client->fd = -1;
	loop = loop_of(client);
	if (loop == NULL)
		return;
	PyErr_Fetch(&type, &value, &trace);
	if (unwatch(client, loop, client->m->aio.remove_reader, fd) == -1 ||
	    (client->writable && unwatch(client, loop, client->m->aio.remove_writer, fd) == -1))
		report(client);
	client->writable = false;
	Py_DECREF(loop);
	PyErr_Restore(type, value, trace);
}

/* loop.name(fd, self.method): a callback that lives on has no part in the context of who happens to call. */
static int
watch(struct aio_client *client, PyObject *loop, PyObject *name, const char *method)
{
	PyObject *callback = PyObject_GetAttrString((PyObject *)client, method), *number = NULL, *context = NULL;
	PyObject *done = NULL;

	if (callback != NULL && (number = PyLong_FromLong(client->fd)) != NULL &&
	    (context = PyContext_New()) != NULL && PyContext_Enter(context) == 0) {
		done = PyObject_CallMethodObjArgs(loop, name, number, callback, NULL);
		if (PyContext_Exit(context) == -1)
			Py_CLEAR(done);
	}
	Py_XDECREF(callback);
	Py_XDECREF(number);
	Py_XDECREF(context);
	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

/* What the timer calls, which does not keep the client: it is gone with its descriptor's callback. */
static PyObject *
weak_tick(PyObject *ref, PyObject *unused)
{
	PyObject *client = Py_NewRef(PyWeakref_GetObject(ref)), *done = Py_NewRef(Py_None);

	if (client != Py_None)
		Py_SETREF(done, PyObject_CallMethod(client, "_tick", NULL));
	Py_DECREF(client);
	return done;
}

static PyMethodDef weak_tick_def = {"tick", weak_tick, METH_NOARGS, NULL};

static PyObject *
timer_callback(struct aio_client *client)
{
	PyObject *ref, *callback;

	/* Without a descriptor the timer is all that keeps it. */
	if (client->fd == -1)
		return PyObject_GetAttrString((PyObject *)client, "_tick");
	ref = PyWeakref_NewRef((PyObject *)client, NULL);
	if (ref == NULL)
		return NULL;
	callback = PyCFunction_New(&weak_tick_def, ref);
	Py_DECREF(ref);
	return callback;
}

static int
set_timer(struct aio_client *client, PyObject *loop, int64_t at)
{
	int64_t left = at - hb_clock_ms();
	PyObject *callback, *delay, *done = NULL, *context = NULL;

	if (client->timer != NULL) {
		done = PyObject_CallMethodNoArgs(client->timer, client->m->aio.cancel);
		Py_CLEAR(client->timer);
		if (done == NULL)
			return -1;
		Py_CLEAR(done);
	}
	callback = timer_callback(client);
	delay = PyFloat_FromDouble(left > 0 ? (double)left / 1000 : 0);
	if (callback != NULL && delay != NULL && (context = PyContext_New()) != NULL && PyContext_Enter(context) == 0) {
		client->timer = PyObject_CallMethodObjArgs(loop, client->m->aio.call_later, delay, callback, NULL);
		if (PyContext_Exit(context) == -1)
			Py_CLEAR(client->timer);
	}
	Py_XDECREF(callback);
	Py_XDECREF(delay);
	Py_XDECREF(context);
	client->timer_at = client->timer != NULL ? at : INT64_MAX;
	return client->timer != NULL ? 0 : -1;
}

/* The loop waits for what the client waits for. */
static int
arrange(struct aio_client *client, PyObject *loop)
{
	struct hb_aio *a = &client->m->aio;
	struct hb_mux_wait wait;

	hb_mux_wait(client->mux, &wait);
	if (wait.fd != client->fd && wait.fd != -1) {
		client->fd = wait.fd;
		if (watch(client, loop, a->add_reader, "_readable") == -1)
			return -1;
		client->timer_at = INT64_MAX; /* a timer of before keeps the client */
	}
	if (wait.writable != client->writable && client->fd != -1) {
		client->writable = wait.writable;
		if ((wait.writable ? watch(client, loop, a->add_writer, "_writable") :
		    unwatch(client, loop, a->remove_writer, client->fd)) == -1)
			return -1;
	}
	return wait.until < client->timer_at ? set_timer(client, loop, wait.until) : 0;
}

static PyObject *
after(struct aio_client *client)
{
	PyObject *loop = loop_of(client);
	int rc = loop != NULL ? arrange(client, loop) : 0;

	Py_XDECREF(loop);
	return rc == -1 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
client_readable(PyObject *self, PyObject *unused)
{
	struct aio_client *client = (struct aio_client *)self;

	hb_mux_readable(client->mux);
	return after(client);
}

static PyObject *
client_writable(PyObject *self, PyObject *unused)
{
	struct aio_client *client = (struct aio_client *)self;

	hb_mux_flush(client->mux);
	return after(client);
}

static PyObject *
client_tick(PyObject *self, PyObject *unused)
{
	struct aio_client *client = (struct aio_client *)self;

	Py_CLEAR(client->timer);
	client->timer_at = INT64_MAX;
	hb_mux_tick(client->mux);
	return after(client);
}

/* What the loop calls soon after a request: a client is callable, which saves the bound method. */
static PyObject *
client_call(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct aio_client *client = (struct aio_client *)self;

	client->flushing = false;
	hb_mux_flush(client->mux);
	return after(client);
}

/* All requests of one pass of the loop go out together. */
static int
flush_soon(struct aio_client *client, PyObject *loop)
{
	PyObject *handle;

	if (client->flushing)
		return 0;
	handle = PyObject_CallMethodOneArg(loop, client->m->aio.call_soon, (PyObject *)client);
	Py_XDECREF(handle);
	client->flushing = handle != NULL;
	return handle != NULL ? 0 : -1;
}

/* The loop does not wait for it. */
static void
drop_call(struct aio_client *client, uint32_t id)
{
	struct hb_mux_call *call = hb_mux_find(client->mux, id);

	if (call == NULL)
		return;
	hb_mux_cancel(client->mux, call);
	aio_call_free((struct aio_call *)call);
}

uint32_t
aio_client_call(struct aio_client *client, PyObject *loop, const struct hb_op *op, PyObject *const *args,
    Py_ssize_t n, PyObject *future)
{
	struct hb_module *m = client->m;
	struct hb_scratch *s = hb_client_take(&m->client);
	struct aio_call *call = PyMem_Calloc(1, sizeof *call);
	struct hb_asked asked;
	struct hb_error err;
	uint32_t id = 0;

	if (s == NULL || call == NULL) {
		PyErr_NoMemory();
		goto done;
	}
	if (hb_op_ask(m, op, args, n, &s->request, &asked) == -1)
		goto done;
	if (hb_mux_call(client->mux, &call->call, op->op, &s->request, hb_clock_ms() + asked.timeout, &err) == -1) {
		hb_client_raise(&m->client, &err);
		goto done;
	}
	call->op = op;
	call->future = Py_XNewRef(future);
	call->arg = Py_NewRef(asked.arg);
	id = call->call.id;
	call = NULL;
	if (flush_soon(client, loop) == -1 || arrange(client, loop) == -1) {
		drop_call(client, id);
		id = 0;
	}
done:
	if (s != NULL)
		hb_client_give(&m->client, s);
	PyMem_Free(call);
	return id;
}

int
aio_client_cancel(struct aio_client *client, PyObject *loop, uint32_t id, PyObject *future)
{
	struct aio_call *call = (struct aio_call *)hb_mux_find(client->mux, id);

	if (call == NULL || call->future != future)
		return 0;
	hb_mux_cancel(client->mux, &call->call);
	aio_call_free(call);
	return flush_soon(client, loop);
}

static struct aio_client *
client_new(PyObject *module, PyObject *loop)
{
	struct hb_module *m = PyModule_GetState(module);
	PyTypeObject *type = (PyTypeObject *)m->aio.type;
	struct aio_client *client;

	if (hb_client_settle(&m->client) == -1)
		return NULL;
	client = (struct aio_client *)type->tp_alloc(type, 0);
	if (client == NULL)
		return NULL;
	client->m = m;
	client->module = Py_NewRef(module);
	client->fd = -1;
	client->timer_at = INT64_MAX;
	client->loop = PyWeakref_NewRef(loop, NULL);
	if (client->loop == NULL)
		goto fail;
	client->mux = hb_mux_new(&(struct hb_mux_options){.via = m->client.via, .path = m->client.path,
	    .role = m->client.role, .name = program_invocation_short_name, .backoff = &m->aio.backoff,
	    .done = aio_call_done, .closing = closing, .arg = client});
	if (client->mux == NULL) {
		PyErr_NoMemory();
		goto fail;
	}
	return client;
fail:
	Py_DECREF(client);
	return NULL;
}

static void
take_out(struct aio_client *client)
{
	if (client->at == NULL)
		return;
	*client->at = client->next;
	if (client->next != NULL)
		client->next->at = client->at;
	client->at = NULL;
}

static void
put_in_front(struct hb_aio *a, struct aio_client *client)
{
	take_out(client);
	client->next = a->clients;
	if (client->next != NULL)
		client->next->at = &client->next;
	client->at = &a->clients;
	a->clients = client;
}

struct aio_client *
aio_client_of(PyObject *module, PyObject *loop)
{
	struct hb_module *m = PyModule_GetState(module);
	struct aio_client *client = m->aio.clients, *next;

	for (; client != NULL; client = next) {
		next = client->next;
		if (hb_mux_is_parents(client->mux)) {
			take_out(client);
		} else if (PyWeakref_GET_OBJECT(client->loop) == loop) {
			if (client != m->aio.clients)
				put_in_front(&m->aio, client);
			return (struct aio_client *)Py_NewRef(client);
		}
	}
	client = client_new(module, loop);
	if (client != NULL)
		put_in_front(&m->aio, client);
	return client;
}

struct visit {
	visitproc visit;
	void *arg;
};

static int
traverse_call(struct hb_mux_call *mux_call, void *arg)
{
	struct aio_call *call = (struct aio_call *)mux_call;
	struct visit *v = arg;
	int rc = call->future != NULL ? v->visit(call->future, v->arg) : 0;

	return rc != 0 || call->arg == NULL ? rc : v->visit(call->arg, v->arg);
}

static int
client_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct aio_client *client = (struct aio_client *)self;
	struct visit v = {visit, arg};

	Py_VISIT(Py_TYPE(self));
	Py_VISIT(client->module);
	Py_VISIT(client->loop);
	Py_VISIT(client->timer);
	return client->mux != NULL ? hb_mux_each(client->mux, traverse_call, &v) : 0;
}

static int
client_clear(PyObject *self)
{
	struct aio_client *client = (struct aio_client *)self;
	struct hb_mux_call *call;

	while (client->mux != NULL && (call = hb_mux_take(client->mux)) != NULL)
		aio_call_free((struct aio_call *)call);
	Py_CLEAR(client->timer);
	return 0;
}

static void
client_dealloc(PyObject *self)
{
	struct aio_client *client = (struct aio_client *)self;
	PyTypeObject *type = Py_TYPE(self);

	PyObject_GC_UnTrack(self);
	if (client->weakrefs != NULL)
		PyObject_ClearWeakRefs(self);
	take_out(client);
	client_clear(self);
	hb_mux_free(client->mux);
	Py_CLEAR(client->loop);
	Py_CLEAR(client->module);
	type->tp_free(self);
	Py_DECREF(type);
}

static PyMethodDef client_methods[] = {
    {"_readable", client_readable, METH_NOARGS, NULL},
    {"_writable", client_writable, METH_NOARGS, NULL},
    {"_tick", client_tick, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef client_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct aio_client, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot client_slots[] = {
    {Py_tp_dealloc, client_dealloc},
    {Py_tp_traverse, client_traverse},
    {Py_tp_clear, client_clear},
    {Py_tp_call, client_call},
    {Py_tp_methods, client_methods},
    {Py_tp_members, client_members},
    {0, NULL},
};

static PyType_Spec client_spec = {
    .name = "hornbeam_erlang._hornbeam.AioClient",
    .basicsize = sizeof(struct aio_client),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = client_slots,
};

int
aio_client_init(struct hb_aio *a, PyObject *module)
{
	a->type = PyType_FromModuleAndSpec(module, &client_spec, NULL);
	return a->type == NULL ? -1 : 0;
}
