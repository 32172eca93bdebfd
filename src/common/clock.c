/* Clocks: see clock.h. */
#include "common/clock.h"

#include <stdio.h>
#include <time.h>

int64_t
hb_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
hb_clock_ms(void)
{
	return hb_clock_us() / 1000;
}

void
hb_clock_stamp(char out[HB_CLOCK_STAMP])
{
	struct timespec ts;
	struct tm tm;
	char whole[21];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(whole, sizeof whole, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, HB_CLOCK_STAMP, "%.19s.%03dZ", whole, (int)(ts.tv_nsec / 1000000));
}
