/* Log lines that a peer can cause: so many a second, the rest counted. */
#ifndef HB_WORKER_RATE_H
#define HB_WORKER_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct hb_rate {
	int64_t second;
	unsigned count;
	uint64_t kept_back;
};

/* Whether one more may be logged at now (milliseconds). */
bool hb_rate_allows(struct hb_rate *rate, int64_t now);
/* How many were kept back since the last call. */
uint64_t hb_rate_take(struct hb_rate *rate);

#endif
