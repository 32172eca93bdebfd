/* Asking for a replacement: see retire.h. */
#include "worker/retire.h"

#include <sys/random.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/state.h"

static uint64_t
up_to(uint64_t most)
{
	uint64_t n;

	if (most == 0 || getrandom(&n, sizeof n, GRND_NONBLOCK) != sizeof n)
		return 0;
	return n % (most + 1);
}

void
hb_retire_init(struct hb_worker *w)
{
	const struct hb_config *c = w->config;

	/* What the one before has counted in this slot stays there. */
	w->retire_at = c->max_requests == 0 ? UINT64_MAX
	    : atomic_load_explicit(&w->counters->requests, memory_order_relaxed) + c->max_requests +
	        up_to(c->max_requests_jitter);
}

void
hb_retire_check(struct hb_worker *w)
{
	if (atomic_load_explicit(&w->counters->requests, memory_order_relaxed) >= w->retire_at)
		hb_retire_ask(w, "max_requests is reached");
}

void
hb_retire_ask(struct hb_worker *w, const char *why)
{
	w->retire_at = UINT64_MAX;
	if (w->retiring || w->draining)
		return;
	w->retiring = true;
	hb_info("worker: asks for another in its place: %s", why);
	if (write(w->start->channel, "X", 1) != 1)
		hb_warn("worker: cannot ask: %m"); /* without its master it ends anyway */
}
