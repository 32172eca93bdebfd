/* One connection of the blocking client: see conn.h. */
#include "link/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct hb_conn *
hb_conn_new(int fd)
{
	struct hb_conn *conn = malloc(sizeof *conn);

	if (conn == NULL)
		return NULL;
	/* Not the big buffer: its pages are touched as replies need them. */
	memset(conn, 0, offsetof(struct hb_conn, in));
	conn->fd = fd;
	conn->refs = 1;
	return conn;
}

void
hb_conn_free(struct hb_conn *conn)
{
	if (conn == NULL)
		return;
	close(conn->fd);
	hb_buf_free(&conn->tail);
	hb_buf_free(&conn->notes);
	free(conn);
}

void
hb_conn_add(struct hb_conn *conn, struct hb_call *call)
{
	call->next = conn->calls;
	if (call->next != NULL)
		call->next->at = &call->next;
	call->at = &conn->calls;
	conn->calls = call;
}

static void
unlink_call(struct hb_call *call)
{
	if (call->at == NULL)
		return;
	*call->at = call->next;
	if (call->next != NULL)
		call->next->at = call->at;
	call->at = NULL;
}

static void
finish(struct hb_call *call, int result)
{
	call->result = result;
	call->done = true;
	unlink_call(call);
	if (call->waiting)
		pthread_cond_signal(&call->cond);
}

void
hb_conn_set_aside(struct hb_conn *conn, struct hb_call *call)
{
	if (conn->partial != call)
		return;
	conn->partial = NULL;
	hb_buf_clear(&conn->tail);
	hb_buf_add(&conn->tail, call->data + call->off, call->len - call->off);
	conn->tail_off = 0;
	call->sent = true;
	if (conn->tail.failed) {
		/* Without its rest the stream cannot go on. */
		struct hb_error err;

		hb_error_set(&err, HB_ERROR_MEMORY, "out of memory");
		hb_conn_lose(conn, &err);
	}
}

void
hb_conn_remove(struct hb_conn *conn, struct hb_call *call)
{
	if (conn->into == call)
		conn->into = NULL;
	unlink_call(call);
	hb_conn_set_aside(conn, call);
}

bool
hb_conn_wants_write(const struct hb_conn *conn, const struct hb_call *call)
{
	if (conn->tail_off < conn->tail.len)
		return true;
	return !call->sent && (conn->partial == NULL || conn->partial == call);
}

ssize_t
hb_conn_send(int fd, const unsigned char *p, size_t n)
{
	ssize_t sent;

	do
		sent = send(fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent == -1 && errno == EINTR);
	return sent == -1 && (errno == EAGAIN || errno == ENOBUFS) ? 0 : sent;
}

static int
push_tail(struct hb_conn *conn)
{
	ssize_t n = hb_conn_send(conn->fd, conn->tail.data + conn->tail_off, conn->tail.len - conn->tail_off);

	if (n <= 0)
		return n == 0 ? 1 : -1;
	conn->tail_off += (size_t)n;
	if (conn->tail_off == conn->tail.len) {
		hb_buf_free(&conn->tail);
		conn->tail_off = 0;
	}
	return 0;
}

static int
push_call(struct hb_conn *conn, struct hb_call *call)
{
	ssize_t n = hb_conn_send(conn->fd, call->data + call->off, call->len - call->off);

	if (n <= 0)
		return n == 0 ? 1 : -1;
	call->off += (size_t)n;
	call->sent = call->off == call->len;
	conn->partial = call->sent ? NULL : call;
	return 0;
}

int
hb_conn_push(struct hb_conn *conn, struct hb_call *call)
{
	int rc;

	do {
		if (conn->notes.len > 0 && conn->partial == NULL && conn->tail.len == 0) {
			conn->tail = conn->notes;
			hb_buf_init(&conn->notes);
		}
		if (conn->tail_off < conn->tail.len)
			rc = push_tail(conn);
		else if (call != NULL && hb_conn_wants_write(conn, call))
			rc = push_call(conn, call);
		else
			rc = 1;
	} while (rc == 0);
	return rc == -1 ? -1 : 0;
}

void
hb_conn_cancel(struct hb_conn *conn, const struct hb_call *call)
{
	if (!call->sent && call->off == 0)
		return;
	hb_frame_cancel(&conn->notes, call->id);
	/* One that finds no room is missed: the deadline stops the call. */
	conn->notes.failed = false;
}

static struct hb_call *
find(struct hb_conn *conn, uint32_t id)
{
	struct hb_call *call = conn->calls;

	while (call != NULL && call->id != id)
		call = call->next;
	return call;
}

static void
fail(struct hb_conn *conn, struct hb_call *call, enum hb_error_kind kind, const char *text)
{
	conn->into = NULL;
	hb_error_set(call->err, kind, "%s", text);
	finish(call, -1);
}

/* A header is in: whose reply is it? */
static int
begin_frame(struct hb_conn *conn, struct hb_error *err)
{
	const struct hb_frame *head = &conn->head;
	struct hb_call *call = find(conn, head->id);

	if (head->version != HB_LINK_VERSION || !(head->flags & HB_LINK_REPLY) ||
	    (call != NULL && call->op != head->op))
		return hb_error_set(err, HB_ERROR_PROTOCOL, "not a reply of this link: version %d, op %d, flags %d",
		    head->version, head->op, head->flags);
	conn->into = call;
	conn->left = head->len;
	if (call == NULL)
		return 0;
	if (head->len > HB_CONN_REPLY_MAX - call->reply->len)
		fail(conn, call, HB_ERROR_LIMIT, "a reply of more than 1 GiB");
	else if (hb_buf_reserve(call->reply, head->len) == NULL && head->len > 0)
		fail(conn, call, HB_ERROR_MEMORY, "out of memory for a reply");
	return 0;
}

static void
end_frame(struct hb_conn *conn)
{
	struct hb_call *call = conn->into;

	conn->into = NULL;
	if (call == NULL || (conn->head.flags & HB_LINK_MORE))
		return;
	if (conn->head.flags & HB_LINK_ERROR)
		hb_frame_error(call->reply->data, call->reply->len, call->err);
	finish(call, conn->head.flags & HB_LINK_ERROR ? -1 : 0);
}

int
hb_conn_absorb(struct hb_conn *conn, size_t n, struct hb_error *err)
{
	const unsigned char *p = conn->in, *end = p + conn->have + n;

	conn->answered = true;
	for (;;) {
		size_t here = (size_t)(end - p);

		if (conn->left > 0) {
			size_t take = here < conn->left ? here : conn->left;

			if (conn->into != NULL)
				hb_buf_add(conn->into->reply, p, take);
			p += take;
			conn->left -= take;
			if (conn->left > 0)
				break;
			end_frame(conn);
			continue;
		}
		if (here < HB_LINK_HEADER)
			break;
		if (hb_frame_head(p, &conn->head, err) == -1 || begin_frame(conn, err) == -1)
			return -1;
		p += HB_LINK_HEADER;
		if (conn->left == 0)
			end_frame(conn);
	}
	conn->have = (size_t)(end - p);
	memmove(conn->in, p, conn->have);
	return 0;
}

void
hb_conn_lose(struct hb_conn *conn, const struct hb_error *why)
{
	struct hb_call *call, *next;

	if (conn->lost)
		return;
	conn->lost = true;
	conn->partial = NULL;
	conn->into = NULL;
	/* Threads in poll or recv come back; the descriptor is closed when the last one left. */
	shutdown(conn->fd, SHUT_RDWR);
	for (call = conn->calls; call != NULL; call = next) {
		next = call->next;
		if (call->sent || call->off > 0) {
			*call->err = *why;
			finish(call, -1);
		} else {
			unlink_call(call);
			if (call->waiting)
				pthread_cond_signal(&call->cond);
		}
	}
}

void
hb_conn_hand_over(struct hb_conn *conn)
{
	struct hb_call *call, *sender = NULL, *reader = NULL;

	for (call = conn->calls; call != NULL; call = call->next) {
		if (!call->waiting)
			continue;
		if (!call->sent && conn->partial == NULL)
			sender = call;
		else if (!conn->reading)
			reader = call;
	}
	if (sender != NULL)
		pthread_cond_signal(&sender->cond);
	if (reader != NULL)
		pthread_cond_signal(&reader->cond);
}
