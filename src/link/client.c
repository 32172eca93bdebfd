/* The blocking client of the link: see client.h. */
#include "link/client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/str.h"
#include "link/conn.h"
#include "link/dial.h"
#include "link/sync.h"

enum {
	BLOCKED_SLICE = 20 /* milliseconds; the longest wait of a sender that may have to become the reader */
};

struct hb_link {
	enum hb_link_via via;
	char *path, *role, *name;
	int (*interrupted)(void *arg);
	void *arg;

	pthread_mutex_t lock; /* for all that follows */
	pthread_cond_t changed; /* a dial ended */
	struct hb_conn *conn;
	struct hb_dial dial;
	bool dialling;
	unsigned forks; /* how often this process's line forked; tells a call that it woke up in a child */
	uint32_t last_id;
	int64_t retry_at; /* before it calls fail with why */
	int64_t backoff;
	struct hb_error why;
	struct hb_sync sync;
};

static void
make_locks(struct hb_link *link)
{
	pthread_mutex_init(&link->lock, NULL);
	hb_sync_cond_init(&link->changed);
	hb_dial_init(&link->dial, &link->lock);
}

/* The parent's connection is only closed here: a shutdown would end it for the parent too. */
static void
after_fork_in_child(void *arg)
{
	struct hb_link *link = arg;

	hb_conn_free(link->conn);
	link->conn = NULL;
	hb_dial_end(&link->dial);
	link->dialling = false;
	link->forks++;
	link->retry_at = 0;
	link->backoff = 0;
	make_locks(link);
}

struct hb_link *
hb_link_new(const struct hb_link_options *options)
{
	struct hb_link *link = hb_xcalloc(1, sizeof *link);

	link->via = options->via;
	link->path = options->path != NULL ? hb_xstrdup(options->path) : NULL;
	link->role = hb_xstrdup(options->role);
	link->name = hb_xstrdup(options->name);
	link->interrupted = options->interrupted;
	link->arg = options->arg;
	make_locks(link);
	link->sync = (struct hb_sync){&link->lock, after_fork_in_child, link, NULL};
	hb_sync_add(&link->sync);
	return link;
}

void
hb_link_free(struct hb_link *link)
{
	if (link == NULL)
		return;
	hb_sync_remove(&link->sync);
	hb_conn_free(link->conn);
	pthread_cond_destroy(&link->changed);
	pthread_mutex_destroy(&link->lock);
	free(link->path);
	free(link->role);
	free(link->name);
	free(link);
}

/* Waits on a condition until the deadline (0: none) or, where a hook wants to be asked, for a slice. */
static void
wait_on(struct hb_link *link, pthread_cond_t *cond, int64_t deadline)
{
	int64_t until = link->interrupted != NULL ? hb_clock_ms() + HB_SYNC_SLICE : INT64_MAX;

	if (deadline != 0 && deadline < until)
		until = deadline;
	hb_sync_wait(cond, &link->lock, until);
}

/* Asks the hook, without the lock.  -1 with err: the call ends. */
static int
ask_hook(struct hb_link *link, struct hb_error *err)
{
	unsigned forks = link->forks;
	int stop;

	if (link->interrupted == NULL)
		return 0;
	pthread_mutex_unlock(&link->lock);
	stop = link->interrupted(link->arg);
	pthread_mutex_lock(&link->lock);
	if (stop)
		return hb_error_set(err, HB_ERROR_INTERRUPT, "interrupted");
	if (forks != link->forks)
		return hb_error_set(err, HB_ERROR_CONNECT, "the call belongs to the parent of this process");
	return 0;
}

static void
back_off(struct hb_link *link, const struct hb_error *why)
{
	link->backoff = hb_sync_backoff(link->backoff);
	link->retry_at = hb_clock_ms() + link->backoff;
	link->why = *why;
}

static void
release(struct hb_conn *conn)
{
	if (--conn->refs == 0)
		hb_conn_free(conn);
}

/* The connection is of no use any more. */
static void
lose(struct hb_link *link, struct hb_conn *conn, const struct hb_error *why)
{
	if (link->conn == conn) {
		link->conn = NULL;
		conn->refs--; /* the caller holds another */
		if (!conn->answered)
			back_off(link, why);
	}
	hb_conn_lose(conn, why);
}

/* Opens the connection, without the lock meanwhile.  0, or -1 with err. */
static int
dial(struct hb_link *link, int64_t deadline, struct hb_error *err)
{
	int fd;

	link->dialling = true;
	pthread_mutex_unlock(&link->lock);
	fd = hb_dial(&link->dial, link->via, link->path, link->role, link->name,
	    deadline != 0 ? deadline : hb_clock_ms() + HB_SYNC_DIAL_TIME, err);
	pthread_mutex_lock(&link->lock);
	if (fd != -1 && (link->conn = hb_conn_new(fd)) == NULL)
		fd = hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (fd != -1)
		link->dial.opening.fd = -1;
	else if (err->kind != HB_ERROR_INTERRUPT && err->kind != HB_ERROR_TIMEOUT)
		back_off(link, err);
	hb_dial_end(&link->dial);
	link->dialling = false;
	pthread_cond_broadcast(&link->changed);
	return fd == -1 ? -1 : 0;
}

/* The connection with a reference for the caller, opened if need be; NULL with err. */
static struct hb_conn *
acquire(struct hb_link *link, int64_t deadline, struct hb_error *err)
{
	if (link->conn != NULL && link->conn->lost) {
		release(link->conn);
		link->conn = NULL;
	}
	while (link->conn == NULL) {
		int64_t now = hb_clock_ms();

		if (deadline != 0 && now >= deadline) {
			hb_error_set(err, HB_ERROR_TIMEOUT, "no connection before the deadline");
			return NULL;
		}
		if (link->dialling) {
			wait_on(link, &link->changed, deadline);
			if (link->dialling && ask_hook(link, err) == -1)
				return NULL;
		} else if (now < link->retry_at) {
			*err = link->why;
			return NULL;
		} else if (dial(link, deadline, err) == -1 &&
		    (err->kind != HB_ERROR_INTERRUPT || ask_hook(link, err) == -1)) {
			return NULL;
		}
	}
	link->conn->refs++;
	return link->conn;
}

enum waited { WAITED_DATA, WAITED_ROOM, WAITED_NOTHING, WAITED_SIGNAL, WAITED_GONE };

/*
 * Waits, without the lock, for the socket to take more of a frame (write) or
 * to give something (read: what came stands at conn->in + conn->have, *got
 * bytes of it).  Always poll before recv: a thread that sleeps in recv on a
 * Unix socket is also woken when the peer has read what it sent, for nothing,
 * which costs both sides more than the call saves.
 */
static enum waited
wait_for_socket(struct hb_conn *conn, bool read, bool write, int64_t left, size_t *got)
{
	struct pollfd pfd = {conn->fd, (short)((read ? POLLIN : 0) | (write ? POLLOUT : 0)), 0};
	int n_ready = poll(&pfd, 1, (int)left);
	ssize_t n;

	if (n_ready <= 0)
		return n_ready == -1 && errno == EINTR ? WAITED_SIGNAL : WAITED_NOTHING;
	if (!read || !(pfd.revents & ~POLLOUT))
		return WAITED_ROOM;
	n = recv(conn->fd, conn->in + conn->have, sizeof conn->in - conn->have, MSG_DONTWAIT);
	if (n > 0) {
		*got = (size_t)n;
		return WAITED_DATA;
	}
	if (n == -1 && errno == EINTR)
		return WAITED_SIGNAL;
	return n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK) ? WAITED_NOTHING : WAITED_GONE;
}

static void
say_lost(const struct hb_link *link, struct hb_error *err)
{
	hb_error_set(err, HB_ERROR_CONNECT, "the connection to %s was lost",
	    link->via == HB_LINK_TO_MASTER ? "hornbeamd" : "the companion");
}

/* One turn at the socket as reader, as blocked sender, or both. */
static enum waited
take_turn(struct hb_link *link, struct hb_conn *conn, bool read, bool write, int64_t left)
{
	enum waited waited;
	struct hb_error err;
	size_t got = 0;

	conn->reading |= read;
	pthread_mutex_unlock(&link->lock);
	waited = wait_for_socket(conn, read, write, left, &got);
	pthread_mutex_lock(&link->lock);
	if (!read)
		return waited;
	conn->reading = false;
	if (waited == WAITED_DATA && !conn->lost && hb_conn_absorb(conn, got, &err) == -1)
		lose(link, conn, &err);
	if (waited == WAITED_DATA && conn->answered)
		link->backoff = 0;
	if (waited == WAITED_GONE) {
		say_lost(link, &err);
		lose(link, conn, &err);
	}
	return waited;
}

static void
follow(struct hb_link *link, struct hb_call *call, int64_t deadline)
{
	if (!call->has_cond)
		hb_sync_cond_init(&call->cond);
	call->has_cond = true;
	call->waiting = true;
	wait_on(link, &call->cond, deadline);
	call->waiting = false;
}

/*
 * Sends what goes; -1: the other side is gone.  A frame that others waited for, or that waited for others, is
 * followed by the next: who has it sleeps.
 */
static int
push(struct hb_conn *conn, struct hb_call *call)
{
	bool waited = !call->sent && (conn->partial == call || call->has_cond);

	if (hb_conn_push(conn, call) == -1)
		return -1;
	if (waited && call->sent)
		hb_conn_hand_over(conn);
	return 0;
}

/* Runs the call on the connection until it is done, gives up, or the connection is lost before it was sent. */
static void
run(struct hb_link *link, struct hb_conn *conn, struct hb_call *call, int64_t deadline)
{
	while (!call->done && !conn->lost) {
		int64_t now = hb_clock_ms(), left = HB_SYNC_SLICE;
		bool read, write, idle;
		enum waited waited;

		if (deadline != 0 && now >= deadline) {
			hb_error_set(call->err, HB_ERROR_TIMEOUT, "no answer before the deadline");
			call->done = true;
			break;
		}
		if (push(conn, call) == -1) {
			struct hb_error err;

			say_lost(link, &err);
			lose(link, conn, &err);
			break;
		}
		read = !conn->reading;
		write = hb_conn_wants_write(conn, call);
		if (read || write) {
			if (!read)
				left = BLOCKED_SLICE;
			if (deadline != 0 && deadline - now < left)
				left = deadline - now;
			waited = take_turn(link, conn, read, write, left);
			idle = waited == WAITED_NOTHING || waited == WAITED_SIGNAL;
		} else {
			follow(link, call, deadline);
			idle = conn->reading;
		}
		if (!idle || call->done || conn->lost || link->interrupted == NULL)
			continue;
		/* The hook may make calls of its own: nothing may be held meanwhile. */
		hb_conn_set_aside(conn, call);
		hb_conn_hand_over(conn);
		if (ask_hook(link, call->err) == -1) {
			call->done = true;
			call->result = -1; /* though its reply may have come meanwhile */
			break;
		}
	}
}

/* Takes the call off the connection, whatever became of it. */
static void
leave(struct hb_link *link, struct hb_conn *conn, struct hb_call *call)
{
	bool given_up = call->done && call->result == -1 && call->err->kind == HB_ERROR_INTERRUPT;

	hb_conn_remove(conn, call);
	if (given_up && hb_frame_can_cancel(call->op) && !conn->lost) {
		hb_conn_cancel(conn, call);
		if (hb_conn_push(conn, NULL) == -1) {
			struct hb_error why;

			say_lost(link, &why);
			lose(link, conn, &why);
		}
	}
	hb_conn_hand_over(conn);
	release(conn);
}

int
hb_link_call(struct hb_link *link, enum hb_link_op op, struct hb_buf *request, int64_t deadline, struct hb_buf *reply,
    struct hb_error *err)
{
	struct hb_call call = {.op = op, .data = request->data, .len = request->len, .reply = reply, .err = err};
	struct hb_conn *conn;
	unsigned forks;

	hb_buf_clear(reply);
	if (request->failed)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (request->len - 4 > HB_LINK_FRAME_MAX)
		return hb_error_set(err, HB_ERROR_LIMIT, "a request of %zu bytes: at most %d go into a frame", request->len,
		    HB_LINK_FRAME_MAX);
	pthread_mutex_lock(&link->lock);
	forks = link->forks;
	while (!call.done) {
		conn = acquire(link, deadline, err);
		if (conn == NULL) {
			call.result = -1;
			break;
		}
		call.result = -1;
		call.id = ++link->last_id;
		hb_frame_header(request->data, request->len, op, 0, call.id, hb_frame_deadline(deadline));
		hb_conn_add(conn, &call);
		run(link, conn, &call, hb_frame_patience(op, deadline));
		if (forks != link->forks)
			break;
		leave(link, conn, &call);
	}
	pthread_mutex_unlock(&link->lock);
	if (call.has_cond && forks == link->forks)
		pthread_cond_destroy(&call.cond);
	return call.result;
}
