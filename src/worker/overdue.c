/*
 * What takes too long: see overdue.h.
 *
 * On the loop's thread nothing can be saved but the responses that wait to be
 * sent: the worker ends, and the master starts another.  In the pool the
 * others go on: the client gets its 504, and the worker asks for a replacement.
 */
#include "worker/overdue.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"
#include "py/waiting.h"
#include "worker/accept.h"
#include "worker/pool.h"
#include "worker/retire.h"
#include "worker/state.h"
#include "worker/watchdog.h"

static int64_t
in_microseconds(int64_t ms)
{
	return hb_clock_us() + ms * 1000;
}

static struct hb_watched *
watched_of(struct hb_conn *c)
{
	return c->pooled ? hb_pool_watched(c->thread) : &c->worker->watched;
}

/* Whole responses of others, which the loop cannot send any more: its thread is inside the application. */
static void
send_whole(struct hb_worker *w)
{
	struct hb_conn *c;

	TAILQ_FOREACH(c, &w->unsent, queued)
		if (c != w->running && c->fd != -1)
			(void)send(c->fd, c->out.data + c->out_pos, hb_conn_pending(c), MSG_NOSIGNAL | MSG_DONTWAIT);
	if (w->access.buf.len > 0)
		hb_access_flush(&w->access);
}

static void
log_caught(struct hb_worker *w, const char *request)
{
	char title[HB_CONN_REQUEST_TEXT + 100];

	if (*request != '\0')
		snprintf(title, sizeof title, "app: %s: nothing came of it in time; the Python stacks:", request);
	else
		snprintf(title, sizeof title, "worker: the loop is held for longer than any request may take; the Python stacks:");
	hb_py_stacks(w->py, title);
}

/* On the watchdog's thread. */
static void
caught(void *arg, struct hb_watched *watched, const char *request)
{
	struct hb_worker *w = arg;

	log_caught(w, request);
	if (watched != &w->watched) {
		atomic_store(&w->overdue, true);
		hb_pool_wake_loop(w->pool);
		return;
	}
	send_whole(w);
	hb_err("worker: ends, since it cannot go on");
	_exit(EX_TEMPFAIL);
}

void
hb_overdue_start(struct hb_worker *w)
{
	unsigned count = 1 + (w->pool != NULL ? w->config->threads : 0);
	struct hb_watched **all = hb_xcalloc(count, sizeof *all);

	all[0] = &w->watched;
	for (unsigned i = 1; i < count; i++)
		all[i] = hb_pool_watched(hb_pool_thread(w->pool, i - 1));
	for (size_t i = 0; i < w->config->apps_count; i++)
		if (w->timers.waits[HB_TIMER_REQUEST + i] > w->longest)
			w->longest = w->timers.waits[HB_TIMER_REQUEST + i];
	w->watchdog = hb_watchdog_new(all, count, caught, w);
	free(all);
	if (w->watchdog == NULL)
		hb_warn("worker: no thread to watch for requests that hang");
}

void
hb_overdue_stop(struct hb_worker *w)
{
	hb_watchdog_stop(w->watchdog);
}

void
hb_overdue_free(struct hb_worker *w)
{
	hb_watchdog_free(w->watchdog);
	w->watchdog = NULL;
}

void
hb_overdue_forked(struct hb_worker *w)
{
	w->watchdog = NULL;
	hb_watch_forked();
}

static void
begin_waiting(int64_t until)
{
	hb_watch_wait(until * 1000);
}

const struct hb_py_waiting hb_overdue_waiting = {begin_waiting, hb_watch_waited};

void
hb_overdue_busy(struct hb_worker *w)
{
	hb_watch_begin(w->watchdog, &w->watched, NULL, in_microseconds(w->longest));
}

void
hb_overdue_asleep(struct hb_worker *w)
{
	hb_watch_end(w->watchdog, &w->watched);
}

void
hb_overdue_begin(struct hb_conn *c)
{
	struct hb_worker *w = c->worker;
	int64_t limit = c->response.committed ? w->config->timeouts.idle : w->timers.waits[HB_TIMER_REQUEST + c->app];

	hb_watch_begin(w->watchdog, watched_of(c), c, in_microseconds(limit));
}

void
hb_overdue_end(struct hb_conn *c)
{
	hb_watch_end(c->worker->watchdog, watched_of(c));
}

void
hb_overdue_progress(struct hb_conn *c, int64_t waits)
{
	hb_watch_extend(c->worker->watchdog, watched_of(c), in_microseconds(waits));
}

/*
 * Where the thread has not begun to answer it never will now: hb_conn_claim
 * tells it.  Its own buffers are not touched.
 */
static void
answer_for(struct hb_conn *c)
{
	static const char head[] = "HTTP/1.1 504 Gateway Timeout\r\nServer: hornbeam\r\nContent-Type: text/plain\r\n"
	                           "Content-Length: 39\r\nConnection: close\r\n\r\n",
	                  body[] = "the application did not answer in time\n";
	struct iovec parts[2] = {{(void *)(uintptr_t)head, sizeof head - 1}, {(void *)(uintptr_t)body, sizeof body - 1}};
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = c->parser.request.method_id == HB_HTTP_M_HEAD ? 1 : 2};

	if (hb_conn_claim(c, HB_CONN_OVERDUE)) {
		(void)sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)shutdown(c->fd, SHUT_WR);
	} else
		(void)shutdown(c->fd, SHUT_RDWR);
	c->worker->hung = c;
}

void
hb_overdue_check(struct hb_worker *w)
{
	struct hb_conn **hung;

	if (!atomic_exchange(&w->overdue, false))
		return;
	hung = hb_xcalloc(w->config->threads, sizeof *hung);
	for (unsigned i = 0; i < w->config->threads; i++) {
		w->hung = NULL;
		hb_watch_look(w->watchdog, hb_pool_watched(hb_pool_thread(w->pool, i)), answer_for);
		hung[i] = w->hung;
	}
	hb_accept_stop(w);
	hb_retire_ask(w, "a thread hangs");
	/* Last, since it needs the GIL, which one that hangs may hold.  None is freed before the loop takes it back. */
	for (unsigned i = 0; i < w->config->threads; i++)
		if (hung[i] != NULL)
			hb_py_abandon(w->py, &hung[i]->request);
	free(hung);
}
