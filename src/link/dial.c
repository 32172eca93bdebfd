/* Opening a link, blocking: see dial.h. */
#include "link/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "link/frame.h"
#include "link/hello.h"
#include "term/term.h"

enum {
	REPLY_MAX = 2048,  /* of a hello or a link request; an error's text is part of it */
	BACKLOG_PAUSE = 10 /* milliseconds between attempts at a full backlog, which poll(2) cannot wait for */
};

void
hb_dial_end(struct hb_dial *dial)
{
	hb_fd_close(&dial->sock);
	hb_fd_close(&dial->passed);
}

static int
timed_out(const char *path, struct hb_error *err)
{
	return hb_error_set(err, HB_ERROR_TIMEOUT, "no answer at %s before the deadline", path);
}

/* Waits for events or the deadline: 0, or -1 with err. */
static int
await(int fd, short events, int64_t deadline, const char *path, struct hb_error *err)
{
	struct pollfd pfd = {fd, events, 0};
	int64_t left = deadline - hb_clock_ms();
	int n;

	if (left <= 0)
		return timed_out(path, err);
	n = poll(&pfd, events != 0 ? 1 : 0, left > 60000 ? 60000 : (int)left);
	if (n == -1 && errno == EINTR)
		return hb_error_set(err, HB_ERROR_INTERRUPT, "interrupted");
	if (n == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "poll");
	return 0;
}

static int
connect_to(struct hb_dial *dial, const char *path, int64_t deadline, struct hb_error *err)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	size_t len = strlen(path);

	if (len >= sizeof un.sun_path)
		return hb_error_set(err, HB_ERROR_VALUE, "%s: longer than a socket's path can be", path);
	memcpy(un.sun_path, path, len);
	pthread_mutex_lock(dial->lock);
	dial->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	pthread_mutex_unlock(dial->lock);
	if (dial->sock == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "socket");
	while (connect(dial->sock, (struct sockaddr *)&un, sizeof un) == -1) {
		int64_t pause = hb_clock_ms() + BACKLOG_PAUSE;

		if (errno == EACCES || errno == EPERM)
			return hb_error_errno(err, HB_ERROR_PERMISSION, "cannot connect to %s", path);
		if (errno != EAGAIN && errno != EINTR)
			return hb_error_errno(err, HB_ERROR_CONNECT, "cannot connect to %s", path);
		if (hb_clock_ms() >= deadline)
			return timed_out(path, err);
		if (await(-1, 0, pause < deadline ? pause : deadline, path, err) == -1 && err->kind != HB_ERROR_TIMEOUT)
			return -1;
	}
	return 0;
}

/* Reads one small frame into in; a descriptor that comes along goes to dial->passed. */
static int
read_reply(struct hb_dial *dial, unsigned char in[REPLY_MAX], struct hb_frame *reply, const char *path,
    int64_t deadline, struct hb_error *err)
{
	size_t have = 0, need = HB_LINK_HEADER;

	for (;;) {
		ssize_t n;
		int64_t whole;

		if (await(dial->sock, POLLIN, deadline, path, err) == -1)
			return -1;
		pthread_mutex_lock(dial->lock);
		if (dial->passed == -1)
			n = hb_fd_recv(dial->sock, in + have, need - have, &dial->passed);
		else
			n = recv(dial->sock, in + have, need - have, 0);
		pthread_mutex_unlock(dial->lock);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n == 0)
			return hb_error_set(err, HB_ERROR_CONNECT, "%s closed the new link", path);
		if (n == -1)
			return hb_error_errno(err, HB_ERROR_CONNECT, "the new link at %s", path);
		have += (size_t)n;
		whole = hb_frame_parse(in, have, reply, &need, err);
		if (whole != 0)
			return whole > 0 ? 0 : -1;
		if (need > REPLY_MAX)
			return hb_error_set(err, HB_ERROR_PROTOCOL, "%s answers with %zu bytes to a greeting", path, need);
	}
}

/* One request and its reply on the new socket, whose buffer surely has room. */
static int
ask(struct hb_dial *dial, const struct hb_buf *request, unsigned char in[REPLY_MAX], struct hb_frame *reply,
    const char *path, int64_t deadline, struct hb_error *err)
{
	if (request->failed)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (send(dial->sock, request->data, request->len, MSG_NOSIGNAL) != (ssize_t)request->len)
		return hb_error_errno(err, HB_ERROR_CONNECT, "the new link at %s", path);
	return read_reply(dial, in, reply, path, deadline, err);
}

static int
greet(struct hb_dial *dial, const struct hb_hello *hello, const char *path, int64_t deadline, struct hb_error *err)
{
	struct hb_buf request = HB_BUF_INIT;
	unsigned char in[REPLY_MAX];
	struct hb_frame reply;
	int result;

	hb_hello_request(&request, hello);
	result = ask(dial, &request, in, &reply, path, deadline, err);
	if (result == 0)
		result = hb_hello_check(&reply, "the companion", err);
	hb_buf_free(&request);
	return result;
}

/* Asks the master for a link and keeps the descriptor instead of the control socket's. */
static int
ask_for_link(struct hb_dial *dial, const char *path, int64_t deadline, struct hb_error *err)
{
	struct hb_buf request = HB_BUF_INIT;
	unsigned char in[REPLY_MAX];
	struct hb_frame reply;
	int result;

	hb_link_begin(&request);
	hb_term_put_version(&request);
	hb_term_put_nil(&request);
	if (!request.failed)
		hb_frame_header(request.data, request.len, HB_OP_LINK, 0, 1, hb_frame_deadline(deadline));
	result = ask(dial, &request, in, &reply, path, deadline, err);
	hb_buf_free(&request);
	if (result == -1)
		return -1;
	if (reply.flags & HB_LINK_ERROR) {
		hb_frame_error(reply.payload, reply.len, err);
		return -1;
	}
	if (dial->passed == -1)
		return hb_error_set(err, HB_ERROR_PROTOCOL, "%s answers without a link", path);
	pthread_mutex_lock(dial->lock);
	close(dial->sock);
	dial->sock = dial->passed;
	dial->passed = -1;
	pthread_mutex_unlock(dial->lock);
	return 0;
}

int
hb_dial(struct hb_dial *dial, enum hb_link_via via, const char *path, const char *role, const char *name,
    int64_t deadline, struct hb_error *err)
{
	struct hb_hello hello = {role, name, getuid(), getgid(), getpid()};
	int flags;

	if (connect_to(dial, path, deadline, err) == -1)
		return -1;
	switch (via) {
	case HB_LINK_DIRECT:
		if (greet(dial, &hello, path, deadline, err) == -1)
			return -1;
		break;
	case HB_LINK_CONTROL:
		if (ask_for_link(dial, path, deadline, err) == -1)
			return -1;
		break;
	case HB_LINK_TO_MASTER:
		break;
	}
	flags = fcntl(dial->sock, F_GETFL);
	if (flags == -1 || fcntl(dial->sock, F_SETFL, flags & ~O_NONBLOCK) == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "fcntl");
	return dial->sock;
}
