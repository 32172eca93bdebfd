/*
 * Jobs between the loop and its threads: see jobs.h.
 *
 * One lock guards everything, and whoever sleeps says so under it: a thread by
 * standing in the stack of the idle, the owner by `asleep`.  Who adds a job
 * looks at that in the same critical section: so either the sleeper saw the
 * job before it slept, or the giver sees the sleeper and wakes it.  It takes
 * the sleeper's mark away as it wakes it, so that nobody is woken twice.
 *
 * What is not woken at once: the owner while its jobs are short and more of
 * them wait, since eight that come back together cost one pass of the loop; a
 * second thread for jobs that are short.  For both the owner comes by itself
 * in a moment (hb_jobs_nudge) as long as anything waits.
 */
#include "worker/jobs.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/str.h"

enum { BACK_MOST = 8 };

struct thread {
	pthread_cond_t wake;
	bool idle;                /* in the stack of the idle */
	struct thread *below;     /* in that stack */
	struct hb_job_list own;   /* jobs for this thread alone */
};

struct hb_jobs {
	pthread_mutex_t lock;
	int fd;
	bool asleep;              /* the owner waits for fd */
	bool spread;
	bool stopped;
	struct hb_job_list in;    /* for any thread */
	size_t in_count;
	struct hb_job_list back;
	size_t back_count;
	uint64_t taken;           /* from in */
	uint64_t nudged;          /* taken, when the owner last nudged */
	struct thread *idle;      /* the last to fall idle is the first to work: its caches are warm */
	unsigned count;
	struct thread threads[];
};

struct hb_jobs *
hb_jobs_new(unsigned threads)
{
	struct hb_jobs *j = hb_xcalloc(1, sizeof *j + threads * sizeof *j->threads);

	j->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (j->fd == -1) {
		free(j);
		return NULL;
	}
	pthread_mutex_init(&j->lock, NULL);
	TAILQ_INIT(&j->in);
	TAILQ_INIT(&j->back);
	j->count = threads;
	for (unsigned i = 0; i < threads; i++) {
		pthread_cond_init(&j->threads[i].wake, NULL);
		TAILQ_INIT(&j->threads[i].own);
	}
	return j;
}

void
hb_jobs_free(struct hb_jobs *j)
{
	if (j == NULL)
		return;
	for (unsigned i = 0; i < j->count; i++)
		pthread_cond_destroy(&j->threads[i].wake);
	pthread_mutex_destroy(&j->lock);
	hb_fd_close(&j->fd);
	free(j);
}

int
hb_jobs_fd(const struct hb_jobs *j)
{
	return j->fd;
}

static void
wake(struct hb_jobs *j, struct thread *t)
{
	struct thread **at = &j->idle;

	while (*at != t)
		at = &(*at)->below;
	*at = t->below;
	t->idle = false;
	pthread_cond_signal(&t->wake);
}

static void
wake_some(struct hb_jobs *j, size_t most)
{
	while (most-- > 0 && j->idle != NULL)
		wake(j, j->idle);
}

/* A thread that runs takes what is short when it is done with its own. */
static bool
somebody_runs(const struct hb_jobs *j)
{
	for (unsigned i = 0; i < j->count; i++)
		if (!j->threads[i].idle)
			return true;
	return false;
}

void
hb_jobs_give(struct hb_jobs *j, struct hb_job_list *batch, bool spread)
{
	struct hb_job *job;
	size_t n = 0;

	pthread_mutex_lock(&j->lock);
	while ((job = TAILQ_FIRST(batch)) != NULL) {
		TAILQ_REMOVE(batch, job, entry);
		job->waiting = true;
		if (job->thread != HB_JOB_ANYWHERE) {
			struct thread *t = &j->threads[job->thread];

			TAILQ_INSERT_TAIL(&t->own, job, entry);
			if (t->idle)
				wake(j, t);
		} else {
			TAILQ_INSERT_TAIL(&j->in, job, entry);
			n++;
		}
	}
	j->in_count += n;
	j->spread = spread;
	if (spread)
		wake_some(j, n);
	else if (n > 0 && !somebody_runs(j))
		wake_some(j, 1);
	pthread_mutex_unlock(&j->lock);
}

enum hb_jobs_pace
hb_jobs_nudge(struct hb_jobs *j)
{
	enum hb_jobs_pace pace = HB_JOBS_QUIET;

	pthread_mutex_lock(&j->lock);
	if (j->in_count > 0 && !j->spread) {
		pace = j->taken == j->nudged ? HB_JOBS_STUCK : HB_JOBS_MOVING;
		if (pace == HB_JOBS_STUCK) {
			j->spread = true;
			wake_some(j, j->in_count);
		}
	}
	j->nudged = j->taken;
	pthread_mutex_unlock(&j->lock);
	return pace;
}

void
hb_jobs_collect(struct hb_jobs *j, struct hb_job_list *done)
{
	pthread_mutex_lock(&j->lock);
	TAILQ_CONCAT(done, &j->back, entry);
	j->back_count = 0;
	j->asleep = false;
	pthread_mutex_unlock(&j->lock);
}

bool
hb_jobs_sleep(struct hb_jobs *j)
{
	bool empty;

	pthread_mutex_lock(&j->lock);
	empty = TAILQ_EMPTY(&j->back);
	j->asleep = empty;
	pthread_mutex_unlock(&j->lock);
	return empty;
}

bool
hb_jobs_withdraw(struct hb_jobs *j, struct hb_job *job)
{
	bool waiting;

	pthread_mutex_lock(&j->lock);
	waiting = job->waiting;
	if (waiting && job->thread != HB_JOB_ANYWHERE)
		TAILQ_REMOVE(&j->threads[job->thread].own, job, entry);
	else if (waiting) {
		TAILQ_REMOVE(&j->in, job, entry);
		j->in_count--;
	}
	job->waiting = false;
	pthread_mutex_unlock(&j->lock);
	return waiting;
}

void
hb_jobs_stop(struct hb_jobs *j)
{
	pthread_mutex_lock(&j->lock);
	j->stopped = true;
	wake_some(j, j->count);
	pthread_mutex_unlock(&j->lock);
}

static struct hb_job *
pick(struct hb_jobs *j, struct thread *t)
{
	struct hb_job *job = TAILQ_FIRST(&t->own);

	if (j->stopped)
		return NULL;
	if (job != NULL)
		TAILQ_REMOVE(&t->own, job, entry);
	else if ((job = TAILQ_FIRST(&j->in)) != NULL) {
		TAILQ_REMOVE(&j->in, job, entry);
		j->in_count--;
		j->taken++;
	} else
		return NULL;
	job->thread = (int)(t - j->threads);
	job->waiting = false;
	return job;
}

void
hb_jobs_tell(struct hb_jobs *j)
{
	const uint64_t one = 1;

	/* It cannot fail but where the counter is full: then the owner is awake. */
	(void)!write(j->fd, &one, sizeof one);
}

struct hb_job *
hb_jobs_next(struct hb_jobs *j, unsigned thread, struct hb_job *done, bool wait)
{
	struct thread *t = &j->threads[thread];
	struct hb_job *job;

	pthread_mutex_lock(&j->lock);
	if (done != NULL) {
		TAILQ_INSERT_TAIL(&j->back, done, entry);
		j->back_count++;
	}
	job = pick(j, t);
	if (j->asleep && !TAILQ_EMPTY(&j->back) && (job == NULL || j->spread || j->back_count >= BACK_MOST)) {
		j->asleep = false;
		pthread_mutex_unlock(&j->lock);
		hb_jobs_tell(j);
		pthread_mutex_lock(&j->lock);
		if (job == NULL)
			job = pick(j, t);
	}
	while (job == NULL && wait && !j->stopped) {
		t->idle = true;
		t->below = j->idle;
		j->idle = t;
		while (t->idle)
			pthread_cond_wait(&t->wake, &j->lock);
		job = pick(j, t);
	}
	pthread_mutex_unlock(&j->lock);
	return job;
}
