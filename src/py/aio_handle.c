/* Handles: asyncio.Handle and asyncio.TimerHandle, made and run without a line of Python. */
#include "py/aio.h"

#include <structmember.h>

#include "py/watch.h"

struct slot_name {
	const char *name;
	size_t field;
};

static const struct slot_name handle_slots[] = {
	{"_callback", offsetof(struct hb_aio_offsets, callback)},
	{"_args", offsetof(struct hb_aio_offsets, args)},
	{"_cancelled", offsetof(struct hb_aio_offsets, cancelled)},
	{"_loop", offsetof(struct hb_aio_offsets, loop)},
	{"_source_traceback", offsetof(struct hb_aio_offsets, source_traceback)},
	{"_repr", offsetof(struct hb_aio_offsets, repr)},
	{"_context", offsetof(struct hb_aio_offsets, context)},
	{"_scheduled", offsetof(struct hb_aio_offsets, scheduled)},
	{"_when", offsetof(struct hb_aio_offsets, when)},
};

int
hb_aio_slot(PyTypeObject *type, const char *name, Py_ssize_t *offset)
{
	PyObject *member = PyObject_GetAttrString((PyObject *)type, name);
	int rc = -1;

	if (member != NULL && Py_IS_TYPE(member, &PyMemberDescr_Type) &&
	    ((PyMemberDescrObject *)member)->d_member->type == T_OBJECT_EX) {
		*offset = ((PyMemberDescrObject *)member)->d_member->offset;
		rc = 0;
	} else if (member != NULL)
		PyErr_Format(PyExc_TypeError, "%s.%s is no slot", type->tp_name, name);
	Py_XDECREF(member);
	return rc;
}

int
hb_aio_handle_init(struct hb_aio *aio)
{
	for (size_t i = 0; i < sizeof handle_slots / sizeof *handle_slots; i++) {
		void *field = (char *)&aio->at + handle_slots[i].field;

		if (hb_aio_slot(aio->timer, handle_slots[i].name, field) == -1)
			return -1;
	}
	return 0;
}

/* In debug mode the object notes where it was made, which only asyncio's own constructor does. */
static PyObject *
make_by_class(struct hb_aio_core *core, PyObject *callback, PyObject *args, PyObject *context, PyObject *when)
{
	PyObject *given = context != NULL ? context : Py_None;
	PyObject *made;

	if (when != NULL)
		made = PyObject_CallFunctionObjArgs((PyObject *)core->aio->timer, when, callback, args, core, given, NULL);
	else
		made = PyObject_CallFunctionObjArgs((PyObject *)core->aio->handle, callback, args, core, given, NULL);
	Py_DECREF(args);
	return made;
}

PyObject *
hb_aio_handle_new(struct hb_aio_core *core, PyObject *callback, PyObject *args, PyObject *context, PyObject *when)
{
	const struct hb_aio_offsets *at = &core->aio->at;
	PyTypeObject *type = when != NULL ? core->aio->timer : core->aio->handle;
	PyObject *h, *copy;

	if (hb_aio_is_true(core->debug))
		return make_by_class(core, callback, args, context, when);
	copy = context != NULL && context != Py_None ? Py_NewRef(context) : PyContext_CopyCurrent();
	h = copy != NULL ? type->tp_alloc(type, 0) : NULL;
	if (h == NULL) {
		Py_DECREF(args);
		Py_XDECREF(copy);
		return NULL;
	}
	HB_AIO_SLOT(h, at->callback) = Py_NewRef(callback);
	HB_AIO_SLOT(h, at->args) = args;
	HB_AIO_SLOT(h, at->cancelled) = Py_NewRef(Py_False);
	HB_AIO_SLOT(h, at->loop) = Py_NewRef((PyObject *)core);
	HB_AIO_SLOT(h, at->source_traceback) = Py_NewRef(Py_None);
	HB_AIO_SLOT(h, at->repr) = Py_NewRef(Py_None);
	HB_AIO_SLOT(h, at->context) = copy;
	if (when != NULL) {
		HB_AIO_SLOT(h, at->scheduled) = Py_NewRef(Py_False);
		HB_AIO_SLOT(h, at->when) = Py_NewRef(when);
	}
	return h;
}

static bool
is_plain(const struct hb_aio *aio, PyObject *handle)
{
	return Py_IS_TYPE(handle, aio->handle) || Py_IS_TYPE(handle, aio->timer);
}

bool
hb_aio_handle_cancelled(const struct hb_aio *aio, PyObject *handle)
{
	PyObject *cancelled;
	bool yes;

	if (is_plain(aio, handle))
		return HB_AIO_SLOT(handle, aio->at.cancelled) == Py_True;
	cancelled = PyObject_GetAttrString(handle, "_cancelled");
	yes = cancelled != NULL && hb_aio_is_true(cancelled);
	PyErr_Clear();
	Py_XDECREF(cancelled);
	return yes;
}

int
hb_aio_handle_cancel(PyObject *handle)
{
	PyObject *done = PyObject_CallMethod(handle, "cancel", NULL);

	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

int
hb_aio_handle_failed(struct hb_aio_core *core, PyObject *handle)
{
	PyObject *type, *value, *tb, *done;
	bool ends = PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);

	if (ends && !core->serving)
		return -1;
	PyErr_Fetch(&type, &value, &tb);
	PyErr_NormalizeException(&type, &value, &tb);
	if (tb != NULL)
		PyException_SetTraceback(value, tb);
	done = PyObject_CallFunctionObjArgs(core->aio->report, core, handle, value, NULL);
	Py_XDECREF(type);
	Py_XDECREF(value);
	Py_XDECREF(tb);
	if (done == NULL && core->serving) {
		PyErr_WriteUnraisable((PyObject *)core);
		return 0;
	}
	Py_XDECREF(done);
	return done != NULL ? 0 : -1;
}

/* What a handle of another class does is its own affair. */
static int
run_other(struct hb_aio_core *core, PyObject *handle)
{
	PyObject *done = PyObject_CallMethod(handle, "_run", NULL);

	if (done == NULL)
		return hb_aio_handle_failed(core, handle);
	Py_DECREF(done);
	return 0;
}

int
hb_aio_handle_run(struct hb_aio_core *core, PyObject *handle)
{
	const struct hb_aio_offsets *at = &core->aio->at;
	PyObject *callback, *args, *context, *result = NULL;

	if (hb_aio_handle_cancelled(core->aio, handle))
		return 0;
	hb_py_watch_begin(core->mark);
	if (!is_plain(core->aio, handle))
		return run_other(core, handle);
	callback = HB_AIO_SLOT(handle, at->callback);
	args = HB_AIO_SLOT(handle, at->args);
	context = HB_AIO_SLOT(handle, at->context);
	if (callback == NULL || args == NULL || context == NULL || !PyTuple_Check(args) ||
	    !PyContext_CheckExact(context))
		return run_other(core, handle);
	Py_INCREF(callback);
	Py_INCREF(args);
	Py_INCREF(context);
	if (PyContext_Enter(context) == 0) {
		result = PyObject_Vectorcall(callback, &PyTuple_GET_ITEM(args, 0), (size_t)PyTuple_GET_SIZE(args), NULL);
		if (PyContext_Exit(context) == -1)
			Py_CLEAR(result);
	}
	Py_DECREF(callback);
	Py_DECREF(args);
	Py_DECREF(context);
	if (result == NULL)
		return hb_aio_handle_failed(core, handle);
	Py_DECREF(result);
	return 0;
}
