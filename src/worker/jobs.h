/*
 * Jobs that one owner, the loop's thread, gives to several threads, and that
 * come back to it.  Knows neither Python nor connections.  Who waits is woken,
 * nobody else; see jobs.c for why no wake-up is lost.
 */
#ifndef HB_WORKER_JOBS_H
#define HB_WORKER_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

enum { HB_JOB_ANYWHERE = -1 };

struct hb_job {
	TAILQ_ENTRY(hb_job) entry;
	int thread;   /* the one that it is for, HB_JOB_ANYWHERE; once taken, the one that has it */
	bool waiting; /* given, and taken by no thread */
};

TAILQ_HEAD(hb_job_list, hb_job);

struct hb_jobs;

enum hb_jobs_pace {
	HB_JOBS_QUIET,  /* nothing waits that could be helped */
	HB_JOBS_MOVING, /* nudge again in a moment */
	HB_JOBS_STUCK   /* they are not short, then */
};

struct hb_jobs *hb_jobs_new(unsigned threads);
void hb_jobs_free(struct hb_jobs *j);

/* Makes hb_jobs_fd readable; on any thread. */
void hb_jobs_tell(struct hb_jobs *j);

/* The owner's side. */

/* Readable when something has come back while the owner slept. */
int hb_jobs_fd(const struct hb_jobs *j);
/*
 * Gives all of batch.  spread: they may take long, so that each is to have a
 * thread of its own at once; else one thread is woken for all, which costs
 * least where they are short, and hb_jobs_nudge sees to it that none waits
 * behind one that is not.
 */
void hb_jobs_give(struct hb_jobs *j, struct hb_job_list *batch, bool spread);
/* A moment after jobs were given that were not spread: where they wait and nothing moves they are spread now. */
enum hb_jobs_pace hb_jobs_nudge(struct hb_jobs *j);
/* Appends what has come back to done. */
void hb_jobs_collect(struct hb_jobs *j, struct hb_job_list *done);
/* Before the owner waits for hb_jobs_fd: false where something has come back already. */
bool hb_jobs_sleep(struct hb_jobs *j);
/* Takes back a job that no thread has taken; false: one has. */
bool hb_jobs_withdraw(struct hb_jobs *j, struct hb_job *job);
/* Every thread gets NULL from now on; jobs that wait stay. */
void hb_jobs_stop(struct hb_jobs *j);

/* A thread's side; threads count from 0. */

/*
 * Gives done back, where it is not NULL, and takes the next job: waits for
 * one, or returns NULL at once where there is none.  With wait NULL says that
 * this is the end.
 */
struct hb_job *hb_jobs_next(struct hb_jobs *j, unsigned thread, struct hb_job *done, bool wait);

#endif
