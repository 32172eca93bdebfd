/* The operations: see ops.h. */
#include "ops.h"

#include <string.h>

#include "fields.h"
#include "readers.h"

#define ROW(name, op, fields, read, timeout) {#name, op, fields, read, timeout},

const struct hb_op hb_ops[HB_OPS_COUNT] = {HB_OPS(ROW)};

/* A request is one term, a tuple of several, or an empty list. */
static void
open_request(const char *fields, struct hb_buf *out)
{
	uint32_t terms = 0;

	for (const char *f = fields; *f != '\0'; f++)
		terms += hb_field_is_sent(*f);
	if (terms == 0)
		hb_term_put_nil(out);
	else if (terms > 1)
		hb_term_put_tuple(out, terms);
}

int
hb_op_ask(struct hb_module *m, const struct hb_op *op, PyObject *const *args, Py_ssize_t n, struct hb_buf *out,
    struct hb_asked *asked)
{
	Py_ssize_t wanted = (Py_ssize_t)strlen(op->fields);

	*asked = (struct hb_asked){.timeout = op->timeout, .arg = Py_None};
	if (n != wanted) {
		PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, not %zd", op->name, wanted, n);
		return -1;
	}
	open_request(op->fields, out);
	for (Py_ssize_t i = 0; i < n; i++)
		if (hb_field_put(m, op->fields[i], args[i], asked, out) == -1)
			return -1;
	return 0;
}

PyObject *
hb_op_read(struct hb_module *m, const struct hb_op *op, const void *payload, size_t len, PyObject *arg)
{
	struct hb_term_reader r;
	struct hb_error err;
	PyObject *result = NULL;

	if (hb_term_open(&r, payload, len, &err) == 0)
		result = op->read(m, &r, arg, &err);
	if (result == NULL && !PyErr_Occurred())
		hb_client_raise(&m->client, &err);
	/* cppcheck-suppress returnDanglingLifetime ; an object keeps nothing of its reader */
	return result;
}
