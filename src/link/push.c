/* The push connection: its life, its dial, and who waits: see push.h. */
#include "link/push.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/str.h"
#include "link/push_state.h"

static void
init_locks(struct hb_push *push)
{
	pthread_mutex_init(&push->lock, NULL);
	hb_sync_cond_init(&push->changed);
	hb_dial_init(&push->dial, &push->lock);
	TAILQ_INIT(&push->waits);
}

/* Waits and subscriptions are the parent's. */
static void
forked(void *arg)
{
	struct hb_push *push = arg;
	struct hb_subscriber *s;
	struct hb_push_watch *watch;

	push->forks++;
	hb_push_drop(push, true);
	hb_topics_forget(push);
	TAILQ_FOREACH(s, &push->subscribers, link) {
		TAILQ_INIT(&s->waits);
		s->watch = NULL;
		s->woken = false;
	}
	LIST_FOREACH(watch, &push->watches, link)
		hb_push_watch_forked(watch);
	push->listener = NULL;
	hb_dial_end(&push->dial);
	hb_fd_close(&push->bell);
	push->dialling = push->polling = push->stopping = false;
	push->wanting = 0;
	push->retry_at = push->backoff = 0;
	init_locks(push);
}

struct hb_push *
hb_push_new(const struct hb_link_options *options, size_t queue)
{
	struct hb_push *push = hb_xcalloc(1, sizeof *push);

	push->via = options->via;
	push->path = options->path != NULL ? hb_xstrdup(options->path) : NULL;
	push->role = hb_xstrdup(options->role);
	push->name = hb_xstrdup(options->name);
	push->interrupted = options->interrupted;
	push->arg = options->arg;
	push->queue = queue != 0 ? queue : HB_PUSH_QUEUE;
	push->fd = push->bell = -1;
	TAILQ_INIT(&push->subscribers);
	LIST_INIT(&push->watches);
	TAILQ_INIT(&push->dirty);
	TAILQ_INIT(&push->losing);
	TAILQ_INIT(&push->requests);
	init_locks(push);
	push->sync = (struct hb_sync){&push->lock, forked, push, NULL};
	hb_sync_add(&push->sync);
	return push;
}

void
hb_push_free(struct hb_push *push)
{
	if (push == NULL)
		return;
	pthread_mutex_lock(&push->lock);
	push->stopping = true;
	pthread_cond_broadcast(&push->changed);
	if (push->dial.opening.fd != -1)
		shutdown(push->dial.opening.fd, SHUT_RDWR);
	while (push->dialling)
		hb_sync_wait(&push->changed, &push->lock, INT64_MAX);
	hb_push_drop(push, false);
	hb_topics_forget(push);
	pthread_mutex_unlock(&push->lock);
	hb_sync_remove(&push->sync);
	hb_fd_close(&push->bell);
	hb_buf_free(&push->out);
	pthread_cond_destroy(&push->changed);
	pthread_mutex_destroy(&push->lock);
	free(push->topics);
	free(push->path);
	free(push->role);
	free(push->name);
	free(push);
}

void
hb_message_unref(struct hb_message *message)
{
	if (message != NULL && atomic_fetch_sub_explicit(&message->refs, 1, memory_order_acq_rel) == 1)
		free(message);
}

static void
fail_dial(struct hb_push *push, const struct hb_error *why)
{
	struct hb_push_wait *wait;

	push->failures++;
	push->backoff = hb_sync_backoff(push->backoff);
	push->retry_at = hb_clock_ms() + push->backoff;
	push->why = *why;
	TAILQ_FOREACH(wait, &push->waits, link)
		hb_push_wake(push, wait);
}

/* One attempt, without the lock meanwhile. */
static void
dial(struct hb_push *push)
{
	struct hb_error err;
	int fd;

	pthread_mutex_unlock(&push->lock);
	fd = hb_dial(&push->dial, push->via, push->path, push->role, push->name,
	    hb_clock_ms() + HB_SYNC_DIAL_TIME, &err);
	pthread_mutex_lock(&push->lock);
	if (fd != -1) {
		push->dial.opening.fd = -1;
		hb_push_up(push, fd);
	} else
		fail_dial(push, &err);
	hb_dial_end(&push->dial);
}

static bool
is_wanted(const struct hb_push *push)
{
	return push->fd == -1 && !push->stopping && (push->topics_count > 0 || push->wanting > 0);
}

static void *
keep_dialling(void *arg)
{
	struct hb_push *push = arg;

	pthread_mutex_lock(&push->lock);
	while (is_wanted(push)) {
		if (hb_clock_ms() < push->retry_at)
			hb_sync_wait(&push->changed, &push->lock, push->retry_at);
		else
			dial(push);
	}
	push->dialling = false;
	pthread_cond_broadcast(&push->changed);
	pthread_mutex_unlock(&push->lock);
	return NULL;
}

void
hb_push_connect(struct hb_push *push)
{
	struct hb_error err;
	pthread_attr_t attr;
	sigset_t all, before;
	pthread_t thread;
	int rc;

	if (push->dialling || !is_wanted(push) || (push->threadless && hb_clock_ms() < push->retry_at))
		return;
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	/* Signals are for the application's threads. */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	push->dialling = true;
	rc = pthread_create(&thread, &attr, keep_dialling, push);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	push->threadless = rc != 0;
	if (rc == 0)
		return;
	push->dialling = false;
	hb_error_set(&err, HB_ERROR_SYSTEM, "no thread to connect with: %s", strerror(rc));
	fail_dial(push, &err);
}

void
hb_push_wake(struct hb_push *push, struct hb_push_wait *wait)
{
	wait->ready = true;
	if (wait->leading)
		hb_push_ring(push->bell);
	else
		pthread_cond_signal(&wait->cond);
}

static void
begin_wait(struct hb_push *push, struct hb_push_wait *wait, struct hb_subscriber *s)
{
	memset(wait, 0, sizeof *wait);
	wait->subscriber = s;
	hb_sync_cond_init(&wait->cond);
	TAILQ_INSERT_TAIL(&push->waits, wait, link);
	if (s != NULL)
		TAILQ_INSERT_TAIL(&s->waits, wait, of_subscriber);
}

/* Somebody has to read, and what is in the buffer, where this thread does not. */
static void
hand_over(struct hb_push *push, const struct hb_push_wait *mine)
{
	struct hb_push_wait *wait;

	if (push->fd == -1 || (push->polling && !push->more))
		return;
	TAILQ_FOREACH(wait, &push->waits, link)
		if (wait != mine) {
			hb_push_wake(push, wait);
			return;
		}
	if (push->more)
		hb_push_ring_all(push);
}

static void
leave_reply(struct hb_push_wait *wait)
{
	if (wait->in != NULL)
		TAILQ_REMOVE(wait->in, wait, of_reply);
	wait->in = NULL;
}

static void
end_wait(struct hb_push *push, struct hb_push_wait *wait)
{
	leave_reply(wait);
	TAILQ_REMOVE(&push->waits, wait, link);
	if (wait->subscriber != NULL)
		TAILQ_REMOVE(&wait->subscriber->waits, wait, of_subscriber);
	hand_over(push, wait);
	pthread_cond_destroy(&wait->cond);
}

/* Sleeps, without the lock, until there is something at the socket, or somebody rings. */
static void
poll_for_all(struct hb_push *push, struct hb_push_wait *wait, int64_t until)
{
	struct pollfd fds[] = {
	    {push->fd, (short)(POLLIN | (push->full ? POLLOUT : 0)), 0},
	    {push->bell, POLLIN, 0},
	};
	int64_t left = until == INT64_MAX ? -1 : until - hb_clock_ms();

	if (until != INT64_MAX)
		left = left < 0 ? 0 : left > 60000 ? 60000 : left;
	push->polling = wait->leading = true;
	pthread_mutex_unlock(&push->lock);
	poll(fds, 2, (int)left);
	pthread_mutex_lock(&push->lock);
	push->polling = wait->leading = false;
	if (fds[1].revents != 0)
		hb_push_silence(push->bell);
}

static int
belongs_to_parent(struct hb_error *err)
{
	return hb_error_set(err, HB_ERROR_CONNECT, "the subscription belongs to the parent of this process");
}

/* Asks the hook, without the lock.  -1 with err: the wait ends. */
static int
ask_hook(struct hb_push *push, struct hb_push_wait *wait, struct hb_error *err)
{
	unsigned forks = push->forks;
	int stop;

	if (push->interrupted == NULL)
		return 0;
	hand_over(push, wait);
	pthread_mutex_unlock(&push->lock);
	stop = push->interrupted(push->arg);
	pthread_mutex_lock(&push->lock);
	if (stop)
		return hb_error_set(err, HB_ERROR_INTERRUPT, "interrupted");
	return forks != push->forks ? belongs_to_parent(err) : 0;
}

enum turn { TURN_LOOK, TURN_LATE, TURN_FAILED };

/* A turn of waiting: the caller then looks for what it waits for. */
static enum turn
take_turn(struct hb_push *push, struct hb_push_wait *wait, int64_t deadline, struct hb_error *err)
{
	int64_t now, until = INT64_MAX;

	wait->ready = false;
	if (push->fd != -1)
		hb_push_exchange(push);
	if (push->fd == -1)
		hb_push_connect(push);
	if (wait->ready)
		return TURN_LOOK;
	now = hb_clock_ms();
	if (deadline != 0 && now >= deadline)
		return TURN_LATE;
	if (push->more)
		return TURN_LOOK;
	if (push->interrupted != NULL)
		until = now + HB_SYNC_SLICE;
	if (deadline != 0 && deadline < until)
		until = deadline;
	/* Without a thread that dials, the next attempt is this one's to begin. */
	if (push->fd == -1 && !push->dialling && push->retry_at > now && push->retry_at < until)
		until = push->retry_at;
	if (push->fd != -1 && !push->polling)
		poll_for_all(push, wait, until);
	else
		hb_sync_wait(&wait->cond, &push->lock, until);
	if (!wait->ready && ask_hook(push, wait, err) == -1)
		return TURN_FAILED;
	return TURN_LOOK;
}

static int
too_late(struct hb_error *err)
{
	return hb_error_set(err, HB_ERROR_TIMEOUT, "no answer before the deadline");
}

/* As for every call: an attempt that fails is the end of it. */
static int
await_connection(struct hb_push *push, struct hb_push_wait *wait, int64_t deadline, struct hb_error *err)
{
	unsigned failures = push->failures, forks = push->forks;
	enum turn turn = TURN_LOOK;

	if (hb_clock_ms() < push->retry_at) {
		*err = push->why;
		return -1;
	}
	push->wanting++;
	hb_push_connect(push);
	while (push->fd == -1 && push->failures == failures && turn == TURN_LOOK)
		turn = take_turn(push, wait, deadline, err);
	if (forks != push->forks)
		return -1;
	push->wanting--;
	if (push->fd != -1)
		return 0;
	if (turn == TURN_LATE)
		return too_late(err);
	if (turn == TURN_LOOK)
		*err = push->why;
	return -1;
}

/* Inlined, gcc 12 takes the wait for one that stays in the topic's list: end_wait takes it out. */
__attribute__((noinline)) static int
await_reply(struct hb_push *push, struct hb_topic *topic, struct hb_push_wait *wait, int64_t deadline,
    struct hb_error *err)
{
	enum turn turn = TURN_LOOK;

	for (;;) {
		wait->done = wait->lost = false;
		wait->err = err;
		wait->in = &topic->waits;
		TAILQ_INSERT_TAIL(&topic->waits, wait, of_reply);
		if (push->fd == -1 && await_connection(push, wait, deadline, err) == -1)
			return -1;
		/* A new connection says every topic's number by itself. */
		if (wait->in == &topic->waits)
			hb_topic_changed(push, topic);
		while (!wait->done && !wait->lost && turn == TURN_LOOK)
			turn = take_turn(push, wait, deadline, err);
		if (wait->done)
			return wait->result;
		if (turn != TURN_LOOK)
			return turn == TURN_LATE ? too_late(err) : -1;
	}
}

int
hb_push_settle(struct hb_push *push, struct hb_topic *topic, int64_t deadline, struct hb_error *err)
{
	unsigned forks = push->forks;
	struct hb_push_wait wait;
	int result;

	begin_wait(push, &wait, NULL);
	result = await_reply(push, topic, &wait, deadline, err);
	if (forks != push->forks)
		return -1;
	end_wait(push, &wait);
	return result;
}

enum hb_push_result
hb_push_next(struct hb_subscriber *s, int64_t deadline, struct hb_message **message, struct hb_error *err)
{
	enum hb_push_result result = HB_PUSH_MESSAGE;
	struct hb_push *push = s->push;
	struct hb_push_wait wait;
	enum turn turn = TURN_LOOK;

	pthread_mutex_lock(&push->lock);
	if (s->forks != push->forks) {
		belongs_to_parent(err);
		result = HB_PUSH_FAILED;
	} else if ((*message = hb_subscriber_pop(s)) == NULL) {
		begin_wait(push, &wait, s);
		while ((*message = hb_subscriber_pop(s)) == NULL && !s->closed && turn == TURN_LOOK)
			turn = take_turn(push, &wait, deadline, err);
		if (*message == NULL)
			result = s->closed ? HB_PUSH_CLOSED : turn == TURN_LATE ? HB_PUSH_NOTHING : HB_PUSH_FAILED;
		if (s->forks == push->forks)
			end_wait(push, &wait);
	}
	pthread_mutex_unlock(&push->lock);
	return result;
}

int
hb_push_post(struct hb_push *push, uint64_t link, enum hb_link_op op, struct hb_buf *request, struct hb_error *err)
{
	enum { OUT_MAX = 64 * 1024 * 1024 };
	int result = 0;

	if (request->failed)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (request->len - 4 > HB_LINK_FRAME_MAX)
		return hb_error_set(err, HB_ERROR_LIMIT, "%zu bytes: at most %d go into a frame", request->len,
		    HB_LINK_FRAME_MAX);
	hb_frame_header(request->data, request->len, op, 0, 0, 0);
	pthread_mutex_lock(&push->lock);
	if (push->fd == -1 || link != push->number)
		result = hb_error_set(err, HB_ERROR_CONNECT, "the connection to the companion was lost");
	else if (push->out.len - push->out_off > OUT_MAX)
		result = hb_error_set(err, HB_ERROR_LIMIT, "the companion does not read what it is sent");
	else {
		/* One that reads slowly, but reads, may never have all of it. */
		if (push->out_off >= push->out.len / 2) {
			hb_buf_drop(&push->out, push->out_off);
			push->out_off = 0;
		}
		hb_buf_add(&push->out, request->data, request->len);
		hb_push_flush(push);
	}
	pthread_mutex_unlock(&push->lock);
	return result;
}
