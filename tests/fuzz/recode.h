/* For the term tests: a decoded term encoded anew, and as a line of tokens. */
#ifndef HB_TESTS_RECODE_H
#define HB_TESTS_RECODE_H

#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

/* Appends the term at p, decoded and encoded again; -1 with err when it does not decode. */
int recode(const void *p, size_t len, struct hb_buf *out, struct hb_error *err);
/* Appends what the reader says about the term, such as "{1 'a' 2.5}". */
int describe(const void *p, size_t len, struct hb_buf *out, struct hb_error *err);

#endif
