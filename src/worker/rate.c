/* Bounded log lines: see rate.h. */
#include "worker/rate.h"

enum { LINES_A_SECOND = 10 };

bool
hb_rate_allows(struct hb_rate *rate, int64_t now)
{
	if (now / 1000 != rate->second) {
		rate->second = now / 1000;
		rate->count = 0;
	}
	if (rate->count < LINES_A_SECOND) {
		rate->count++;
		return true;
	}
	rate->kept_back++;
	return false;
}

uint64_t
hb_rate_take(struct hb_rate *rate)
{
	uint64_t n = rate->kept_back;

	rate->kept_back = 0;
	return n;
}
