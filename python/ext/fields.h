/*
 * The arguments of an operation as the terms of its request.  Each letter of
 * struct hb_op's fields is one argument:
 *
 *   k key           p prefix         K list of keys, which the reader gets too
 *   v stored value  t ttl, seconds   I list of pairs of key and stored value
 *   d delta         l limit          n version
 *   h a key that whoever reads the reply gets, too
 *   x any term      b a message: any value, as a binary that holds its term
 *   s topic         f m N name of a function, of a module, of a node
 *   a arguments: a list or a tuple, as a binary that holds a list
 * and these that are no part of it:
 *   c ttl, which is only checked     o the reader's own argument
 *   T milliseconds until the deadline
 */
#ifndef HB_PYTHON_FIELDS_H
#define HB_PYTHON_FIELDS_H

#include "module.h"
#include "ops.h"

/* One argument; -1 with TypeError or ValueError. */
int hb_field_put(struct hb_module *m, char field, PyObject *arg, struct hb_asked *asked, struct hb_buf *out);
/* Whether the request has a term for it. */
bool hb_field_is_sent(char field);

#endif
