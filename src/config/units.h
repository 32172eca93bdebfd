/* Durations (500ms, 30s, 5m, 1h) and sizes (512, 8K, 64M, 1G) as text. */
#ifndef HB_CONFIG_UNITS_H
#define HB_CONFIG_UNITS_H

#include <stdbool.h>
#include <stdint.h>

/* Whether text is one, and its value: milliseconds, bytes, a decimal number. */
bool hb_units_duration(const char *text, int64_t *ms);
bool hb_units_size(const char *text, uint64_t *bytes);
bool hb_units_number(const char *text, uint64_t *n);

/* The shortest exact text, into out. */
#define HB_UNITS_TEXT 24
void hb_units_show_duration(int64_t ms, char out[HB_UNITS_TEXT]);
void hb_units_show_size(uint64_t bytes, char out[HB_UNITS_TEXT]);

#endif
