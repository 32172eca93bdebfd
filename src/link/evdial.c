/* Opening a link on a libevent loop: see evdial.h. */
#include "link/evdial.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/str.h"

enum {
	REPLY_MAX = 2048,
	BACKLOG_PAUSE = 10 /* milliseconds between attempts at a full backlog */
};

struct hb_evdial {
	struct event_base *base;
	struct sockaddr_un addr;
	struct hb_buf request;
	int64_t deadline;
	int fd;
	bool greeting; /* connected, and the hello is out */
	struct event *event; /* one at a time: a pause before connect(2), then the reply, each with its time-out */
	size_t have;
	unsigned char in[REPLY_MAX];
	hb_evdial_done *done;
	void *arg;
};

static void on_event(evutil_socket_t fd, short what, void *arg);

static int
wait_for(struct hb_evdial *dial, short what, int64_t most, struct hb_error *err)
{
	int64_t left = dial->deadline - hb_clock_ms();
	struct timeval tv;

	if (left > most)
		left = most;
	if (left < 0)
		left = 0;
	tv = (struct timeval){left / 1000, left % 1000 * 1000};
	if (dial->event != NULL)
		event_free(dial->event);
	dial->event = event_new(dial->base, what ? dial->fd : -1, what, on_event, dial);
	if (dial->event == NULL || event_add(dial->event, &tv) == -1)
		return hb_error_set(err, HB_ERROR_MEMORY, "cannot add an event");
	return 0;
}

/* 0 when something was started that on_event will hear of, -1 with err. */
static int
try_connect(struct hb_evdial *dial, struct hb_error *err)
{
	if (connect(dial->fd, (struct sockaddr *)&dial->addr, sizeof dial->addr) == -1) {
		if (errno == EAGAIN || errno == EINTR)
			return wait_for(dial, 0, BACKLOG_PAUSE, err);
		return hb_error_errno(err, errno == EACCES ? HB_ERROR_PERMISSION : HB_ERROR_CONNECT,
		    "cannot connect to %s", dial->addr.sun_path);
	}
	if (send(dial->fd, dial->request.data, dial->request.len, MSG_NOSIGNAL) != (ssize_t)dial->request.len)
		return hb_error_errno(err, HB_ERROR_CONNECT, "the new link at %s", dial->addr.sun_path);
	hb_buf_free(&dial->request);
	dial->greeting = true;
	return wait_for(dial, EV_READ, INT64_MAX, err);
}

/* 1 when the companion has welcomed us, 0 to wait for more, -1 with err. */
static int
read_reply(struct hb_evdial *dial, struct hb_error *err)
{
	struct hb_frame reply;
	size_t need;
	int64_t whole;
	ssize_t n;

	/* Nothing follows the reply to a greeting, so that reading on takes nothing from the link's later owner. */
	n = recv(dial->fd, dial->in + dial->have, sizeof dial->in - dial->have, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return wait_for(dial, EV_READ, INT64_MAX, err);
	if (n == 0)
		return hb_error_set(err, HB_ERROR_CONNECT, "%s closed the new link", dial->addr.sun_path);
	if (n == -1)
		return hb_error_errno(err, HB_ERROR_CONNECT, "the new link at %s", dial->addr.sun_path);
	dial->have += (size_t)n;
	whole = hb_frame_parse(dial->in, dial->have, &reply, &need, err);
	if (whole > 0)
		return hb_hello_check(&reply, "the companion", err) == 0 ? 1 : -1;
	if (whole == 0 && need > sizeof dial->in)
		return hb_error_set(err, HB_ERROR_PROTOCOL, "%s answers with %zu bytes to a greeting",
		    dial->addr.sun_path, need);
	return whole == 0 ? wait_for(dial, EV_READ, INT64_MAX, err) : -1;
}

static void
finish(struct hb_evdial *dial, const struct hb_error *err)
{
	hb_evdial_done *done = dial->done;
	void *arg = dial->arg;
	int fd = dial->fd;

	if (err == NULL)
		dial->fd = -1;
	else
		fd = -1;
	hb_evdial_cancel(dial);
	done(arg, fd, err);
}

static void
on_event(evutil_socket_t fd, short what, void *arg)
{
	struct hb_evdial *dial = arg;
	struct hb_error err;
	int result;

	/* The loop's clock is coarser than ours: its word counts where the deadline is all that was waited for. */
	if ((what & EV_TIMEOUT) && (dial->greeting || hb_clock_ms() >= dial->deadline))
		result = hb_error_set(&err, HB_ERROR_TIMEOUT, "no answer at %s in time", dial->addr.sun_path);
	else
		result = dial->greeting ? read_reply(dial, &err) : try_connect(dial, &err);
	if (result != 0)
		finish(dial, result == 1 ? NULL : &err);
}

struct hb_evdial *
hb_evdial_start(struct event_base *base, const char *path, const struct hb_hello *hello, int64_t timeout_ms,
    hb_evdial_done *done, void *arg, struct hb_error *err)
{
	struct hb_evdial *dial = hb_xcalloc(1, sizeof *dial);
	size_t len = strlen(path);

	*dial = (struct hb_evdial){.base = base, .fd = -1, .done = done, .arg = arg};
	dial->addr.sun_family = AF_UNIX;
	dial->deadline = hb_clock_ms() + timeout_ms;
	if (len >= sizeof dial->addr.sun_path) {
		hb_error_set(err, HB_ERROR_VALUE, "%s: longer than a socket's path can be", path);
		goto fail;
	}
	memcpy(dial->addr.sun_path, path, len);
	hb_hello_request(&dial->request, hello);
	dial->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (dial->fd == -1 || dial->request.failed) {
		hb_error_errno(err, HB_ERROR_SYSTEM, "socket");
		goto fail;
	}
	/* A time-out of nothing: connect from the loop, so that a failure, too, comes by the callback. */
	if (wait_for(dial, 0, 0, err) == -1)
		goto fail;
	return dial;
fail:
	hb_evdial_cancel(dial);
	return NULL;
}

void
hb_evdial_cancel(struct hb_evdial *dial)
{
	if (dial == NULL)
		return;
	if (dial->event != NULL)
		event_free(dial->event);
	hb_fd_close(&dial->fd);
	hb_buf_free(&dial->request);
	free(dial);
}
