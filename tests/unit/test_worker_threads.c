/*
 * What the worker's threads share, without Python and connections: jobs that
 * go to threads and come back, and the watchdog.  tests/tsan.sh runs it under
 * ThreadSanitizer.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "unit.h"
#include "worker/conn.h"
#include "worker/jobs.h"
#include "worker/watchdog.h"

enum { THREADS = 4, JOBS = 200, ROUNDS = 300, DEADLINE_MS = 10000 };

struct work {
	struct hb_job job;
	unsigned runs;
	int ran_on;
};

struct crew {
	struct hb_jobs *jobs;
	unsigned number;
	pthread_t thread;
};

/* All that the watchdog wants of a connection. */
void
hb_conn_request_text(const struct hb_conn *c, char out[HB_CONN_REQUEST_TEXT])
{
	strcpy(out, (const char *)c);
}

static void *
crew_main(void *arg)
{
	struct crew *c = arg;
	struct hb_job *done = NULL;
	bool busy = false;

	for (;;) {
		struct work *w = (struct work *)hb_jobs_next(c->jobs, c->number, done, !busy);

		done = NULL;
		if (w == NULL && !busy)
			return NULL;
		busy = w != NULL;
		if (w == NULL)
			continue;
		w->runs++;
		w->ran_on = (int)c->number;
		done = &w->job;
	}
}

static void
start_crew(struct crew crew[THREADS], struct hb_jobs *jobs)
{
	for (unsigned i = 0; i < THREADS; i++) {
		crew[i] = (struct crew){.jobs = jobs, .number = i};
		ck_assert_int_eq(pthread_create(&crew[i].thread, NULL, crew_main, &crew[i]), 0);
	}
}

static void
stop_crew(struct crew crew[THREADS], struct hb_jobs *jobs)
{
	hb_jobs_stop(jobs);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(crew[i].thread, NULL);
	hb_jobs_free(jobs);
}

/* As the loop does: sleeps only where nothing has come back; a lost wake-up fails it. */
static void
collect(struct hb_jobs *jobs, size_t n)
{
	struct pollfd pfd = {hb_jobs_fd(jobs), POLLIN, 0};
	uint64_t count;

	while (n > 0) {
		struct hb_job_list done = TAILQ_HEAD_INITIALIZER(done);
		struct hb_job *job;

		if (hb_jobs_sleep(jobs)) {
			/* A moment is what the owner's timer would take. */
			int rc = poll(&pfd, 1, 2);

			ck_assert_int_ge(rc, 0);
			if (rc == 1)
				ck_assert_int_eq(read(pfd.fd, &count, sizeof count), sizeof count);
			(void)hb_jobs_nudge(jobs);
		}
		hb_jobs_collect(jobs, &done);
		TAILQ_FOREACH(job, &done, entry)
			n--;
	}
}

START_TEST(test_every_job_runs_once_and_comes_back)
{
	struct hb_jobs *jobs = hb_jobs_new(THREADS);
	static struct work work[JOBS];
	struct crew crew[THREADS];
	unsigned seed = 1;

	memset(work, 0, sizeof work);
	start_crew(crew, jobs);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct hb_job_list batch = TAILQ_HEAD_INITIALIZER(batch);
		unsigned n = 1 + (unsigned)rand_r(&seed) % JOBS;

		for (unsigned i = 0; i < n; i++) {
			/* Every third goes back to where it ran before. */
			work[i].job.thread = work[i].runs > 0 && i % 3 == 0 ? work[i].ran_on : HB_JOB_ANYWHERE;
			work[i].runs = 0;
			TAILQ_INSERT_TAIL(&batch, &work[i].job, entry);
		}
		for (unsigned i = 0; i < n; i++)
			if (work[i].job.thread != HB_JOB_ANYWHERE)
				ck_assert_int_eq(work[i].job.thread, work[i].ran_on);
		hb_jobs_give(jobs, &batch, round % 2 == 0);
		collect(jobs, n);
		for (unsigned i = 0; i < n; i++) {
			ck_assert_uint_eq(work[i].runs, 1);
			ck_assert_int_eq(work[i].job.thread, work[i].ran_on);
		}
	}
	stop_crew(crew, jobs);
}
END_TEST

START_TEST(test_a_job_stays_with_its_thread_and_wakes_the_owner)
{
	struct hb_jobs *jobs = hb_jobs_new(THREADS);
	struct pollfd pfd = {hb_jobs_fd(jobs), POLLIN, 0};
	struct work work = {.job = {.thread = HB_JOB_ANYWHERE}};
	struct crew crew[THREADS];

	start_crew(crew, jobs);
	for (int i = 0, thread = -1; i < 1000; i++) {
		struct hb_job_list batch = TAILQ_HEAD_INITIALIZER(batch), done = TAILQ_HEAD_INITIALIZER(done);
		uint64_t count;

		if (i == 0)
			work.job.thread = 2;
		thread = work.job.thread;
		TAILQ_INSERT_TAIL(&batch, &work.job, entry);
		hb_jobs_give(jobs, &batch, false);
		while (TAILQ_EMPTY(&done)) {
			/* Nothing else waits, so the owner is told of it without its timer. */
			if (hb_jobs_sleep(jobs)) {
				ck_assert_int_eq(poll(&pfd, 1, DEADLINE_MS), 1);
				ck_assert_int_eq(read(pfd.fd, &count, sizeof count), sizeof count);
			}
			hb_jobs_collect(jobs, &done);
		}
		ck_assert_int_eq(work.ran_on, thread);
	}
	stop_crew(crew, jobs);
}
END_TEST

START_TEST(test_what_no_thread_has_taken_can_be_withdrawn)
{
	struct hb_jobs *jobs = hb_jobs_new(1);
	struct work first = {.job = {.thread = HB_JOB_ANYWHERE}}, second = {.job = {.thread = 0}};
	struct hb_job_list batch = TAILQ_HEAD_INITIALIZER(batch);

	TAILQ_INSERT_TAIL(&batch, &first.job, entry);
	TAILQ_INSERT_TAIL(&batch, &second.job, entry);
	hb_jobs_give(jobs, &batch, false);
	ck_assert(hb_jobs_withdraw(jobs, &second.job));
	ck_assert(!hb_jobs_withdraw(jobs, &second.job));
	ck_assert_ptr_eq(hb_jobs_next(jobs, 0, NULL, false), &first.job);
	ck_assert(!hb_jobs_withdraw(jobs, &first.job));
	ck_assert_ptr_null(hb_jobs_next(jobs, 0, &first.job, false));
	hb_jobs_free(jobs);
}
END_TEST

struct yard {
	struct hb_watchdog *dog;
	struct hb_watched watched;
	_Atomic unsigned caught;
	pthread_t thread;
};

static struct yard yards[THREADS];

static void
on_caught(void *arg, struct hb_watched *watched, const char *request)
{
	for (unsigned i = 0; i < THREADS; i++)
		if (watched == &yards[i].watched)
			yards[i].caught++;
	ck_assert_str_eq(request, "GET /");
}

static void
look(struct hb_conn *c)
{
	ck_assert_str_eq((const char *)c, "GET /");
}

/* Many that end in time, and every hundredth that does not. */
static void *
yard_main(void *arg)
{
	struct yard *y = arg;
	char request[] = "GET /";

	for (unsigned i = 1; i <= 1000; i++) {
		bool late = i % 100 == 0;
		unsigned before = y->caught;
		int64_t end = hb_clock_ms() + DEADLINE_MS;

		hb_watch_begin(y->dog, &y->watched, (struct hb_conn *)(void *)request, hb_clock_us() + 60000000);
		if (late)
			hb_watch_extend(y->dog, &y->watched, hb_clock_us() + 200);
		while (late && y->caught == before && hb_clock_ms() < end)
			hb_watch_look(y->dog, &y->watched, look);
		hb_watch_end(y->dog, &y->watched);
	}
	return NULL;
}

START_TEST(test_the_watchdog_catches_what_is_late_and_nothing_else)
{
	struct hb_watched *all[THREADS];
	struct hb_watchdog *dog;

	for (unsigned i = 0; i < THREADS; i++)
		all[i] = &yards[i].watched;
	dog = hb_watchdog_new(all, THREADS, on_caught, NULL);
	ck_assert_ptr_nonnull(dog);
	for (unsigned i = 0; i < THREADS; i++) {
		yards[i].dog = dog;
		ck_assert_int_eq(pthread_create(&yards[i].thread, NULL, yard_main, &yards[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(yards[i].thread, NULL);
		ck_assert_uint_eq(yards[i].caught, 10);
	}
	hb_watchdog_free(dog);
}
END_TEST

static atomic_bool stopped;

static void *
busy_main(void *arg)
{
	struct yard *y = arg;

	for (unsigned i = 0, last = 0; last < 1000; i++) {
		hb_watch_begin(y->dog, &y->watched, NULL, hb_clock_us() + 60000000 - i);
		hb_watch_extend(y->dog, &y->watched, 1 + hb_clock_us() + 50000000);
		hb_watch_end(y->dog, &y->watched);
		last += atomic_load(&stopped);
	}
	return NULL;
}

START_TEST(test_threads_go_on_when_the_watchdog_has_stopped)
{
	struct yard y = {0};
	struct hb_watched *watched = &y.watched;

	y.dog = hb_watchdog_new(&watched, 1, on_caught, NULL);
	ck_assert_ptr_nonnull(y.dog);
	ck_assert_int_eq(pthread_create(&y.thread, NULL, busy_main, &y), 0);
	hb_watchdog_stop(y.dog);
	atomic_store(&stopped, true);
	pthread_join(y.thread, NULL);
	hb_watchdog_free(y.dog);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("worker threads");
	TCase *t = tcase_create("threads");

	tcase_add_test(t, test_every_job_runs_once_and_comes_back);
	tcase_add_test(t, test_a_job_stays_with_its_thread_and_wakes_the_owner);
	tcase_add_test(t, test_what_no_thread_has_taken_can_be_withdrawn);
	tcase_add_test(t, test_threads_go_on_when_the_watchdog_has_stopped);
	tcase_add_test(t, test_the_watchdog_catches_what_is_late_and_nothing_else);
	suite_add_tcase(s, t);
	return s;
}
