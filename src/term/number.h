/* Numbers as text, for the JSON form and Erlang's syntax. */
#ifndef HB_TERM_NUMBER_H
#define HB_TERM_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

enum {
	HB_NUMBER_DECIMAL_MAX = 2048, /* bytes of a magnitude that is written in decimal */
	HB_NUMBER_DIGITS_MAX = 5000   /* digits that are read in another base than 16 */
};

/* Appends the magnitude (little-endian): decimal, or behind `hex` in hexadecimal where it is long. */
void hb_number_put_big(struct hb_buf *out, bool negative, const unsigned char *magnitude, size_t len,
    const char *hex);
/* Appends the shortest text that reads back as v, always with a point: "1.0", "1.0e20". */
void hb_number_put_float(struct hb_buf *out, double v);
/* The float of a text of digits, point and exponent; -1 when it is none or not finite. */
int hb_number_read_float(const char *text, double *v) HB_WARN_UNUSED;
/*
 * Appends the integer of len digits of base 2 to 36 as a term.  -1 with err
 * when it is none or has too many digits.
 */
int hb_number_read(struct hb_buf *out, bool negative, const char *digits, size_t len, unsigned base,
    struct hb_error *err) HB_WARN_UNUSED;

#endif
