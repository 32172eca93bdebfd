/*
 * The clock, the connections and the histogram of the load generators.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t
load_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * LOAD_SECOND + (uint64_t)ts.tv_nsec;
}

int
load_connect(unsigned port, unsigned client)
{
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in sin = {.sin_family = AF_INET};

	if (fd == -1)
		load_fail("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + client / 20000);
	if (bind(fd, (struct sockaddr *)&sin, sizeof sin) == -1)
		load_fail("bind");
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons((uint16_t)port);
	if (connect(fd, (struct sockaddr *)&sin, sizeof sin) == -1 && errno != EINPROGRESS)
		load_fail("connect");
	return fd;
}

double
load_number(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end != '\0' || value < 0) {
		errno = 0;
		load_fail("%s is not a number", text);
	}
	return value;
}

void
load_fail(const char *format, ...)
{
	int cause = errno;
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "%s%s\n", cause != 0 ? ": " : "", cause != 0 ? strerror(cause) : "");
	exit(1);
}

/* The first two blocks of buckets are 1 ns wide; each block after is twice as wide. */
static size_t
bucket_of(uint64_t ns)
{
	unsigned shift;

	if (ns < 2 * LOAD_SUB)
		return ns;
	shift = 63 - (unsigned)__builtin_clzll(ns) - 7;
	if (shift > 38)
		return LOAD_BUCKETS - 1;
	return (size_t)shift * LOAD_SUB + (ns >> shift);
}

static uint64_t
bucket_end(size_t bucket)
{
	unsigned shift;

	if (bucket < 2 * LOAD_SUB)
		return bucket;
	shift = (unsigned)(bucket / LOAD_SUB) - 1;
	return ((bucket - (uint64_t)shift * LOAD_SUB + 1) << shift) - 1;
}

void
load_times_add(struct load_times *times, uint64_t ns)
{
	times->count[bucket_of(ns)]++;
	times->total++;
	if (ns > times->max)
		times->max = ns;
}

double
load_times_at(const struct load_times *times, double share)
{
	uint64_t seen = 0, most = (uint64_t)(share * (double)times->total + 0.5);

	for (size_t i = 0; i < LOAD_BUCKETS; i++) {
		seen += times->count[i];
		if (seen >= most && seen > 0)
			return (double)(bucket_end(i) < times->max ? bucket_end(i) : times->max) / 1e3;
	}
	return 0;
}

void
load_times_print(const struct load_times *times)
{
	printf("\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f", load_times_at(times, 0.5),
	    load_times_at(times, 0.99), load_times_at(times, 0.999), (double)times->max / 1e3);
}
