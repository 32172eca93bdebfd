/* The files of the reader among themselves: decode.c has the containers, leaf.c everything else. */
#ifndef HB_TERM_READER_H
#define HB_TERM_READER_H

#include "term/term.h"

/* Set err to "malformed term: WHAT at byte N"; return -1. */
int reader_malformed(struct hb_term_reader *r, struct hb_error *err, const char *what);
int reader_truncated(struct hb_term_reader *r, struct hb_error *err);

size_t reader_left(const struct hb_term_reader *r);
/* Takes n bytes; NULL when there are fewer. */
const unsigned char *reader_take(struct hb_term_reader *r, size_t n);
/* Any term but a container, NIL and NEW_FUN, its tag already taken: 1, or -1 with err. */
int reader_plain(struct hb_term_reader *r, unsigned tag, struct hb_term_token *t, struct hb_error *err);
/* What stands before the free variables of a NEW_FUN. */
int reader_fun_head(struct hb_term_reader *r, uint32_t *size, uint32_t *variables, struct hb_error *err);

#endif
