/*
 * Erlang's syntax to terms: see erl.h.  Containers are written before their
 * size is known: the header gets its count when they close.
 */
#include "term/erl.h"

#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "term/erl_scan.h"
#include "term/keys.h"
#include "term/tags.h"
#include "term/term.h"

enum { SEGMENT_BITS_MAX = 64 };

static int read_term(struct erl_parser *s);

struct bits {
	struct hb_buf bytes;
	unsigned used; /* bits of the last byte, 0 when it is full */
};

static void
put_bits(struct bits *b, uint64_t v, unsigned n)
{
	while (n-- > 0) {
		if (b->used == 0)
			hb_buf_add_u8(&b->bytes, 0);
		if (b->bytes.failed)
			return;
		if (v >> n & 1)
			b->bytes.data[b->bytes.len - 1] |= (unsigned char)(0x80 >> b->used);
		b->used = (b->used + 1) % 8;
	}
}

/* "text" or "text"/utf8 in a binary. */
static int
read_text_segment(struct erl_parser *s, struct bits *bits)
{
	struct hb_buf characters = HB_BUF_INIT, bytes = HB_BUF_INIT;
	int rc = erl_quoted(s, &characters);
	bool utf8 = rc == 0 && erl_accept(s, "/utf8");

	for (size_t i = 0; rc == 0 && i < characters.len; i += 4) {
		uint32_t c = hb_get_u32(characters.data + i);

		if (utf8)
			erl_put_utf8(&bytes, c);
		else if (c > 0xff)
			rc = erl_fail(s, "such text in a binary is written <<\"...\"/utf8>>");
		else
			hb_buf_add_u8(&bytes, (uint8_t)c);
	}
	for (size_t i = 0; rc == 0 && i < bytes.len; i++)
		put_bits(bits, bytes.data[i], 8);
	hb_buf_free(&characters);
	hb_buf_free(&bytes);
	return rc;
}

/* An integer, of 8 bits or as many as stand behind a colon. */
static int
read_integer_segment(struct erl_parser *s, struct bits *bits)
{
	unsigned long width = 8;
	struct hb_buf *out = s->out, number = HB_BUF_INIT;
	struct hb_term_reader r;
	struct hb_error err;
	int64_t v = 0;
	int rc;

	hb_term_put_version(&number);
	s->out = &number;
	rc = erl_number(s);
	s->out = out;
	if (rc == 0 && (number.failed || hb_term_open(&r, number.data, number.len, &err) == -1 ||
	    hb_term_want_int(&r, &v, &err) == -1))
		rc = erl_fail(s, "an integer of at most 64 bits is needed");
	hb_buf_free(&number);
	if (rc == 0 && erl_accept(s, ":")) {
		for (width = 0; s->p < s->end && erl_is_digit(*s->p) && width <= SEGMENT_BITS_MAX; s->p++)
			width = width * 10 + (unsigned long)(*s->p - '0');
		if (width == 0 || width > SEGMENT_BITS_MAX)
			rc = erl_fail(s, "a size of 1 to 64 bits is needed");
	}
	if (rc == 0)
		put_bits(bits, (uint64_t)v, (unsigned)width);
	return rc;
}

/* Behind "<<". */
static int
read_binary(struct erl_parser *s)
{
	struct bits bits = {HB_BUF_INIT, 0};
	int rc = 0;

	if (!erl_accept(s, ">>")) {
		do {
			rc = erl_peek(s) == '"' ? read_text_segment(s, &bits) :
			    erl_peek(s) == '\0' ? erl_fail(s, "the end of a binary is missing") : read_integer_segment(s, &bits);
		} while (rc == 0 && erl_accept(s, ","));
		if (rc == 0 && !erl_accept(s, ">>"))
			rc = erl_fail(s, "'>>' or ',' is needed");
	}
	if (rc == 0 && bits.bytes.failed)
		rc = hb_error_set(s->err, HB_ERROR_MEMORY, "out of memory");
	if (rc == 0 && bits.used == 0)
		hb_term_put_binary(s->out, bits.bytes.data, bits.bytes.len);
	else if (rc == 0)
		hb_term_put_bits(s->out, bits.bytes.data, bits.bytes.len, bits.used);
	hb_buf_free(&bits.bytes);
	return rc;
}

static int
enter(struct erl_parser *s)
{
	if (s->depth == HB_TERM_DEPTH_MAX)
		return hb_error_set(s->err, HB_ERROR_LIMIT, "nested more than %d deep", HB_TERM_DEPTH_MAX);
	s->depth++;
	return 0;
}

/* Fills in the count of the container whose header stands at `at`. */
static void
set_count(struct erl_parser *s, size_t at, uint32_t count)
{
	if (!s->out->failed)
		hb_put_u32(s->out->data + at + 1, count);
}

static void
put_header(struct erl_parser *s, uint8_t tag)
{
	hb_buf_add_u8(s->out, tag);
	hb_buf_add_u32(s->out, 0);
}

static int
read_elements(struct erl_parser *s, uint32_t *count)
{
	*count = 0;
	do {
		if (read_term(s) == -1)
			return -1;
		++*count;
	} while (erl_accept(s, ","));
	return 0;
}

/* Behind "{". */
static int
read_tuple(struct erl_parser *s)
{
	size_t at = s->out->len;
	uint32_t count;

	if (erl_accept(s, "}")) {
		hb_term_put_tuple(s->out, 0);
		return 0;
	}
	put_header(s, TAG_LARGE_TUPLE);
	if (read_elements(s, &count) == -1)
		return -1;
	set_count(s, at, count);
	return erl_accept(s, "}") ? 0 : erl_fail(s, "'}' or ',' is needed");
}

/* Behind "[". */
static int
read_list(struct erl_parser *s)
{
	size_t at = s->out->len, tail;
	uint32_t count;

	if (erl_accept(s, "]")) {
		hb_term_put_nil(s->out);
		return 0;
	}
	put_header(s, TAG_LIST);
	if (read_elements(s, &count) == -1)
		return -1;
	set_count(s, at, count);
	tail = s->out->len;
	if (!erl_accept(s, "|"))
		hb_term_put_nil(s->out);
	else if (read_term(s) == -1)
		return -1;
	else if (!s->out->failed && (s->out->data[tail] == TAG_LIST || s->out->data[tail] == TAG_STRING))
		return erl_fail(s, "a list as the tail of a list is written as one list");
	return erl_accept(s, "]") ? 0 : erl_fail(s, "']', ',' or '|' is needed");
}

static int
read_pairs(struct erl_parser *s, struct hb_keys *keys, uint32_t *count)
{
	*count = 0;
	do {
		size_t start = s->out->len;

		if (read_term(s) == -1)
			return -1;
		hb_keys_add(keys, start, s->out->len);
		if (!erl_accept(s, "=>"))
			return erl_fail(s, "'=>' is needed");
		if (read_term(s) == -1)
			return -1;
		++*count;
	} while (erl_accept(s, ","));
	return 0;
}

/* Behind "#{". */
static int
read_map(struct erl_parser *s)
{
	struct hb_keys keys = HB_KEYS_INIT;
	size_t at = s->out->len;
	uint32_t count;
	bool differ;
	int rc;

	put_header(s, TAG_MAP);
	if (erl_accept(s, "}"))
		return 0;
	rc = read_pairs(s, &keys, &count);
	differ = hb_keys_differ(&keys, s->out);
	if (rc == -1)
		return -1;
	if (!differ)
		return erl_fail(s, "a map has two keys that are the same");
	set_count(s, at, count);
	return erl_accept(s, "}") ? 0 : erl_fail(s, "'}' or ',' is needed");
}

static int
read_container(struct erl_parser *s, int (*read)(struct erl_parser *s))
{
	if (enter(s) == -1 || read(s) == -1)
		return -1;
	s->depth--;
	return 0;
}

static int
read_term(struct erl_parser *s)
{
	char c = erl_peek(s);

	if (erl_accept(s, "<<"))
		return read_binary(s);
	if (erl_accept(s, "#{"))
		return read_container(s, read_map);
	if (erl_accept(s, "{"))
		return read_container(s, read_tuple);
	if (erl_accept(s, "["))
		return read_container(s, read_list);
	if (c == '"')
		return read_container(s, erl_string);
	if (c == '\'')
		return erl_quoted_atom(s);
	if (c >= 'a' && c <= 'z')
		return erl_atom(s);
	if (erl_is_digit(c) || c == '-' || c == '+' || c == '$')
		return erl_number(s);
	return erl_fail(s, s->p == s->end ? "a term is missing" : "no term starts like this");
}

int
hb_term_from_erl(const char *text, size_t len, struct hb_buf *out, struct hb_error *err)
{
	struct erl_parser s = {text, text + len, text, out, err, 0};
	size_t start = out->len;
	int rc;

	if (!hb_str_is_utf8(text, len))
		return hb_error_set(err, HB_ERROR_VALUE, "not an Erlang term: the text is not UTF-8");
	rc = read_term(&s);
	if (rc == 0) {
		(void)erl_accept(&s, ".");
		erl_peek(&s);
		if (s.p != s.end)
			rc = erl_fail(&s, "more text after the term");
	}
	if (rc == 0 && out->failed)
		rc = hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (rc == -1 && !out->failed)
		out->len = start;
	return rc;
}
