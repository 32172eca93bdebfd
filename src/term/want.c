/* Reading terms of a known shape: see the end of term.h. */
#include "term/term.h"

#include <string.h>

static const char *
type_name(enum hb_term_type type)
{
	switch (type) {
	case HB_TERM_END:
		return "the end";
	case HB_TERM_ATOM:
		return "an atom";
	case HB_TERM_INT:
	case HB_TERM_BIG:
		return "an integer";
	case HB_TERM_FLOAT:
		return "a float";
	case HB_TERM_BINARY:
	case HB_TERM_BYTES:
		return "a binary";
	case HB_TERM_BITS:
		return "a bit string";
	case HB_TERM_TUPLE:
		return "a tuple";
	case HB_TERM_LIST:
	case HB_TERM_STRING:
		return "a list";
	case HB_TERM_MAP:
		return "a map";
	case HB_TERM_TAIL:
		return "a tail";
	case HB_TERM_CLOSE:
		return "the end of a container";
	case HB_TERM_PID:
		return "a pid";
	case HB_TERM_PORT:
		return "a port";
	case HB_TERM_REF:
		return "a reference";
	case HB_TERM_FUN:
		return "a fun";
	}
	return "an unknown term";
}

static int
unexpected(const struct hb_term_token *t, enum hb_term_type wanted, struct hb_error *err)
{
	return hb_error_set(err, HB_ERROR_PROTOCOL, "expected %s, got %s", type_name(wanted), type_name(t->type));
}

static int
want(struct hb_term_reader *r, enum hb_term_type type, struct hb_term_token *t, struct hb_error *err)
{
	if (hb_term_next(r, t, err) == -1)
		return -1;
	return t->type == type ? 0 : unexpected(t, type, err);
}

int
hb_term_want_tuple(struct hb_term_reader *r, uint32_t *arity, struct hb_error *err)
{
	struct hb_term_token t;

	if (want(r, HB_TERM_TUPLE, &t, err) == -1)
		return -1;
	*arity = t.count;
	return 0;
}

int
hb_term_want_map(struct hb_term_reader *r, uint32_t *pairs, struct hb_error *err)
{
	struct hb_term_token t;

	if (want(r, HB_TERM_MAP, &t, err) == -1)
		return -1;
	*pairs = t.count;
	return 0;
}

int
hb_term_want_list(struct hb_term_reader *r, uint32_t *len, struct hb_error *err)
{
	struct hb_term_token t;

	if (want(r, HB_TERM_LIST, &t, err) == -1)
		return -1;
	*len = t.count;
	return 0;
}

int
hb_term_want_int(struct hb_term_reader *r, int64_t *v, struct hb_error *err)
{
	struct hb_term_token t;

	if (want(r, HB_TERM_INT, &t, err) == -1)
		return -1;
	*v = t.i;
	return 0;
}

int
hb_term_want_binary(struct hb_term_reader *r, const unsigned char **p, size_t *len, struct hb_error *err)
{
	struct hb_term_token t;

	if (hb_term_next(r, &t, err) == -1)
		return -1;
	if (t.type != HB_TERM_BINARY && t.type != HB_TERM_BYTES)
		return unexpected(&t, HB_TERM_BINARY, err);
	*p = t.text;
	*len = t.len;
	return 0;
}

int
hb_term_want_atom(struct hb_term_reader *r, char *name, size_t size, struct hb_error *err)
{
	struct hb_term_token t;

	if (want(r, HB_TERM_ATOM, &t, err) == -1)
		return -1;
	if (t.len >= size)
		return hb_error_set(err, HB_ERROR_PROTOCOL, "an atom of %zu bytes, at most %zu expected", t.len, size - 1);
	memcpy(name, t.text, t.len);
	name[t.len] = '\0';
	return 0;
}

int
hb_term_want_close(struct hb_term_reader *r, struct hb_error *err)
{
	struct hb_term_token t;

	return want(r, HB_TERM_CLOSE, &t, err);
}

int
hb_term_skip(struct hb_term_reader *r, struct hb_error *err)
{
	unsigned depth = r->depth;
	struct hb_term_token t;

	if (hb_term_next(r, &t, err) == -1)
		return -1;
	if (t.type == HB_TERM_CLOSE || t.type == HB_TERM_END || t.type == HB_TERM_TAIL)
		return hb_error_set(err, HB_ERROR_PROTOCOL, "expected one more element, got %s", type_name(t.type));
	while (r->depth > depth)
		if (hb_term_next(r, &t, err) == -1)
			return -1;
	return 0;
}
