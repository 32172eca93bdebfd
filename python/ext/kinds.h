/* The files of the conversion among themselves: see convert.h. */
#ifndef HB_PYTHON_KINDS_H
#define HB_PYTHON_KINDS_H

#include "convert.h"

/* A value's place in the value that is being encoded, for messages. */
struct place {
	const struct place *parent;
	enum { PLACE_ROOT, PLACE_INDEX, PLACE_ITEM, PLACE_KEY, PLACE_MEMBER } kind;
	Py_ssize_t index; /* PLACE_INDEX */
	PyObject *key;    /* PLACE_ITEM, borrowed */
};

struct encoder {
	struct hb_convert *c;
	struct hb_buf *out;
	size_t limit;   /* of out->len */
	unsigned depth; /* of open containers */
	bool plain;     /* bytes as plain binaries: how Erlang compares them */
};

/* Both give -1 with an exception. */
int encode_value(struct encoder *e, PyObject *value, const struct place *at);
/* Values of Python's own kinds: 1 when it was one, 0 when not. */
int encode_kind(struct encoder *e, PyObject *value, const struct place *at);
/* Opens and closes a container for the depth's sake. */
int encode_enter(struct encoder *e);
void encode_leave(struct encoder *e);
/* Opens {'$py', Kind, ...}: the payload follows, then encode_leave. */
int encode_kind_open(struct encoder *e, const char *kind);
/* Raises type with "value['a'][3]: " and the text; returns -1. */
int encode_fail(PyObject *type, const struct place *at, const char *format, ...);

/* The object of {'$py', kind, payload}; NULL with ValueError. */
PyObject *decode_kind(struct hb_convert *c, PyObject *kind, PyObject *payload);

/* types.c */
int types_init(struct hb_convert *c, PyObject *module);
PyObject *types_atom(struct hb_convert *c, const unsigned char *name, size_t len);
/* The opaque object for a raw encoding. */
PyObject *types_term(struct hb_convert *c, enum hb_term_type type, const void *raw, size_t len);
PyObject *types_raw(PyObject *term); /* borrowed, bytes */

#endif
