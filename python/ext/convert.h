/*
 * Python objects to Erlang terms and back, for the extension module.  The
 * names of Python's own kinds that a term cannot hold travel as
 * {'$py', Kind, Payload}; kinds.c lists them.
 */
#ifndef HB_PYTHON_CONVERT_H
#define HB_PYTHON_CONVERT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "common/buf.h"
#include "term/term.h"

enum {
	HB_CONVERT_SIZE_MAX = 16 * 1024 * 1024, /* bytes of one encoded value */
	HB_CONVERT_INT_MAX = 500 * 1000,        /* bytes of an integer: a little less than the BEAM's limit */
	HB_CONVERT_ATOMS_MAX = 4096             /* atoms kept for good */
};

/* Part of the module's state; every pointer owns its reference. */
struct hb_convert {
	PyObject *atom_type, *term_type, *pid_type, *ref_type;
	PyObject *atoms; /* name -> Atom */
	/* NULL until a value of theirs was met. */
	PyObject *decimal_type, *uuid_type, *zone_type;
};

/* Makes the types; -1 with a Python exception. */
int hb_convert_init(struct hb_convert *c, PyObject *module);
int hb_convert_traverse(struct hb_convert *c, visitproc visit, void *arg);
void hb_convert_clear(struct hb_convert *c);

/*
 * Appends value as a term, without a version byte.  -1 with TypeError or
 * ValueError, which names the place in the value; what was appended is then
 * cut off again.
 */
int hb_convert_to_term(struct hb_convert *c, PyObject *value, struct hb_buf *out);
/* The object for a term that starts with its version byte; NULL with ValueError. */
PyObject *hb_convert_from_term(struct hb_convert *c, const void *p, size_t len);
/* The object for the element that r reads next, whose token t is. */
PyObject *hb_convert_from_token(struct hb_convert *c, struct hb_term_reader *r, const struct hb_term_token *t);

/* Appends a binary that holds the encoded value, its version byte in front; -1 as above. */
int hb_convert_to_binary(struct hb_convert *c, PyObject *value, struct hb_buf *out);

/*
 * Stored values: an int (no bool) as an integer, which the companion can
 * count with, anything else as a binary that holds the encoded value.
 */
int hb_convert_to_stored(struct hb_convert *c, PyObject *value, struct hb_buf *out);
/* Of an integer's or a binary's token; NULL with ValueError. */
PyObject *hb_convert_from_stored(struct hb_convert *c, const struct hb_term_token *t);

/* An int of any size as an integer; -1 with TypeError or ValueError. */
int hb_convert_int_to_term(PyObject *value, struct hb_buf *out);
/* Of an HB_TERM_INT or HB_TERM_BIG. */
PyObject *hb_convert_int_from_token(const struct hb_term_token *t);

#endif
