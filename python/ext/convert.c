/* What the conversion keeps in the module's state: see convert.h. */
#include "convert.h"

#include "kinds.h"

int
hb_convert_init(struct hb_convert *c, PyObject *module)
{
	c->atoms = PyDict_New();
	return c->atoms == NULL ? -1 : types_init(c, module);
}

int
hb_convert_traverse(struct hb_convert *c, visitproc visit, void *arg)
{
	Py_VISIT(c->atom_type);
	Py_VISIT(c->term_type);
	Py_VISIT(c->pid_type);
	Py_VISIT(c->ref_type);
	Py_VISIT(c->atoms);
	Py_VISIT(c->decimal_type);
	Py_VISIT(c->uuid_type);
	Py_VISIT(c->zone_type);
	return 0;
}

void
hb_convert_clear(struct hb_convert *c)
{
	Py_CLEAR(c->atom_type);
	Py_CLEAR(c->term_type);
	Py_CLEAR(c->pid_type);
	Py_CLEAR(c->ref_type);
	Py_CLEAR(c->atoms);
	Py_CLEAR(c->decimal_type);
	Py_CLEAR(c->uuid_type);
	Py_CLEAR(c->zone_type);
}
