/* UTF-8 checked as it comes: ASCII by the word, whole characters at once, a cut one byte by byte. */
#include "http/ws_utf8.h"

#include <string.h>

#define TOPS UINT64_C(0x8080808080808080)
#define STRIDE (4 * sizeof(uint64_t))

static size_t
skip_ascii(const unsigned char *p, size_t i, size_t n)
{
	while (n - i >= STRIDE) {
		uint64_t w[4];

		memcpy(w, p + i, sizeof(w));
		if ((w[0] | w[1] | w[2] | w[3]) & TOPS)
			break;
		i += STRIDE;
	}
	while (n - i >= sizeof(uint64_t)) {
		uint64_t w;

		memcpy(&w, p + i, sizeof(w));
		if (w & TOPS)
			break;
		i += sizeof(w);
	}
	while (i < n && p[i] < 0x80)
		i++;
	return i;
}

/* What a lead byte says of the bytes behind it; the bounds keep out long forms, surrogates and what is above U+10FFFF. */
static bool
begin(struct hb_ws_utf8 *u, unsigned char c)
{
	*u = (struct hb_ws_utf8){ 1, 0x80, 0xbf };
	if (c >= 0xc2 && c <= 0xdf)
		return true;
	if (c >= 0xe0 && c <= 0xef) {
		u->missing = 2;
		if (c == 0xe0)
			u->low = 0xa0;
		else if (c == 0xed)
			u->high = 0x9f;
		return true;
	}
	u->missing = 3;
	if (c == 0xf0)
		u->low = 0x90;
	else if (c == 0xf4)
		u->high = 0x8f;
	return c >= 0xf0 && c <= 0xf4;
}

static bool
go_on(struct hb_ws_utf8 *u, unsigned char c)
{
	bool good = c >= u->low && c <= u->high;

	*u = (struct hb_ws_utf8){ (uint8_t)(u->missing - 1), 0x80, 0xbf };
	return good;
}

static inline bool
follows(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* The length of the character of two or three bytes that is whole at p, or 0: look at it closely. */
static inline size_t
common_character(const unsigned char *p, size_t n)
{
	if (n >= 2 && p[0] >= 0xc2 && p[0] <= 0xdf)
		return follows(p[1]) ? 2 : 0;
	if (n >= 3 && p[0] >= 0xe1 && p[0] <= 0xef && p[0] != 0xed)
		return follows(p[1]) && follows(p[2]) ? 3 : 0;
	return 0;
}

bool
hb_ws_utf8_add(struct hb_ws_utf8 *u, const unsigned char *p, size_t n)
{
	size_t i = 0;

	while (i < n) {
		size_t whole;

		if (u->missing > 0) {
			if (!go_on(u, p[i++]))
				return false;
			continue;
		}
		if (p[i] < 0x80) {
			i = skip_ascii(p, i, n);
			continue;
		}
		whole = common_character(p + i, n - i);
		if (whole > 0)
			i += whole;
		else if (!begin(u, p[i++]))
			return false;
	}
	return true;
}

size_t
hb_ws_utf8_cut(const unsigned char *p, size_t n)
{
	size_t start = n, length;

	while (start > 0 && n - start < 4) {
		start--;
		if (follows(p[start]))
			continue;
		length = p[start] < 0x80 ? 1 : p[start] < 0xe0 ? 2 : p[start] < 0xf0 ? 3 : 4;
		return n - start < length ? start : n;
	}
	return n;
}
