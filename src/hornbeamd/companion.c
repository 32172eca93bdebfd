/* The companion's life: see companion.h. */
#include "hornbeamd/companion.h"

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
#include "hornbeamd/erl.h"
#include "hornbeamd/master.h"
#include "hornbeamd/spawn.h"

enum {
	START_SECONDS = 30, /* from its start until it listens */
	STOP_SECONDS = 5,   /* from the end of its channel until it is killed */
	ANSWER_MAX = 64 * 1024
};

struct hb_companion {
	struct hb_master *master;
	struct hb_erl erl;
	enum hb_companion_state state;
	pid_t pid; /* 0: none */
	int channel;
	struct event *readable; /* of the channel */
	struct event *restart;
	struct event *deadline; /* of the start or the stop */
	struct hb_buf in;
	int64_t started_ms;
	uint64_t restarts;
	bool was_ready; /* once */
	struct hb_backoff backoff;
};

const char *
hb_companion_state_name(enum hb_companion_state state)
{
	static const char *const names[] = {"not started", "starting", "ready", "backing off", "stopping", "gone"};

	return names[state];
}

static void
set_state(struct hb_companion *c, enum hb_companion_state state)
{
	if (c->state == state)
		return;
	hb_debug("companion: %s -> %s", hb_companion_state_name(c->state), hb_companion_state_name(state));
	c->state = state;
	evtimer_del(c->deadline);
}

static void
set_deadline(struct hb_companion *c, int seconds)
{
	struct timeval tv = {seconds, 0};

	evtimer_add(c->deadline, &tv);
}

static void
close_channel(struct hb_companion *c)
{
	if (c->readable != NULL)
		event_free(c->readable);
	c->readable = NULL;
	hb_fd_close(&c->channel);
	hb_buf_free(&c->in);
}

static void
kill_process(const struct hb_companion *c)
{
	if (c->pid > 0)
		(void)kill(c->pid, SIGKILL);
}

static void
schedule_start(struct hb_companion *c)
{
	int64_t pause = hb_backoff_pause(&c->backoff, hb_clock_ms() - c->started_ms);
	struct timeval tv = {pause / 1000, pause % 1000 * 1000};

	set_state(c, HB_COMPANION_BACKOFF);
	evtimer_add(c->restart, &tv);
}

/* What the companion says.  Returns -1 when it cannot be let go on. */
static int
on_answer(struct hb_companion *c, const void *p, size_t len)
{
	struct hb_error err;
	int64_t pid;

	if (hb_erl_answer(p, len, &pid, &err) == -1) {
		hb_err("companion: %s", err.text);
		return -1;
	}
	if (c->state != HB_COMPANION_STARTING)
		return 0;
	set_state(c, HB_COMPANION_READY);
	c->was_ready = true;
	hb_info("companion: ready, process %d, after %lld ms", (int)c->pid, (long long)(hb_clock_ms() - c->started_ms));
	hb_master_companion_ready(c->master);
	return 0;
}

/* Takes whole messages out of what has come. */
static int
take_messages(struct hb_companion *c)
{
	while (c->in.len >= 4) {
		uint32_t len = hb_get_u32(c->in.data);

		if (len > ANSWER_MAX) {
			hb_err("companion: a message of %u bytes; is something printing to its standard output?", len);
			return -1;
		}
		if (c->in.len < 4 + (size_t)len)
			return 0;
		if (on_answer(c, c->in.data + 4, len) == -1)
			return -1;
		hb_buf_drop(&c->in, 4 + (size_t)len);
	}
	return 0;
}

static void
on_channel(evutil_socket_t fd, short what, void *arg)
{
	struct hb_companion *c = arg;
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
	else if (c->state == HB_COMPANION_READY || c->state == HB_COMPANION_STARTING)
		set_deadline(c, STOP_SECONDS);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct hb_companion *c = arg;

	if (c->state == HB_COMPANION_STARTING)
		hb_err("companion: not ready after %d s; killing it", START_SECONDS);
	else
		hb_warn("companion: process %d did not end by itself; killing it", (int)c->pid);
	kill_process(c);
}

static int
send_config(struct hb_companion *c, struct hb_error *err)
{
	struct hb_buf message = HB_BUF_INIT;
	int result = 0;

	hb_erl_put_config(&message, c->master->config, c->master->link_path);
	if (message.failed || send(c->channel, message.data, message.len, MSG_NOSIGNAL) != (ssize_t)message.len)
		result = hb_error_errno(err, HB_ERROR_SYSTEM, "cannot send its configuration");
	hb_buf_free(&message);
	return result;
}

static int
start_process(struct hb_companion *c, struct hb_error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "socketpair");
	c->channel = pair[0];
	c->readable = event_new(c->master->base, c->channel, EV_READ | EV_PERSIST, on_channel, c);
	if (c->readable == NULL || event_add(c->readable, NULL) == -1 || hb_fd_nonblock(c->channel) == -1) {
		hb_error_errno(err, HB_ERROR_SYSTEM, "channel");
	} else {
		const int fds[] = {pair[1], pair[1], STDERR_FILENO};
		struct hb_spawn spawn = {.exe = -1,
		    .path = c->erl.path,
		    .argv = c->erl.argv,
		    .envp = c->erl.envp,
		    .fds = fds,
		    .fds_count = 3};

		c->pid = hb_spawn(&spawn, err);
	}
	close(pair[1]);
	return c->pid > 0 ? send_config(c, err) : -1;
}

static void
start(struct hb_companion *c)
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
	hb_master_fail(c->master, EX_UNAVAILABLE);
}

static void
on_restart(evutil_socket_t fd, short what, void *arg)
{
	struct hb_companion *c = arg;

	c->restarts++;
	start(c);
}

static void
on_exit_of(struct hb_companion *c, int status)
{
	char how[HB_EXIT_TEXT];
	pid_t pid = c->pid;

	hb_exit_text(status, how);
	c->pid = 0; /* another process may have it by now */
	/* Its last words may still be unread, and say why. */
	if (c->channel != -1 && c->state == HB_COMPANION_STARTING)
		on_channel(c->channel, EV_READ, c);
	close_channel(c);
	if (c->state == HB_COMPANION_STOPPING) {
		hb_info("companion: process %d ended: %s", (int)pid, how);
		set_state(c, HB_COMPANION_GONE);
		hb_master_gone(c->master);
	} else if (c->was_ready) {
		schedule_start(c);
		hb_warn("companion: process %d ended: %s; starting another", (int)pid, how);
	} else {
		set_state(c, HB_COMPANION_GONE);
		hb_err("companion: cannot start (process %d: %s)", (int)pid, how);
		hb_master_fail(c->master, EX_UNAVAILABLE);
	}
}

void
hb_companion_reap(struct hb_companion *c)
{
	int status;

	if (c->pid > 0 && hb_spawn_reap(c->pid, &status))
		on_exit_of(c, status);
}

struct hb_companion *
hb_companion_new(struct hb_master *m, struct hb_error *err)
{
	struct hb_companion *c = hb_xcalloc(1, sizeof *c);

	c->master = m;
	c->channel = -1;
	c->restart = evtimer_new(m->base, on_restart, c);
	c->deadline = evtimer_new(m->base, on_deadline, c);
	if (c->restart == NULL || c->deadline == NULL) {
		hb_error_set(err, HB_ERROR_MEMORY, "companion: out of memory");
		hb_companion_free(c);
		return NULL;
	}
	if (hb_erl_init(&c->erl, m->config, m->identity.home, err) == -1) {
		hb_companion_free(c);
		return NULL;
	}
	return c;
}

void
hb_companion_free(struct hb_companion *c)
{
	if (c == NULL)
		return;
	close_channel(c);
	if (c->restart != NULL)
		event_free(c->restart);
	if (c->deadline != NULL)
		event_free(c->deadline);
	hb_erl_free(&c->erl);
	free(c);
}

void
hb_companion_start(struct hb_companion *c)
{
	if (c->state == HB_COMPANION_NONE)
		start(c);
}

void
hb_companion_stop(struct hb_companion *c)
{
	evtimer_del(c->restart);
	if (c->state == HB_COMPANION_STOPPING)
		return;
	if (c->pid <= 0) {
		set_state(c, HB_COMPANION_GONE);
		return;
	}
	set_state(c, HB_COMPANION_STOPPING);
	close_channel(c);
	set_deadline(c, STOP_SECONDS);
}

void
hb_companion_kill(struct hb_companion *c)
{
	hb_companion_stop(c);
	kill_process(c);
}

bool
hb_companion_gone(const struct hb_companion *c)
{
	return c->state == HB_COMPANION_GONE;
}

bool
hb_companion_is_ready(const struct hb_companion *c)
{
	return c->state == HB_COMPANION_READY;
}

void
hb_companion_info(const struct hb_companion *c, struct hb_companion_info *info)
{
	info->state = c->state;
	info->pid = c->pid > 0 ? c->pid : 0;
	info->uptime_ms = info->pid != 0 ? hb_clock_ms() - c->started_ms : 0;
	info->restarts = c->restarts;
}
