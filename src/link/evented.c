/* The evented client of the link: see evented.h. */
#include "link/evented.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/str.h"
#include "link/evdial.h"
#include "link/frame.h"
#include "link/sync.h"

enum {
	BUCKETS = 64, /* of calls, by the low bits of their ids */
	IN_SIZE = 64 * 1024,
	DIAL_TIME = 5000,
	REPLY_MAX = 256 * 1024 * 1024 /* all parts of a reply */
};

struct hb_evcall {
	struct hb_evlink *link;
	uint32_t id;
	uint8_t op;
	struct hb_buf reply; /* the parts so far */
	struct event *timer;
	hb_evcall_done *done;
	void *arg;
	struct hb_evcall *next, **at;
};

struct hb_evlink {
	struct event_base *base;
	char *path, *role, *name;
	struct hb_hello hello;
	struct hb_evdial *dial;
	int fd;
	struct event *readable, *writable;
	struct hb_buf out;
	size_t out_off;
	uint32_t last_id;
	bool batched; /* what is to be sent waits for a flush */
	void (*changed)(void *arg, int fd); /* NULL: nobody asks */
	void *changed_arg;
	int64_t retry_at, backoff;
	struct hb_error why;
	struct hb_evcall *calls[BUCKETS];
	/* What comes in. */
	struct hb_frame head;
	struct hb_evcall *into;
	size_t left, have;
	unsigned char in[IN_SIZE];
	/* Set while callbacks run; a free then waits for their end. */
	unsigned busy;
	bool freed;
};

struct hb_evlink *
hb_evlink_new(struct event_base *base, const char *path, const struct hb_hello *hello)
{
	struct hb_evlink *link = hb_xcalloc(1, sizeof *link);

	link->base = base;
	link->fd = -1;
	link->path = hb_xstrdup(path);
	link->role = hb_xstrdup(hello->role);
	link->name = hb_xstrdup(hello->name);
	link->hello = *hello;
	link->hello.role = link->role;
	link->hello.name = link->name;
	return link;
}

static void
tell_descriptor(const struct hb_evlink *link, int fd)
{
	if (link->changed != NULL)
		link->changed(link->changed_arg, fd);
}

static void
disconnect(struct hb_evlink *link)
{
	hb_evdial_cancel(link->dial);
	link->dial = NULL;
	if (link->readable != NULL)
		event_free(link->readable);
	if (link->writable != NULL)
		event_free(link->writable);
	link->readable = link->writable = NULL;
	if (link->fd != -1)
		tell_descriptor(link, -1);
	hb_fd_close(&link->fd);
	hb_buf_free(&link->out);
	link->out_off = 0;
	link->into = NULL;
	link->left = link->have = 0;
}

void
hb_evcall_cancel(struct hb_evcall *call)
{
	if (call == NULL)
		return;
	if (call->link->into == call)
		call->link->into = NULL;
	*call->at = call->next;
	if (call->next != NULL)
		call->next->at = call->at;
	if (call->timer != NULL)
		event_free(call->timer);
	hb_buf_free(&call->reply);
	free(call);
}

static void
destroy(struct hb_evlink *link)
{
	free(link->path);
	free(link->role);
	free(link->name);
	free(link);
}

void
hb_evlink_free(struct hb_evlink *link)
{
	if (link == NULL)
		return;
	disconnect(link);
	for (size_t i = 0; i < BUCKETS; i++)
		while (link->calls[i] != NULL)
			hb_evcall_cancel(link->calls[i]);
	link->freed = true;
	if (link->busy == 0)
		destroy(link);
}

static void
enter(struct hb_evlink *link)
{
	link->busy++;
}

/* false: the link is gone. */
static bool
leave(struct hb_evlink *link)
{
	if (--link->busy == 0 && link->freed) {
		destroy(link);
		return false;
	}
	return !link->freed;
}

/* Ends a call; its memory goes before the callback runs.  Only between enter and leave. */
static void
finish(struct hb_evcall *call, const struct hb_error *err)
{
	hb_evcall_done *done = call->done;
	struct hb_buf reply = call->reply;
	void *arg = call->arg;

	hb_buf_init(&call->reply);
	hb_evcall_cancel(call);
	done(arg, err != NULL ? NULL : reply.data, err != NULL ? 0 : reply.len, err);
	hb_buf_free(&reply);
}

/* The connection is over: every call fails, nothing is sent again. */
static void
lose(struct hb_evlink *link, const struct hb_error *why, bool backoff)
{
	struct hb_evcall *failed[BUCKETS];

	disconnect(link);
	if (backoff) {
		link->backoff = hb_sync_backoff(link->backoff);
		link->retry_at = hb_clock_ms() + link->backoff;
		link->why = *why;
	}
	/* Calls that callbacks start meanwhile belong to the next connection. */
	for (size_t i = 0; i < BUCKETS; i++) {
		failed[i] = link->calls[i];
		if (failed[i] != NULL)
			failed[i]->at = &failed[i];
		link->calls[i] = NULL;
	}
	enter(link);
	for (size_t i = 0; i < BUCKETS; i++)
		while (failed[i] != NULL) {
			if (link->freed)
				hb_evcall_cancel(failed[i]);
			else
				finish(failed[i], why);
		}
	leave(link);
}

static void
lose_link(struct hb_evlink *link)
{
	struct hb_error err;

	hb_error_set(&err, HB_ERROR_CONNECT, "the connection to the companion was lost");
	lose(link, &err, false);
}

static int
begin_frame(struct hb_evlink *link, struct hb_error *err)
{
	const struct hb_frame *head = &link->head;
	struct hb_evcall *call = link->calls[head->id % BUCKETS];

	while (call != NULL && call->id != head->id)
		call = call->next;
	if (head->version != HB_LINK_VERSION || !(head->flags & HB_LINK_REPLY) ||
	    (call != NULL && call->op != head->op))
		return hb_error_set(err, HB_ERROR_PROTOCOL, "not a reply of this link: version %d, op %d, flags %d",
		    head->version, head->op, head->flags);
	link->into = call;
	link->left = head->len;
	if (call == NULL)
		return 0;
	if (head->len > REPLY_MAX - call->reply.len ||
	    (head->len > 0 && hb_buf_reserve(&call->reply, head->len) == NULL)) {
		struct hb_error large;

		hb_error_set(&large, HB_ERROR_LIMIT, "a reply of more than %d bytes", REPLY_MAX);
		finish(call, &large);
	}
	return 0;
}

static void
end_frame(struct hb_evlink *link)
{
	struct hb_evcall *call = link->into;
	struct hb_error err;

	link->into = NULL;
	if (call == NULL || (link->head.flags & HB_LINK_MORE))
		return;
	if (link->head.flags & HB_LINK_ERROR)
		hb_frame_error(call->reply.data, call->reply.len, &err);
	finish(call, link->head.flags & HB_LINK_ERROR ? &err : NULL);
}

/* Callbacks may free the link or lose its connection: then fd is another, and the rest is nobody's. */
static int
absorb(struct hb_evlink *link, size_t n, struct hb_error *err)
{
	const unsigned char *p = link->in, *end = p + link->have + n;
	int fd = link->fd;

	while (!link->freed && link->fd == fd) {
		size_t here = (size_t)(end - p);

		if (link->left > 0) {
			size_t take = here < link->left ? here : link->left;

			if (link->into != NULL)
				hb_buf_add(&link->into->reply, p, take);
			p += take;
			link->left -= take;
			if (link->left > 0) {
				link->have = 0;
				return 0;
			}
			end_frame(link);
			continue;
		}
		if (here < HB_LINK_HEADER) {
			link->have = here;
			memmove(link->in, p, here);
			return 0;
		}
		if (hb_frame_head(p, &link->head, err) == -1 || begin_frame(link, err) == -1)
			return -1;
		p += HB_LINK_HEADER;
		if (link->left == 0)
			end_frame(link);
	}
	return 0;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct hb_evlink *link = arg;
	struct hb_error err;
	ssize_t n = recv(link->fd, link->in + link->have, sizeof link->in - link->have, 0);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	enter(link);
	if (n <= 0) {
		lose_link(link);
	} else {
		link->backoff = 0;
		if (absorb(link, (size_t)n, &err) == -1 && !link->freed)
			lose(link, &err, true);
	}
	leave(link);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct hb_evlink *link = arg;
	ssize_t n = send(link->fd, link->out.data + link->out_off, link->out.len - link->out_off, MSG_NOSIGNAL);

	if (n == -1 && errno != EAGAIN && errno != EINTR) {
		lose_link(link);
		return;
	}
	link->out_off += n > 0 ? (size_t)n : 0;
	if (link->out_off < link->out.len) {
		event_add(link->writable, NULL);
		return;
	}
	link->out_off = 0;
	if (link->out.cap > IN_SIZE)
		hb_buf_free(&link->out);
	else
		hb_buf_clear(&link->out);
}

static void
on_dialled(void *arg, int fd, const struct hb_error *err)
{
	struct hb_evlink *link = arg;
	struct hb_error failed;

	link->dial = NULL;
	if (fd == -1) {
		failed = *err;
		/* It is the connection's time that is up, no call's. */
		if (failed.kind == HB_ERROR_TIMEOUT)
			failed.kind = HB_ERROR_CONNECT;
		lose(link, &failed, true);
		return;
	}
	link->fd = fd;
	tell_descriptor(link, fd);
	link->readable = event_new(link->base, fd, EV_READ | EV_PERSIST, on_readable, link);
	link->writable = event_new(link->base, fd, EV_WRITE, on_writable, link);
	if (link->readable == NULL || link->writable == NULL || event_add(link->readable, NULL) == -1 ||
	    event_add(link->writable, NULL) == -1) {
		hb_error_set(&failed, HB_ERROR_MEMORY, "cannot add an event");
		lose(link, &failed, true);
	}
}

static void
on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct hb_evcall *call = arg;
	struct hb_evlink *link = call->link;
	struct hb_error err;

	hb_error_set(&err, HB_ERROR_TIMEOUT, "no answer before the deadline");
	enter(link);
	finish(call, &err);
	leave(link);
}

/* Makes sure that there is, or will be, a connection. */
static int
ensure(struct hb_evlink *link, struct hb_error *err)
{
	if (link->fd != -1 || link->dial != NULL)
		return 0;
	if (hb_clock_ms() < link->retry_at) {
		*err = link->why;
		return -1;
	}
	link->dial = hb_evdial_start(link->base, link->path, &link->hello, DIAL_TIME, on_dialled, link, err);
	return link->dial == NULL ? -1 : 0;
}

static int
enqueue(struct hb_evlink *link, struct hb_buf *request, struct hb_error *err)
{
	size_t waiting = link->out.len - link->out_off;

	if (waiting + request->len > HB_EVLINK_OUT_MAX)
		return hb_error_set(err, HB_ERROR_LIMIT, "%zu bytes of requests wait for the companion", waiting);
	if (link->out_off > 0 && link->out_off >= link->out.len / 2) {
		hb_buf_drop(&link->out, link->out_off);
		link->out_off = 0;
	}
	hb_buf_add(&link->out, request->data, request->len);
	if (link->out.failed) {
		link->out.failed = false; /* what is in it stands: only this request found no room */
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	}
	if (link->fd != -1 && !link->batched)
		event_add(link->writable, NULL);
	return 0;
}

static int
set_timer(struct hb_evcall *call, int64_t deadline, struct hb_error *err)
{
	int64_t left = deadline - hb_clock_ms();
	struct timeval tv;

	if (left < 0)
		left = 0;
	tv = (struct timeval){left / 1000, left % 1000 * 1000};
	call->timer = evtimer_new(call->link->base, on_deadline, call);
	if (call->timer == NULL || evtimer_add(call->timer, &tv) == -1)
		return hb_error_set(err, HB_ERROR_MEMORY, "cannot add an event");
	return 0;
}

struct hb_evcall *
hb_evlink_call(struct hb_evlink *link, enum hb_link_op op, struct hb_buf *request, int64_t deadline,
    hb_evcall_done *done, void *arg, struct hb_error *err)
{
	struct hb_evcall *call, **at;

	if (request->failed || request->len - 4 > HB_LINK_FRAME_MAX) {
		hb_error_set(err, request->failed ? HB_ERROR_MEMORY : HB_ERROR_LIMIT,
		    "a request of %zu bytes: at most %d go into a frame", request->len, HB_LINK_FRAME_MAX);
		return NULL;
	}
	if (ensure(link, err) == -1)
		return NULL;
	call = hb_xcalloc(1, sizeof *call);
	*call = (struct hb_evcall){.link = link, .id = ++link->last_id, .op = op, .done = done, .arg = arg};
	at = &link->calls[call->id % BUCKETS];
	call->next = *at;
	call->at = at;
	if (call->next != NULL)
		call->next->at = &call->next;
	*at = call;
	hb_frame_header(request->data, request->len, op, 0, call->id, hb_frame_deadline(deadline));
	if ((deadline != 0 && set_timer(call, deadline, err) == -1) || enqueue(link, request, err) == -1) {
		hb_evcall_cancel(call);
		return NULL;
	}
	return call;
}

/* No reply comes to it; where there is no connection nothing runs. */
void
hb_evcall_abandon(struct hb_evcall *call)
{
	struct hb_buf request = HB_BUF_INIT;
	struct hb_evlink *link;
	struct hb_error err;
	uint32_t id;

	if (call == NULL)
		return;
	link = call->link;
	id = call->id;
	hb_evcall_cancel(call);
	if (link->fd == -1)
		return;
	hb_frame_cancel(&request, id);
	if (!request.failed)
		(void)enqueue(link, &request, &err);
	hb_buf_free(&request);
}

void
hb_evcall_wait_until(struct hb_evcall *call, int64_t until)
{
	int64_t left = until - hb_clock_ms();
	struct timeval tv;

	if (left < 0)
		left = 0;
	tv = (struct timeval){left / 1000, left % 1000 * 1000};
	if (call->timer != NULL)
		(void)evtimer_add(call->timer, &tv);
}

void
hb_evlink_on_descriptor(struct hb_evlink *link, void (*changed)(void *arg, int fd), void *arg)
{
	link->changed = changed;
	link->changed_arg = arg;
}

void
hb_evlink_forked(struct hb_evlink *link)
{
	hb_fd_close(&link->fd);
}

void
hb_evlink_batch(struct hb_evlink *link)
{
	link->batched = true;
}

void
hb_evlink_flush(struct hb_evlink *link)
{
	if (link->fd != -1 && link->out_off < link->out.len && !event_pending(link->writable, EV_WRITE, NULL))
		on_writable(link->fd, EV_WRITE, link);
}
