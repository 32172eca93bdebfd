/* The words of Erlang's syntax, for erl_read.c: white space, names, quoted text, numbers. */
#ifndef HB_TERM_ERL_SCAN_H
#define HB_TERM_ERL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

struct erl_parser {
	const char *p, *end, *start; /* UTF-8 */
	struct hb_buf *out;
	struct hb_error *err;
	unsigned depth;
};

/* Sets err, with the column; returns -1. */
int erl_fail(struct erl_parser *s, const char *what);
/* The next character after white space and comments, or NUL at the end. */
char erl_peek(struct erl_parser *s);
/* Goes past the text if it comes next. */
bool erl_accept(struct erl_parser *s, const char *text);
bool erl_is_digit(char c);
/* The characters up to the closing quote, 32 bits each. */
int erl_quoted(struct erl_parser *s, struct hb_buf *characters);
void erl_put_utf8(struct hb_buf *b, uint32_t c);

/* These append the term. */
int erl_quoted_atom(struct erl_parser *s);
int erl_atom(struct erl_parser *s);
int erl_string(struct erl_parser *s); /* a list of characters */
int erl_number(struct erl_parser *s); /* 12, -12, 1_000, 16#ff, $a, 1.5, 1.5e-7 */

#endif
