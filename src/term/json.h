/*
 * The JSON form of terms, for the shell: whatever it shows, it reads back.
 *
 *   JSON                        term
 *   null                        the atom undefined
 *   true, false                 the atoms of that name
 *   12, 1.5                     integer (of up to 64 bits when shown), float (with a point or an exponent)
 *   "text"                      binary that is UTF-8
 *   [a, b]                      list
 *   {"key": a}                  map whose keys are all UTF-8 binaries
 *   {"$atom": "name"}           any other atom
 *   {"$tuple": [a, b]}          tuple
 *   {"$int": "123"}             integer, in decimal (up to 4,900 digits) or as 0x and hexadecimal digits
 *   {"$float": "nan"}           Python's nan, inf and -inf
 *   {"$bytes": "base64"}        Python's bytes
 *   {"$binary": "base64"}       binary that is not UTF-8
 *   {"$map": [[key, a], ...]}   any other map, also one whose only key starts with "$", or with a NUL in a key
 *   {"$py": ["set", a]}         Python's other kinds, {'$py', set, a}
 *   {"$improper": [a, b, tail]} list that does not end in []
 *   {"$bits": "base64"}, {"$pid": ...}, {"$port": ...}, {"$ref": ...}, {"$fun": ...}
 *                               the term's external encoding
 *
 * An object whose only key starts with "$" must be one of these.  Reading
 * takes JSON integers of any size.
 *
 * For the manual:
 *
 * .Bl -tag -width "{$improper: [a, b, tail]}" -compact
 * .It Li null
 * the atom
 * .Ql undefined
 * (None in Python); any other atom is
 * .Li {\(dq$atom\(dq: \(dqname\(dq}
 * .It Li {\(dq$tuple\(dq: [a, b]}
 * a tuple
 * .It Li {\(dq$int\(dq: \(dqdigits\(dq}
 * an integer beyond 64 bits
 * .It Li {\(dq$float\(dq: \(dqnan\(dq}
 * a float that JSON lacks:
 * .Ql nan ,
 * .Ql inf
 * or
 * .Ql -inf
 * .It Li {\(dq$bytes\(dq: \(dqbase64\(dq}
 * bytes; a binary of Erlang's that is not UTF-8 is
 * .Li $binary
 * .It Li {\(dq$map\(dq: [[key, value], ...]}
 * a map with keys other than strings, or whose only key starts with
 * .Ql $
 * .It Li {\(dq$py\(dq: [\(dqkind\(dq, payload]}
 * a set, a date or another of Python's own kinds
 * .It Li {\(dq$improper\(dq: [a, b, tail]}
 * a list that does not end in []
 * .It Li {\(dq$bits\(dq: \(dqbase64\(dq}
 * a bit string; likewise
 * .Li $pid , $port , $ref
 * and
 * .Li $fun :
 * the external encoding
 * .El
 */
#ifndef HB_TERM_JSON_H
#define HB_TERM_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

/* Appends the text of the term at p, which starts with its version byte, on one line without a newline. */
int hb_term_to_json(const void *p, size_t len, bool compact, struct hb_buf *out, struct hb_error *err) HB_WARN_UNUSED;
/* Appends the term, without a version byte (as hb_term_put_... do).  err says line and column. */
int hb_term_from_json(const char *text, size_t len, struct hb_buf *out, struct hb_error *err) HB_WARN_UNUSED;

#endif
