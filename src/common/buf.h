/*
 * A growing byte buffer.  A failed allocation is remembered in `failed`, so
 * that a writer appends freely and asks once at the end.
 */
#ifndef HB_COMMON_BUF_H
#define HB_COMMON_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct hb_buf {
	unsigned char *data;
	size_t len;
	size_t cap;
	bool failed;
};

#define HB_BUF_INIT { NULL, 0, 0, false }

void hb_buf_init(struct hb_buf *b);
void hb_buf_free(struct hb_buf *b);  /* gives the memory back; b is empty again */
void hb_buf_clear(struct hb_buf *b); /* forgets the content, keeps the memory */
/* Makes room for n more bytes and returns where they go; NULL when failed. */
unsigned char *hb_buf_reserve(struct hb_buf *b, size_t n);
void hb_buf_add(struct hb_buf *b, const void *p, size_t n);
void hb_buf_add_str(struct hb_buf *b, const char *s);
void hb_buf_add_u8(struct hb_buf *b, uint8_t v);
void hb_buf_add_u16(struct hb_buf *b, uint16_t v); /* network byte order, as the next two */
void hb_buf_add_u32(struct hb_buf *b, uint32_t v);
void hb_buf_add_u64(struct hb_buf *b, uint64_t v);
void hb_buf_printf(struct hb_buf *b, const char *fmt, ...) HB_PRINTF(2, 3);
void hb_buf_vprintf(struct hb_buf *b, const char *fmt, va_list ap) HB_PRINTF(2, 0);
/* Removes n bytes from the front (moves the rest). */
void hb_buf_drop(struct hb_buf *b, size_t n);

static inline void
hb_put_u16(unsigned char *p, uint16_t v)
{
	p[0] = (unsigned char)(v >> 8);
	p[1] = (unsigned char)v;
}

static inline void
hb_put_u32(unsigned char *p, uint32_t v)
{
	hb_put_u16(p, (uint16_t)(v >> 16));
	hb_put_u16(p + 2, (uint16_t)v);
}

static inline void
hb_put_u64(unsigned char *p, uint64_t v)
{
	hb_put_u32(p, (uint32_t)(v >> 32));
	hb_put_u32(p + 4, (uint32_t)v);
}

static inline uint16_t
hb_get_u16(const unsigned char *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
hb_get_u32(const unsigned char *p)
{
	return (uint32_t)hb_get_u16(p) << 16 | hb_get_u16(p + 2);
}

static inline uint64_t
hb_get_u64(const unsigned char *p)
{
	return (uint64_t)hb_get_u32(p) << 32 | hb_get_u32(p + 4);
}

#endif
