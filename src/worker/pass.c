/* A pass of the worker's loop: see pass.h. */
#include "worker/pass.h"

#include <stddef.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "worker/accept.h"
#include "worker/drain.h"
#include "worker/hooks.h"
#include "worker/overdue.h"
#include "worker/pool.h"
#include "worker/retire.h"
#include "worker/state.h"

enum {
	TICK_LEAST_MS = 20,
	DEAD_MOST = 256,
	ACCESS_RETRY_MS = 200,
	SLOW_MS = 10,                /* an application that takes so long once ... */
	SLOW_MEMORY_MS = 60 * 1000   /* ... keeps no response of others waiting for so long */
};

static void
set_tick(struct hb_worker *w)
{
	int64_t next = hb_timers_next(&w->timers), wait;
	struct timeval tv;

	if (w->access.buf.len > 0 && (next == -1 || next > w->now + ACCESS_RETRY_MS))
		next = w->now + ACCESS_RETRY_MS;
	if (next == -1 || (w->tick_at != 0 && w->tick_at <= next))
		return;
	wait = next - w->now > TICK_LEAST_MS ? next - w->now : TICK_LEAST_MS;
	tv = (struct timeval){wait / 1000, wait % 1000 * 1000};
	event_add(&w->tick, &tv);
	w->tick_at = next;
}

static void
on_tick(int fd, short what, void *arg)
{
	struct hb_worker *w = arg;
	unsigned kind;
	struct hb_timer *t;

	hb_worker_wake(w);
	w->tick_at = 0;
	while ((t = hb_timers_pop(&w->timers, w->now, &kind)) != NULL)
		hb_conn_timeout((struct hb_conn *)((uintptr_t)t - offsetof(struct hb_conn, timer)), kind);
}

void
hb_pass_init(struct hb_worker *w)
{
	evtimer_assign(&w->tick, w->base, on_tick, w);
}

/* A WSGI request, on this thread, to its end or to a pause. */
static void
run_in_place(struct hb_worker *w, struct hb_conn *c)
{
	struct hb_worker_app *app = &w->apps[c->app];
	enum hb_py_step step;
	int64_t now;

	w->send_at_once = w->now < app->slow_until;
	if (w->send_at_once)
		hb_conn_flush_all(w);
	w->running = c;
	hb_overdue_begin(c);
	atomic_store_explicit(&w->counters->active, 1, memory_order_relaxed);
	step = hb_py_run(w->py, &c->request);
	atomic_store_explicit(&w->counters->active, 0, memory_order_relaxed);
	if (w->orphaned)
		_exit(EX_OK); /* the child of a fork */
	hb_overdue_end(c);
	w->running = NULL;
	now = hb_clock_us();
	if (now - w->began > SLOW_MS * 1000)
		app->slow_until = now / 1000 + SLOW_MEMORY_MS;
	w->began = now;
	if (step == HB_PY_PAUSED && hb_hooks_wanted(c) && !c->gone)
		hb_hooks_ask(c);
	else if (step == HB_PY_PAUSED) {
		hb_conn_set_state(c, HB_CONN_PAUSED);
		hb_conn_watch_output(c);
	}
}

static void
run_ready(struct hb_worker *w)
{
	struct hb_conn *c;

	w->began = hb_clock_us();
	while (!w->orphaned && (c = TAILQ_FIRST(&w->ready)) != NULL) {
		hb_conn_dequeue(c);
		w->now = w->began / 1000;
		hb_conn_set_state(c, HB_CONN_RUNNING);
		if (c->async)
			(void)hb_py_run(w->py, &c->request);
		else
			run_in_place(w, c);
	}
}

/* What has come for the applications since the last pass. */
static void
tell_applications(struct hb_worker *w)
{
	struct hb_conn *c;

	while ((c = TAILQ_FIRST(&w->noted)) != NULL) {
		unsigned events = hb_conn_take_events(c);

		if (c->state == HB_CONN_RUNNING)
			hb_py_notify(w->py, &c->request, events);
	}
}

/* Requests that stand behind another in the same bytes. */
static void
parse_again(struct hb_worker *w)
{
	struct hb_conn_queue queue = TAILQ_HEAD_INITIALIZER(queue);
	struct hb_conn *c;

	TAILQ_CONCAT(&queue, &w->again, queued);
	TAILQ_FOREACH(c, &queue, queued)
		c->queue = &queue;
	while ((c = TAILQ_FIRST(&queue)) != NULL) {
		hb_conn_dequeue(c);
		hb_conn_parse(c);
	}
}

static void
bury(struct hb_worker *w)
{
	struct hb_conn *c;

	while ((c = TAILQ_FIRST(&w->dead)) != NULL)
		hb_conn_free(c);
}

/* What Python keeps of a connection needs the GIL, which would have to be waited for while the pool works. */
static bool
may_bury(const struct hb_worker *w)
{
	return w->entered || w->pool == NULL || hb_pool_load(w) == 0 || w->dead_count > DEAD_MOST;
}

void
hb_pass_enter(struct hb_worker *w)
{
	if (!w->entered)
		hb_py_enter(w->py);
	w->entered = true;
}

void
hb_pass_leave(struct hb_worker *w)
{
	if (w->entered)
		hb_py_leave(w->py);
	w->entered = false;
}

/* Waits for events and parses what came, without the GIL. */
static void
wait_for_events(struct hb_worker *w, bool block)
{
	if (w->hooks != NULL)
		hb_hooks_flush(w); /* which may find that there is no companion, and so make requests ready */
	if (!TAILQ_EMPTY(&w->ready) || !TAILQ_EMPTY(&w->again) || !TAILQ_EMPTY(&w->noted))
		block = false;
	if (block && w->pool != NULL && !hb_pool_may_sleep(w))
		block = false;
	set_tick(w);
	w->asleep = true;
	hb_overdue_asleep(w);
	if (event_base_loop(w->base, EVLOOP_ONCE | (block ? 0 : EVLOOP_NONBLOCK)) == -1)
		hb_worker_give_up(w, "the event loop does not work any more");
	hb_overdue_busy(w);
	hb_worker_wake(w);
	if (w->orphaned)
		return;
	parse_again(w);
	if (w->pool != NULL)
		hb_pool_exchange(w);
}

/* What the pass has left behind. */
static void
clean_up(struct hb_worker *w)
{
	hb_accept_due(w);
	hb_retire_check(w);
	if (!TAILQ_EMPTY(&w->dead) && may_bury(w)) {
		hb_pass_enter(w);
		bury(w);
	}
	hb_accept_check(w);
	if (w->access.buf.len > 0)
		hb_access_flush(&w->access);
	if (hb_drain_is_over(w))
		w->ended = true;
}

void
hb_pass(struct hb_worker *w)
{
	hb_pass_leave(w);
	wait_for_events(w, true);
	if (w->orphaned)
		return;
	if (!TAILQ_EMPTY(&w->ready)) {
		hb_pass_enter(w);
		run_ready(w);
		if (w->orphaned)
			return;
	}
	hb_conn_flush_all(w);
	clean_up(w);
}

void
hb_pass_wait(void *arg, bool block)
{
	struct hb_worker *w = arg;

	w->entered = false;
	hb_conn_flush_all(w);
	if (w->access.buf.len > 0)
		hb_access_flush(&w->access);
	/* Connections that have ended since: their descriptors may be waited for, or they were the last ones. */
	wait_for_events(w, block && TAILQ_EMPTY(&w->dead));
}

void
hb_pass_work(void *arg)
{
	struct hb_worker *w = arg;

	w->entered = true;
	if (w->orphaned)
		_exit(EX_OK);
	if (!TAILQ_EMPTY(&w->noted))
		tell_applications(w);
	if (!TAILQ_EMPTY(&w->ready))
		run_ready(w);
	else
		w->began = hb_clock_us();
	clean_up(w);
	if (w->ended)
		hb_py_loop_stop(w->py);
}
