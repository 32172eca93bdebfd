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
#include "worker/drain.h"
#include "worker/hooks.h"
#include "worker/overdue.h"
#include "worker/pool.h"
#include "worker/respond.h"
#include "worker/retire.h"
#include "worker/state.h"
#include "worker/websocket.h"

enum {
	LINGER_MS = 2000,
	TICK_LEAST_MS = 20,
	DEAD_MOST = 256,
	ACCESS_RETRY_MS = 200,
	SLOW_MS = 10,                /* an application that takes so long once ... */
	SLOW_MEMORY_MS = 60 * 1000   /* ... keeps no response of others waiting for so long */
};

static void
on_channel(int fd, short what, void *arg)
{
	struct hb_worker *w = arg;
	char c;
	ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT);

	hb_worker_wake(w);
	if (n == 1 && (c == 'D' || c == 'G'))
		hb_drain_begin(w, c == 'G');
	else if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		w->ended = w->orphaned = true;
}

static void
on_terminate(int sig, short what, void *arg)
{
	hb_drain_begin(arg, false);
}

static void
on_reopen(int sig, short what, void *arg)
{
	struct hb_worker *w = arg;
	struct hb_error err;

	hb_own_drop(&w->own, w->access.fd);
	if (hb_access_reopen(&w->access, &err) == -1)
		hb_err("worker: %s", err.text);
	if (w->access.fd != -1)
		hb_own_add(&w->own, w->access.fd);
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
	unsigned kind;
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
	hb_drain_init(w);
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
	hb_timers_init(&w->timers, HB_TIMER_REQUEST + (unsigned)c->apps_count + 1);
	w->timers.waits[HB_TIMER_HEADER] = c->timeouts.header;
	w->timers.waits[HB_TIMER_KEEPALIVE] = c->timeouts.keepalive;
	w->timers.waits[HB_TIMER_BODY] = c->timeouts.body;
	w->timers.waits[HB_TIMER_WRITE] = c->timeouts.write;
	w->timers.waits[HB_TIMER_IDLE] = c->timeouts.idle;
	w->timers.waits[HB_TIMER_WEBSOCKET] = c->websocket.idle;
	w->timers.waits[HB_TIMER_LINGER] = LINGER_MS;
	for (size_t i = 0; i < c->apps_count; i++)
		w->timers.waits[HB_TIMER_REQUEST + i] = c->apps[i].timeout != 0 ? c->apps[i].timeout : c->timeouts.request;
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
		enter(w);
		bury(w);
	}
	hb_accept_check(w);
	if (w->access.buf.len > 0)
		hb_access_flush(&w->access);
	if (hb_drain_is_over(w))
		w->ended = true;
}

static void
pass(struct hb_worker *w)
{
	leave(w);
	wait_for_events(w, true);
	if (w->orphaned)
		return;
	if (!TAILQ_EMPTY(&w->ready)) {
		enter(w);
		run_ready(w);
		if (w->orphaned)
			return;
	}
	hb_conn_flush_all(w);
	clean_up(w);
}

/* asyncio's turn to wait: first goes out what its tasks have written. */
static void
loop_wait(void *arg, bool block)
{
	struct hb_worker *w = arg;

	w->entered = false;
	hb_conn_flush_all(w);
	if (w->access.buf.len > 0)
		hb_access_flush(&w->access);
	/* Connections that have ended since: their descriptors may be waited for, or they were the last ones. */
	wait_for_events(w, block && TAILQ_EMPTY(&w->dead));
}

static void
loop_work(void *arg)
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

static int
set_up(struct hb_worker *w)
{
	struct hb_error err;
	int status;

	TAILQ_INIT(&w->conns);
	TAILQ_INIT(&w->ready);
	TAILQ_INIT(&w->again);
	TAILQ_INIT(&w->unsent);
	TAILQ_INIT(&w->noted);
	TAILQ_INIT(&w->dead);
	w->date = (struct hb_http_date)HB_HTTP_DATE_INIT;
	w->now = hb_clock_ms();
	set_limits(w);
	hb_retire_init(w);
	w->trust = hb_trust_new((const char *const *)w->config->forwarded.trust, w->config->forwarded.trust_count);
	hb_respond_init(w);
	if (hb_access_open(&w->access, w->config->log.access, w->config->log.access_format, &err) == -1) {
		hb_err("worker: %s", err.text);
		return EX_CANTCREAT;
	}
	status = set_loop(w);
	hb_own_init(&w->own);
	hb_hooks_start(w);
	if (status == EX_OK)
		status = hb_applications_start(w);
	if (status == EX_OK && (w->config->threads > 1 || w->async) && hb_pool_start(w, &err) == -1) {
		hb_err("%s", err.text);
		status = EX_OSERR;
	}
	return status;
}

/* Threads that do not end use all that there is: then the process ends without giving it back. */
static void
stop_pool(struct hb_worker *w)
{
	leave(w);
	if (hb_pool_stop(w)) {
		enter(w);
		return;
	}
	hb_access_flush(&w->access);
	_exit(EX_OK);
}

static void
tear_down(struct hb_worker *w)
{
	void *p;

	hb_overdue_stop(w);
	if (w->pool != NULL)
		stop_pool(w);
	hb_overdue_free(w);
	hb_access_close(&w->access);
	hb_applications_stop(w);
	while ((p = w->spare_buffers) != NULL) {
		memcpy(&w->spare_buffers, p, sizeof w->spare_buffers);
		free(p);
	}
	hb_trust_free(w->trust);
	hb_own_free(&w->own);
	hb_timers_free(&w->timers);
	hb_websockets_free(w->websockets);
	hb_hooks_stop(w);
	if (w->base != NULL)
		event_base_free(w->base);
}

/* Connections may come. */
static void
open_for_business(void *arg)
{
	struct hb_worker *w = arg;

	if (w->async)
		hb_own_add(&w->own, hb_py_loop_fd(w->py));
	hb_overdue_start(w);
	hb_py_settle(w->py);
	hb_accept_start(w);
	if (write(w->start->channel, "R", 1) != 1)
		w->ended = w->orphaned = true;
}

static int
serve_with_asyncio(struct hb_worker *w)
{
	const struct hb_py_loop_hooks hooks = {loop_wait, loop_work, open_for_business, w};
	struct hb_error err;

	if (hb_py_loop_run(w->py, w->base, &hooks, &err) == 0)
		return EX_OK;
	hb_err("%s", err.text);
	return EX_SOFTWARE;
}

static int
serve(struct hb_worker *w)
{
	if (w->async)
		return serve_with_asyncio(w);
	open_for_business(w);
	while (!w->ended)
		pass(w);
	if (w->orphaned)
		_exit(EX_OK);
	if (w->pool == NULL)
		enter(w);
	return EX_OK;
}

int
hb_worker_main(const struct hb_worker_start *start)
{
	struct hb_worker w = {
		.config = start->config,
		.start = start,
		.counters = &start->shared->slots[start->slot],
		.access = {.fd = -1},
		.shared = PTHREAD_MUTEX_INITIALIZER,
	};
	int status = set_up(&w);

	if (status == EX_OK)
		status = serve(&w);
	tear_down(&w);
	return status;
}
