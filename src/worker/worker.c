/*
 * A worker from start to end: set-ups in order, then one loop on one thread.
 * A pass of the loop waits for events without the GIL, which read, parse and
 * queue; then takes the GIL once and runs every request that is ready.
 */
#include "worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "worker/accept.h"
#include "worker/applications.h"
#include "worker/respond.h"
#include "worker/state.h"

enum {
	LINGER_MS = 2000,
	TICK_LEAST_MS = 20,
	ACCESS_RETRY_MS = 200,
	SLOW_MS = 10,                /* an application that takes so long once ... */
	SLOW_MEMORY_MS = 60 * 1000   /* ... keeps no response of others waiting for so long */
};

static void
begin_drain(struct hb_worker *w)
{
	struct hb_conn *c, *next;

	if (w->draining)
		return;
	hb_info("worker: draining: %zu connections are open", w->conns_count);
	w->draining = true;
	hb_accept_stop(w);
	for (c = TAILQ_FIRST(&w->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, all);
		if (c->state == HB_CONN_IDLE && c->queue == NULL && !hb_conn_has_input(c))
			hb_conn_kill(c);
	}
}

static void
on_channel(int fd, short what, void *arg)
{
	struct hb_worker *w = arg;
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

	hb_worker_wake(w);
	if (n == 1 && c == 'D')
		begin_drain(w);
	else if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		w->ended = w->orphaned = true;
}

static void
on_terminate(int sig, short what, void *arg)
{
	begin_drain(arg);
}

static void
on_reopen(int sig, short what, void *arg)
{
	struct hb_worker *w = arg;
	struct hb_error err;

	if (hb_access_reopen(&w->access, &err) == -1)
		hb_err("worker: %s", err.text);
}

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
	enum hb_timer_kind kind;
	struct hb_timer *t;

	hb_worker_wake(w);
	w->tick_at = 0;
	while ((t = hb_timers_pop(&w->timers, w->now, &kind)) != NULL)
		hb_conn_timeout((struct hb_conn *)((uintptr_t)t - offsetof(struct hb_conn, timer)), kind);
}

const int hb_worker_signals[HB_WORKER_SIGNALS] = {SIGTERM, SIGUSR1, SIGINT};

static void
on_interrupt(int sig)
{
}

/* SIGINT of a terminal is the master's; unlike an ignored signal, a handler is not inherited by programs. */
static void
set_signals(struct hb_worker *w)
{
	struct sigaction nothing = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};

	sigaction(SIGINT, &nothing, NULL);
	signal(SIGPIPE, SIG_IGN);
	evsignal_assign(&w->terminate, w->base, SIGTERM, on_terminate, w);
	evsignal_assign(&w->reopen, w->base, SIGUSR1, on_reopen, w);
	event_add(&w->terminate, NULL);
	event_add(&w->reopen, NULL);
	for (size_t i = 0; i < HB_WORKER_SIGNALS; i++)
		sigaction(hb_worker_signals[i], NULL, &w->handlers[i]);
}

static int
set_loop(struct hb_worker *w)
{
	struct event_config *config = event_config_new();

	if (config != NULL) {
		/* No precise timers: each wait would cost a timerfd_settime(2), and no timeout here is that fine. */
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		w->base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (w->base == NULL) {
		hb_err("worker: no event loop: %s", strerror(errno));
		return EX_OSERR;
	}
	event_assign(&w->channel, w->base, w->start->channel, EV_READ | EV_PERSIST, on_channel, w);
	event_add(&w->channel, NULL);
	evtimer_assign(&w->tick, w->base, on_tick, w);
	set_signals(w);
	return EX_OK;
}

static void
set_limits(struct hb_worker *w)
{
	const struct hb_config *c = w->config;

	w->limits = (struct hb_http_limits){
		.request_line = c->limits.request_line,
		.header = c->limits.header,
		.headers = c->limits.headers,
		.body = c->limits.body,
	};
	hb_timers_init(&w->timers);
	w->timers.waits[HB_TIMER_HEADER] = c->timeouts.header;
	w->timers.waits[HB_TIMER_KEEPALIVE] = c->timeouts.keepalive;
	w->timers.waits[HB_TIMER_BODY] = c->timeouts.body;
	w->timers.waits[HB_TIMER_WRITE] = c->timeouts.write;
	w->timers.waits[HB_TIMER_LINGER] = LINGER_MS;
}

static void
run_ready(struct hb_worker *w)
{
	int64_t now = hb_clock_us();
	struct hb_conn *c;

	while (!w->orphaned && (c = TAILQ_FIRST(&w->ready)) != NULL) {
		struct hb_worker_app *app = &w->apps[c->app];
		enum hb_py_step step;

		hb_conn_dequeue(c);
		w->began = now;
		w->now = now / 1000;
		w->send_at_once = w->now < app->slow_until;
		if (w->send_at_once)
			hb_conn_flush_all(w);
		w->running = c;
		atomic_store_explicit(&w->counters->active, 1, memory_order_relaxed);
		step = hb_py_run(w->py, &c->request);
		atomic_store_explicit(&w->counters->active, 0, memory_order_relaxed);
		w->running = NULL;
		now = hb_clock_us();
		if (now - w->began > SLOW_MS * 1000)
			app->slow_until = now / 1000 + SLOW_MEMORY_MS;
		if (step == HB_PY_PAUSED) {
			hb_conn_set_state(c, HB_CONN_PAUSED);
			hb_conn_watch_output(c);
		}
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
	hb_accept_check(w);
}

static void
enter(struct hb_worker *w)
{
	if (!w->entered)
		hb_py_enter(w->py);
	w->entered = true;
}

static void
leave(struct hb_worker *w)
{
	if (w->entered)
		hb_py_leave(w->py);
	w->entered = false;
}

static void
pass(struct hb_worker *w)
{
	bool more = !TAILQ_EMPTY(&w->ready) || !TAILQ_EMPTY(&w->again);

	set_tick(w);
	leave(w);
	w->asleep = true;
	event_base_loop(w->base, EVLOOP_ONCE | (more ? EVLOOP_NONBLOCK : 0));
	hb_worker_wake(w);
	if (w->orphaned)
		return;
	parse_again(w);
	if (!TAILQ_EMPTY(&w->ready)) {
		enter(w);
		run_ready(w);
		if (w->orphaned)
			return;
	}
	hb_conn_flush_all(w);
	if (!TAILQ_EMPTY(&w->dead)) {
		enter(w);
		bury(w);
	}
	if (w->access.buf.len > 0)
		hb_access_flush(&w->access);
	if (w->draining && w->conns_count == 0)
		w->ended = true;
}

static int
set_up(struct hb_worker *w)
{
	struct hb_error err;
	int status;

	TAILQ_INIT(&w->conns);
	TAILQ_INIT(&w->ready);
	TAILQ_INIT(&w->again);
	TAILQ_INIT(&w->unsent);
	TAILQ_INIT(&w->dead);
	w->date = (struct hb_http_date)HB_HTTP_DATE_INIT;
	w->now = hb_clock_ms();
	set_limits(w);
	hb_respond_init(w);
	if (hb_access_open(&w->access, w->config->log.access, w->config->log.access_format, &err) == -1) {
		hb_err("worker: %s", err.text);
		return EX_CANTCREAT;
	}
	status = set_loop(w);
	return status == EX_OK ? hb_applications_start(w) : status;
}

static void
tear_down(struct hb_worker *w)
{
	void *p;

	hb_access_close(&w->access);
	hb_applications_stop(w);
	while ((p = w->spare_buffers) != NULL) {
		memcpy(&w->spare_buffers, p, sizeof w->spare_buffers);
		free(p);
	}
	if (w->base != NULL)
		event_base_free(w->base);
}

int
hb_worker_main(const struct hb_worker_start *start)
{
	struct hb_worker w = {
		.config = start->config,
		.start = start,
		.counters = &start->counters[start->index],
		.access = {.fd = -1},
	};
	int status = set_up(&w);

	if (status == EX_OK) {
		hb_accept_start(&w);
		if (write(start->channel, "R", 1) != 1)
			w.ended = w.orphaned = true;
		while (!w.ended)
			pass(&w);
		if (w.orphaned)
			_exit(EX_OK);
		enter(&w);
	}
	tear_down(&w);
	return status;
}
