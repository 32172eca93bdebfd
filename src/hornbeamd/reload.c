/* Reloading: see reload.h. */
#include "hornbeamd/reload.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"
#include "hornbeamd/checks.h"
#include "hornbeamd/companion.h"
#include "hornbeamd/generation.h"
#include "hornbeamd/limits.h"
#include "hornbeamd/master.h"
#include "hornbeamd/notify.h"
#include "hornbeamd/options.h"
#include "hornbeamd/watch.h"
#include "hornbeamd/workers.h"

/* Keys, or sections, of what is there once and for all: the companion, the sockets of the master, its user. */
static const char *const fixed[] = {"control.", "erlang.", "state.", "user", "group", NULL};
/* Those that the companion is told of. */
static const char *const told[] = {"erlang.connect", "functions", "hooks.", "pubsub.", "rpc.", "log.level", NULL};

struct hb_reload_wait {
	TAILQ_ENTRY(hb_reload_wait) entry;
	int64_t within_ms;
	hb_reload_done *done; /* NULL: nobody waits */
	void *arg;
};
TAILQ_HEAD(waits, hb_reload_wait);

struct hb_reload {
	struct hb_master *master;
	const struct hb_options *options;
	struct waits now;   /* wait for the reload under way */
	struct waits later; /* for the one behind it */
	struct hb_generation *next; /* NULL: none is under way */
	uint64_t asked;             /* number of the last question to the companion */
	bool asking;                /* its answer is awaited */
	bool changed;               /* it has what is not in force yet */
	struct event *begin;
	struct event *deadline;
	int64_t within_ms;
	int64_t began;
};

static bool
is_in(const char *const *list, const char *path)
{
	for (const char *const *p = list; *p != NULL; p++) {
		size_t len = strlen(*p);

		if ((*p)[len - 1] == '.' ? strncmp(path, *p, len) == 0 : strcmp(path, *p) == 0)
			return true;
	}
	return false;
}

static bool
concerns_companion(const struct hb_config *now, const struct hb_config *next)
{
	const char *path;

	for (size_t i = 0; (path = hb_config_difference(now, next, &i)) != NULL;)
		if (is_in(told, path))
			return true;
	return false;
}

static int
check_fixed(const struct hb_config *now, const struct hb_config *next, const char *file, struct hb_error *err)
{
	const char *path;

	for (size_t i = 0; (path = hb_config_difference(now, next, &i)) != NULL;)
		if (is_in(fixed, path) && !is_in(told, path))
			return hb_error_set(err, HB_ERROR_CONFIG, "%s%s%s: cannot change at a reload; restart hornbeamd",
			    file != NULL ? file : "", file != NULL ? ": " : "", path);
	return 0;
}

static struct hb_generation *
prepare(struct hb_reload *r, struct hb_error *err)
{
	struct hb_master *m = r->master;
	const char *file;
	struct hb_config *config = hb_options_load(r->options, &file, err);
	struct hb_generation *next = NULL;

	if (config != NULL && check_fixed(m->config, config, file, err) == 0 &&
	    hb_check_applications(config, file, err) == 0 &&
	    hb_check_companion(config, file, r->options->attached, err) == 0)
		next = hb_generation_new(config, m->generation, &m->identity, err);
	if (next == NULL)
		hb_config_free(config);
	return next;
}

/* Tells the companion without waiting; one that does not run reads the configuration when it starts. */
static void
tell_companion(struct hb_reload *r, const struct hb_config *config)
{
	struct hb_error err;

	if (r->changed && hb_companion_reload(r->master->companion, config, 0, &err) == -1)
		hb_info("reload: %s", err.text);
	r->asking = r->changed = false;
}

/* Asks the companion whether it can do with the next configuration, where that concerns it. */
static int
ask_companion(struct hb_reload *r, struct hb_error *err)
{
	int result;

	r->asking = r->changed = false;
	if (!concerns_companion(r->master->config, r->next->config))
		return 0;
	result = hb_companion_reload(r->master->companion, r->next->config, ++r->asked, err);
	r->asking = r->changed = result == 1;
	return result == -1 ? -1 : 0;
}

static void
call_all(struct hb_reload *r, struct waits *from, const struct hb_error *err)
{
	struct hb_reload_wait *wait;

	while ((wait = TAILQ_FIRST(from)) != NULL) {
		TAILQ_REMOVE(from, wait, entry);
		if (wait->done != NULL)
			wait->done(wait->arg, err);
		free(wait);
	}
}

static void
over(struct hb_reload *r, const struct hb_error *err)
{
	r->next = NULL;
	event_del(r->deadline);
	if (err != NULL)
		hb_err("reload: refused, the old configuration and its workers stay: %s", err->text);
	else
		hb_info("reload: done after %lld ms: %u worker%s", (long long)(hb_clock_ms() - r->began),
		    r->master->config->workers, r->master->config->workers == 1 ? "" : "s");
	if (r->master->state == HB_MASTER_READY)
		hb_notify(err != NULL ? "READY=1\nSTATUS=serving; the last reload failed" : "READY=1\nSTATUS=serving");
	call_all(r, &r->now, err);
	if (!TAILQ_EMPTY(&r->later))
		event_active(r->begin, EV_TIMEOUT, 0);
}

static void
tell_manager(void)
{
	struct timespec now;
	char *text;

	clock_gettime(CLOCK_MONOTONIC, &now);
	text = hb_xasprintf("RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reloading",
	    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	hb_notify(text);
	free(text);
}

static void
on_begin(evutil_socket_t fd, short what, void *arg)
{
	struct hb_reload *r = arg;
	struct hb_reload_wait *wait;
	struct hb_error err;
	struct timeval tv;

	if (r->next != NULL || TAILQ_EMPTY(&r->later))
		return;
	if (r->master->state == HB_MASTER_STARTING)
		(void)hb_workers_try_again(r->master->workers);
	if (r->master->state != HB_MASTER_READY)
		return;
	TAILQ_CONCAT(&r->now, &r->later, entry);
	r->within_ms = 0;
	TAILQ_FOREACH(wait, &r->now, entry)
		if (wait->within_ms > r->within_ms)
			r->within_ms = wait->within_ms;
	r->began = hb_clock_ms();
	hb_info("reload: begins");
	tell_manager();
	r->next = prepare(r, &err);
	if (r->next == NULL) {
		over(r, &err);
		return;
	}
	hb_limits_apply(r->next->config);
	tv = (struct timeval){r->within_ms / 1000, r->within_ms % 1000 * 1000};
	evtimer_add(r->deadline, &tv);
	if (ask_companion(r, &err) == -1)
		hb_reload_failed(r, &err);
	else if (!r->asking)
		hb_workers_renew(r->master->workers, r->next);
}

/* Nothing of the next generation is left. */
static void
drop_next(struct hb_reload *r)
{
	struct hb_generation *next = r->next;

	hb_workers_give_up(r->master->workers);
	hb_generation_free(next);
	r->next = NULL;
	tell_companion(r, r->master->config);
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct hb_reload *r = arg;
	struct hb_error err;

	drop_next(r);
	hb_error_set(&err, HB_ERROR_TIMEOUT, "the new workers were not ready within %lld ms", (long long)r->within_ms);
	over(r, &err);
}

struct hb_reload *
hb_reload_new(struct hb_master *m, const struct hb_options *options)
{
	struct hb_reload *r = hb_xcalloc(1, sizeof *r);

	r->master = m;
	r->options = options;
	TAILQ_INIT(&r->now);
	TAILQ_INIT(&r->later);
	r->begin = evtimer_new(m->base, on_begin, r);
	r->deadline = evtimer_new(m->base, on_deadline, r);
	if (r->begin != NULL && r->deadline != NULL)
		return r;
	hb_reload_free(r);
	return NULL;
}

void
hb_reload_free(struct hb_reload *r)
{
	struct hb_error err;

	if (r == NULL)
		return;
	hb_error_set(&err, HB_ERROR_DOWN, "hornbeamd has stopped");
	call_all(r, &r->now, &err);
	call_all(r, &r->later, &err);
	if (r->begin != NULL)
		event_free(r->begin);
	if (r->deadline != NULL)
		event_free(r->deadline);
	free(r);
}

struct hb_reload_wait *
hb_reload_ask(struct hb_reload *r, int64_t within_ms, hb_reload_done *done, void *arg)
{
	struct hb_reload_wait *wait;

	if (done == NULL) /* once is enough where nobody waits */
		TAILQ_FOREACH(wait, &r->later, entry)
			if (wait->done == NULL && wait->within_ms >= within_ms)
				return NULL;
	wait = hb_xcalloc(1, sizeof *wait);
	*wait = (struct hb_reload_wait){.within_ms = within_ms, .done = done, .arg = arg};
	TAILQ_INSERT_TAIL(&r->later, wait, entry);
	event_active(r->begin, EV_TIMEOUT, 0);
	return wait;
}

void
hb_reload_forget(struct hb_reload *r, struct hb_reload_wait *wait)
{
	if (wait != NULL)
		wait->done = NULL;
}

void
hb_reload_afresh(struct hb_reload *r)
{
	(void)hb_reload_ask(r, HB_RELOAD_MS, NULL, NULL);
	if (r->next == NULL)
		return;
	hb_info("reload: given up for another one");
	event_del(r->deadline);
	TAILQ_CONCAT(&r->later, &r->now, entry);
	drop_next(r);
}

void
hb_reload_unready(struct hb_reload *r, const struct hb_error *err)
{
	hb_err("%s; waiting for a change below python.path", err->text);
	call_all(r, &r->later, err);
}

void
hb_reload_begin(struct hb_reload *r)
{
	event_active(r->begin, EV_TIMEOUT, 0);
}

void
hb_reload_stop(struct hb_reload *r)
{
	struct hb_error err;

	hb_error_set(&err, HB_ERROR_APPLICATION, "hornbeamd is stopping");
	if (r->next != NULL) {
		drop_next(r);
		over(r, &err);
	}
	call_all(r, &r->later, &err);
}

void
hb_reload_ready(struct hb_reload *r)
{
	struct hb_master *m = r->master;
	struct hb_generation *old = m->generation;

	m->generation = r->next;
	m->config = r->next->config;
	tell_companion(r, m->config); /* again: it may have been started anew meanwhile */
	hb_generation_succeed(r->next, old);
	hb_log_open("hornbeamd", m->config->log.level);
	if (m->watch != NULL)
		hb_watch_roots(m->watch);
	over(r, NULL);
}

void
hb_reload_failed(struct hb_reload *r, const struct hb_error *err)
{
	hb_generation_free(r->next);
	tell_companion(r, r->master->config);
	over(r, err);
}

void
hb_reload_told(struct hb_reload *r, uint64_t number, const struct hb_error *err)
{
	if (!r->asking || number != r->asked)
		return;
	r->asking = false;
	if (err == NULL) {
		hb_workers_renew(r->master->workers, r->next);
		return;
	}
	r->changed = false;
	hb_reload_failed(r, err);
}

void
hb_reload_companion_gone(struct hb_reload *r)
{
	struct hb_error err;

	if (!r->asking)
		return;
	r->asking = r->changed = false;
	hb_error_set(&err, HB_ERROR_DOWN, "the companion has ended meanwhile");
	hb_reload_failed(r, &err);
}
