/* Base64: see base64.h. */
#include "term/base64.h"

#include <stdint.h>
#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
hb_base64_encode(struct hb_buf *out, const unsigned char *p, size_t len)
{
	char *to = (char *)hb_buf_reserve(out, (len + 2) / 3 * 4);

	if (to == NULL)
		return;
	out->len += (len + 2) / 3 * 4;
	for (; len > 0; p += 3, to += 4) {
		uint32_t v = (uint32_t)p[0] << 16 | (len > 1 ? (uint32_t)p[1] << 8 : 0) | (len > 2 ? p[2] : 0);

		to[0] = digits[v >> 18];
		to[1] = digits[v >> 12 & 63];
		to[2] = len > 1 ? digits[v >> 6 & 63] : '=';
		to[3] = len > 2 ? digits[v & 63] : '=';
		len -= len < 3 ? len : 3;
	}
}

static int
digit(char c)
{
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at == NULL ? -1 : (int)(at - digits);
}

int
hb_base64_decode(struct hb_buf *out, const char *text, size_t len)
{
	size_t start = out->len;
	uint32_t v = 0;
	unsigned n = 0;

	if (len % 4 != 0)
		return -1;
	if (len > 0)
		len -= text[len - 1] != '=' ? 0 : text[len - 2] != '=' ? 1 : 2;
	for (size_t i = 0; i < len; i++) {
		int d = digit(text[i]);

		if (d == -1)
			goto fail;
		v = v << 6 | (uint32_t)d;
		if (++n == 4) {
			hb_buf_add(out, (unsigned char[]){v >> 16 & 255, v >> 8 & 255, v & 255}, 3);
			v = n = 0;
		}
	}
	/* the bits that are left over must be zero */
	if (n == 1 || (n == 2 && (v & 15) != 0) || (n == 3 && (v & 3) != 0))
		goto fail;
	if (n == 2)
		hb_buf_add_u8(out, (uint8_t)(v >> 4));
	else if (n == 3)
		hb_buf_add_u16(out, (uint16_t)(v >> 2));
	return 0;
fail:
	out->len = start;
	return -1;
}
