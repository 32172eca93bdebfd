/* Terms in Erlang's own syntax, in both directions. */
#ifndef HB_TERM_ERL_H
#define HB_TERM_ERL_H

#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

/*
 * Appends the text of the term at p, which starts with its version byte, on
 * one line.  Bytes are binaries here; pids, ports, references and funs are
 * shown as #Pid<...> and so on, which nothing reads back.
 */
int hb_term_to_erl(const void *p, size_t len, struct hb_buf *out, struct hb_error *err) HB_WARN_UNUSED;
/*
 * Appends the term of the text, without a version byte.  A full stop at the
 * end may be left out.  err says the column, counted in bytes from 1.
 */
int hb_term_from_erl(const char *text, size_t len, struct hb_buf *out, struct hb_error *err) HB_WARN_UNUSED;

#endif
