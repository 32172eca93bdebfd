/* A client of the link for whatever loop: see mux.h. */
#include "link/mux.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "link/frame.h"
#include "link/locate.h"
#include "link/opening.h"
#include "link/sync.h"

enum {
	IN_SIZE = 64 * 1024,
	READS = 16, /* of IN_SIZE before the loop has another turn */
	OPENING_TIME = 10000,
	REPLY_MAX = 256 * 1024 * 1024 /* all parts of a reply */
};

struct hb_mux {
	enum hb_link_via via;
	char *path, *role, *name;
	struct hb_mux_backoff *backoff;
	void (*done)(void *, struct hb_mux_call *, const unsigned char *, size_t, const struct hb_error *);
	void (*closing)(void *, int);
	void *arg;

	int fd; /* of the link, once it is open */
	unsigned epoch; /* of connections: callbacks may end one */
	bool opening;
	enum hb_opening_step step; /* that the opening waits for */
	int64_t pause, end;        /* of its step, and of its time */
	bool answered;             /* something came over this connection */

	struct hb_inflight calls;
	struct hb_inflight failing; /* of a lost connection, until each has been told: callbacks may cancel them */
	uint32_t last_id;
	struct hb_buf out;
	size_t out_off;
	uint64_t sent; /* bytes in all */
	bool blocked;  /* the socket is full */

	/* The frame that is coming in, when its payload did not end with the buffer. */
	struct hb_frame head;
	struct hb_mux_call *into;
	size_t left, have;

	struct hb_mux *next, **at; /* of those that a fork has to know */
	bool parents;
	struct hb_opening opens;
	unsigned char in[IN_SIZE];
};

/* A child of fork(2) closes what is its parent's, whichever loop has it. */
static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	struct hb_mux *first;
} all = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

static void
before_fork(void)
{
	pthread_mutex_lock(&all.lock);
}

static void
after_fork_in_parent(void)
{
	pthread_mutex_unlock(&all.lock);
}

static void
after_fork_in_child(void)
{
	pthread_mutex_init(&all.lock, NULL);
	for (struct hb_mux *mux = all.first; mux != NULL; mux = mux->next) {
		mux->parents = true;
		hb_fd_close(&mux->fd);
		hb_opening_end(&mux->opens);
	}
}

static void
set_up(void)
{
	pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

struct hb_mux *
hb_mux_new(const struct hb_mux_options *options)
{
	struct hb_mux *mux = malloc(sizeof *mux);

	if (mux == NULL)
		return NULL;
	pthread_once(&all.once, set_up);
	memset(mux, 0, offsetof(struct hb_mux, in));
	mux->via = options->via;
	mux->path = options->path != NULL ? strdup(options->path) : NULL;
	mux->role = strdup(options->role);
	mux->name = strdup(options->name);
	mux->backoff = options->backoff;
	mux->done = options->done;
	mux->closing = options->closing;
	mux->arg = options->arg;
	mux->fd = mux->opens.fd = mux->opens.spent = mux->opens.passed = -1;
	pthread_mutex_lock(&all.lock);
	mux->next = all.first;
	if (mux->next != NULL)
		mux->next->at = &mux->next;
	mux->at = &all.first;
	all.first = mux;
	pthread_mutex_unlock(&all.lock);
	if ((options->path != NULL && mux->path == NULL) || mux->role == NULL || mux->name == NULL) {
		hb_mux_free(mux);
		return NULL;
	}
	return mux;
}

void
hb_mux_free(struct hb_mux *mux)
{
	if (mux == NULL)
		return;
	pthread_mutex_lock(&all.lock);
	*mux->at = mux->next;
	if (mux->next != NULL)
		mux->next->at = mux->at;
	pthread_mutex_unlock(&all.lock);
	hb_fd_close(&mux->fd);
	hb_opening_end(&mux->opens);
	hb_inflight_free(&mux->calls);
	hb_buf_free(&mux->out);
	free(mux->path);
	free(mux->role);
	free(mux->name);
	free(mux);
}

bool
hb_mux_is_parents(const struct hb_mux *mux)
{
	return mux->parents;
}

/* Takes a call off; its reply's memory goes. */
static void
forget(struct hb_mux *mux, struct hb_mux_call *call)
{
	if (mux->into == call)
		mux->into = NULL;
	hb_inflight_remove(call->failing ? &mux->failing : &mux->calls, call);
}

struct hb_mux_call *
hb_mux_take(struct hb_mux *mux)
{
	struct hb_mux_call *call = hb_inflight_first(&mux->calls);

	if (call != NULL) {
		forget(mux, call);
		hb_buf_free(&call->reply);
	}
	return call;
}

static void
finish(struct hb_mux *mux, struct hb_mux_call *call, const unsigned char *payload, size_t len,
    const struct hb_error *err)
{
	struct hb_buf reply = call->reply;

	forget(mux, call);
	hb_buf_init(&call->reply);
	mux->done(mux->arg, call, payload, len, err);
	hb_buf_free(&reply);
}

static void
back_off(struct hb_mux *mux, const struct hb_error *why)
{
	struct hb_mux_backoff *b = mux->backoff;

	b->delay = hb_sync_backoff(b->delay);
	b->until = hb_clock_ms() + b->delay;
	b->why = *why;
}

/* Closes a descriptor that the owner may wait for. */
static void
let_go(struct hb_mux *mux, int *fd)
{
	if (*fd == -1)
		return;
	mux->closing(mux->arg, *fd);
	hb_fd_close(fd);
}

static void
disconnect(struct hb_mux *mux)
{
	let_go(mux, &mux->fd);
	let_go(mux, &mux->opens.fd);
	hb_opening_end(&mux->opens);
	mux->epoch++;
	mux->opening = mux->blocked = mux->answered = false;
	mux->into = NULL;
	mux->left = mux->have = 0;
}

/* Moves the calls, but for those whose bytes begin at kept or later, to where they fail. */
static void
set_apart(struct hb_mux *mux, uint64_t kept)
{
	mux->failing = mux->calls;
	mux->calls = (struct hb_inflight){0};
	for (size_t i = 0; i < mux->failing.n_buckets; i++)
		for (struct hb_mux_call *call = mux->failing.buckets[i], *next; call != NULL; call = next) {
			next = call->next;
			call->failing = true;
			if (call->start < kept)
				continue;
			hb_inflight_remove(&mux->failing, call);
			call->failing = hb_inflight_add(&mux->calls, call) == -1;
			if (call->failing) /* there is room where it was */
				(void)!hb_inflight_add(&mux->failing, call);
		}
}

/* Forgets the bytes of calls that were sent, or partly sent, and tells them why; the others keep theirs. */
static void
fail_calls(struct hb_mux *mux, bool all_of_them, const struct hb_error *why)
{
	uint64_t kept = UINT64_MAX;
	struct hb_mux_call *call;

	for (size_t i = 0; i < mux->calls.count && !all_of_them; i++)
		if (mux->calls.heap[i]->start >= mux->sent && mux->calls.heap[i]->start < kept)
			kept = mux->calls.heap[i]->start;
	if (kept == UINT64_MAX) {
		mux->sent += mux->out.len - mux->out_off;
		hb_buf_clear(&mux->out);
		mux->out_off = 0;
	} else {
		mux->out_off += (size_t)(kept - mux->sent);
		mux->sent = kept;
	}
	set_apart(mux, kept);
	while ((call = hb_inflight_first(&mux->failing)) != NULL)
		finish(mux, call, NULL, 0, why);
	hb_inflight_free(&mux->failing);
}

/* The opening has come to this step; -1: it has failed. */
static int
opened(struct hb_mux *mux, enum hb_opening_step step)
{
	mux->step = step;
	if (step == HB_OPENING_PAUSE)
		mux->pause = hb_clock_ms() + HB_OPENING_PAUSE_MS;
	if (step == HB_OPENING_DONE) {
		let_go(mux, &mux->opens.spent);
		mux->fd = mux->opens.fd;
		mux->opens.fd = -1;
		hb_opening_end(&mux->opens);
		mux->opening = false;
	}
	return step == HB_OPENING_FAILED ? -1 : 0;
}

/* Makes sure that there is, or will be, a connection. */
static int
ensure(struct hb_mux *mux, struct hb_error *err)
{
	struct hb_hello hello = {mux->role, mux->name, getuid(), getgid(), getpid()};
	char located[HB_LINK_PATH];
	int64_t now;

	if (mux->fd != -1 || mux->opening)
		return 0;
	now = hb_clock_ms();
	if (now < mux->backoff->until) {
		*err = mux->backoff->why;
		return -1;
	}
	if (mux->path == NULL && hb_link_locate(located, sizeof located, err) == -1)
		return -1;
	mux->opening = true;
	mux->end = now + OPENING_TIME;
	if (hb_opening_begin(&mux->opens, mux->via, mux->path != NULL ? mux->path : located, &hello, mux->end, err) == 0 &&
	    opened(mux, hb_opening_go_on(&mux->opens, err)) == 0)
		return 0;
	mux->opening = false;
	hb_opening_end(&mux->opens);
	back_off(mux, err);
	return -1;
}

/* The connection, or the attempt at one, is over.  Calls of which nothing was sent go to the next one. */
static void
lose(struct hb_mux *mux, const struct hb_error *why)
{
	bool again = mux->answered;
	struct hb_error err;

	disconnect(mux);
	if (!again)
		back_off(mux, why);
	fail_calls(mux, !again, why);
	if (mux->calls.count > 0 && ensure(mux, &err) == -1)
		fail_calls(mux, true, &err);
}

static void
lose_link(struct hb_mux *mux)
{
	struct hb_error err;

	hb_error_set(&err, HB_ERROR_CONNECT, "the connection to the companion was lost");
	lose(mux, &err);
}

static void
go_on_opening(struct hb_mux *mux)
{
	struct hb_error err;

	if (opened(mux, hb_opening_go_on(&mux->opens, &err)) == -1)
		lose(mux, &err);
	else if (mux->fd != -1)
		hb_mux_flush(mux);
}

void
hb_mux_flush(struct hb_mux *mux)
{
	while (mux->fd != -1 && mux->out_off < mux->out.len) {
		ssize_t n = send(mux->fd, mux->out.data + mux->out_off, mux->out.len - mux->out_off,
		    MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		mux->blocked = n == -1 && (errno == EAGAIN || errno == ENOBUFS);
		if (mux->blocked)
			return;
		if (n == -1) {
			lose_link(mux);
			return;
		}
		mux->out_off += (size_t)n;
		mux->sent += (uint64_t)n;
	}
	if (mux->fd == -1)
		return;
	mux->blocked = false;
	mux->out_off = 0;
	if (mux->out.cap > IN_SIZE)
		hb_buf_free(&mux->out);
	else
		hb_buf_clear(&mux->out);
}

/* A header is in: whose reply is it? */
static int
begin_frame(struct hb_mux *mux, struct hb_error *err)
{
	const struct hb_frame *head = &mux->head;
	struct hb_mux_call *call = hb_inflight_find(&mux->calls, head->id);

	if (head->version != HB_LINK_VERSION || !(head->flags & HB_LINK_REPLY) ||
	    (call != NULL && call->op != head->op))
		return hb_error_set(err, HB_ERROR_PROTOCOL, "not a reply of this link: version %d, op %d, flags %d",
		    head->version, head->op, head->flags);
	mux->into = call;
	mux->left = head->len;
	return 0;
}

static void
end_frame(struct hb_mux *mux, const unsigned char *payload, size_t len)
{
	struct hb_mux_call *call = mux->into;
	struct hb_error err;

	mux->into = NULL;
	if (call == NULL)
		return;
	if (mux->head.flags & HB_LINK_ERROR) {
		hb_frame_error(payload, len, &err);
		finish(mux, call, NULL, 0, &err);
	} else {
		finish(mux, call, payload, len, NULL);
	}
}

/* n bytes of a payload whose reply is not in one piece. */
static void
gather(struct hb_mux *mux, const unsigned char *p, size_t n)
{
	struct hb_mux_call *call = mux->into;
	struct hb_error err;

	mux->left -= n;
	if (call == NULL)
		return;
	if (n > REPLY_MAX - call->reply.len) {
		hb_error_set(&err, HB_ERROR_LIMIT, "a reply of more than %d bytes", REPLY_MAX);
		finish(mux, call, NULL, 0, &err);
		return;
	}
	hb_buf_add(&call->reply, p, n);
	if (call->reply.failed) {
		hb_error_set(&err, HB_ERROR_MEMORY, "out of memory for a reply");
		finish(mux, call, NULL, 0, &err);
	} else if (mux->left == 0 && !(mux->head.flags & HB_LINK_MORE)) {
		end_frame(mux, call->reply.data, call->reply.len);
	}
}

/* Whether the frame that begins is a reply in one piece. */
static bool
is_whole(const struct hb_mux *mux)
{
	return !(mux->head.flags & HB_LINK_MORE) && (mux->into == NULL || mux->into->reply.len == 0);
}

/* Takes n bytes that came; -1 with err: broken protocol.  Callbacks may end the connection: the rest is nobody's. */
static int
absorb(struct hb_mux *mux, size_t n, struct hb_error *err)
{
	const unsigned char *p = mux->in, *end = p + mux->have + n;
	unsigned epoch = mux->epoch;

	for (size_t take; mux->epoch == epoch; p += take) {
		size_t here = (size_t)(end - p);

		if (mux->left > 0) {
			take = here < mux->left ? here : mux->left;
			if (take == 0)
				break;
			gather(mux, p, take);
			continue;
		}
		if (here < HB_LINK_HEADER)
			break;
		if (hb_frame_head(p, &mux->head, err) == -1 || begin_frame(mux, err) == -1)
			return -1;
		take = HB_LINK_HEADER;
		if (mux->left > 0 && mux->left <= here - HB_LINK_HEADER && is_whole(mux)) {
			take += mux->left;
			mux->left = 0;
			end_frame(mux, p + HB_LINK_HEADER, take - HB_LINK_HEADER);
		} else if (mux->left == 0) {
			gather(mux, p, 0);
		}
	}
	if (mux->epoch == epoch) {
		mux->have = (size_t)(end - p);
		memmove(mux->in, p, mux->have);
	}
	return 0;
}

/* Whether more may be there to read. */
static bool
read_once(struct hb_mux *mux)
{
	size_t room = IN_SIZE - mux->have;
	unsigned epoch = mux->epoch;
	struct hb_error err;
	ssize_t n = recv(mux->fd, mux->in + mux->have, room, MSG_DONTWAIT);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		lose_link(mux);
		return false;
	}
	mux->answered = true;
	mux->backoff->delay = 0;
	if (absorb(mux, (size_t)n, &err) == -1 && mux->epoch == epoch) {
		mux->answered = false; /* whoever breaks the protocol is not asked again at once */
		lose(mux, &err);
	}
	return mux->epoch == epoch && (size_t)n == room;
}

void
hb_mux_readable(struct hb_mux *mux)
{
	if (mux->opening && mux->step == HB_OPENING_READ)
		go_on_opening(mux);
	else if (mux->fd != -1)
		for (int i = 0; i < READS && read_once(mux); i++)
			;
}

void
hb_mux_tick(struct hb_mux *mux)
{
	struct hb_mux_call *call;
	struct hb_error err;
	int64_t now = hb_clock_ms();

	if (mux->opening && now >= mux->end) {
		hb_error_set(&err, HB_ERROR_TIMEOUT, "no answer at %s in time", mux->opens.addr.sun_path);
		lose(mux, &err);
	} else if (mux->opening && mux->step == HB_OPENING_PAUSE && now >= mux->pause) {
		go_on_opening(mux);
	}
	/* An answer that is here is none too late, however long the loop had other work. */
	call = hb_inflight_first(&mux->calls);
	if (call != NULL && call->deadline <= now && mux->fd != -1)
		hb_mux_readable(mux);
	hb_error_set(&err, HB_ERROR_TIMEOUT, "no answer before the deadline");
	while ((call = hb_inflight_first(&mux->calls)) != NULL && call->deadline <= now)
		finish(mux, call, NULL, 0, &err);
}

void
hb_mux_wait(const struct hb_mux *mux, struct hb_mux_wait *wait)
{
	struct hb_mux_call *first = hb_inflight_first(&mux->calls);

	*wait = (struct hb_mux_wait){.fd = mux->fd, .readable = true, .writable = mux->blocked,
	    .until = first != NULL ? first->deadline : INT64_MAX};
	if (!mux->opening)
		return;
	wait->fd = mux->step == HB_OPENING_READ ? mux->opens.fd : -1;
	if (mux->end < wait->until)
		wait->until = mux->end;
	if (mux->step == HB_OPENING_PAUSE && mux->pause < wait->until)
		wait->until = mux->pause;
}

static int
enqueue(struct hb_mux *mux, const struct hb_buf *request, struct hb_error *err)
{
	size_t waiting = mux->out.len - mux->out_off;

	if (waiting + request->len > HB_MUX_OUT_MAX)
		return hb_error_set(err, HB_ERROR_LIMIT, "%zu bytes of requests wait for the companion, which does not read them",
		    waiting);
	if (mux->out_off > 0 && mux->out_off >= mux->out.len / 2) {
		hb_buf_drop(&mux->out, mux->out_off);
		mux->out_off = 0;
	}
	hb_buf_add(&mux->out, request->data, request->len);
	if (mux->out.failed) {
		mux->out.failed = false; /* what is in it stands: only this request found no room */
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	}
	return 0;
}

int
hb_mux_call(struct hb_mux *mux, struct hb_mux_call *call, enum hb_link_op op, struct hb_buf *request,
    int64_t deadline, struct hb_error *err)
{
	if (request->failed)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (request->len - 4 > HB_LINK_FRAME_MAX)
		return hb_error_set(err, HB_ERROR_LIMIT, "a request of %zu bytes: at most %d go into a frame", request->len,
		    HB_LINK_FRAME_MAX);
	if (ensure(mux, err) == -1)
		return -1;
	if (++mux->last_id == 0) /* which is nobody's */
		mux->last_id = 1;
	*call = (struct hb_mux_call){.id = mux->last_id, .op = op, .deadline = hb_frame_patience(op, deadline),
	    .start = mux->sent + mux->out.len - mux->out_off};
	hb_frame_header(request->data, request->len, op, 0, call->id, hb_frame_deadline(deadline));
	if (hb_inflight_add(&mux->calls, call) == -1)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (enqueue(mux, request, err) == 0)
		return 0;
	forget(mux, call);
	return -1;
}

int
hb_mux_each(const struct hb_mux *mux, int (*visit)(struct hb_mux_call *call, void *arg), void *arg)
{
	int rc = 0;

	for (size_t i = 0; i < mux->calls.count && rc == 0; i++)
		rc = visit(mux->calls.heap[i], arg);
	return rc;
}

void
hb_mux_cancel(struct hb_mux *mux, struct hb_mux_call *call)
{
	struct hb_buf note = HB_BUF_INIT;
	struct hb_error unsaid;

	forget(mux, call);
	hb_buf_free(&call->reply);
	if (call->failing || !hb_frame_can_cancel(call->op))
		return;
	/* One that finds no room is missed: the deadline stops the call. */
	hb_frame_cancel(&note, call->id);
	if (!note.failed)
		(void)!enqueue(mux, &note, &unsaid);
	hb_buf_free(&note);
}

struct hb_mux_call *
hb_mux_find(const struct hb_mux *mux, uint32_t id)
{
	return hb_inflight_find(&mux->calls, id);
}
