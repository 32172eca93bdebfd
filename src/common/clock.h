/* Time that only goes forward, and the wall clock for logs. */
#ifndef HB_COMMON_CLOCK_H
#define HB_COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t hb_clock_ms(void); /* CLOCK_MONOTONIC, milliseconds */
int64_t hb_clock_us(void); /* CLOCK_MONOTONIC, microseconds */
/* The wall clock, "2026-01-31T23:59:59.123Z" (RFC 3339, UTC), into out. */
#define HB_CLOCK_STAMP 25
void hb_clock_stamp(char out[HB_CLOCK_STAMP]);

#endif
