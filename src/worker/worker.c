/* A worker from start to end: set-ups in order, then one loop on one thread, whose passes are in pass.c. */
#include "worker/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/accept.h"
#include "worker/applications.h"
#include "worker/drain.h"
#include "worker/hooks.h"
#include "worker/overdue.h"
#include "worker/pass.h"
#include "worker/pool.h"
#include "worker/respond.h"
#include "worker/retire.h"
#include "worker/state.h"
#include "worker/websocket.h"

enum { LINGER_MS = 2000 };

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
	hb_pass_init(w);
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
	hb_pass_leave(w);
	if (hb_pool_stop(w)) {
		hb_pass_enter(w);
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
	const struct hb_py_loop_hooks hooks = {hb_pass_wait, hb_pass_work, open_for_business, w};
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
		hb_pass(w);
	if (w->orphaned)
		_exit(EX_OK);
	if (w->pool == NULL)
		hb_pass_enter(w);
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
