/* The master's workers: see workers.h. */
#include "hornbeamd/workers.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"
#include "hornbeamd/backoff.h"
#include "hornbeamd/generation.h"
#include "hornbeamd/master.h"
#include "hornbeamd/process.h"
#include "hornbeamd/reload.h"
#include "hornbeamd/slots.h"
#include "hornbeamd/spawn.h"

enum {
	START_TRIES = 3,      /* one that crashes this often before any was ready will not get better */
	DRAIN_EXTRA_MS = 3000 /* beyond timeouts.graceful, at which a worker ends the rest by itself */
};

struct worker {
	TAILQ_ENTRY(worker) entry;
	struct hb_workers *all;
	struct hb_generation *generation; /* NULL: drains, and is not started again */
	struct worker *replaces;    /* drains when this one is ready */
	struct worker *replacement; /* the other way round */
	unsigned index;
	unsigned slot;
	enum hb_worker_state state;
	bool tired; /* asked to be replaced */
	struct hb_process process;
	struct event *timer; /* the next start, or the end of the drain */
	int64_t graceful_ms;
	uint64_t restarts;
	unsigned crashes; /* before it was ever ready */
	bool waits;       /* for its sources to change */
	bool stale;       /* they have changed since it was started */
	struct hb_backoff backoff;
};
TAILQ_HEAD(worker_list, worker);

struct hb_workers {
	struct hb_master *master;
	struct worker_list list; /* by index, then by age */
	struct hb_generation *next; /* NULL: no reload is under way */
	struct hb_slots slots;
	struct hb_worker_past past;
	bool was_ready; /* all of them, once: the start is over */
	char **envp;
};

static void start_again(evutil_socket_t fd, short what, void *arg);
static void replace(struct worker *old);

const char *
hb_worker_state_name(enum hb_worker_state state)
{
	static const char *const names[] = {"starting", "ready", "draining", "backing off", "gone"};

	return names[state];
}

static void
set_state(struct worker *w, enum hb_worker_state state)
{
	if (w->state == state)
		return;
	hb_debug("worker %u: %s -> %s", w->index, hb_worker_state_name(w->state), hb_worker_state_name(state));
	w->state = state;
	evtimer_del(w->timer);
}

static void
set_timer(struct worker *w, int64_t ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	evtimer_add(w->timer, &tv);
}

/* Nothing points to it any more but the list, which is swept when nobody walks it. */
static void
retire(struct worker *w)
{
	if (w->replacement != NULL)
		w->replacement->replaces = NULL;
	if (w->replaces != NULL) {
		w->replaces->replacement = NULL;
		w->replaces->tired = true;
	}
	w->replacement = w->replaces = NULL;
	w->generation = NULL;
	set_state(w, HB_WORKER_GONE);
}

static void
free_worker(struct worker *w)
{
	struct hb_workers *all = w->all;

	all->past.restarts += w->restarts;
	hb_slots_give(&all->slots, w->slot, &all->past);
	TAILQ_REMOVE(&all->list, w, entry);
	hb_process_clear(&w->process);
	if (w->timer != NULL)
		event_free(w->timer);
	free(w);
}

static void
sweep(struct hb_workers *all)
{
	struct worker *w, *next;

	for (w = TAILQ_FIRST(&all->list); w != NULL; w = next) {
		next = TAILQ_NEXT(w, entry);
		if (w->state == HB_WORKER_GONE)
			free_worker(w);
	}
}

static void
end_process(struct worker *w)
{
	set_state(w, HB_WORKER_DRAINING);
	w->generation = NULL;
	(void)kill(w->process.pid, SIGKILL);
}

static void
drain(struct worker *w, bool gently)
{
	switch (w->state) {
	case HB_WORKER_READY:
		set_state(w, HB_WORKER_DRAINING);
		w->generation = NULL;
		hb_slots_stop(&w->all->slots, w->slot);
		hb_process_drain(&w->process, gently);
		set_timer(w, w->graceful_ms + DRAIN_EXTRA_MS);
		break;
	case HB_WORKER_STARTING:
		end_process(w);
		break;
	case HB_WORKER_BACKOFF:
		retire(w);
		break;
	case HB_WORKER_DRAINING:
		if (!gently)
			hb_process_drain(&w->process, false); /* it may have been told to take its time */
		break;
	case HB_WORKER_GONE:
		break;
	}
}

static void
end(struct worker *w)
{
	if (w->state == HB_WORKER_GONE)
		return;
	if (w->process.pid > 0)
		end_process(w);
	else
		retire(w);
}

static void
schedule_start(struct worker *w)
{
	int64_t pause = hb_backoff_pause(&w->backoff, hb_clock_ms() - w->process.started_ms);

	set_state(w, HB_WORKER_BACKOFF);
	set_timer(w, pause);
}

/* The table of descriptors for its process; returns owned. */
static int *
descriptors(const struct worker *w, size_t *count)
{
	const struct hb_master *m = w->all->master;
	const struct hb_generation *g = w->generation;
	int *fds;

	*count = HB_WORKER_FD_LISTENERS + g->listeners_count;
	fds = hb_xcalloc(*count, sizeof *fds);
	fds[STDIN_FILENO] = m->null_fd;
	fds[STDOUT_FILENO] = STDOUT_FILENO;
	fds[STDERR_FILENO] = STDERR_FILENO;
	fds[HB_WORKER_FD_CONFIG] = g->config_fd;
	fds[HB_WORKER_FD_COUNTERS] = m->counters_fd;
	for (size_t i = 0; i < g->listeners_count; i++)
		fds[HB_WORKER_FD_LISTENERS + i] = g->listeners[i].at.fd;
	return fds;
}

static void
start(struct worker *w)
{
	char index[16], slot[16];
	char *argv[] = {(char *)"hornbeamd", (char *)"--worker", index, (char *)"--slot", slot, NULL};
	struct hb_spawn spawn = {.exe = w->all->master->exe_fd, .argv = argv, .envp = w->all->envp};
	int *fds = descriptors(w, &spawn.fds_count);
	struct hb_error err;

	spawn.fds = fds;
	w->graceful_ms = w->generation->config->timeouts.graceful;
	snprintf(index, sizeof index, "%u", w->index);
	snprintf(slot, sizeof slot, "%u", w->slot);
	if (hb_process_start(&w->process, w->all->master->base, &spawn, fds, &err) == 0)
		set_state(w, HB_WORKER_STARTING);
	else {
		hb_err("worker %u: %s", w->index, err.text);
		schedule_start(w);
	}
	free(fds);
}

static size_t
count_ready(const struct hb_workers *all, const struct hb_generation *g)
{
	const struct worker *w;
	size_t n = 0;

	TAILQ_FOREACH(w, &all->list, entry)
		n += w->generation == g && w->state == HB_WORKER_READY && w->replaces == NULL;
	return n;
}

/* The next generation takes over. */
static void
change_over(struct hb_workers *all)
{
	struct worker *w;

	all->next = NULL;
	hb_reload_ready(all->master->reload);
	TAILQ_FOREACH(w, &all->list, entry)
		if (w->generation != all->master->generation)
			drain(w, true);
	TAILQ_FOREACH(w, &all->list, entry)
		if (w->tired)
			replace(w);
}

static void
on_ready(struct worker *w)
{
	struct hb_workers *all = w->all;

	if (w->state != HB_WORKER_STARTING)
		return;
	set_state(w, HB_WORKER_READY);
	hb_info("worker %u: ready, process %d", w->index, (int)w->process.pid);
	if (w->replaces != NULL) {
		drain(w->replaces, true);
		w->replaces->replacement = NULL;
		w->replaces = NULL;
	}
	if (w->generation == all->next) {
		if (count_ready(all, w->generation) == w->generation->config->workers)
			change_over(all);
	} else if (!all->was_ready && hb_workers_ready(all) == all->master->generation->config->workers) {
		all->was_ready = true;
		hb_master_workers_ready(all->master);
	}
}

static void
on_said(void *arg, char word)
{
	struct worker *w = arg;

	if (word == 'R')
		on_ready(w);
	else if (w->state == HB_WORKER_READY && !w->tired) {
		w->tired = true;
		replace(w);
	}
}

/* A worker of this generation, behind all others of its index; NULL with err. */
static struct worker *
add(struct hb_workers *all, struct hb_generation *g, unsigned index, struct hb_error *err)
{
	struct worker *w = hb_xcalloc(1, sizeof *w), *before;

	w->all = all;
	w->index = index;
	w->generation = g;
	hb_process_init(&w->process, index, on_said, w);
	w->state = HB_WORKER_BACKOFF;
	w->timer = evtimer_new(all->master->base, start_again, w);
	if (w->timer == NULL || hb_slots_take(&all->slots, &w->slot) == -1) {
		hb_error_set(err, HB_ERROR_LIMIT, "there are too many workers: %d, those that still drain included",
		    HB_WORKER_SLOTS);
		if (w->timer != NULL)
			event_free(w->timer);
		free(w);
		return NULL;
	}
	TAILQ_FOREACH_REVERSE(before, &all->list, worker_list, entry)
		if (before->index <= index)
			break;
	if (before != NULL)
		TAILQ_INSERT_AFTER(&all->list, before, w, entry);
	else
		TAILQ_INSERT_HEAD(&all->list, w, entry);
	return w;
}

/* Another is started in its place, unless a reload does that anyway. */
static void
replace(struct worker *old)
{
	struct hb_workers *all = old->all;
	struct worker *w;
	struct hb_error err;

	if (old->state != HB_WORKER_READY || old->replacement != NULL || all->next != NULL ||
	    old->generation != all->master->generation || all->master->state != HB_MASTER_READY)
		return;
	w = add(all, old->generation, old->index, &err);
	if (w == NULL) {
		hb_err("worker %u: cannot be replaced: %s", old->index, err.text);
		return;
	}
	hb_info("worker %u: process %d is to be replaced", old->index, (int)old->process.pid);
	w->replaces = old;
	old->replacement = w;
	start(w);
}

static void
start_again(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	if (w->state == HB_WORKER_DRAINING) {
		hb_warn("worker %u: requests, or threads of the application, were still running after timeouts.graceful; "
			"killing process %d", w->index, (int)w->process.pid);
		(void)kill(w->process.pid, SIGKILL);
		return;
	}
	w->restarts++;
	if (w->waits || w->stale)
		w->crashes = 0;
	w->waits = w->stale = false;
	start(w);
}

/* 0, or the exit status of one that will not get better. */
static int
hopeless(struct worker *w, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;

	if (w->state != HB_WORKER_STARTING)
		return 0;
	if (code >= EX__BASE && code <= EX__MAX)
		return code;
	return ++w->crashes >= START_TRIES ? EX_SOFTWARE : 0;
}

/* It has ended in the middle of a reload, before all of its generation were ready. */
static void
on_exit_of_next(struct worker *w, int status, pid_t pid, const char *how)
{
	struct hb_error err;

	if (hopeless(w, status) == 0) {
		hb_warn("worker %u: process %d ended: %s; starting another", w->index, (int)pid, how);
		schedule_start(w);
		return;
	}
	hb_error_set(&err, HB_ERROR_APPLICATION, "worker %u cannot start: %s", w->index,
	    w->process.words[0] != '\0' ? w->process.words : how);
	hb_workers_give_up(w->all);
	hb_reload_failed(w->all->master->reload, &err);
}

/* Who watches his sources is about to mend them. */
static void
wait_for_change(struct worker *w, const char *how)
{
	struct hb_error err;

	set_state(w, HB_WORKER_BACKOFF);
	w->waits = true;
	hb_error_set(&err, HB_ERROR_APPLICATION, "worker %u cannot start: %s", w->index,
	    w->process.words[0] != '\0' ? w->process.words : how);
	hb_reload_unready(w->all->master->reload, &err);
}

static void
on_exit_of(struct worker *w, pid_t pid, int status)
{
	struct hb_workers *all = w->all;
	char how[HB_EXIT_TEXT];
	int end_status;

	hb_exit_text(status, how);
	hb_slots_rest(&all->slots, w->slot);
	if (w->state == HB_WORKER_DRAINING || w->replacement != NULL) {
		hb_info("worker %u: process %d ended: %s", w->index, (int)pid, how);
		retire(w);
		hb_master_gone(all->master);
		return;
	}
	if (w->generation == all->next) {
		on_exit_of_next(w, status, pid, how);
		return;
	}
	end_status = all->was_ready ? 0 : hopeless(w, status);
	if (end_status == EX_SOFTWARE && all->master->watch != NULL) {
		if (w->stale)
			start_again(-1, 0, w);
		else
			wait_for_change(w, how);
		return;
	}
	if (end_status != 0) {
		hb_err("worker %u: cannot start (process %d: %s)", w->index, (int)pid, how);
		retire(w);
		hb_master_fail(all->master, end_status);
		return;
	}
	w->tired = false;
	schedule_start(w);
	hb_warn("worker %u: process %d ended: %s; starting another", w->index, (int)pid, how);
}

void
hb_workers_reap(struct hb_workers *all)
{
	struct worker *w;
	int status;

	TAILQ_FOREACH(w, &all->list, entry) {
		pid_t pid = w->process.pid;

		if (hb_process_reap(&w->process, &status))
			on_exit_of(w, pid, status);
	}
	sweep(all);
}

struct hb_workers *
hb_workers_new(struct hb_master *m, bool uncached)
{
	static const char *const none[] = {NULL};
	struct hb_workers *all = hb_xcalloc(1, sizeof *all);

	all->master = m;
	TAILQ_INIT(&all->list);
	hb_slots_init(&all->slots, m->shared);
	/* Programs that the application starts find this daemon. */
	all->envp = hb_environ_set(hb_environ_without(environ, none), "HORNBEAM_SOCKET", m->config->control.socket);
	if (uncached)
		all->envp = hb_environ_set(all->envp, "PYTHONDONTWRITEBYTECODE", "1");
	return all;
}

void
hb_workers_free(struct hb_workers *all)
{
	if (all == NULL)
		return;
	while (!TAILQ_EMPTY(&all->list))
		free_worker(TAILQ_FIRST(&all->list));
	hb_environ_free(all->envp);
	free(all);
}

static int
start_all(struct hb_workers *all, struct hb_generation *g, struct hb_error *err)
{
	for (unsigned i = 0; i < g->config->workers; i++) {
		struct worker *w = add(all, g, i, err);

		if (w == NULL)
			return -1;
		start(w);
	}
	return 0;
}

void
hb_workers_start(struct hb_workers *all)
{
	struct hb_error err;

	if (start_all(all, all->master->generation, &err) == -1) {
		hb_err("%s", err.text);
		hb_master_fail(all->master, EX_OSERR);
	}
}

bool
hb_workers_try_again(struct hb_workers *all)
{
	struct worker *w;
	bool waited = true;

	TAILQ_FOREACH(w, &all->list, entry) {
		waited = waited && w->waits;
		w->stale = !w->waits;
		if (w->waits)
			start_again(-1, 0, w);
	}
	return waited;
}

void
hb_workers_renew(struct hb_workers *all, struct hb_generation *next)
{
	struct hb_error err;

	sweep(all);
	all->next = next;
	if (start_all(all, next, &err) == -1) {
		hb_workers_give_up(all);
		hb_reload_failed(all->master->reload, &err);
	}
}

void
hb_workers_give_up(struct hb_workers *all)
{
	struct hb_generation *next = all->next;
	struct worker *w;

	all->next = NULL;
	TAILQ_FOREACH(w, &all->list, entry)
		if (next != NULL && w->generation == next)
			end(w);
	TAILQ_FOREACH(w, &all->list, entry)
		if (w->tired)
			replace(w);
}

void
hb_workers_drain(struct hb_workers *all)
{
	struct worker *w;

	TAILQ_FOREACH(w, &all->list, entry)
		drain(w, false);
}

void
hb_workers_kill(struct hb_workers *all)
{
	struct worker *w;

	TAILQ_FOREACH(w, &all->list, entry)
		end(w);
}

void
hb_workers_reopen_logs(struct hb_workers *all)
{
	struct worker *w;

	TAILQ_FOREACH(w, &all->list, entry)
		if (w->state == HB_WORKER_READY) /* before, it would die of the signal */
			(void)kill(w->process.pid, SIGUSR1);
}

bool
hb_workers_gone(const struct hb_workers *all)
{
	const struct worker *w;

	TAILQ_FOREACH(w, &all->list, entry)
		if (w->state != HB_WORKER_GONE)
			return false;
	return true;
}

size_t
hb_workers_ready(const struct hb_workers *all)
{
	return count_ready(all, all->master->generation);
}

uint64_t
hb_workers_restarts(const struct hb_workers *all)
{
	const struct worker *w;
	uint64_t sum = all->past.restarts;

	TAILQ_FOREACH(w, &all->list, entry)
		sum += w->restarts;
	return sum;
}

const struct hb_worker_past *
hb_workers_past(const struct hb_workers *all)
{
	return &all->past;
}

struct hb_worker_info *
hb_workers_list(const struct hb_workers *all, size_t *count)
{
	const struct worker *w;
	struct hb_worker_info *infos;
	size_t n = 0;

	TAILQ_FOREACH(w, &all->list, entry)
		n += w->state != HB_WORKER_GONE;
	*count = n;
	infos = hb_xcalloc(n + 1, sizeof *infos);
	n = 0;
	TAILQ_FOREACH(w, &all->list, entry)
		if (w->state != HB_WORKER_GONE)
			infos[n++] = (struct hb_worker_info){
			    .index = w->index,
			    .slot = w->slot,
			    .pid = w->process.pid > 0 ? w->process.pid : 0,
			    .state = w->state,
			    .uptime_ms = w->process.pid > 0 ? hb_clock_ms() - w->process.started_ms : 0,
			    .restarts = w->restarts,
			};
	return infos;
}
