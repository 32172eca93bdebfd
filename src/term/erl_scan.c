/* The words of Erlang's syntax: see erl_scan.h. */
#include "term/erl_scan.h"

#include <stdlib.h>
#include <string.h>

#include "term/number.h"
#include "term/tags.h"
#include "term/term.h"

int
erl_fail(struct erl_parser *s, const char *what)
{
	return hb_error_set(s->err, HB_ERROR_VALUE, "not an Erlang term: column %zu: %s", (size_t)(s->p - s->start) + 1,
	    what);
}

/* The next character after white space and comments, or NUL at the end. */
char
erl_peek(struct erl_parser *s)
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

bool
erl_accept(struct erl_parser *s, const char *text)
{
	size_t len = strlen(text);

	erl_peek(s);
	if ((size_t)(s->end - s->p) < len || memcmp(s->p, text, len) != 0)
		return false;
	s->p += len;
	return true;
}

bool
erl_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_name_character(char c)
{
	return erl_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '@';
}

/* One character of the text, which is UTF-8. */
static uint32_t
read_utf8(struct erl_parser *s)
{
	unsigned char first = (unsigned char)*s->p++;
	unsigned more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
	uint32_t c = more == 0 ? first : first & (0x3fU >> more);

	while (more-- > 0)
		c = c << 6 | (*s->p++ & 0x3f);
	return c;
}

void
erl_put_utf8(struct hb_buf *b, uint32_t c)
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
	return erl_is_digit(c) ? (unsigned)(c - '0') : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 :
	    c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10 : 16;
}

/* Behind "\x": two digits, or any number of them in braces. */
static int
read_hex_escape(struct erl_parser *s, uint32_t *c)
{
	bool braces = s->p < s->end && *s->p == '{';
	unsigned n = 0;

	*c = 0;
	s->p += braces;
	for (; s->p < s->end && hex_digit(*s->p) < 16 && (braces || n < 2) && *c <= 0x10ffff; s->p++, n++)
		*c = *c << 4 | hex_digit(*s->p);
	if (n == 0 || (!braces && n < 2) || (braces && (s->p == s->end || *s->p++ != '}')))
		return erl_fail(s, "a broken \\x escape");
	return 0;
}

/* Behind the backslash. */
static int
read_escape(struct erl_parser *s, uint32_t *c)
{
	static const char names[] = "bdefnrstv", values[] = "\b\x7f\x1b\f\n\r \t\v";
	const char *known;
	unsigned n;

	if (s->p == s->end)
		return erl_fail(s, "a backslash at the end");
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
read_character(struct erl_parser *s, uint32_t *c)
{
	if (s->p == s->end)
		return erl_fail(s, "a character is missing");
	if (*s->p == '\\') {
		s->p++;
		if (read_escape(s, c) == -1)
			return -1;
	} else {
		*c = read_utf8(s);
	}
	return *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff) ? erl_fail(s, "no Unicode character") : 0;
}

/* The characters up to the closing quote, 32 bits each. */
int
erl_quoted(struct erl_parser *s, struct hb_buf *characters)
{
	char quote = *s->p++;
	uint32_t c;

	while (s->p < s->end && *s->p != quote) {
		if (read_character(s, &c) == -1)
			return -1;
		hb_buf_add_u32(characters, c);
	}
	if (s->p == s->end)
		return erl_fail(s, "a closing quote is missing");
	s->p++;
	return 0;
}

int
erl_quoted_atom(struct erl_parser *s)
{
	struct hb_buf characters = HB_BUF_INIT, name = HB_BUF_INIT;
	int rc = erl_quoted(s, &characters);

	if (rc == 0 && characters.len / 4 > HB_TERM_ATOM_MAX)
		rc = erl_fail(s, "an atom has at most 255 characters");
	for (size_t i = 0; rc == 0 && i < characters.len; i += 4)
		erl_put_utf8(&name, hb_get_u32(characters.data + i));
	if (rc == 0)
		hb_term_put_atom_n(s->out, (const char *)name.data, name.len);
	hb_buf_free(&characters);
	hb_buf_free(&name);
	return rc;
}

int
erl_atom(struct erl_parser *s)
{
	const char *start = s->p;

	while (s->p < s->end && is_name_character(*s->p))
		s->p++;
	if (s->p - start > HB_TERM_ATOM_MAX)
		return erl_fail(s, "an atom has at most 255 characters");
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
int
erl_string(struct erl_parser *s)
{
	struct hb_buf characters = HB_BUF_INIT;
	int rc = erl_quoted(s, &characters);

	if (rc == 0 && characters.failed)
		rc = hb_error_set(s->err, HB_ERROR_MEMORY, "out of memory");
	if (rc == 0)
		put_characters(s->out, &characters);
	hb_buf_free(&characters);
	return rc;
}

/* Digits without their underscores; the cursor goes past them. */
static void
take_digits(struct erl_parser *s, struct hb_buf *digits, bool letters)
{
	for (; s->p < s->end; s->p++) {
		bool digit = erl_is_digit(*s->p) || (letters && *s->p != '@' && *s->p != '_' && is_name_character(*s->p));

		if (!digit && !(*s->p == '_' && s->end - s->p > 1 && is_name_character(s->p[1])))
			return;
		if (digit)
			hb_buf_add_u8(digits, (uint8_t)*s->p);
	}
}

static int
read_fraction(struct erl_parser *s, bool negative, struct hb_buf *digits)
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
		if (s->p == s->end || !erl_is_digit(*s->p)) {
			hb_buf_free(&text);
			return erl_fail(s, "an exponent without digits");
		}
		take_digits(s, &text, false);
	}
	hb_buf_add_u8(&text, '\0');
	rc = text.failed ? -1 : hb_number_read_float((char *)text.data, &v);
	hb_buf_free(&text);
	if (rc == -1)
		return erl_fail(s, "a float beyond its range");
	hb_term_put_float(s->out, negative ? -v : v);
	return 0;
}

static int
put_integer(struct erl_parser *s, bool negative, const struct hb_buf *digits, unsigned base)
{
	struct hb_error cause;

	if (hb_number_read(s->out, negative, (const char *)digits->data, digits->len, base, &cause) == 0)
		return 0;
	return erl_fail(s, cause.text);
}

/* 12, -12, 1_000, 16#ff, $a, 1.5, 1.5e-7 */
int
erl_number(struct erl_parser *s)
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
	if (s->p == s->end || !erl_is_digit(*s->p))
		return erl_fail(s, "a number is missing");
	take_digits(s, &digits, false);
	if (s->end - s->p > 1 && *s->p == '.' && erl_is_digit(s->p[1])) {
		rc = read_fraction(s, negative, &digits);
	} else if (s->p < s->end && *s->p == '#') {
		hb_buf_add_u8(&digits, '\0');
		base = digits.failed || digits.len > 3 ? 0 : strtoul((char *)digits.data, NULL, 10);
		hb_buf_clear(&digits);
		s->p++;
		take_digits(s, &digits, true);
		rc = base < 2 || base > 36 ? erl_fail(s, "a base is from 2 to 36") :
		    put_integer(s, negative, &digits, (unsigned)base);
	} else {
		rc = put_integer(s, negative, &digits, 10);
	}
	hb_buf_free(&digits);
	return rc;
}
