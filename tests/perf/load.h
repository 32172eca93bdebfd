/*
 * What the load generators share: the clock, connections to the server, and
 * the times that they take, kept as HdrHistogram keeps them: in buckets whose
 * width is below one percent of their value.
 */
#ifndef HB_PERF_LOAD_H
#define HB_PERF_LOAD_H

#include <stddef.h>
#include <stdint.h>

#define LOAD_SECOND UINT64_C(1000000000)

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t load_now(void);

/* A non-blocking connection to 127.0.0.1:PORT, perhaps still being made.  Each
 * 20,000 clients have an address of their own, 127.0.0.2 and so on, so that
 * ports do not run out.  Ends the program where there is none to be had. */
int load_connect(unsigned port, unsigned client);

/* The number in an argument; ends the program where it is none. */
double load_number(const char *text);

/* Ends the program with a message, and with errno's where it is not 0. */
_Noreturn void load_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum { LOAD_SUB = 128, LOAD_BUCKETS = LOAD_SUB * 40 };

struct load_times {
	uint64_t count[LOAD_BUCKETS];
	uint64_t total;
	uint64_t max;
};

void load_times_add(struct load_times *times, uint64_t ns);

/* The time in microseconds that a share of all times, 0 to 1, does not exceed. */
double load_times_at(const struct load_times *times, double share);

/* Prints "p50": ..., "p99": ..., "p999": ..., "max": ... (microseconds). */
void load_times_print(const struct load_times *times);

#endif
