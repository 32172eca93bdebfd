/* A peer of the control socket: see control_client.h. */
#include "hornbeamd/control_client.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "term/term.h"

enum {
	READ_CHUNK = 4096,
	STALL_SECONDS = 10 /* for the rest of a request, or for taking a reply */
};

enum client_state {
	CLIENT_READING,   /* waits for a whole request */
	CLIENT_ANSWERING, /* the request is with the caller */
	CLIENT_WRITING    /* the peer takes the reply */
};

struct hb_control_client {
	struct hb_control_calls calls;
	int fd;
	enum client_state state;
	struct event *readable, *writable, *stalled;
	struct ucred cred;
	void *data;
	struct hb_buf in, out;
	size_t sent;    /* of out */
	int pass;       /* goes with out's first byte; -1: none */
	bool last;      /* ends when out is written */
	uint8_t op;     /* of the request */
	uint32_t id;
};

static void
start_clock(struct hb_control_client *c)
{
	static const struct timeval stall = {STALL_SECONDS, 0};

	if (!evtimer_pending(c->stalled, NULL))
		evtimer_add(c->stalled, &stall);
}

static void
set_state(struct hb_control_client *c, enum client_state state)
{
	static const char *const names[] = {"reading", "answering", "writing"};

	if (c->state == state)
		return;
	hb_debug("control: client %d: %s -> %s", (int)c->cred.pid, names[c->state], names[state]);
	c->state = state;
	evtimer_del(c->stalled);
	event_del(c->writable);
	switch (state) {
	case CLIENT_READING:
		event_add(c->readable, NULL);
		break;
	case CLIENT_ANSWERING:
		event_del(c->readable);
		break;
	case CLIENT_WRITING:
		event_del(c->readable);
		event_add(c->writable, NULL);
		start_clock(c);
		break;
	}
}

/* Takes one request out of what was read.  False: there is none, or the client is gone or being answered. */
static bool
take_request(struct hb_control_client *c)
{
	struct hb_frame frame;
	struct hb_error err;
	size_t need = 0;
	int64_t n;

	n = hb_frame_parse(c->in.data, c->in.len, &frame, &need, &err);
	if (n == 0 && need <= HB_CONTROL_REQUEST_MAX)
		return false;
	if (n == 0)
		hb_error_set(&err, HB_ERROR_LIMIT, "a request of %zu bytes; at most %d are taken here", need,
		    HB_CONTROL_REQUEST_MAX);
	if (n <= 0) {
		set_state(c, CLIENT_ANSWERING);
		hb_control_client_error(c, err.kind == HB_ERROR_LIMIT ? "limit" : "protocol", err.text, true);
		return false;
	}
	c->op = frame.op;
	c->id = frame.id;
	set_state(c, CLIENT_ANSWERING);
	c->calls.request(c, &frame, c->calls.arg);
	hb_buf_drop(&c->in, (size_t)n);
	return true;
}

/* What is next after bytes came or a reply went out. */
static void
go_on(struct hb_control_client *c)
{
	if (c->state == CLIENT_READING && c->in.len > 0)
		(void)take_request(c);
	if (c->state != CLIENT_READING)
		return;
	if (c->in.len > 0)
		start_clock(c);
	else
		hb_buf_free(&c->in); /* most clients are idle most of the time */
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct hb_control_client *c = arg;
	unsigned char *p = hb_buf_reserve(&c->in, READ_CHUNK);
	ssize_t n;

	if (p == NULL) {
		hb_control_client_free(c);
		return;
	}
	n = read(fd, p, READ_CHUNK);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hb_control_client_free(c);
		return;
	}
	c->in.len += (size_t)n;
	go_on(c);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct hb_control_client *c = arg;
	const unsigned char *p = c->out.data + c->sent;
	size_t left = c->out.len - c->sent;
	ssize_t n = c->pass != -1 ? hb_fd_send(fd, p, left, c->pass) : send(fd, p, left, MSG_NOSIGNAL);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n == -1) {
		hb_control_client_free(c);
		return;
	}
	hb_fd_close(&c->pass);
	c->sent += (size_t)n;
	if (c->sent < c->out.len)
		return;
	if (c->last) {
		hb_control_client_free(c);
		return;
	}
	hb_buf_free(&c->out);
	c->sent = 0;
	set_state(c, CLIENT_READING);
	go_on(c);
}

static void
on_stalled(evutil_socket_t fd, short what, void *arg)
{
	struct hb_control_client *c = arg;

	hb_info("control: process %d of user %u stalled; closing its connection", (int)c->cred.pid, (unsigned)c->cred.uid);
	hb_control_client_free(c);
}

struct hb_control_client *
hb_control_client_new(struct event_base *base, int fd, const struct hb_control_calls *calls)
{
	struct hb_control_client *c = hb_xcalloc(1, sizeof *c);
	socklen_t len = sizeof c->cred;

	c->calls = *calls;
	c->fd = fd;
	c->pass = -1;
	c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, c);
	c->stalled = evtimer_new(base, on_stalled, c);
	if (c->readable == NULL || c->writable == NULL || c->stalled == NULL ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c->cred, &len) == -1 || event_add(c->readable, NULL) == -1) {
		c->calls.closed = NULL;
		hb_control_client_free(c);
		return NULL;
	}
	return c;
}

void
hb_control_client_free(struct hb_control_client *c)
{
	if (c->calls.closed != NULL)
		c->calls.closed(c, c->calls.arg);
	if (c->readable != NULL)
		event_free(c->readable);
	if (c->writable != NULL)
		event_free(c->writable);
	if (c->stalled != NULL)
		event_free(c->stalled);
	hb_buf_free(&c->in);
	hb_buf_free(&c->out);
	hb_fd_close(&c->pass);
	hb_fd_close(&c->fd);
	free(c);
}

const struct ucred *
hb_control_client_cred(const struct hb_control_client *c)
{
	return &c->cred;
}

bool
hb_control_client_in_group(const struct hb_control_client *c, gid_t gid)
{
	gid_t *groups, none;
	socklen_t len = 0;
	bool found = c->cred.gid == gid;

	/* The first call, without room, tells the length. */
	if (found || getsockopt(c->fd, SOL_SOCKET, SO_PEERGROUPS, &none, &len) == 0 || errno != ERANGE)
		return found;
	groups = hb_xmalloc(len);
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0)
		for (size_t i = 0; i < len / sizeof *groups && !found; i++)
			found = groups[i] == gid;
	free(groups);
	return found;
}

bool
hb_control_client_idle(const struct hb_control_client *c)
{
	return c->state == CLIENT_READING && c->in.len == 0;
}

void **
hb_control_client_data(struct hb_control_client *c)
{
	return &c->data;
}

static void
put_out(struct hb_control_client *c, const struct hb_buf *payload, uint8_t flags)
{
	size_t total = HB_LINK_HEADER + payload->len;
	unsigned char *p = hb_buf_reserve(&c->out, total);

	if (p == NULL || payload->failed) {
		hb_err("control: out of memory for a reply");
		c->last = true;
		(void)shutdown(c->fd, SHUT_RDWR); /* the write fails and frees the client */
	} else {
		hb_frame_header(p, total, c->op, flags, c->id, 0);
		memcpy(p + HB_LINK_HEADER, payload->data, payload->len);
		c->out.len += total;
	}
	set_state(c, CLIENT_WRITING);
}

void
hb_control_client_reply(struct hb_control_client *c, struct hb_buf *payload, int fd)
{
	c->pass = fd;
	put_out(c, payload, HB_LINK_REPLY);
	hb_buf_free(payload);
}

void
hb_control_client_error(struct hb_control_client *c, const char *class, const char *text, bool last)
{
	struct hb_buf payload = HB_BUF_INIT;

	c->last = last;
	hb_term_put_version(&payload);
	hb_term_put_tuple(&payload, 2);
	hb_term_put_atom(&payload, class);
	hb_term_put_str(&payload, text);
	put_out(c, &payload, HB_LINK_REPLY | HB_LINK_ERROR);
	hb_buf_free(&payload);
}
