/* Terms as Erlang's syntax: see erl.h. */
#include "term/erl.h"

#include <inttypes.h>
#include <string.h>

#include "common/str.h"
#include "term/number.h"
#include "term/tags.h"
#include "term/term.h"

struct writer {
	struct hb_buf *out;
	unsigned depth;
	bool tail; /* the next element is one */
	struct {
		uint8_t type; /* HB_TERM_TUPLE, HB_TERM_LIST or HB_TERM_MAP */
		uint32_t i;
	} open[HB_TERM_DEPTH_MAX + 1];
};

static bool
is_reserved(const char *p, size_t len)
{
	static const char *const words[] = {"after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor",
	    "case", "catch", "cond", "div", "else", "end", "fun", "if", "let", "maybe", "not", "of", "or", "orelse", "receive",
	    "rem", "try", "when", "xor"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strlen(words[i]) == len && memcmp(words[i], p, len) == 0)
			return true;
	return false;
}

static bool
is_plain_atom(const char *p, size_t len)
{
	if (len == 0 || p[0] < 'a' || p[0] > 'z')
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = p[i];

		if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '@')
			return false;
	}
	return !is_reserved(p, len);
}

/* UTF-8 or Latin-1 text between quotes. */
static void
put_quoted(struct hb_buf *out, char quote, const unsigned char *p, size_t len)
{
	hb_buf_add_u8(out, (uint8_t)quote);
	for (size_t i = 0; i < len; i++) {
		bool c1 = p[i] == 0xc2 && i + 1 < len && p[i + 1] < 0xa0;

		if (p[i] == (unsigned char)quote || p[i] == '\\')
			hb_buf_printf(out, "\\%c", p[i]);
		else if (p[i] == '\n')
			hb_buf_add_str(out, "\\n");
		else if (p[i] == '\t')
			hb_buf_add_str(out, "\\t");
		else if (c1 || p[i] < 0x20 || p[i] == 0x7f)
			hb_buf_printf(out, "\\x{%x}", c1 ? p[++i] : p[i]);
		else
			hb_buf_add_u8(out, p[i]);
	}
	hb_buf_add_u8(out, (uint8_t)quote);
}

static void
put_atom(struct hb_buf *out, const unsigned char *p, size_t len)
{
	if (is_plain_atom((const char *)p, len))
		hb_buf_add(out, p, len);
	else
		put_quoted(out, '\'', p, len);
}

static bool
is_printable(const struct hb_term_token *t, bool *ascii)
{
	*ascii = true;
	for (size_t i = 0; i < t->len; i++) {
		if (t->text[i] == 0x7f || (t->text[i] < 0x20 && strchr("\n\t", t->text[i]) == NULL) || t->text[i] == 0)
			return false;
		*ascii &= t->text[i] < 0x80;
	}
	return t->len > 0;
}

static void
put_numbers(struct hb_buf *out, const struct hb_term_token *t)
{
	for (size_t i = 0; i < t->len; i++)
		hb_buf_printf(out, "%s%u", i == 0 ? "" : ",", t->text[i]);
}

static void
put_binary(struct hb_buf *out, const struct hb_term_token *t)
{
	bool ascii;

	hb_buf_add_str(out, "<<");
	if (is_printable(t, &ascii) && hb_str_is_utf8(t->text, t->len)) {
		put_quoted(out, '"', t->text, t->len);
		hb_buf_add_str(out, ascii ? "" : "/utf8");
	} else {
		put_numbers(out, t);
	}
	hb_buf_add_str(out, ">>");
}

static void
put_bits(struct hb_buf *out, const struct hb_term_token *t)
{
	hb_buf_add_str(out, "<<");
	for (size_t i = 0; i + 1 < t->len; i++)
		hb_buf_printf(out, "%u,", t->text[i]);
	hb_buf_printf(out, "%u:%u>>", t->text[t->len - 1] >> (8 - t->bits), t->bits);
}

static void
put_string(struct hb_buf *out, const struct hb_term_token *t)
{
	bool ascii;

	if (is_printable(t, &ascii) && ascii) {
		put_quoted(out, '"', t->text, t->len);
		return;
	}
	hb_buf_add_u8(out, '[');
	put_numbers(out, t);
	hb_buf_add_u8(out, ']');
}

/* The atom at p, which the reader has checked; where it ends. */
static const unsigned char *
put_raw_atom(struct hb_buf *out, const unsigned char *p)
{
	size_t head = *p == TAG_ATOM || *p == TAG_ATOM_UTF8 ? 3 : 2;
	size_t len = head == 3 ? hb_get_u16(p + 1) : p[1];

	if (*p == TAG_ATOM || *p == TAG_SMALL_ATOM) {
		for (size_t i = 0; i < len; i++)
			hb_buf_printf(out, p[head + i] < 0x80 ? "%c" : "\\x{%x}", p[head + i]);
	} else {
		put_atom(out, p + head, len);
	}
	return p + head + len;
}

/* "#Pid<node.1.2>": the node and the numbers, the creation left out. */
static void
put_identifier(struct hb_buf *out, const char *name, const struct hb_term_token *t)
{
	const unsigned char *p = t->text + 1, *end = t->text + t->len;
	unsigned tag = t->text[0];

	hb_buf_printf(out, "#%s<", name);
	if (tag == TAG_NEWER_REFERENCE || tag == TAG_NEW_REFERENCE)
		p += 2;
	p = put_raw_atom(out, p);
	if (tag == TAG_NEWER_REFERENCE)
		p += 4;
	else if (tag == TAG_NEW_REFERENCE)
		p += 1;
	else
		end -= tag == TAG_PID || tag == TAG_PORT || tag == TAG_REFERENCE ? 1 : 4;
	for (; p < end; p += 4)
		hb_buf_printf(out, ".%" PRIu32, hb_get_u32(p));
	hb_buf_add_u8(out, '>');
}

static void
put_fun(struct hb_buf *out, const struct hb_term_token *t)
{
	const unsigned char *p = t->text + 1;

	if (t->text[0] == TAG_NEW_FUN) {
		hb_buf_add_str(out, "#Fun<");
		put_raw_atom(out, p + 29);
		hb_buf_printf(out, ".%" PRIu32 ">", hb_get_u32(p + 21));
		return;
	}
	hb_buf_add_str(out, "fun ");
	p = put_raw_atom(out, p);
	hb_buf_add_u8(out, ':');
	p = put_raw_atom(out, p);
	hb_buf_printf(out, "/%u", p[1]);
}

static void
open_container(struct writer *w, const struct hb_term_token *t)
{
	w->depth++;
	w->open[w->depth].type = (uint8_t)t->type;
	w->open[w->depth].i = 0;
	hb_buf_add_str(w->out, t->type == HB_TERM_TUPLE ? "{" : t->type == HB_TERM_MAP ? "#{" : "[");
}

static void
close_container(struct writer *w)
{
	hb_buf_add_u8(w->out, w->open[w->depth].type == HB_TERM_LIST ? ']' : '}');
	w->depth--;
}

static void
separate(struct writer *w)
{
	uint32_t i = w->open[w->depth].i++;

	if (w->tail)
		hb_buf_add_u8(w->out, '|');
	else if (w->open[w->depth].type == HB_TERM_MAP && i % 2 == 1)
		hb_buf_add_str(w->out, " => ");
	else if (i > 0)
		hb_buf_add_u8(w->out, ',');
	w->tail = false;
}

static void
write_element(struct writer *w, const struct hb_term_token *t)
{
	switch (t->type) {
	case HB_TERM_END:
	case HB_TERM_TAIL:
	case HB_TERM_CLOSE:
		break;
	case HB_TERM_ATOM:
		put_atom(w->out, t->text, t->len);
		break;
	case HB_TERM_INT:
		hb_buf_printf(w->out, "%" PRId64, t->i);
		break;
	case HB_TERM_BIG:
		hb_number_put_big(w->out, t->negative, t->text, t->len, "16#");
		break;
	case HB_TERM_FLOAT:
		hb_number_put_float(w->out, t->f);
		break;
	case HB_TERM_BINARY:
	case HB_TERM_BYTES:
		put_binary(w->out, t);
		break;
	case HB_TERM_BITS:
		put_bits(w->out, t);
		break;
	case HB_TERM_STRING:
		put_string(w->out, t);
		break;
	case HB_TERM_TUPLE:
	case HB_TERM_LIST:
	case HB_TERM_MAP:
		open_container(w, t);
		break;
	case HB_TERM_PID:
		put_identifier(w->out, "Pid", t);
		break;
	case HB_TERM_PORT:
		put_identifier(w->out, "Port", t);
		break;
	case HB_TERM_REF:
		put_identifier(w->out, "Ref", t);
		break;
	case HB_TERM_FUN:
		put_fun(w->out, t);
		break;
	}
}

int
hb_term_to_erl(const void *p, size_t len, struct hb_buf *out, struct hb_error *err)
{
	struct writer w = {.out = out};
	size_t start = out->len;
	struct hb_term_reader r;
	struct hb_term_token t;
	int rc;

	if (hb_term_open(&r, p, len, err) == -1)
		return -1;
	while ((rc = hb_term_next(&r, &t, err)) == 1) {
		if (t.type == HB_TERM_CLOSE) {
			close_container(&w);
		} else if (t.type == HB_TERM_TAIL) {
			w.tail = true;
		} else {
			if (w.depth > 0)
				separate(&w);
			write_element(&w, &t);
		}
	}
	if (rc == 0 && out->failed)
		rc = hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (rc == -1 && !out->failed)
		out->len = start;
	return rc;
}
