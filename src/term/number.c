/*
 * Numbers as text: see number.h.  Conversion from and to bases other than 16
 * takes time that is quadratic in the length, hence the limits.
 */
#include "term/number.h"

#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "term/term.h"

enum { CHUNK = 1000000000, CHUNK_DIGITS = 9 };

static void
put_decimal(struct hb_buf *out, const unsigned char *magnitude, size_t len)
{
	uint32_t limbs[HB_NUMBER_DECIMAL_MAX / 4] = {0};
	/* a limb has 32 bits, a chunk almost 30 */
	uint32_t chunks[HB_NUMBER_DECIMAL_MAX / 4 * 15 / 14 + 2];
	size_t n = (len + 3) / 4, count = 0;

	for (size_t i = 0; i < len; i++)
		limbs[i / 4] |= (uint32_t)magnitude[i] << 8 * (i % 4);
	while (n > 0) {
		uint64_t rest = 0;

		for (size_t i = n; i-- > 0;) {
			rest = rest << 32 | limbs[i];
			limbs[i] = (uint32_t)(rest / CHUNK);
			rest %= CHUNK;
		}
		chunks[count++] = (uint32_t)rest;
		while (n > 0 && limbs[n - 1] == 0)
			n--;
	}
	hb_buf_printf(out, "%u", count > 0 ? chunks[count - 1] : 0);
	for (size_t i = count - (count > 0); i-- > 0;)
		hb_buf_printf(out, "%0*u", CHUNK_DIGITS, chunks[i]);
}

void
hb_number_put_big(struct hb_buf *out, bool negative, const unsigned char *magnitude, size_t len, const char *hex)
{
	static const char digits[] = "0123456789ABCDEF";
	unsigned char *to;

	if (negative)
		hb_buf_add_u8(out, '-');
	if (len <= HB_NUMBER_DECIMAL_MAX) {
		put_decimal(out, magnitude, len);
		return;
	}
	hb_buf_add_str(out, hex);
	to = hb_buf_reserve(out, 2 * len);
	if (to == NULL)
		return;
	for (size_t i = len; i-- > 0;) {
		*to++ = (unsigned char)digits[magnitude[i] >> 4];
		*to++ = (unsigned char)digits[magnitude[i] & 15];
	}
	out->len += 2 * len;
}

void
hb_number_put_float(struct hb_buf *out, double v)
{
	char text[40], *comma, *e;

	for (int precision = 15; precision <= 17; precision++) {
		snprintf(text, sizeof text, "%.*g", precision, v);
		if (strtod(text, NULL) == v)
			break;
	}
	/* the decimal point of some locales */
	comma = strchr(text, ',');
	if (comma != NULL)
		*comma = '.';
	e = strchr(text, 'e');
	hb_buf_add(out, text, e != NULL ? (size_t)(e - text) : strlen(text));
	if (strchr(text, '.') == NULL)
		hb_buf_add_str(out, ".0");
	if (e != NULL)
		hb_buf_printf(out, "e%ld", strtol(e + 1, NULL, 10));
}

int
hb_number_read_float(const char *text, double *v)
{
	locale_t c;
	char *end;

	if (text[0] == '\0' || text[strspn(text, "+-.0123456789eE")] != '\0')
		return -1;
	c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
	if (c == (locale_t)0)
		return -1;
	*v = strtod_l(text, &end, c);
	freelocale(c);
	return *end == '\0' && isfinite(*v) ? 0 : -1;
}

static unsigned
digit(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 10;
	return c >= 'A' && c <= 'Z' ? (unsigned)(c - 'A') + 10 : 99;
}

static void
read_hex(unsigned char *magnitude, const char *digits, size_t len)
{
	memset(magnitude, 0, len / 2 + 1);
	for (size_t i = 0; i < len; i++)
		magnitude[(len - 1 - i) / 2] |= (unsigned char)(digit(digits[i]) << 4 * ((len - 1 - i) % 2));
}

/* limbs = limbs * factor + carry; the new number of limbs */
static size_t
multiply_add(uint32_t *limbs, size_t n, uint32_t factor, uint32_t carry)
{
	uint64_t v = carry;

	for (size_t i = 0; i < n; i++) {
		v += (uint64_t)limbs[i] * factor;
		limbs[i] = (uint32_t)v;
		v >>= 32;
	}
	if (v > 0)
		limbs[n++] = (uint32_t)v;
	return n;
}

/* Takes as many digits at once as fit 32 bits. */
static size_t
read_other(unsigned char *magnitude, const char *digits, size_t len, unsigned base)
{
	uint32_t limbs[HB_NUMBER_DIGITS_MAX * 6 / 32 + 2];
	uint32_t factor = 1, chunk = 0;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (factor > UINT32_MAX / base) {
			n = multiply_add(limbs, n, factor, chunk);
			factor = 1;
			chunk = 0;
		}
		factor *= base;
		chunk = chunk * base + digit(digits[i]);
	}
	n = multiply_add(limbs, n, factor, chunk);
	for (size_t i = 0; i < 4 * n; i++)
		magnitude[i] = (unsigned char)(limbs[i / 4] >> 8 * (i % 4));
	return 4 * n;
}

int
hb_number_read(struct hb_buf *out, bool negative, const char *digits, size_t len, unsigned base,
    struct hb_error *err)
{
	unsigned char *magnitude;
	size_t n;

	if (base != 16 && len > HB_NUMBER_DIGITS_MAX)
		return hb_error_set(err, HB_ERROR_LIMIT, "an integer of more than %d digits: write it in base 16",
		    HB_NUMBER_DIGITS_MAX);
	for (size_t i = 0; i < len; i++)
		if (digit(digits[i]) >= base)
			return hb_error_set(err, HB_ERROR_VALUE, "not an integer in base %u", base);
	if (len == 0)
		return hb_error_set(err, HB_ERROR_VALUE, "an integer without digits");
	magnitude = malloc(len + 4);
	if (magnitude == NULL)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	n = len / 2 + 1;
	if (base == 16)
		read_hex(magnitude, digits, len);
	else
		n = read_other(magnitude, digits, len, base);
	hb_term_put_big(out, negative, magnitude, n);
	free(magnitude);
	return 0;
}
