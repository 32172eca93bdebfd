/* Erlang's external term format, the encoder: see term.h. */
#include "term/term.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "term/tags.h"

void
hb_term_put_version(struct hb_buf *b)
{
	hb_buf_add_u8(b, TAG_VERSION);
}

void
hb_term_put_atom(struct hb_buf *b, const char *name)
{
	hb_term_put_atom_n(b, name, strlen(name));
}

void
hb_term_put_atom_n(struct hb_buf *b, const char *name, size_t len)
{
	assert(len <= 4 * HB_TERM_ATOM_MAX);
	if (len <= UINT8_MAX) {
		hb_buf_add_u8(b, TAG_SMALL_ATOM_UTF8);
		hb_buf_add_u8(b, (uint8_t)len);
	} else {
		hb_buf_add_u8(b, TAG_ATOM_UTF8);
		hb_buf_add_u16(b, (uint16_t)len);
	}
	hb_buf_add(b, name, len);
}

void
hb_term_put_bool(struct hb_buf *b, bool v)
{
	hb_term_put_atom(b, v ? "true" : "false");
}

static void
put_wide(struct hb_buf *b, bool negative, uint64_t v)
{
	unsigned char bytes[8];

	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(v >> 8 * i);
	hb_term_put_big(b, negative, bytes, sizeof bytes);
}

void
hb_term_put_int(struct hb_buf *b, int64_t v)
{
	unsigned char *p;

	if (v < INT32_MIN || v > INT32_MAX) {
		put_wide(b, v < 0, v < 0 ? -(uint64_t)v : (uint64_t)v);
		return;
	}
	p = hb_buf_reserve(b, 5);
	if (p == NULL)
		return;
	if (v >= 0 && v <= UINT8_MAX) {
		p[0] = TAG_SMALL_INTEGER;
		p[1] = (unsigned char)v;
		b->len += 2;
	} else {
		p[0] = TAG_INTEGER;
		hb_put_u32(p + 1, (uint32_t)v);
		b->len += 5;
	}
}

void
hb_term_put_uint(struct hb_buf *b, uint64_t v)
{
	if (v <= INT64_MAX)
		hb_term_put_int(b, (int64_t)v);
	else
		put_wide(b, false, v);
}

void
hb_term_put_big(struct hb_buf *b, bool negative, const unsigned char *magnitude, size_t len)
{
	while (len > 0 && magnitude[len - 1] == 0)
		len--;
	assert(len <= UINT32_MAX);
	if (len < 4 || (len == 4 && magnitude[3] < 0x80)) {
		int64_t v = 0;

		for (size_t i = 0; i < len; i++)
			v |= (int64_t)magnitude[i] << 8 * i;
		hb_term_put_int(b, negative ? -v : v);
		return;
	}
	if (len <= UINT8_MAX) {
		hb_buf_add_u8(b, TAG_SMALL_BIG);
		hb_buf_add_u8(b, (uint8_t)len);
	} else {
		hb_buf_add_u8(b, TAG_LARGE_BIG);
		hb_buf_add_u32(b, (uint32_t)len);
	}
	hb_buf_add_u8(b, negative);
	hb_buf_add(b, magnitude, len);
}

void
hb_term_put_float(struct hb_buf *b, double v)
{
	uint64_t image;

	assert(isfinite(v));
	memcpy(&image, &v, sizeof image);
	hb_buf_add_u8(b, TAG_NEW_FLOAT);
	hb_buf_add_u64(b, image);
}

void
hb_term_put_binary(struct hb_buf *b, const void *p, size_t len)
{
	unsigned char *to;

	assert(len <= UINT32_MAX);
	to = hb_buf_reserve(b, 5 + len);
	if (to == NULL)
		return;
	to[0] = TAG_BINARY;
	hb_put_u32(to + 1, (uint32_t)len);
	if (len > 0)
		memcpy(to + 5, p, len);
	b->len += 5 + len;
}

void
hb_term_put_str(struct hb_buf *b, const char *s)
{
	hb_term_put_binary(b, s, strlen(s));
}

void
hb_term_put_bytes(struct hb_buf *b, const void *p, size_t len)
{
	hb_term_put_bits(b, p, len, len > 0 ? 8 : 0);
}

void
hb_term_put_bits(struct hb_buf *b, const void *p, size_t len, unsigned bits)
{
	assert(len <= UINT32_MAX && bits <= 8 && (len > 0) == (bits > 0));
	hb_buf_add_u8(b, TAG_BIT_BINARY);
	hb_buf_add_u32(b, (uint32_t)len);
	hb_buf_add_u8(b, (uint8_t)bits);
	hb_buf_add(b, p, len);
}

void
hb_term_put_stored(struct hb_buf *b, const void *term, size_t len)
{
	unsigned tag = len > 0 ? *(const unsigned char *)term : 0;

	if (tag != TAG_SMALL_INTEGER && tag != TAG_INTEGER && tag != TAG_SMALL_BIG && tag != TAG_LARGE_BIG) {
		assert(len < UINT32_MAX);
		hb_buf_add_u8(b, TAG_BINARY);
		hb_buf_add_u32(b, (uint32_t)len + 1);
		hb_term_put_version(b);
	}
	hb_buf_add(b, term, len);
}

static void
put_count(struct hb_buf *b, uint8_t tag, uint32_t count)
{
	hb_buf_add_u8(b, tag);
	hb_buf_add_u32(b, count);
}

void
hb_term_put_tuple(struct hb_buf *b, uint32_t arity)
{
	if (arity <= UINT8_MAX) {
		hb_buf_add_u8(b, TAG_SMALL_TUPLE);
		hb_buf_add_u8(b, (uint8_t)arity);
	} else {
		put_count(b, TAG_LARGE_TUPLE, arity);
	}
}

void
hb_term_put_list(struct hb_buf *b, uint32_t len)
{
	if (len == 0)
		hb_term_put_nil(b);
	else
		put_count(b, TAG_LIST, len);
}

void
hb_term_put_nil(struct hb_buf *b)
{
	hb_buf_add_u8(b, TAG_NIL);
}

void
hb_term_put_map(struct hb_buf *b, uint32_t pairs)
{
	put_count(b, TAG_MAP, pairs);
}
