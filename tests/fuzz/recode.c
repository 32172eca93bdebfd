/* See recode.h. */
#include "recode.h"

#include <inttypes.h>

#include "term/term.h"

static void
encode(struct hb_buf *out, const struct hb_term_token *t)
{
	switch (t->type) {
	case HB_TERM_END:
	case HB_TERM_CLOSE:
	case HB_TERM_TAIL:
		break;
	case HB_TERM_ATOM:
		hb_term_put_atom_n(out, (const char *)t->text, t->len);
		break;
	case HB_TERM_INT:
		hb_term_put_int(out, t->i);
		break;
	case HB_TERM_BIG:
		hb_term_put_big(out, t->negative, t->text, t->len);
		break;
	case HB_TERM_FLOAT:
		hb_term_put_float(out, t->f);
		break;
	case HB_TERM_BINARY:
		hb_term_put_binary(out, t->text, t->len);
		break;
	case HB_TERM_BYTES:
		hb_term_put_bytes(out, t->text, t->len);
		break;
	case HB_TERM_BITS:
		hb_term_put_bits(out, t->text, t->len, t->bits);
		break;
	case HB_TERM_TUPLE:
		hb_term_put_tuple(out, t->count);
		break;
	case HB_TERM_LIST:
		hb_term_put_list(out, t->count);
		break;
	case HB_TERM_MAP:
		hb_term_put_map(out, t->count);
		break;
	case HB_TERM_STRING:
		hb_buf_add_u8(out, 107);
		hb_buf_add_u16(out, (uint16_t)t->len);
		hb_buf_add(out, t->text, t->len);
		break;
	case HB_TERM_PID:
	case HB_TERM_PORT:
	case HB_TERM_REF:
	case HB_TERM_FUN:
		hb_buf_add(out, t->text, t->len);
		break;
	}
}

int
recode(const void *p, size_t len, struct hb_buf *out, struct hb_error *err)
{
	/* per depth: whether the container is a list that still needs its NIL */
	bool list[HB_TERM_DEPTH_MAX + 2] = {false};
	struct hb_term_reader r;
	struct hb_term_token t;
	int rc;

	if (hb_term_open(&r, p, len, err) == -1)
		return -1;
	hb_term_put_version(out);
	while ((rc = hb_term_next(&r, &t, err)) == 1) {
		if (t.type == HB_TERM_TAIL)
			list[r.depth] = false;
		else if (t.type == HB_TERM_CLOSE && list[r.depth + 1])
			hb_term_put_nil(out);
		if (t.type == HB_TERM_TUPLE || t.type == HB_TERM_MAP || t.type == HB_TERM_LIST)
			list[r.depth] = t.type == HB_TERM_LIST && t.count > 0;
		encode(out, &t);
	}
	return rc;
}

static void
hex(struct hb_buf *out, const char *prefix, const struct hb_term_token *t)
{
	hb_buf_add_str(out, prefix);
	for (size_t i = 0; i < t->len; i++)
		hb_buf_printf(out, "%02x", t->text[i]);
}

static void
describe_token(struct hb_buf *out, const struct hb_term_token *t)
{
	switch (t->type) {
	case HB_TERM_END:
		break;
	case HB_TERM_ATOM:
		hb_buf_printf(out, "'%.*s'", (int)t->len, (const char *)t->text);
		break;
	case HB_TERM_INT:
		hb_buf_printf(out, "%" PRId64, t->i);
		break;
	case HB_TERM_BIG:
		hex(out, t->negative ? "-big:" : "big:", t);
		break;
	case HB_TERM_FLOAT:
		hb_buf_printf(out, "f%.17g", t->f);
		break;
	case HB_TERM_BINARY:
		hb_buf_printf(out, "\"%.*s\"", (int)t->len, (const char *)t->text);
		break;
	case HB_TERM_BYTES:
		hex(out, "bytes:", t);
		break;
	case HB_TERM_BITS:
		hex(out, "bits:", t);
		hb_buf_printf(out, "/%u", t->bits);
		break;
	case HB_TERM_TUPLE:
		hb_buf_printf(out, "{%u", t->count);
		break;
	case HB_TERM_LIST:
		hb_buf_printf(out, "[%u", t->count);
		break;
	case HB_TERM_MAP:
		hb_buf_printf(out, "#{%u", t->count);
		break;
	case HB_TERM_STRING:
		hex(out, "string:", t);
		break;
	case HB_TERM_TAIL:
		hb_buf_add_str(out, "|");
		break;
	case HB_TERM_CLOSE:
		hb_buf_add_str(out, ")");
		break;
	case HB_TERM_PID:
		hb_buf_printf(out, "pid:%zu", t->len);
		break;
	case HB_TERM_PORT:
		hb_buf_printf(out, "port:%zu", t->len);
		break;
	case HB_TERM_REF:
		hb_buf_printf(out, "ref:%zu", t->len);
		break;
	case HB_TERM_FUN:
		hb_buf_printf(out, "fun:%zu", t->len);
		break;
	}
}

int
describe(const void *p, size_t len, struct hb_buf *out, struct hb_error *err)
{
	struct hb_term_reader r;
	struct hb_term_token t;
	int rc;

	if (hb_term_open(&r, p, len, err) == -1)
		return -1;
	while ((rc = hb_term_next(&r, &t, err)) == 1) {
		if (out->len > 0)
			hb_buf_add_u8(out, ' ');
		describe_token(out, &t);
	}
	return rc;
}
