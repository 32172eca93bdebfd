/* The reader's terms that hold no others: see reader.h. */
#include "term/reader.h"

#include <math.h>
#include <string.h>

#include "common/str.h"
#include "term/number.h"
#include "term/tags.h"

enum { FLOAT_TEXT = 31, REFERENCE_WORDS_MAX = 5 };

int
reader_malformed(struct hb_term_reader *r, struct hb_error *err, const char *what)
{
	return hb_error_set(err, HB_ERROR_PROTOCOL, "malformed term: %s at byte %zu", what, (size_t)(r->p - r->start));
}

size_t
reader_left(const struct hb_term_reader *r)
{
	return (size_t)(r->end - r->p);
}

/* Takes n bytes; NULL when there are fewer. */
const unsigned char *
reader_take(struct hb_term_reader *r, size_t n)
{
	const unsigned char *p = r->p;

	if (reader_left(r) < n)
		return NULL;
	r->p += n;
	return p;
}

/* A length field of `bytes` bytes and as many bytes as it says. */
static int
take_sized(struct hb_term_reader *r, unsigned bytes, struct hb_term_token *t)
{
	const unsigned char *p = reader_take(r, bytes);

	if (p == NULL)
		return -1;
	t->len = bytes == 1 ? p[0] : bytes == 2 ? hb_get_u16(p) : hb_get_u32(p);
	t->text = reader_take(r, t->len);
	return t->text == NULL ? -1 : 0;
}

int
reader_truncated(struct hb_term_reader *r, struct hb_error *err)
{
	return reader_malformed(r, err, "the data ends early,");
}

static size_t
utf8_characters(const unsigned char *p, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += (p[i] & 0xc0) != 0x80;
	return n;
}

static void
latin1_atom(struct hb_term_reader *r, struct hb_term_token *t)
{
	size_t n = 0;

	for (size_t i = 0; i < t->len; i++) {
		unsigned char c = t->text[i];

		if (c < 0x80) {
			r->atom[n++] = (char)c;
		} else {
			r->atom[n++] = (char)(0xc0 | c >> 6);
			r->atom[n++] = (char)(0x80 | (c & 0x3f));
		}
	}
	t->text = (const unsigned char *)r->atom;
	t->len = n;
}

static int
read_atom(struct hb_term_reader *r, unsigned tag, struct hb_term_token *t, struct hb_error *err)
{
	bool small = tag == TAG_SMALL_ATOM || tag == TAG_SMALL_ATOM_UTF8;

	t->type = HB_TERM_ATOM;
	if (take_sized(r, small ? 1 : 2, t) == -1)
		return reader_truncated(r, err);
	if (tag == TAG_ATOM || tag == TAG_SMALL_ATOM) {
		if (t->len > HB_TERM_ATOM_MAX)
			return reader_malformed(r, err, "an atom of more than 255 characters");
		latin1_atom(r, t);
		return 1;
	}
	if (!hb_str_is_utf8(t->text, t->len))
		return reader_malformed(r, err, "an atom that is not UTF-8");
	if (utf8_characters(t->text, t->len) > HB_TERM_ATOM_MAX)
		return reader_malformed(r, err, "an atom of more than 255 characters");
	return 1;
}

/* An atom inside a pid, port, reference or fun, which is kept raw. */
static int
skip_atom(struct hb_term_reader *r, struct hb_error *err)
{
	const unsigned char *tag = reader_take(r, 1);
	struct hb_term_token unused;

	if (tag == NULL)
		return reader_truncated(r, err);
	if (*tag != TAG_ATOM && *tag != TAG_SMALL_ATOM && *tag != TAG_ATOM_UTF8 && *tag != TAG_SMALL_ATOM_UTF8)
		return reader_malformed(r, err, "no atom where one belongs");
	return read_atom(r, *tag, &unused, err);
}

/* A node's name and n bytes. */
static int
read_named(struct hb_term_reader *r, size_t n, enum hb_term_type type, struct hb_term_token *t,
    struct hb_error *err)
{
	t->type = type;
	if (skip_atom(r, err) == -1)
		return -1;
	return reader_take(r, n) == NULL ? reader_truncated(r, err) : 1;
}

static int
read_reference(struct hb_term_reader *r, size_t creation, struct hb_term_token *t, struct hb_error *err)
{
	const unsigned char *p = reader_take(r, 2);
	unsigned words;

	if (p == NULL)
		return reader_truncated(r, err);
	words = hb_get_u16(p);
	if (words == 0 || words > REFERENCE_WORDS_MAX)
		return reader_malformed(r, err, "a reference of a wrong length");
	return read_named(r, creation + 4 * words, HB_TERM_REF, t, err);
}

static int
read_export(struct hb_term_reader *r, struct hb_term_token *t, struct hb_error *err)
{
	const unsigned char *arity;

	t->type = HB_TERM_FUN;
	if (skip_atom(r, err) == -1 || skip_atom(r, err) == -1)
		return -1;
	arity = reader_take(r, 2);
	if (arity == NULL)
		return reader_truncated(r, err);
	return *arity == TAG_SMALL_INTEGER ? 1 : reader_malformed(r, err, "an export of a wrong arity");
}

static int
skip_integer(struct hb_term_reader *r, struct hb_error *err)
{
	const unsigned char *tag = reader_take(r, 1);
	struct hb_term_token t;

	if (tag == NULL)
		return reader_truncated(r, err);
	if (*tag != TAG_SMALL_INTEGER && *tag != TAG_INTEGER)
		return reader_malformed(r, err, "no integer where one belongs");
	return reader_plain(r, *tag, &t, err);
}

int
reader_fun_head(struct hb_term_reader *r, uint32_t *size, uint32_t *variables, struct hb_error *err)
{
	/* size, arity, uniq, index, number of free variables */
	const unsigned char *p = reader_take(r, 4 + 1 + 16 + 4 + 4);
	const unsigned char *tag;

	if (p == NULL)
		return reader_truncated(r, err);
	*size = hb_get_u32(p);
	*variables = hb_get_u32(p + 25);
	if (skip_atom(r, err) == -1 || skip_integer(r, err) == -1 || skip_integer(r, err) == -1)
		return -1;
	tag = reader_take(r, 1);
	if (tag == NULL)
		return reader_truncated(r, err);
	if (*tag != TAG_PID && *tag != TAG_NEW_PID)
		return reader_malformed(r, err, "no pid where one belongs");
	return reader_plain(r, *tag, &(struct hb_term_token){0}, err);
}

static int
read_integer(struct hb_term_reader *r, unsigned tag, struct hb_term_token *t, struct hb_error *err)
{
	const unsigned char *p = reader_take(r, tag == TAG_SMALL_INTEGER ? 1 : 4);

	if (p == NULL)
		return reader_truncated(r, err);
	t->type = HB_TERM_INT;
	t->i = tag == TAG_SMALL_INTEGER ? *p : (int32_t)hb_get_u32(p);
	return 1;
}

static int
read_big(struct hb_term_reader *r, unsigned tag, struct hb_term_token *t, struct hb_error *err)
{
	const unsigned char *p = reader_take(r, tag == TAG_SMALL_BIG ? 2 : 5);
	uint64_t v = 0;

	if (p == NULL)
		return reader_truncated(r, err);
	t->len = tag == TAG_SMALL_BIG ? p[0] : hb_get_u32(p);
	t->negative = r->p[-1] != 0;
	t->text = reader_take(r, t->len);
	if (t->text == NULL)
		return reader_truncated(r, err);
	while (t->len > 0 && t->text[t->len - 1] == 0)
		t->len--;
	for (size_t i = 0; i < t->len && i < 8; i++)
		v |= (uint64_t)t->text[i] << 8 * i;
	if (t->len > 8 || v > (uint64_t)INT64_MAX + t->negative) {
		t->type = HB_TERM_BIG;
		return 1;
	}
	t->type = HB_TERM_INT;
	t->i = t->negative ? (int64_t)-v : (int64_t)v;
	return 1;
}

static int
read_float(struct hb_term_reader *r, unsigned tag, struct hb_term_token *t, struct hb_error *err)
{
	const unsigned char *p = reader_take(r, tag == TAG_FLOAT ? FLOAT_TEXT : 8);
	char text[FLOAT_TEXT + 1] = "";
	uint64_t image;

	if (p == NULL)
		return reader_truncated(r, err);
	t->type = HB_TERM_FLOAT;
	if (tag == TAG_FLOAT) {
		memcpy(text, p, FLOAT_TEXT);
		return hb_number_read_float(text, &t->f) == 0 ? 1 : reader_malformed(r, err, "a float that is no number");
	}
	image = hb_get_u64(p);
	memcpy(&t->f, &image, sizeof t->f);
	return isfinite(t->f) ? 1 : reader_malformed(r, err, "a float that is not finite");
}

static int
read_bits(struct hb_term_reader *r, struct hb_term_token *t, struct hb_error *err)
{
	const unsigned char *p = reader_take(r, 5);
	unsigned bits;

	if (p == NULL)
		return reader_truncated(r, err);
	t->len = hb_get_u32(p);
	bits = p[4];
	t->text = reader_take(r, t->len);
	if (t->text == NULL)
		return reader_truncated(r, err);
	if (bits > 8 || (bits == 0) != (t->len == 0))
		return reader_malformed(r, err, "a bit string of a wrong length");
	t->type = bits == 0 || bits == 8 ? HB_TERM_BYTES : HB_TERM_BITS;
	t->bits = bits & 7;
	return 1;
}

/* Any term but a container, its tag already taken. */
int
reader_plain(struct hb_term_reader *r, unsigned tag, struct hb_term_token *t, struct hb_error *err)
{
	switch (tag) {
	case TAG_SMALL_INTEGER:
	case TAG_INTEGER:
		return read_integer(r, tag, t, err);
	case TAG_SMALL_BIG:
	case TAG_LARGE_BIG:
		return read_big(r, tag, t, err);
	case TAG_NEW_FLOAT:
	case TAG_FLOAT:
		return read_float(r, tag, t, err);
	case TAG_ATOM:
	case TAG_SMALL_ATOM:
	case TAG_ATOM_UTF8:
	case TAG_SMALL_ATOM_UTF8:
		return read_atom(r, tag, t, err);
	case TAG_BINARY:
		t->type = HB_TERM_BINARY;
		return take_sized(r, 4, t) == -1 ? reader_truncated(r, err) : 1;
	case TAG_STRING:
		t->type = HB_TERM_STRING;
		return take_sized(r, 2, t) == -1 ? reader_truncated(r, err) : 1;
	case TAG_BIT_BINARY:
		return read_bits(r, t, err);
	case TAG_PID:
		return read_named(r, 4 + 4 + 1, HB_TERM_PID, t, err);
	case TAG_NEW_PID:
		return read_named(r, 4 + 4 + 4, HB_TERM_PID, t, err);
	case TAG_PORT:
		return read_named(r, 4 + 1, HB_TERM_PORT, t, err);
	case TAG_NEW_PORT:
		return read_named(r, 4 + 4, HB_TERM_PORT, t, err);
	case TAG_V4_PORT:
		return read_named(r, 8 + 4, HB_TERM_PORT, t, err);
	case TAG_REFERENCE:
		return read_named(r, 4 + 1, HB_TERM_REF, t, err);
	case TAG_NEW_REFERENCE:
		return read_reference(r, 1, t, err);
	case TAG_NEWER_REFERENCE:
		return read_reference(r, 4, t, err);
	case TAG_EXPORT:
		return read_export(r, t, err);
	default:
		return hb_error_set(err, HB_ERROR_PROTOCOL, "malformed term: unknown tag %u at byte %zu", tag,
		    (size_t)(r->p - 1 - r->start));
	}
}
