/* The masking of a payload (RFC 6455 5.3). */
#ifndef HB_HTTP_WS_MASK_H
#define HB_HTTP_WS_MASK_H

#include <stddef.h>

/*
 * The n bytes at from, unmasked, to `to`, which may be from.  mask is the key for the first of them, and
 * afterwards the one for the byte behind the last.
 */
void hb_ws_unmask(unsigned char *to, const unsigned char *from, size_t n, unsigned char mask[4]);

#endif
