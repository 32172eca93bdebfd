/*
 * Requests on threads: see pool.h.  jobs.c moves them; here is what a thread
 * does with one, and what the loop does when it comes back.
 */
#include "worker/pool.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/str.h"
#include "worker/hooks.h"
#include "worker/overdue.h"
#include "worker/respond.h"
#include "worker/state.h"

enum {
	NUDGE_MICROSECONDS = 2000,
	LENGTHY_MICROSECONDS = 300, /* a call that is looked at more closely: does it wait for something? */
	SPREAD_MS = 5000,           /* how long calls are expected to wait once one did */
	END_MS = 1000               /* for threads to end in */
};

struct hb_pool_thread {
	struct hb_pool *pool;
	unsigned number;
	int64_t began; /* the call under way, microseconds */
	struct hb_http_date date;
	struct hb_watched watched;
};

struct hb_pool {
	struct hb_worker *worker;
	struct hb_jobs *jobs;
	struct event back;
	struct event nudge;
	struct hb_job_list batch;
	size_t load;
	bool forked;
	pthread_mutex_t lock; /* of alive */
	pthread_cond_t ended;
	unsigned alive;
	unsigned count;
	struct hb_pool_thread threads[];
};

static struct hb_conn *
conn_of(struct hb_job *job)
{
	return (struct hb_conn *)((uintptr_t)job - offsetof(struct hb_conn, job));
}

static struct hb_worker_app *
app_of(const struct hb_conn *c)
{
	return &c->worker->apps[c->app];
}

struct hb_pool_thread *
hb_pool_thread(struct hb_pool *p, unsigned i)
{
	return &p->threads[i];
}

struct hb_watched *
hb_pool_watched(struct hb_pool_thread *t)
{
	return &t->watched;
}

void
hb_pool_wake_loop(struct hb_pool *p)
{
	hb_jobs_tell(p->jobs);
}

const char *
hb_pool_date(struct hb_pool_thread *t)
{
	return hb_http_date(&t->date, time(NULL));
}

bool
hb_pool_is_slow(const struct hb_conn *c)
{
	int64_t now = hb_clock_us();

	return now - c->thread->began > LENGTHY_MICROSECONDS || atomic_load(&app_of(c)->spread_until) > now / 1000;
}

static int64_t
processor_time(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/*
 * Whether the application waits for something in its calls decides how the
 * next ones are spread.  The processor's time costs a system call: it is
 * asked for where the call before was long.
 */
static void
judge(struct hb_worker_app *app, int64_t took, int64_t worked)
{
	int64_t now = hb_clock_ms();

	atomic_store_explicit(&app->lengthy, took > LENGTHY_MICROSECONDS, memory_order_relaxed);
	/* While calls are spread they wait for each other too: that says nothing. */
	if (worked >= 0 && took - worked > LENGTHY_MICROSECONDS &&
	    atomic_load_explicit(&app->spread_until, memory_order_relaxed) < now)
		atomic_store_explicit(&app->spread_until, now + SPREAD_MS, memory_order_relaxed);
}

static void
run(struct hb_pool_thread *t, struct hb_conn *c)
{
	struct hb_worker_app *app = app_of(c);
	bool closely = atomic_load_explicit(&app->lengthy, memory_order_relaxed);
	int64_t before = closely ? processor_time() : 0;

	t->began = hb_clock_us();
	c->thread = t;
	hb_overdue_begin(c);
	c->paused = hb_py_run(c->worker->py, &c->request) == HB_PY_PAUSED;
	if (t->pool->forked)
		_exit(EX_OK);
	hb_overdue_end(c);
	judge(app, hb_clock_us() - t->began, closely ? processor_time() - before : -1);
}

/*
 * The GIL is kept from one request to the next while there is one: only a
 * thread that runs out of work gives it up by itself.
 */
static void
work(struct hb_pool_thread *t)
{
	struct hb_jobs *jobs = t->pool->jobs;
	struct hb_job *done = NULL;
	bool entered = false;

	for (;;) {
		struct hb_job *job = hb_jobs_next(jobs, t->number, done, !entered);

		done = NULL;
		if (job == NULL && !entered)
			return;
		if (job == NULL || !entered)
			(job == NULL ? hb_py_thread_leave : hb_py_thread_enter)();
		entered = job != NULL;
		if (job != NULL) {
			run(t, conn_of(job));
			done = job;
		}
	}
}

static void
thread_main(void *arg)
{
	struct hb_pool_thread *t = arg;
	struct hb_pool *p = t->pool;

	work(t);
	pthread_mutex_lock(&p->lock);
	p->alive--;
	pthread_cond_signal(&p->ended);
	pthread_mutex_unlock(&p->lock);
}

static void
on_back(int fd, short what, void *arg)
{
	struct hb_worker *w = arg;
	uint64_t n;

	hb_worker_wake(w);
	(void)!read(fd, &n, sizeof n); /* the exchange behind the wait does the rest */
}

static void
on_nudge(int fd, short what, void *arg)
{
	static const struct timeval moment = {0, NUDGE_MICROSECONDS};
	struct hb_worker *w = arg;

	hb_worker_wake(w);
	if (hb_jobs_nudge(w->pool->jobs) == HB_JOBS_MOVING)
		event_add(&w->pool->nudge, &moment);
}

static struct hb_pool *
pool_new(struct hb_worker *w, unsigned threads)
{
	struct hb_pool *p = hb_xcalloc(1, sizeof *p + threads * sizeof *p->threads);
	pthread_condattr_t attr;

	p->worker = w;
	p->jobs = hb_jobs_new(threads);
	if (p->jobs == NULL) {
		free(p);
		return NULL;
	}
	TAILQ_INIT(&p->batch);
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->ended, &attr);
	pthread_condattr_destroy(&attr);
	hb_own_add(&w->own, hb_jobs_fd(p->jobs));
	event_assign(&p->back, w->base, hb_jobs_fd(p->jobs), EV_READ | EV_PERSIST, on_back, w);
	event_add(&p->back, NULL);
	evtimer_assign(&p->nudge, w->base, on_nudge, w);
	return p;
}

int
hb_pool_start(struct hb_worker *w, struct hb_error *err)
{
	unsigned threads = w->config->threads;
	struct hb_pool *p = pool_new(w, threads);
	char name[32];

	if (p == NULL)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "worker: eventfd");
	w->pool = p;
	for (; p->count < threads; p->count++) {
		p->threads[p->count] = (struct hb_pool_thread){.pool = p, .number = p->count, .date = HB_HTTP_DATE_INIT};
		p->alive++;
		snprintf(name, sizeof name, "hornbeam-%u", p->count + 1);
		if (hb_py_thread_start(w->py, name, thread_main, &p->threads[p->count], err) == -1) {
			p->alive--;
			return -1;
		}
	}
	return 0;
}

static bool
wait_for_threads(struct hb_pool *p)
{
	struct timespec end;
	bool all;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += END_MS / 1000;
	pthread_mutex_lock(&p->lock);
	while (p->alive > 0 && pthread_cond_timedwait(&p->ended, &p->lock, &end) == 0)
		;
	all = p->alive == 0;
	if (!all)
		hb_warn("worker: %u requests were still running after timeouts.graceful", p->alive);
	pthread_mutex_unlock(&p->lock);
	return all;
}

bool
hb_pool_stop(struct hb_worker *w)
{
	struct hb_pool *p = w->pool;

	hb_jobs_stop(p->jobs);
	if (!wait_for_threads(p))
		return false;
	event_del(&p->back);
	event_del(&p->nudge);
	hb_jobs_free(p->jobs);
	pthread_cond_destroy(&p->ended);
	pthread_mutex_destroy(&p->lock);
	free(p);
	w->pool = NULL;
	return true;
}

void
hb_pool_add(struct hb_conn *c)
{
	struct hb_pool *p = c->worker->pool;

	if (c->request.call == NULL) {
		c->job.thread = HB_JOB_ANYWHERE;
		c->ended = HB_CONN_OPEN;
		c->streamed = false;
		atomic_store_explicit(&c->claim, HB_CONN_UNCLAIMED, memory_order_relaxed);
	}
	/* While its bytes waited to be looked at again, more may have come, with which they were looked at. */
	hb_conn_dequeue(c);
	c->pooled = true;
	hb_conn_set_state(c, HB_CONN_RUNNING);
	TAILQ_INSERT_TAIL(&p->batch, &c->job, entry);
	p->load++;
}

/* What the thread could not count, since only the loop writes the counters. */
static void
account(struct hb_conn *c)
{
	struct hb_worker_counters *counters = c->worker->counters;

	hb_count(&counters->bytes_out, c->uncounted);
	c->uncounted = 0;
	if (!c->paused && c->response.committed)
		hb_count(&counters->requests, 1);
}

static void
go_on(struct hb_conn *c)
{
	c->pooled = false;
	c->worker->pool->load--;
	account(c);
	if (atomic_load(&c->claim) == HB_CONN_OVERDUE) {
		c->response.status = 504; /* for the access log */
		c->gone = true;
	}
	if (c->doomed)
		c->gone = true;
	if (!c->paused)
		hb_respond_ended(c);
	else if (c->doomed)
		hb_pool_add(c); /* the application has to close() */
	else if (hb_hooks_wanted(c) && !c->gone)
		hb_hooks_ask(c);
	else {
		hb_conn_set_state(c, HB_CONN_PAUSED);
		hb_conn_watch_output(c);
	}
}

static void
take_back(struct hb_worker *w)
{
	struct hb_job_list done = TAILQ_HEAD_INITIALIZER(done);
	struct hb_job *job;

	hb_jobs_collect(w->pool->jobs, &done);
	if (TAILQ_EMPTY(&done))
		return;
	w->began = hb_clock_us();
	w->now = w->began / 1000;
	while ((job = TAILQ_FIRST(&done)) != NULL) {
		TAILQ_REMOVE(&done, job, entry);
		go_on(conn_of(job));
	}
}

static void
hand_over(struct hb_worker *w)
{
	static const struct timeval moment = {0, NUDGE_MICROSECONDS};
	struct hb_pool *p = w->pool;
	struct hb_job *job;
	bool spread = false;

	TAILQ_FOREACH(job, &p->batch, entry)
		spread = spread || atomic_load(&app_of(conn_of(job))->spread_until) > w->now;
	hb_jobs_give(p->jobs, &p->batch, spread);
	if (!spread && !evtimer_pending(&p->nudge, NULL))
		event_add(&p->nudge, &moment);
}

void
hb_pool_exchange(struct hb_worker *w)
{
	hb_overdue_check(w);
	take_back(w);
	if (!TAILQ_EMPTY(&w->pool->batch))
		hand_over(w);
	atomic_store_explicit(&w->counters->active, (uint32_t)w->pool->load, memory_order_relaxed);
}

bool
hb_pool_may_sleep(struct hb_worker *w)
{
	return TAILQ_EMPTY(&w->pool->batch) && hb_jobs_sleep(w->pool->jobs);
}

size_t
hb_pool_load(const struct hb_worker *w)
{
	return w->pool->load;
}

void
hb_pool_time_out(struct hb_conn *c)
{
	struct hb_pool *p = c->worker->pool;
	char what[HB_CONN_REQUEST_TEXT];

	if (!hb_jobs_withdraw(p->jobs, &c->job))
		return;
	p->load--;
	c->pooled = false;
	hb_conn_request_text(c, what);
	hb_err("app: %s: no thread was free in time", what);
	hb_conn_answer(c, 503, "the server is busy", true);
}

void
hb_pool_forked(struct hb_pool *p)
{
	if (p != NULL)
		p->forked = true;
}
