/* Base64 of RFC 4648, with padding. */
#ifndef HB_TERM_BASE64_H
#define HB_TERM_BASE64_H

#include <stddef.h>

#include "common/buf.h"

void hb_base64_encode(struct hb_buf *out, const unsigned char *p, size_t len);
/* -1 when text is not base64 (nothing is appended then); strict, no white space. */
int hb_base64_decode(struct hb_buf *out, const char *text, size_t len) HB_WARN_UNUSED;

#endif
