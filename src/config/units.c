/* Durations and sizes: see units.h. */
#include "config/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

/* The largest first: the first that divides a value is the one to show it in. */
static const struct unit durations[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};
static const struct unit sizes[] = {{"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}, {NULL, 0}};

/* Digits, then the name of a unit, within int64_t. */
static bool
parse(const char *text, const struct unit *units, uint64_t *out)
{
	uint64_t n = 0;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (n > (INT64_MAX - 9) / 10)
			return false;
		n = n * 10 + (uint64_t)(*text - '0');
	}
	for (; units->name != NULL; units++) {
		if (strcmp(text, units->name) == 0) {
			if (n > INT64_MAX / units->factor)
				return false;
			*out = n * units->factor;
			return true;
		}
	}
	return false;
}

static void
show(uint64_t value, const struct unit *units, char out[HB_UNITS_TEXT])
{
	while (value % units->factor != 0)
		units++;
	snprintf(out, HB_UNITS_TEXT, "%" PRIu64 "%s", value / units->factor, units->name);
}

bool
hb_units_duration(const char *text, int64_t *ms)
{
	uint64_t n;

	if (strcmp(text, "0") == 0) {
		*ms = 0;
		return true;
	}
	if (!parse(text, durations, &n))
		return false;
	*ms = (int64_t)n;
	return true;
}

bool
hb_units_size(const char *text, uint64_t *bytes)
{
	return parse(text, sizes, bytes);
}

bool
hb_units_number(const char *text, uint64_t *n)
{
	static const struct unit one[] = { { "", 1 }, { NULL, 0 } };

	return parse(text, one, n);
}

void
hb_units_show_duration(int64_t ms, char out[HB_UNITS_TEXT])
{
	if (ms == 0)
		snprintf(out, HB_UNITS_TEXT, "0");
	else
		show((uint64_t)ms, durations, out);
}

void
hb_units_show_size(uint64_t bytes, char out[HB_UNITS_TEXT])
{
	if (bytes == 0)
		snprintf(out, HB_UNITS_TEXT, "0");
	else
		show(bytes, sizes, out);
}
