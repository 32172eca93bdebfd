/*
 * A companion of the master's own: it starts erl, and starts it again when it
 * has died.  HACKING's section "The companion and the master" tells the words
 * that the two exchange.
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "hornbeamd/backoff.h"
#include "hornbeamd/companion_kind.h"
#include "hornbeamd/cookie.h"
#include "hornbeamd/epmd.h"
#include "hornbeamd/erl.h"
#include "hornbeamd/master.h"
#include "hornbeamd/reload.h"
#include "hornbeamd/spawn.h"

enum {
	START_SECONDS = 30, /* from its start until it listens */
	STOP_SECONDS = 5,   /* from the end of its channel until it is killed */
	ANSWER_MAX = 64 * 1024
};

struct embedded {
	struct hb_companion base;
	struct hb_erl erl;
	struct hb_epmd *epmd; /* NULL: none is asked for */
	pid_t pid; /* 0: none */
	int channel;
	struct event *readable; /* of the channel */
	struct event *writable;
	struct event *restart;
	struct event *deadline; /* of the start or the stop */
	struct hb_buf in;
	struct hb_buf out; /* what the channel has not taken yet */
	int64_t started_ms;
	uint64_t restarts;
	bool was_ready; /* once */
	bool told;      /* why it ends, so that the process is killed */
	struct hb_backoff backoff;
};

static struct embedded *
embedded(struct hb_companion *c)
{
	return (struct embedded *)c;
}

static void
set_state(struct embedded *c, enum hb_companion_state state)
{
	if (c->base.state == state)
		return;
	hb_companion_set_state(&c->base, state);
	evtimer_del(c->deadline);
}

static void
set_deadline(struct embedded *c, int seconds)
{
	struct timeval tv = {seconds, 0};

	evtimer_add(c->deadline, &tv);
}

static void
close_channel(struct embedded *c)
{
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	c->readable = c->writable = NULL;
	hb_fd_close(&c->channel);
	hb_buf_free(&c->in);
	hb_buf_free(&c->out);
}

static void
kill_process(const struct embedded *c)
{
	if (c->pid > 0)
		(void)kill(c->pid, SIGKILL);
}

static void
schedule_start(struct embedded *c)
{
	int64_t pause = hb_backoff_pause(&c->backoff, hb_clock_ms() - c->started_ms);
	struct timeval tv = {pause / 1000, pause % 1000 * 1000};

	set_state(c, HB_COMPANION_BACKOFF);
	evtimer_add(c->restart, &tv);
}

/* What the companion says.  Returns -1 when it cannot be let go on. */
static int
on_answer(struct embedded *c, const void *p, size_t len)
{
	struct hb_master *m = c->base.master;
	struct hb_erl_answer answer;
	struct hb_error err;

	if (hb_erl_read(p, len, &answer, &err) == -1) {
		c->told = true;
		hb_err("companion: %s", err.text);
		return -1;
	}
	switch (answer.word) {
	case HB_ERL_READY:
		if (c->base.state != HB_COMPANION_STARTING)
			break;
		set_state(c, HB_COMPANION_READY);
		c->was_ready = true;
		hb_info("companion: ready, process %d, after %lld ms", (int)c->pid,
		    (long long)(hb_clock_ms() - c->started_ms));
		hb_master_companion_ready(m);
		break;
	case HB_ERL_RELOADED:
		hb_reload_told(m->reload, (uint64_t)answer.number, NULL);
		break;
	case HB_ERL_REFUSED:
		hb_reload_told(m->reload, (uint64_t)answer.number, &err);
		break;
	}
	return 0;
}

/* Takes whole messages out of what has come. */
static int
take_messages(struct embedded *c)
{
	while (c->in.len >= 4) {
		uint32_t len = hb_get_u32(c->in.data);

		if (len > ANSWER_MAX) {
			hb_err("companion: a message of %u bytes; is something writing to its channel?", len);
			return -1;
		}
		if (c->in.len < 4 + (size_t)len)
			return 0;
		if (on_answer(c, c->in.data + 4, len) == -1)
			return -1;
		if (c->channel == -1) /* what followed from it has stopped the companion */
			return 0;
		hb_buf_drop(&c->in, 4 + (size_t)len);
	}
	return 0;
}

static void
on_channel(evutil_socket_t fd, short what, void *arg)
{
	struct embedded *c = arg;
	unsigned char *p = hb_buf_reserve(&c->in, 4096);
	ssize_t n = p == NULL ? 0 : read(fd, p, 4096);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		c->in.len += (size_t)n;
		if (take_messages(c) == 0)
			return;
	}
	/* Without its life line it ends by itself; SIGCHLD tells the rest. */
	close_channel(c);
	if (n > 0)
		kill_process(c);
	else if (c->base.state == HB_COMPANION_READY || c->base.state == HB_COMPANION_STARTING)
		set_deadline(c, STOP_SECONDS);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct embedded *c = arg;

	if (c->base.state == HB_COMPANION_STARTING)
		hb_err("companion: not ready after %d s; killing it", START_SECONDS);
	else
		hb_warn("companion: process %d did not end by itself; killing it", (int)c->pid);
	kill_process(c);
}

/* Sends what the channel takes of c->out; the rest follows. */
static int
flush(struct embedded *c, struct hb_error *err)
{
	ssize_t n = 0;

	if (c->out.failed)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (c->out.len > 0)
		n = send(c->channel, c->out.data, c->out.len, MSG_NOSIGNAL);
	if (n == -1 && errno != EAGAIN && errno != EINTR)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "cannot send its configuration");
	if (n > 0)
		hb_buf_drop(&c->out, (size_t)n);
	if (c->out.len > 0)
		event_add(c->writable, NULL);
	return 0;
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct embedded *c = arg;
	struct hb_error err;

	if (flush(c, &err) == 0)
		return;
	hb_err("companion: %s", err.text);
	kill_process(c);
}

static int
send_config(struct embedded *c, struct hb_error *err)
{
	const struct hb_master *m = c->base.master;

	if (hb_cookie_check(m->config, &m->identity, err) == -1)
		return -1;
	hb_erl_put_config(&c->out, m->config, m->link_path);
	return flush(c, err);
}

static int
reload(struct hb_companion *base, const struct hb_config *config, uint64_t number, struct hb_error *err)
{
	struct embedded *c = embedded(base);

	if (c->channel == -1)
		return hb_error_set(err, HB_ERROR_DOWN, "the companion does not run");
	hb_erl_put_reload(&c->out, config, number);
	return flush(c, err) == -1 ? -1 : 1;
}

static int
start_process(struct embedded *c, struct hb_error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "socketpair");
	c->channel = pair[0];
	c->readable = event_new(c->base.master->base, c->channel, EV_READ | EV_PERSIST, on_channel, c);
	c->writable = event_new(c->base.master->base, c->channel, EV_WRITE, on_writable, c);
	if (c->readable == NULL || c->writable == NULL || event_add(c->readable, NULL) == -1 || hb_fd_nonblock(c->channel) == -1) {
		hb_error_errno(err, HB_ERROR_SYSTEM, "channel");
	} else {
		/* What anything in there prints is a line of the log, not a word to the master. */
		const int fds[] = {pair[1], STDERR_FILENO, STDERR_FILENO, pair[1]};
		struct hb_spawn spawn = {.exe = -1,
		    .path = c->erl.path,
		    .argv = c->erl.argv,
		    .envp = c->erl.envp,
		    .fds = fds,
		    .fds_count = 4};

		c->pid = hb_spawn(&spawn, err);
	}
	close(pair[1]);
	return c->pid > 0 ? send_config(c, err) : -1;
}

static void
start_erl(struct embedded *c)
{
	struct hb_error err;

	c->started_ms = hb_clock_ms();
	c->pid = 0;
	if (start_process(c, &err) == 0) {
		set_state(c, HB_COMPANION_STARTING);
		set_deadline(c, START_SECONDS);
		return;
	}
	hb_err("companion: %s", err.text);
	close_channel(c);
	if (c->pid > 0) { /* SIGCHLD goes on from here */
		set_state(c, HB_COMPANION_STARTING);
		kill_process(c);
		return;
	}
	c->pid = 0;
	if (c->was_ready) {
		schedule_start(c);
		return;
	}
	set_state(c, HB_COMPANION_GONE);
	hb_master_fail(c->base.master, EX_UNAVAILABLE);
}

static void
on_restart(evutil_socket_t fd, short what, void *arg)
{
	struct embedded *c = arg;

	c->restarts++;
	start_erl(c);
}

static void
on_exit_of(struct embedded *c, int status)
{
	char how[HB_EXIT_TEXT];
	pid_t pid = c->pid;

	hb_exit_text(status, how);
	c->pid = 0; /* another process may have it by now */
	/* Its last words may still be unread, and say why. */
	if (c->channel != -1 && c->base.state == HB_COMPANION_STARTING)
		on_channel(c->channel, EV_READ, c);
	close_channel(c);
	hb_reload_companion_gone(c->base.master->reload);
	if (c->base.state == HB_COMPANION_STOPPING) {
		hb_info("companion: process %d ended: %s", (int)pid, how);
		set_state(c, HB_COMPANION_GONE);
		hb_master_gone(c->base.master);
	} else if (c->was_ready) {
		schedule_start(c);
		hb_warn("companion: process %d ended: %s; starting another", (int)pid, how);
	} else {
		set_state(c, HB_COMPANION_GONE);
		if (c->told)
			hb_err("companion: cannot start");
		else
			hb_err("companion: cannot start (process %d: %s)", (int)pid, how);
		hb_master_fail(c->base.master, EX_UNAVAILABLE);
	}
}

static void
start(struct hb_companion *c)
{
	hb_epmd_start(embedded(c)->epmd);
	start_erl(embedded(c));
}

static void
reap(struct hb_companion *base)
{
	struct embedded *c = embedded(base);
	int status;

	hb_epmd_reap(c->epmd);
	if (c->pid > 0 && hb_spawn_reap(c->pid, &status))
		on_exit_of(c, status);
}

static void
stop(struct hb_companion *base)
{
	struct embedded *c = embedded(base);

	evtimer_del(c->restart);
	if (base->state == HB_COMPANION_STOPPING)
		return;
	if (c->pid <= 0) {
		set_state(c, HB_COMPANION_GONE);
		return;
	}
	set_state(c, HB_COMPANION_STOPPING);
	close_channel(c);
	set_deadline(c, STOP_SECONDS);
}

static void
stop_at_once(struct hb_companion *c)
{
	stop(c);
	kill_process(embedded(c));
}

static void
info(const struct hb_companion *base, struct hb_companion_info *out)
{
	const struct embedded *c = (const struct embedded *)base;

	out->pid = c->pid > 0 ? c->pid : 0;
	out->uptime_ms = out->pid != 0 ? hb_clock_ms() - c->started_ms : 0;
	out->restarts = c->restarts;
}

static void
free_embedded(struct hb_companion *base)
{
	struct embedded *c = embedded(base);

	close_channel(c);
	if (c->restart != NULL)
		event_free(c->restart);
	if (c->deadline != NULL)
		event_free(c->deadline);
	if (base->state != HB_COMPANION_NONE)
		(void)unlink(base->master->link_path); /* one that was killed leaves it */
	hb_epmd_free(c->epmd);
	hb_erl_free(&c->erl);
	free(c);
}

static struct hb_companion *
make(struct hb_master *m, struct hb_error *err)
{
	struct embedded *c = hb_xcalloc(1, sizeof *c);

	c->base = (struct hb_companion){.kind = &hb_companion_embedded, .master = m};
	c->channel = -1;
	c->restart = evtimer_new(m->base, on_restart, c);
	c->deadline = evtimer_new(m->base, on_deadline, c);
	if (c->restart == NULL || c->deadline == NULL) {
		hb_error_set(err, HB_ERROR_MEMORY, "companion: out of memory");
		goto fail;
	}
	if (hb_erl_init(&c->erl, m->config, m->identity.home, err) == -1 ||
	    hb_epmd_new(m->base, m->config, c->erl.path, &c->epmd, err) == -1)
		goto fail;
	return &c->base;
fail:
	free_embedded(&c->base);
	return NULL;
}

const struct hb_companion_kind hb_companion_embedded = {
    .name = "embedded",
    .make = make,
    .free = free_embedded,
    .start = start,
    .stop = stop,
    .kill = stop_at_once,
    .reap = reap,
    .reload = reload,
    .info = info,
};
