/* The push connection's bytes, in and out: see push_state.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/str.h"
#include "link/conn.h"
#include "link/push_state.h"
#include "term/term.h"

enum {
	TELL_EACH = 100,       /* ms */
	OUT_CHUNK = 64 * 1024, /* numbers of topics are said as the companion takes them */
	READS = 16             /* recv in one exchange */
};

void
hb_push_ring(int bell)
{
	uint64_t one = 1;

	/* It can fail only where it has rung already. */
	if (write(bell, &one, sizeof one) == -1)
		return;
}

void
hb_push_silence(int bell)
{
	uint64_t count;

	if (read(bell, &count, sizeof count) == -1)
		return;
}

static void
fail_request(struct hb_push *push, struct hb_push_waits *waits)
{
	struct hb_push_wait *wait;

	while ((wait = TAILQ_FIRST(waits)) != NULL) {
		TAILQ_REMOVE(waits, wait, of_reply);
		wait->in = NULL;
		wait->lost = true;
		hb_push_wake(push, wait);
	}
}

void
hb_push_drop(struct hb_push *push, bool in_child)
{
	struct hb_push_request *request;

	while ((request = TAILQ_FIRST(&push->requests)) != NULL) {
		TAILQ_REMOVE(&push->requests, request, link);
		if (!in_child)
			fail_request(push, &request->waits);
		free(request);
	}
	if (push->fd == -1)
		return;
	if (!in_child) {
		hb_push_watch_connection(push, EPOLL_CTL_DEL);
		shutdown(push->fd, SHUT_RDWR);
		hb_push_ring(push->bell);
	}
	hb_fd_close(&push->fd);
	hb_message_unref(push->into);
	push->into = NULL;
	push->left = push->start = push->end = push->out_off = 0;
	push->full = push->more = false;
	hb_buf_clear(&push->out);
}

/* Messages of any topic may be missing, nobody knows how many. */
static void
count_gap(struct hb_push *push, bool cut)
{
	struct hb_subscriber *s;

	TAILQ_FOREACH(s, &push->subscribers, link)
		if (!LIST_EMPTY(&s->members)) {
			s->counts.gaps++;
			s->counts.cuts += cut;
		}
}

static void
lose(struct hb_push *push, const struct hb_error *why)
{
	bool gap = push->answered;

	if (!gap) {
		push->backoff = hb_sync_backoff(push->backoff);
		push->retry_at = hb_clock_ms() + push->backoff;
		push->why = *why;
	}
	hb_push_drop(push, false);
	hb_topics_lost(push);
	if (gap)
		count_gap(push, true);
	hb_push_connect(push);
}

static void
lose_silent(struct hb_push *push)
{
	struct hb_error err;

	hb_error_set(&err, HB_ERROR_CONNECT, "the connection to the companion was lost");
	lose(push, &err);
}

void
hb_push_up(struct hb_push *push, int fd)
{
	struct hb_push_wait *wait;

	push->fd = fd;
	push->number++;
	push->answered = false;
	if (push->bell == -1)
		push->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (push->bell == -1) {
		struct hb_error err;

		hb_error_errno(&err, HB_ERROR_SYSTEM, "eventfd");
		lose(push, &err);
		return;
	}
	hb_push_watch_connection(push, EPOLL_CTL_ADD);
	hb_topics_say_all(push);
	hb_push_flush(push);
	TAILQ_FOREACH(wait, &push->waits, link)
		hb_push_wake(push, wait);
}

/* A topic's number goes out; who waits for that waits for the reply from now on. */
static void
say(struct hb_push *push, struct hb_topic *topic)
{
	struct hb_push_request *request = hb_xcalloc(1, sizeof *request);
	struct hb_buf *out = &push->out;
	size_t start = out->len;
	struct hb_push_wait *wait;

	request->id = ++push->last_id;
	request->op = topic->op;
	TAILQ_INIT(&request->waits);
	TAILQ_CONCAT(&request->waits, &topic->waits, of_reply);
	TAILQ_FOREACH(wait, &request->waits, of_reply)
		wait->in = &request->waits;
	TAILQ_INSERT_TAIL(&push->requests, request, link);
	if (hb_buf_reserve(out, HB_LINK_HEADER) != NULL)
		out->len += HB_LINK_HEADER;
	hb_term_put_version(out);
	hb_term_put_tuple(out, 2);
	hb_term_put_binary(out, topic->name, topic->len);
	if (topic->op == HB_OP_PROVIDE)
		hb_term_put_bool(out, topic->n > 0);
	else
		hb_term_put_int(out, topic->n);
	if (!out->failed)
		hb_frame_header(out->data + start, out->len - start, topic->op, 0, request->id, 0);
}

/* What subscribers of the topic missed for want of room in their queues. */
static void
say_missed(struct hb_push *push, const struct hb_topic *topic, uint64_t count)
{
	struct hb_buf *out = &push->out;
	size_t start = out->len;

	if (hb_buf_reserve(out, HB_LINK_HEADER) != NULL)
		out->len += HB_LINK_HEADER;
	hb_term_put_version(out);
	hb_term_put_tuple(out, 2);
	hb_term_put_binary(out, topic->name, topic->len);
	hb_term_put_int(out, (int64_t)count);
	if (!out->failed)
		hb_frame_header(out->data + start, out->len - start, HB_OP_MISSED, 0, 0, 0);
}

static void
fill_out(struct hb_push *push)
{
	struct hb_topic *topic;
	uint64_t count;
	int64_t now;

	if (push->out.cap > 4 * OUT_CHUNK)
		hb_buf_free(&push->out);
	else
		hb_buf_clear(&push->out);
	push->out_off = 0;
	while (push->out.len < OUT_CHUNK && (topic = TAILQ_FIRST(&push->dirty)) != NULL) {
		TAILQ_REMOVE(&push->dirty, topic, link);
		topic->dirty = false;
		say(push, topic);
		hb_topic_release(push, topic);
	}
	/* A subscriber that does not read must not make as many frames as it gets. */
	if (TAILQ_EMPTY(&push->losing) || (now = hb_clock_ms()) < push->tell_at)
		return;
	push->tell_at = now + TELL_EACH;
	while (push->out.len < OUT_CHUNK && (topic = hb_topics_losing(push, &count)) != NULL) {
		say_missed(push, topic, count);
		hb_topic_release(push, topic);
	}
}

void
hb_push_flush(struct hb_push *push)
{
	bool full = false;
	ssize_t n;

	while (!full && push->fd != -1) {
		if (push->out_off == push->out.len)
			fill_out(push);
		if (push->out.len == 0)
			break;
		n = push->out.failed ? -1
		                     : hb_conn_send(push->fd, push->out.data + push->out_off, push->out.len - push->out_off);
		if (n == -1) {
			hb_buf_free(&push->out);
			lose_silent(push);
			return;
		}
		push->out_off += (size_t)n;
		full = n == 0;
	}
	if (full == push->full || push->fd == -1)
		return;
	push->full = full;
	hb_push_watch_connection(push, EPOLL_CTL_MOD);
	if (push->polling)
		hb_push_ring(push->bell);
}

static void
take_reply(struct hb_push *push, const struct hb_message *message)
{
	struct hb_push_request *request;
	struct hb_push_wait *wait;

	TAILQ_FOREACH(request, &push->requests, link)
		if (request->id == push->head.id)
			break;
	if (request == NULL || (push->head.flags & HB_LINK_MORE))
		return;
	TAILQ_REMOVE(&push->requests, request, link);
	while ((wait = TAILQ_FIRST(&request->waits)) != NULL) {
		TAILQ_REMOVE(&request->waits, wait, of_reply);
		wait->in = NULL;
		wait->done = true;
		wait->result = push->head.flags & HB_LINK_ERROR ? -1 : 0;
		if (wait->result == -1)
			hb_frame_error(message->data, message->size, wait->err);
		hb_push_wake(push, wait);
	}
	free(request);
}

/* {Topic, B} */
static int
take_message(struct hb_push *push, struct hb_message *message, struct hb_error *err)
{
	struct hb_term_reader reader;
	const unsigned char *topic;
	uint32_t arity;

	if (hb_term_open(&reader, message->data, message->size, err) == -1 ||
	    hb_term_want_tuple(&reader, &arity, err) == -1 ||
	    hb_term_want_binary(&reader, &topic, &message->topic_len, err) == -1 ||
	    hb_term_want_binary(&reader, &message->body, &message->len, err) == -1)
		return -1;
	message->topic = (const char *)topic;
	hb_topic_deliver(push, message);
	return 0;
}

/* [{Topic, Count}]; of an empty one the companion knows neither topics nor counts. */
static int
take_gap(struct hb_push *push, const struct hb_message *message, struct hb_error *err)
{
	struct hb_term_reader reader;
	const unsigned char *topic;
	uint32_t count, arity;
	int64_t dropped;
	size_t len;

	if (hb_term_open(&reader, message->data, message->size, err) == -1 ||
	    hb_term_want_list(&reader, &count, err) == -1)
		return -1;
	if (count == 0)
		count_gap(push, false);
	for (uint32_t i = 0; i < count; i++) {
		if (hb_term_want_tuple(&reader, &arity, err) == -1 ||
		    hb_term_want_binary(&reader, &topic, &len, err) == -1 ||
		    hb_term_want_int(&reader, &dropped, err) == -1 || hb_term_want_close(&reader, err) == -1)
			return -1;
		if (dropped > 0)
			hb_topic_gap(push, (const char *)topic, len, (uint64_t)dropped);
	}
	return 0;
}

/* A whole frame is in. */
static int
take_frame(struct hb_push *push, struct hb_error *err)
{
	struct hb_message *message = push->into;
	int result = 0;

	push->into = NULL;
	if (push->head.flags & HB_LINK_REPLY)
		take_reply(push, message);
	else if (push->head.op == HB_OP_MESSAGE)
		result = take_message(push, message, err);
	else if (push->head.op == HB_OP_GAP)
		result = take_gap(push, message, err);
	else if (push->listener != NULL)
		hb_subscriber_deliver(push->listener, message);
	hb_message_unref(message);
	return result;
}

static int
begin_frame(struct hb_push *push, struct hb_error *err)
{
	struct hb_message *message;

	if (hb_frame_head(push->in + push->start, &push->head, err) == -1)
		return -1;
	if (push->head.version != HB_LINK_VERSION || (!(push->head.flags & HB_LINK_REPLY) && push->head.id != 0))
		return hb_error_set(err, HB_ERROR_PROTOCOL, "not a frame of this link: version %d, op %d, flags %d",
		    push->head.version, push->head.op, push->head.flags);
	message = malloc(sizeof *message + push->head.len);
	if (message == NULL)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory for a message");
	*message = (struct hb_message){.op = push->head.op, .serial = ++push->serial, .link = push->number, .body = message->data,
	    .len = push->head.len, .size = push->head.len};
	atomic_init(&message->refs, 1);
	push->into = message;
	push->left = push->head.len;
	push->start += HB_LINK_HEADER;
	return 0;
}

/* Handles whole frames of the buffer, as many as a quarter of a queue takes: who waits gets its turn. */
static int
parse(struct hb_push *push, size_t *budget, struct hb_error *err)
{
	for (; *budget > 0; --*budget) {
		size_t here = push->end - push->start, take;

		if (push->into == NULL) {
			if (here < HB_LINK_HEADER)
				break;
			if (begin_frame(push, err) == -1)
				return -1;
			here -= HB_LINK_HEADER;
		}
		take = here < push->left ? here : push->left;
		memcpy(push->into->data + push->into->size - push->left, push->in + push->start, take);
		push->start += take;
		push->left -= take;
		if (push->left > 0)
			break;
		if (take_frame(push, err) == -1)
			return -1;
	}
	return 0;
}

static void
take_in(struct hb_push *push)
{
	size_t budget = push->queue / 4 + 1, room;
	struct hb_error err;
	ssize_t n;

	for (int i = 0; push->fd != -1; i++) {
		if (parse(push, &budget, &err) == -1) {
			lose(push, &err);
			return;
		}
		push->more = budget == 0 && push->start < push->end;
		if (budget == 0 || i == READS)
			return;
		/* What is left is less than a header. */
		memmove(push->in, push->in + push->start, push->end - push->start);
		push->end -= push->start;
		push->start = 0;
		room = sizeof push->in - push->end;
		n = recv(push->fd, push->in + push->end, room, MSG_DONTWAIT);
		if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
			lose_silent(push);
		if (n <= 0)
			return;
		push->answered = true;
		push->backoff = push->retry_at = 0;
		push->end += (size_t)n;
		if ((size_t)n < room)
			i = READS - 1; /* the socket is empty */
	}
}

void
hb_push_exchange(struct hb_push *push)
{
	hb_push_flush(push);
	take_in(push);
	if (!TAILQ_EMPTY(&push->losing))
		hb_push_flush(push);
}
