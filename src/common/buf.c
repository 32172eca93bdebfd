/* A growing byte buffer: see buf.h. */
#include "common/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 128 };

void
hb_buf_init(struct hb_buf *b)
{
	*b = (struct hb_buf)HB_BUF_INIT;
}

void
hb_buf_free(struct hb_buf *b)
{
	free(b->data);
	hb_buf_init(b);
}

void
hb_buf_clear(struct hb_buf *b)
{
	b->len = 0;
	b->failed = false;
}

unsigned char *
hb_buf_reserve(struct hb_buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : BUF_FIRST;
	unsigned char *p;

	if (b->failed)
		return NULL;
	if (n <= b->cap - b->len && b->data != NULL)
		return b->data + b->len;
	if (n > SIZE_MAX / 2 - b->len) {
		b->failed = true;
		return NULL;
	}
	while (cap - b->len < n)
		cap *= 2;
	p = realloc(b->data, cap);
	if (p == NULL) {
		b->failed = true;
		return NULL;
	}
	b->data = p;
	b->cap = cap;
	return p + b->len;
}

void
hb_buf_add(struct hb_buf *b, const void *p, size_t n)
{
	unsigned char *to;

	if (n == 0)
		return;
	to = hb_buf_reserve(b, n);
	if (to == NULL)
		return;
	memcpy(to, p, n);
	b->len += n;
}

void
hb_buf_add_str(struct hb_buf *b, const char *s)
{
	hb_buf_add(b, s, strlen(s));
}

void
hb_buf_add_u8(struct hb_buf *b, uint8_t v)
{
	unsigned char *to = hb_buf_reserve(b, 1);

	if (to != NULL) {
		*to = v;
		b->len++;
	}
}

void
hb_buf_add_u16(struct hb_buf *b, uint16_t v)
{
	unsigned char p[2];

	hb_put_u16(p, v);
	hb_buf_add(b, p, sizeof p);
}

void
hb_buf_add_u32(struct hb_buf *b, uint32_t v)
{
	unsigned char p[4];

	hb_put_u32(p, v);
	hb_buf_add(b, p, sizeof p);
}

void
hb_buf_add_u64(struct hb_buf *b, uint64_t v)
{
	unsigned char p[8];

	hb_put_u64(p, v);
	hb_buf_add(b, p, sizeof p);
}

void
hb_buf_vprintf(struct hb_buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0 && hb_buf_reserve(b, (size_t)n + 1) != NULL) {
		vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void
hb_buf_printf(struct hb_buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	hb_buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
hb_buf_drop(struct hb_buf *b, size_t n)
{
	if (n == 0)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}
