/* Replies as Python objects: each operation names the one that reads its own. */
#ifndef HB_PYTHON_READERS_H
#define HB_PYTHON_READERS_H

#include "ops.h"

hb_reader hb_read_ok;        /* ok: None */
hb_reader hb_read_bool;      /* true | false */
hb_reader hb_read_int;
hb_reader hb_read_text;      /* a binary of UTF-8 */
hb_reader hb_read_texts;     /* a list of them */
hb_reader hb_read_value;     /* a stored value, or arg for none */
hb_reader hb_read_values;    /* [V | none]: a dict with the keys in arg, a list */
hb_reader hb_read_versioned; /* {V, Version} | none: a tuple */
hb_reader hb_read_ttl;       /* Ms | infinity | none: seconds, or None */
hb_reader hb_read_fetched;   /* {value, V} | {lease, Token}: (True, value) or (False, token) */
hb_reader hb_read_outcome;   /* {ok, T} | {error, T} | {raised, Class, T, Stack}: the value, or an exception */

#endif
