/*
 * Erlang's syntax to terms: see erl.h.  Containers are written before their
 * size is known: the header gets its count when they close.
 */
#include "term/erl.h"

#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "term/keys.h"
#include "term/number.h"
#include "term/tags.h"
#include "term/term.h"

enum { SEGMENT_BITS_MAX = 64 };

struct parser {
	const char *p, *end, *start;
	struct hb_buf *out;
	struct hb_error *err;
	unsigned depth;
};

static int read_term(struct parser *s);

static int
fail(struct parser *s, const char *what)
{
	return hb_error_set(s->err, HB_ERROR_VALUE, "not an Erlang term: column %zu: %s", (size_t)(s->p - s->start) + 1,
	    what);
}

/* The next character after white space and comments, or NUL at the end. */
static char
peek(struct parser *s)
{
	while (s->p < s->end) {
		if (*s->p == '%')
			while (s->p < s->end && *s->p != '\n')
				s->p++;
		else if (*s->p != '\0' && strchr(" \t\r\n", *s->p) != NULL)
			s->p++;
		else
			return *s->p;
	}
	return '\0';
}

static bool
accept_text(struct parser *s, const char *text)
{
	size_t len = strlen(text);

	peek(s);
	if ((size_t)(s->end - s->p) < len || memcmp(s->p, text, len) != 0)
		return false;
	s->p += len;
	return true;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_name_character(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '@';
}

/* One character of the text, which is UTF-8. */
static uint32_t
read_utf8(struct parser *s)
{
	unsigned char first = (unsigned char)*s->p++;
	unsigned more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
	uint32_t c = more == 0 ? first : first & (0x3fU >> more);

	while (more-- > 0)
		c = c << 6 | (*s->p++ & 0x3f);
	return c;
}

static void
put_utf8(struct hb_buf *b, uint32_t c)
{
	if (c < 0x80) {
		hb_buf_add_u8(b, (uint8_t)c);
	} else if (c < 0x800) {
		hb_buf_add_u8(b, (uint8_t)(0xc0 | c >> 6));
		hb_buf_add_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	} else if (c < 0x10000) {
		hb_buf_add_u8(b, (uint8_t)(0xe0 | c >> 12));
		hb_buf_add_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		hb_buf_add_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	} else {
		hb_buf_add_u8(b, (uint8_t)(0xf0 | c >> 18));
		hb_buf_add_u8(b, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		hb_buf_add_u8(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
		hb_buf_add_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
	}
}

static unsigned
hex_digit(char c)
{
	return is_digit(c) ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 :
	    c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

/* Behind "\x": two digits, or any number of them in braces. */
static int
read_hex_escape(struct parser *s, uint32_t *c)
{
	bool braces = s->p < s->end && *s->p == '{';
	unsigned n = 0;

	*c = 0;
	s->p += braces;
	for (; s->p < s->end && hex_digit(*s->p) < 16 && (braces || n < 2) && *c <= 0x10ffff; s->p++, n++)
		*c = *c << 4 | hex_digit(*s->p);
	if (n == 0 || (!braces && n < 2) || (braces && (s->p == s->end || *s->p++ != '}')))
		return fail(s, "a broken \\x escape");
	return 0;
}

/* Behind the backslash. */
static int
read_escape(struct parser *s, uint32_t *c)
{
	static const char names[] = "bdefnrstv", values[] = "\b\x7f\x1b\f\n\r \t\v";
	const char *known;
	unsigned n;

	if (s->p == s->end)
		return fail(s, "a backslash at the end");
	if (*s->p == 'x') {
		s->p++;
		return read_hex_escape(s, c);
	}
	if (*s->p == '^' && s->end - s->p > 1) {
		*c = s->p[1] & 0x1f;
		s->p += 2;
		return 0;
	}
	if (*s->p >= '0' && *s->p <= '7') {
		for (*c = 0, n = 0; n < 3 && s->p < s->end && *s->p >= '0' && *s->p <= '7'; n++)
			*c = *c << 3 | (uint32_t)(*s->p++ - '0');
		return 0;
	}
	known = *s->p != '\0' ? strchr(names, *s->p) : NULL;
	if (known == NULL) {
		*c = read_utf8(s);
		return 0;
	}
	*c = (unsigned char)values[known - names];
	s->p++;
	return 0;
}

static int
read_character(struct parser *s, uint32_t *c)
{
	if (s->p == s->end)
		return fail(s, "a character is missing");
	if (*s->p == '\\') {
		s->p++;
		if (read_escape(s, c) == -1)
			return -1;
	} else {
		*c = read_utf8(s);
	}
	return *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff) ? fail(s, "no Unicode character") : 0;
}

/* The characters up to the closing quote, 32 bits each. */
static int
read_quoted(struct parser *s, struct hb_buf *characters)
{
	char quote = *s->p++;
	uint32_t c;

	while (s->p < s->end && *s->p != quote) {
		if (read_character(s, &c) == -1)
			return -1;
		hb_buf_add_u32(characters, c);
	}
	if (s->p == s->end)
		return fail(s, "a closing quote is missing");
	s->p++;
	return 0;
}

static int
read_quoted_atom(struct parser *s)
{
	struct hb_buf characters = HB_BUF_INIT, name = HB_BUF_INIT;
	int rc = read_quoted(s, &characters);

	if (rc == 0 && characters.len / 4 > HB_TERM_ATOM_MAX)
		rc = fail(s, "an atom has at most 255 characters");
	for (size_t i = 0; rc == 0 && i < characters.len; i += 4)
		put_utf8(&name, hb_get_u32(characters.data + i));
	if (rc == 0)
		hb_term_put_atom_n(s->out, (const char *)name.data, name.len);
	hb_buf_free(&characters);
	hb_buf_free(&name);
	return rc;
}

static int
read_atom(struct parser *s)
{
	const char *start = s->p;

	while (s->p < s->end && is_name_character(*s->p))
		s->p++;
	if (s->p - start > HB_TERM_ATOM_MAX)
		return fail(s, "an atom has at most 255 characters");
	hb_term_put_atom_n(s->out, start, (size_t)(s->p - start));
	return 0;
}

static void
put_characters(struct hb_buf *out, const struct hb_buf *characters)
{
	size_t n = characters->len / 4;
	bool small = n > 0 && n <= UINT16_MAX;

	for (size_t i = 0; i < n && small; i++)
		small = hb_get_u32(characters->data + 4 * i) <= UINT8_MAX;
	if (small) {
		hb_buf_add_u8(out, TAG_STRING);
		hb_buf_add_u16(out, (uint16_t)n);
	} else {
		hb_term_put_list(out, (uint32_t)n);
	}
	for (size_t i = 0; i < n; i++) {
		if (small)
			hb_buf_add_u8(out, characters->data[4 * i + 3]);
		else
			hb_term_put_int(out, hb_get_u32(characters->data + 4 * i));
	}
	if (n > 0 && !small)
		hb_term_put_nil(out);
}

/* A list of characters. */
static int
read_string(struct parser *s)
{
	struct hb_buf characters = HB_BUF_INIT;
	int rc = read_quoted(s, &characters);

	if (rc == 0 && characters.failed)
		rc = hb_error_set(s->err, HB_ERROR_MEMORY, "out of memory");
	if (rc == 0)
		put_characters(s->out, &characters);
	hb_buf_free(&characters);
	return rc;
}

/* Digits without their underscores; the cursor goes past them. */
static void
take_digits(struct parser *s, struct hb_buf *digits, bool letters)
{
	for (; s->p < s->end; s->p++) {
		bool digit = is_digit(*s->p) || (letters && *s->p != '@' && *s->p != '_' && is_name_character(*s->p));

		if (!digit && !(*s->p == '_' && s->end - s->p > 1 && is_name_character(s->p[1])))
			return;
		if (digit)
			hb_buf_add_u8(digits, (uint8_t)*s->p);
	}
}

static int
read_fraction(struct parser *s, bool negative, struct hb_buf *digits)
{
	struct hb_buf text = HB_BUF_INIT;
	double v;
	int rc;

	hb_buf_add(&text, digits->data, digits->len);
	hb_buf_add_u8(&text, (uint8_t)*s->p++);
	take_digits(s, &text, false);
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		hb_buf_add_u8(&text, (uint8_t)*s->p++);
		if (s->p < s->end && (*s->p == '-' || *s->p == '+'))
			hb_buf_add_u8(&text, (uint8_t)*s->p++);
		if (s->p == s->end || !is_digit(*s->p)) {
			hb_buf_free(&text);
			return fail(s, "an exponent without digits");
		}
		take_digits(s, &text, false);
	}
	hb_buf_add_u8(&text, '\0');
	rc = text.failed ? -1 : hb_number_read_float((char *)text.data, &v);
	hb_buf_free(&text);
	if (rc == -1)
		return fail(s, "a float beyond its range");
	hb_term_put_float(s->out, negative ? -v : v);
	return 0;
}

static int
put_integer(struct parser *s, bool negative, const struct hb_buf *digits, unsigned base)
{
	struct hb_error cause;

	if (hb_number_read(s->out, negative, (const char *)digits->data, digits->len, base, &cause) == 0)
		return 0;
	return fail(s, cause.text);
}

/* 12, -12, 1_000, 16#ff, $a, 1.5, 1.5e-7 */
static int
read_number(struct parser *s)
{
	struct hb_buf digits = HB_BUF_INIT;
	bool negative = *s->p == '-';
	unsigned long base;
	uint32_t c;
	int rc;

	s->p += *s->p == '-' || *s->p == '+';
	if (s->p < s->end && *s->p == '$') {
		s->p++;
		if (read_character(s, &c) == -1)
			return -1;
		hb_term_put_int(s->out, negative ? -(int64_t)c : (int64_t)c);
		return 0;
	}
	if (s->p == s->end || !is_digit(*s->p))
		return fail(s, "a number is missing");
	take_digits(s, &digits, false);
	if (s->end - s->p > 1 && *s->p == '.' && is_digit(s->p[1])) {
		rc = read_fraction(s, negative, &digits);
	} else if (s->p < s->end && *s->p == '#') {
		hb_buf_add_u8(&digits, '\0');
		base = digits.failed || digits.len > 3 ? 0 : strtoul((char *)digits.data, NULL, 10);
		hb_buf_clear(&digits);
		s->p++;
		take_digits(s, &digits, true);
		rc = base < 2 || base > 36 ? fail(s, "a base is from 2 to 36") :
		    put_integer(s, negative, &digits, (unsigned)base);
	} else {
		rc = put_integer(s, negative, &digits, 10);
	}
	hb_buf_free(&digits);
	return rc;
}

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
read_text_segment(struct parser *s, struct bits *bits)
{
	struct hb_buf characters = HB_BUF_INIT, bytes = HB_BUF_INIT;
	int rc = read_quoted(s, &characters);
	bool utf8 = rc == 0 && accept_text(s, "/utf8");

	for (size_t i = 0; rc == 0 && i < characters.len; i += 4) {
		uint32_t c = hb_get_u32(characters.data + i);

		if (utf8)
			put_utf8(&bytes, c);
		else if (c > 0xff)
			rc = fail(s, "such text in a binary is written <<\"...\"/utf8>>");
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
read_integer_segment(struct parser *s, struct bits *bits)
{
	unsigned long width = 8;
	struct hb_buf *out = s->out, number = HB_BUF_INIT;
	struct hb_term_reader r;
	struct hb_error err;
	int64_t v = 0;
	int rc;

	hb_term_put_version(&number);
	s->out = &number;
	rc = read_number(s);
	s->out = out;
	if (rc == 0 && (number.failed || hb_term_open(&r, number.data, number.len, &err) == -1 ||
	    hb_term_want_int(&r, &v, &err) == -1))
		rc = fail(s, "an integer of at most 64 bits is needed");
	hb_buf_free(&number);
	if (rc == 0 && accept_text(s, ":")) {
		for (width = 0; s->p < s->end && is_digit(*s->p) && width <= SEGMENT_BITS_MAX; s->p++)
			width = width * 10 + (unsigned long)(*s->p - '0');
		if (width == 0 || width > SEGMENT_BITS_MAX)
			rc = fail(s, "a size of 1 to 64 bits is needed");
	}
	if (rc == 0)
		put_bits(bits, (uint64_t)v, (unsigned)width);
	return rc;
}

/* Behind "<<". */
static int
read_binary(struct parser *s)
{
	struct bits bits = {HB_BUF_INIT, 0};
	int rc = 0;

	if (!accept_text(s, ">>")) {
		do {
			rc = peek(s) == '"' ? read_text_segment(s, &bits) :
			    peek(s) == '\0' ? fail(s, "the end of a binary is missing") : read_integer_segment(s, &bits);
		} while (rc == 0 && accept_text(s, ","));
		if (rc == 0 && !accept_text(s, ">>"))
			rc = fail(s, "'>>' or ',' is needed");
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
enter(struct parser *s)
{
	if (s->depth == HB_TERM_DEPTH_MAX)
		return hb_error_set(s->err, HB_ERROR_LIMIT, "nested more than %d deep", HB_TERM_DEPTH_MAX);
	s->depth++;
	return 0;
}

/* Fills in the count of the container whose header stands at `at`. */
static void
set_count(struct parser *s, size_t at, uint32_t count)
{
	if (!s->out->failed)
		hb_put_u32(s->out->data + at + 1, count);
}

static void
put_header(struct parser *s, uint8_t tag)
{
	hb_buf_add_u8(s->out, tag);
	hb_buf_add_u32(s->out, 0);
}

static int
read_elements(struct parser *s, uint32_t *count)
{
	*count = 0;
	do {
		if (read_term(s) == -1)
			return -1;
		++*count;
	} while (accept_text(s, ","));
	return 0;
}

/* Behind "{". */
static int
read_tuple(struct parser *s)
{
	size_t at = s->out->len;
	uint32_t count;

	if (accept_text(s, "}")) {
		hb_term_put_tuple(s->out, 0);
		return 0;
	}
	put_header(s, TAG_LARGE_TUPLE);
	if (read_elements(s, &count) == -1)
		return -1;
	set_count(s, at, count);
	return accept_text(s, "}") ? 0 : fail(s, "'}' or ',' is needed");
}

/* Behind "[". */
static int
read_list(struct parser *s)
{
	size_t at = s->out->len, tail;
	uint32_t count;

	if (accept_text(s, "]")) {
		hb_term_put_nil(s->out);
		return 0;
	}
	put_header(s, TAG_LIST);
	if (read_elements(s, &count) == -1)
		return -1;
	set_count(s, at, count);
	tail = s->out->len;
	if (!accept_text(s, "|"))
		hb_term_put_nil(s->out);
	else if (read_term(s) == -1)
		return -1;
	else if (!s->out->failed && (s->out->data[tail] == TAG_LIST || s->out->data[tail] == TAG_STRING))
		return fail(s, "a list as the tail of a list is written as one list");
	return accept_text(s, "]") ? 0 : fail(s, "']', ',' or '|' is needed");
}

static int
read_pairs(struct parser *s, struct hb_keys *keys, uint32_t *count)
{
	*count = 0;
	do {
		size_t start = s->out->len;

		if (read_term(s) == -1)
			return -1;
		hb_keys_add(keys, start, s->out->len);
		if (!accept_text(s, "=>"))
			return fail(s, "'=>' is needed");
		if (read_term(s) == -1)
			return -1;
		++*count;
	} while (accept_text(s, ","));
	return 0;
}

/* Behind "#{". */
static int
read_map(struct parser *s)
{
	struct hb_keys keys = HB_KEYS_INIT;
	size_t at = s->out->len;
	uint32_t count;
	bool differ;
	int rc;

	put_header(s, TAG_MAP);
	if (accept_text(s, "}"))
		return 0;
	rc = read_pairs(s, &keys, &count);
	differ = hb_keys_differ(&keys, s->out);
	if (rc == -1)
		return -1;
	if (!differ)
		return fail(s, "a map has two keys that are the same");
	set_count(s, at, count);
	return accept_text(s, "}") ? 0 : fail(s, "'}' or ',' is needed");
}

static int
read_container(struct parser *s, int (*read)(struct parser *s))
{
	if (enter(s) == -1 || read(s) == -1)
		return -1;
	s->depth--;
	return 0;
}

static int
read_term(struct parser *s)
{
	char c = peek(s);

	if (accept_text(s, "<<"))
		return read_binary(s);
	if (accept_text(s, "#{"))
		return read_container(s, read_map);
	if (accept_text(s, "{"))
		return read_container(s, read_tuple);
	if (accept_text(s, "["))
		return read_container(s, read_list);
	if (c == '"')
		return read_container(s, read_string);
	if (c == '\'')
		return read_quoted_atom(s);
	if (c >= 'a' && c <= 'z')
		return read_atom(s);
	if (is_digit(c) || c == '-' || c == '+' || c == '$')
		return read_number(s);
	return fail(s, s->p == s->end ? "a term is missing" : "no term starts like this");
}

int
hb_term_from_erl(const char *text, size_t len, struct hb_buf *out, struct hb_error *err)
{
	struct parser s = {text, text + len, text, out, err, 0};
	size_t start = out->len;
	int rc;

	if (!hb_str_is_utf8(text, len))
		return hb_error_set(err, HB_ERROR_VALUE, "not an Erlang term: the text is not UTF-8");
	rc = read_term(&s);
	if (rc == 0) {
		(void)accept_text(&s, ".");
		peek(&s);
		if (s.p != s.end)
			rc = fail(&s, "more text after the term");
	}
	if (rc == 0 && out->failed)
		rc = hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (rc == -1 && !out->failed)
		out->len = start;
	return rc;
}
