/* What a hook has added to a request: a term that hornbeam_erlang decodes, for its types are the module's. */
#include "py/state.h"

static PyObject *
get_decode(struct hb_py *py)
{
	PyObject *module;

	if (py->decode == NULL) {
		module = PyImport_ImportModule("hornbeam_erlang._hornbeam");
		py->decode = module != NULL ? PyObject_GetAttrString(module, "decode") : NULL;
		Py_XDECREF(module);
	}
	return py->decode;
}

PyObject *
hb_py_own(struct hb_py *py, const struct hb_py_request *r)
{
	PyObject *decode = get_decode(py), *bytes, *own;

	if (decode == NULL)
		return NULL;
	bytes = PyBytes_FromStringAndSize((const char *)r->own, (Py_ssize_t)r->own_len);
	own = bytes != NULL ? PyObject_CallOneArg(decode, bytes) : NULL;
	Py_XDECREF(bytes);
	return own;
}
