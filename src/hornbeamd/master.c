/* The master's states, from start to end: see master.h. */
#include "hornbeamd/master.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "hornbeamd/companion.h"
#include "hornbeamd/control.h"
#include "hornbeamd/generation.h"
#include "hornbeamd/notify.h"
#include "hornbeamd/reload.h"
#include "hornbeamd/workers.h"

const char *
hb_master_state_name(enum hb_master_state state)
{
	static const char *const names[] = {"starting", "ready", "draining", "stopping"};

	return names[state];
}

static void
set_state(struct hb_master *m, enum hb_master_state state)
{
	if (m->state == state)
		return;
	hb_debug("master: %s -> %s", hb_master_state_name(m->state), hb_master_state_name(state));
	m->state = state;
}

static void
announce_ready(const struct hb_master *m)
{
	struct hb_buf text = HB_BUF_INIT;
	char address[HB_ADDRESS_TEXT];

	for (size_t i = 0; i < m->generation->listeners_count; i++) {
		hb_address_format(&m->generation->listeners[i].at.address, address);
		hb_buf_printf(&text, "%s%s", i == 0 ? "" : ", ", address);
	}
	if (!text.failed)
		hb_info("master: ready on %.*s with %u worker%s", (int)text.len, (const char *)text.data,
		    m->config->workers, m->config->workers == 1 ? "" : "s");
	hb_buf_free(&text);
	hb_notify("READY=1\nSTATUS=serving");
}

static void
stop_companion(struct hb_master *m)
{
	set_state(m, HB_MASTER_STOPPING);
	hb_companion_stop(m->companion);
}

static void
drain(struct hb_master *m)
{
	set_state(m, HB_MASTER_DRAINING);
	hb_notify("STOPPING=1\nSTATUS=draining");
	hb_reload_stop(m->reload);
	/* Nobody is served any more: new connections are refused instead of waiting for nobody. */
	hb_generation_close_listeners(m->generation);
	hb_workers_drain(m->workers);
	hb_master_gone(m);
}

void
hb_master_stop(struct hb_master *m)
{
	if (m->state == HB_MASTER_STARTING || m->state == HB_MASTER_READY)
		drain(m);
}

static void
stop_now(struct hb_master *m)
{
	if (m->state != HB_MASTER_STOPPING)
		set_state(m, HB_MASTER_DRAINING);
	hb_notify("STOPPING=1\nSTATUS=stopping");
	hb_reload_stop(m->reload);
	hb_generation_close_listeners(m->generation);
	hb_workers_kill(m->workers);
	hb_companion_kill(m->companion);
	hb_master_gone(m);
}

void
hb_master_gone(struct hb_master *m)
{
	if (m->state == HB_MASTER_DRAINING && hb_workers_gone(m->workers))
		stop_companion(m);
	if (m->state == HB_MASTER_STOPPING && hb_companion_gone(m->companion))
		event_base_loopbreak(m->base);
}

void
hb_master_fail(struct hb_master *m, int exit_status)
{
	if (m->exit_status == EX_OK)
		m->exit_status = exit_status;
	stop_now(m);
}

void
hb_master_companion_ready(struct hb_master *m)
{
	if (m->state == HB_MASTER_STARTING)
		hb_workers_start(m->workers);
}

void
hb_master_workers_ready(struct hb_master *m)
{
	if (m->state != HB_MASTER_STARTING)
		return;
	set_state(m, HB_MASTER_READY);
	announce_ready(m);
	hb_reload_begin(m->reload);
}

void
hb_master_drain(struct hb_master *m, const char *why)
{
	if (m->state == HB_MASTER_DRAINING || m->state == HB_MASTER_STOPPING)
		return;
	hb_info("%s: draining", why);
	drain(m);
}

void
hb_master_end(struct hb_master *m, const char *why)
{
	hb_info("%s: stopping at once", why);
	stop_now(m);
}

static void
on_stop(evutil_socket_t sig, short what, void *arg)
{
	struct hb_master *m = arg;

	switch (m->state) {
	case HB_MASTER_STARTING:
	case HB_MASTER_READY:
		hb_info("master: SIG%s: draining; a second one stops at once", sigabbrev_np((int)sig));
		drain(m);
		break;
	case HB_MASTER_DRAINING:
	case HB_MASTER_STOPPING:
		hb_info("master: SIG%s again: stopping at once", sigabbrev_np((int)sig));
		stop_now(m);
		break;
	}
}

static void
on_child(evutil_socket_t sig, short what, void *arg)
{
	struct hb_master *m = arg;

	hb_companion_reap(m->companion);
	hb_workers_reap(m->workers);
}

static void
on_hangup(evutil_socket_t sig, short what, void *arg)
{
	struct hb_master *m = arg;

	hb_info("master: SIGHUP: reloading");
	(void)hb_reload_ask(m->reload, HB_RELOAD_MS, NULL, NULL);
}

static void
on_reopen(evutil_socket_t sig, short what, void *arg)
{
	struct hb_master *m = arg;

	hb_info("master: SIGUSR1: opening the logs again");
	hb_workers_reopen_logs(m->workers);
}

static int
take_signals(struct hb_master *m)
{
	static const struct {
		int sig;
		event_callback_fn call;
	} table[HB_MASTER_SIGNALS] = {
	    {SIGTERM, on_stop}, {SIGINT, on_stop}, {SIGCHLD, on_child}, {SIGHUP, on_hangup}, {SIGUSR1, on_reopen}};

	for (size_t i = 0; i < HB_MASTER_SIGNALS; i++) {
		m->signals[i] = evsignal_new(m->base, table[i].sig, table[i].call, m);
		if (m->signals[i] == NULL || evsignal_add(m->signals[i], NULL) == -1)
			return -1;
	}
	return 0;
}

int
hb_master_run(struct hb_master *m)
{
	m->started_ms = hb_clock_ms();
	if (take_signals(m) == -1) {
		hb_err("master: cannot watch signals");
		return EX_OSERR;
	}
	hb_companion_start(m->companion);
	/* A failure at the very start may have ended the run already. */
	if (!(m->state == HB_MASTER_STOPPING && hb_companion_gone(m->companion)))
		event_base_dispatch(m->base);
	for (size_t i = 0; i < HB_MASTER_SIGNALS; i++)
		event_free(m->signals[i]);
	if (m->exit_status == EX_OK)
		hb_info("master: stopped");
	return m->exit_status;
}
