/* The master's workers: see workers.h. */
#include "hornbeamd/workers.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "hornbeamd/backoff.h"
#include "hornbeamd/master.h"
#include "hornbeamd/spawn.h"

/* A worker that crashes this often before any was ever ready will not get better. */
enum { START_TRIES = 3 };

struct worker {
	struct hb_workers *all;
	unsigned index;
	enum hb_worker_state state;
	pid_t pid; /* 0: none */
	int channel;
	struct event *readable; /* of the channel */
	struct event *restart;
	int64_t started_ms;
	uint64_t restarts;
	unsigned crashes; /* before it was ever ready */
	struct hb_backoff backoff;
};

struct hb_workers {
	struct hb_master *master;
	struct worker *worker;
	size_t count;
	size_t ready;
	bool was_ready; /* all of them, once: the start is over */
	char **envp;
	int *fds; /* the table of descriptors that every worker gets */
	size_t fds_count;
};

const char *
hb_worker_state_name(enum hb_worker_state state)
{
	static const char *const names[] = {"not started", "starting", "ready", "draining", "backing off", "gone"};

	return names[state];
}

static void
set_state(struct worker *w, enum hb_worker_state state)
{
	if (w->state == state)
		return;
	hb_debug("worker %u: %s -> %s", w->index, hb_worker_state_name(w->state), hb_worker_state_name(state));
	if (w->state == HB_WORKER_READY)
		w->all->ready--;
	if (state == HB_WORKER_READY)
		w->all->ready++;
	w->state = state;
}

/* The process is over: its channel too, and what it had open. */
static void
forget_process(struct worker *w)
{
	struct hb_worker_counters *counters = &w->all->master->counters[w->index];

	if (w->readable != NULL)
		event_free(w->readable);
	w->readable = NULL;
	hb_fd_close(&w->channel);
	w->pid = 0;
	atomic_store(&counters->connections, 0);
	atomic_store(&counters->active, 0);
}

static void
schedule_start(struct worker *w)
{
	int64_t pause = hb_backoff_pause(&w->backoff, hb_clock_ms() - w->started_ms);
	struct timeval tv = {pause / 1000, pause % 1000 * 1000};

	set_state(w, HB_WORKER_BACKOFF);
	evtimer_add(w->restart, &tv);
}

static void
on_ready(struct worker *w)
{
	if (w->state != HB_WORKER_STARTING)
		return;
	set_state(w, HB_WORKER_READY);
	hb_info("worker %u: ready, process %d", w->index, (int)w->pid);
	if (w->all->ready == w->all->count) {
		w->all->was_ready = true;
		hb_master_workers_ready(w->all->master);
	}
}

static void
on_channel(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;
	char c;
	ssize_t n = read(fd, &c, 1);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == 1 && c == 'R') {
		on_ready(w);
		return;
	}
	if (n == 1) {
		hb_warn("worker %u: unexpected byte 0x%02x on its channel", w->index, (unsigned char)c);
		return;
	}
	/* A worker without a life line must not stay; usually it is about to end anyway. */
	event_del(w->readable);
	(void)shutdown(fd, SHUT_RDWR);
}

static int
start_process(struct worker *w, struct hb_error *err)
{
	struct hb_workers *all = w->all;
	char index[16];
	char *argv[] = {(char *)"hornbeamd", (char *)"--worker", index, NULL};
	struct hb_spawn spawn = {.exe = all->master->exe_fd,
	    .argv = argv,
	    .envp = all->envp,
	    .fds = all->fds,
	    .fds_count = all->fds_count};
	int pair[2];

	snprintf(index, sizeof index, "%u", w->index);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "socketpair");
	w->channel = pair[0];
	w->readable = event_new(all->master->base, w->channel, EV_READ | EV_PERSIST, on_channel, w);
	if (w->readable == NULL || event_add(w->readable, NULL) == -1 || hb_fd_nonblock(w->channel) == -1) {
		close(pair[1]);
		return hb_error_errno(err, HB_ERROR_SYSTEM, "channel");
	}
	all->fds[HB_WORKER_FD_CHANNEL] = pair[1];
	w->pid = hb_spawn(&spawn, err);
	close(pair[1]);
	return w->pid == -1 ? -1 : 0;
}

static void
start(struct worker *w)
{
	struct hb_error err;

	w->started_ms = hb_clock_ms();
	if (start_process(w, &err) == -1) {
		hb_err("worker %u: %s", w->index, err.text);
		forget_process(w);
		schedule_start(w);
		return;
	}
	set_state(w, HB_WORKER_STARTING);
}

static void
on_restart(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	w->restarts++;
	start(w);
}

/* 0, or the exit status that ends the daemon: this worker cannot be started. */
static int
hopeless(struct worker *w, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

	if (w->all->was_ready || w->state != HB_WORKER_STARTING)
		return 0;
	if (code >= EX__BASE && code <= EX__MAX)
		return code;
	return ++w->crashes >= START_TRIES ? EX_SOFTWARE : 0;
}

static void
on_exit_of(struct worker *w, int status)
{
	char how[HB_EXIT_TEXT];
	pid_t pid = w->pid;
	int end;

	hb_exit_text(status, how);
	forget_process(w);
	if (w->state == HB_WORKER_DRAINING) {
		hb_info("worker %u: process %d ended: %s", w->index, (int)pid, how);
		set_state(w, HB_WORKER_GONE);
		hb_master_gone(w->all->master);
		return;
	}
	end = hopeless(w, status);
	if (end != 0) {
		hb_err("worker %u: cannot start (process %d: %s)", w->index, (int)pid, how);
		set_state(w, HB_WORKER_GONE);
		hb_master_fail(w->all->master, end);
		return;
	}
	schedule_start(w);
	hb_warn("worker %u: process %d ended: %s; starting another", w->index, (int)pid, how);
}

void
hb_workers_reap(struct hb_workers *all)
{
	int status;

	for (size_t i = 0; i < all->count; i++)
		if (all->worker[i].pid > 0 && hb_spawn_reap(all->worker[i].pid, &status))
			on_exit_of(&all->worker[i], status);
}

static void
fill_descriptors(struct hb_workers *all)
{
	const struct hb_master *m = all->master;

	all->fds_count = HB_WORKER_FD_LISTENERS + m->listeners_count;
	all->fds = hb_xcalloc(all->fds_count, sizeof *all->fds);
	all->fds[STDIN_FILENO] = m->null_fd;
	all->fds[STDOUT_FILENO] = STDOUT_FILENO;
	all->fds[STDERR_FILENO] = STDERR_FILENO;
	all->fds[HB_WORKER_FD_CONFIG] = m->config_fd;
	all->fds[HB_WORKER_FD_COUNTERS] = m->counters_fd;
	for (size_t i = 0; i < m->listeners_count; i++)
		all->fds[HB_WORKER_FD_LISTENERS + i] = m->listeners[i].fd;
}

struct hb_workers *
hb_workers_new(struct hb_master *m)
{
	static const char *const none[] = {NULL};
	struct hb_workers *all = hb_xcalloc(1, sizeof *all);

	all->master = m;
	all->count = m->config->workers;
	all->worker = hb_xcalloc(all->count, sizeof *all->worker);
	for (size_t i = 0; i < all->count; i++) {
		struct worker *w = &all->worker[i];

		w->all = all;
		w->index = (unsigned)i;
		w->channel = -1;
		w->restart = evtimer_new(m->base, on_restart, w);
		if (w->restart == NULL) {
			hb_workers_free(all);
			return NULL;
		}
	}
	/* Programs that the application starts find this daemon. */
	all->envp = hb_environ_set(hb_environ_without(environ, none), "HORNBEAM_SOCKET", m->config->control.socket);
	fill_descriptors(all);
	return all;
}

void
hb_workers_free(struct hb_workers *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < all->count; i++) {
		if (all->worker[i].restart != NULL)
			event_free(all->worker[i].restart);
		if (all->worker[i].readable != NULL)
			event_free(all->worker[i].readable);
		hb_fd_close(&all->worker[i].channel);
	}
	hb_environ_free(all->envp);
	free(all->worker);
	free(all->fds);
	free(all);
}

void
hb_workers_start(struct hb_workers *all)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->worker[i].state == HB_WORKER_NONE)
			start(&all->worker[i]);
}

static void
tell_to_drain(struct worker *w)
{
	if (send(w->channel, "D", 1, MSG_NOSIGNAL) != 1)
		hb_warn("worker %u: cannot be told to drain: %m", w->index);
}

static void
end_process(struct worker *w)
{
	set_state(w, HB_WORKER_DRAINING);
	(void)kill(w->pid, SIGKILL);
}

static void
never_again(struct worker *w)
{
	evtimer_del(w->restart);
	set_state(w, HB_WORKER_GONE);
}

void
hb_workers_drain(struct hb_workers *all)
{
	for (size_t i = 0; i < all->count; i++) {
		struct worker *w = &all->worker[i];

		switch (w->state) {
		case HB_WORKER_READY:
			set_state(w, HB_WORKER_DRAINING);
			tell_to_drain(w);
			break;
		case HB_WORKER_STARTING:
			end_process(w);
			break;
		case HB_WORKER_NONE:
		case HB_WORKER_BACKOFF:
			never_again(w);
			break;
		case HB_WORKER_DRAINING:
		case HB_WORKER_GONE:
			break;
		}
	}
}

void
hb_workers_kill(struct hb_workers *all)
{
	for (size_t i = 0; i < all->count; i++) {
		if (all->worker[i].pid > 0)
			end_process(&all->worker[i]);
		else
			never_again(&all->worker[i]);
	}
}

void
hb_workers_reopen_logs(struct hb_workers *all)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->worker[i].state == HB_WORKER_READY) /* before, it would die of the signal */
			(void)kill(all->worker[i].pid, SIGUSR1);
}

bool
hb_workers_gone(const struct hb_workers *all)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->worker[i].state != HB_WORKER_GONE)
			return false;
	return true;
}

size_t
hb_workers_count(const struct hb_workers *all)
{
	return all->count;
}

size_t
hb_workers_ready(const struct hb_workers *all)
{
	return all->ready;
}

uint64_t
hb_workers_restarts(const struct hb_workers *all)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < all->count; i++)
		sum += all->worker[i].restarts;
	return sum;
}

void
hb_workers_info(const struct hb_workers *all, size_t index, struct hb_worker_info *info)
{
	const struct worker *w = &all->worker[index];

	info->index = w->index;
	info->pid = w->pid > 0 ? w->pid : 0;
	info->state = w->state;
	info->uptime_ms = info->pid != 0 ? hb_clock_ms() - w->started_ms : 0;
	info->restarts = w->restarts;
}
