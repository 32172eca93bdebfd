/* Opening a link on a libevent loop: see evdial.h. */
#include "link/evdial.h"

#include <stdlib.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/str.h"
#include "link/opening.h"

struct hb_evdial {
	struct event_base *base;
	struct hb_opening opening;
	int64_t deadline;
	enum hb_opening_step step; /* that is waited for */
	struct event *event; /* one at a time, each with its time-out */
	hb_evdial_done *done;
	void *arg;
};

static void on_event(evutil_socket_t fd, short what, void *arg);

/* For the descriptor to be readable, or for so many milliseconds to pass. */
static int
wait_for(struct hb_evdial *dial, enum hb_opening_step step, int64_t most, struct hb_error *err)
{
	bool read = step == HB_OPENING_READ;
	int64_t left = dial->deadline - hb_clock_ms();
	struct timeval tv;

	if (left > most)
		left = most;
	if (left < 0)
		left = 0;
	tv = (struct timeval){left / 1000, left % 1000 * 1000};
	if (dial->event != NULL)
		event_free(dial->event);
	dial->step = step;
	dial->event = event_new(dial->base, read ? dial->opening.fd : -1, read ? EV_READ : 0, on_event, dial);
	if (dial->event == NULL || event_add(dial->event, &tv) == -1)
		return hb_error_set(err, HB_ERROR_MEMORY, "cannot add an event");
	return 0;
}

static void
finish(struct hb_evdial *dial, const struct hb_error *err)
{
	hb_evdial_done *done = dial->done;
	void *arg = dial->arg;
	int fd = -1;

	if (err == NULL) {
		fd = dial->opening.fd;
		dial->opening.fd = -1;
	}
	hb_evdial_cancel(dial);
	done(arg, fd, err);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct hb_evdial *dial = arg;
	enum hb_opening_step step = HB_OPENING_FAILED;
	struct hb_error err;

	/* The loop's clock is coarser than ours: its word counts where the deadline is all that was waited for. */
	if ((what & EV_TIMEOUT) && (dial->step == HB_OPENING_READ || hb_clock_ms() >= dial->deadline))
		hb_error_set(&err, HB_ERROR_TIMEOUT, "no answer at %s in time", dial->opening.addr.sun_path);
	else
		step = hb_opening_go_on(&dial->opening, &err);
	if ((step == HB_OPENING_READ && wait_for(dial, step, INT64_MAX, &err) == -1) ||
	    (step == HB_OPENING_PAUSE && wait_for(dial, step, HB_OPENING_PAUSE_MS, &err) == -1))
		step = HB_OPENING_FAILED;
	if (step == HB_OPENING_FAILED || step == HB_OPENING_DONE)
		finish(dial, step == HB_OPENING_DONE ? NULL : &err);
}

struct hb_evdial *
hb_evdial_start(struct event_base *base, const char *path, const struct hb_hello *hello, int64_t timeout_ms,
    hb_evdial_done *done, void *arg, struct hb_error *err)
{
	struct hb_evdial *dial = hb_xcalloc(1, sizeof *dial);

	dial->base = base;
	dial->done = done;
	dial->arg = arg;
	dial->deadline = hb_clock_ms() + timeout_ms;
	if (hb_opening_begin(&dial->opening, HB_LINK_DIRECT, path, hello, dial->deadline, err) == -1)
		goto fail;
	/* A time-out of nothing: connect from the loop, so that a failure, too, comes by the callback. */
	if (wait_for(dial, HB_OPENING_PAUSE, 0, err) == -1)
		goto fail;
	return dial;
fail:
	hb_evdial_cancel(dial);
	return NULL;
}

void
hb_evdial_cancel(struct hb_evdial *dial)
{
	if (dial == NULL)
		return;
	if (dial->event != NULL)
		event_free(dial->event);
	hb_opening_end(&dial->opening);
	free(dial);
}
