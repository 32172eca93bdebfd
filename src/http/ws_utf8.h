/* UTF-8 (RFC 3629) checked as it comes; a bad byte shows at once, wherever the parts are cut. */
#ifndef HB_HTTP_WS_UTF8_H
#define HB_HTTP_WS_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed at the start of a text. */
struct hb_ws_utf8 {
	uint8_t missing;   /* bytes of the character that has begun */
	uint8_t low, high; /* the next of them is between these */
};

/* Whether the n bytes at p may follow what was checked before. */
bool hb_ws_utf8_add(struct hb_ws_utf8 *u, const unsigned char *p, size_t n);

/* Whether the text may end here. */
static inline bool
hb_ws_utf8_whole(const struct hb_ws_utf8 *u)
{
	return u->missing == 0;
}

/* Of a text's first n bytes, how many end in front of a character that is not whole. */
size_t hb_ws_utf8_cut(const unsigned char *p, size_t n);

#endif
