/* Opening a link, step by step: see opening.h. */
#include "link/opening.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/fd.h"
#include "link/frame.h"
#include "term/term.h"

static void
put_link_request(struct hb_buf *request, int64_t deadline)
{
	hb_link_begin(request);
	hb_term_put_version(request);
	hb_term_put_nil(request);
	if (!request->failed)
		hb_frame_header(request->data, request->len, HB_OP_LINK, 0, 1, hb_frame_deadline(deadline));
}

int
hb_opening_begin(struct hb_opening *o, enum hb_link_via via, const char *path, const struct hb_hello *hello,
    int64_t deadline, struct hb_error *err)
{
	size_t len = strlen(path);

	/* Not the buffer at its end. */
	memset(o, 0, offsetof(struct hb_opening, in));
	o->via = via;
	o->fd = o->spent = o->passed = -1;
	o->need = HB_LINK_HEADER;
	o->addr.sun_family = AF_UNIX;
	if (len >= sizeof o->addr.sun_path)
		return hb_error_set(err, HB_ERROR_VALUE, "%s: longer than a socket's path can be", path);
	memcpy(o->addr.sun_path, path, len);
	if (via == HB_LINK_DIRECT)
		hb_hello_request(&o->request, hello);
	else if (via == HB_LINK_CONTROL)
		put_link_request(&o->request, deadline);
	if (o->request.failed)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	o->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return o->fd == -1 ? hb_error_errno(err, HB_ERROR_SYSTEM, "socket") : 0;
}

/* The new socket's buffer surely has room for the request. */
static enum hb_opening_step
try_connect(struct hb_opening *o, struct hb_error *err)
{
	if (connect(o->fd, (struct sockaddr *)&o->addr, sizeof o->addr) == -1) {
		if (errno == EAGAIN || errno == EINTR)
			return HB_OPENING_PAUSE;
		hb_error_errno(err, errno == EACCES || errno == EPERM ? HB_ERROR_PERMISSION : HB_ERROR_CONNECT,
		    "cannot connect to %s", o->addr.sun_path);
		return HB_OPENING_FAILED;
	}
	o->connected = true;
	if (o->via == HB_LINK_TO_MASTER)
		return HB_OPENING_DONE;
	if (send(o->fd, o->request.data, o->request.len, MSG_NOSIGNAL) != (ssize_t)o->request.len) {
		hb_error_errno(err, HB_ERROR_CONNECT, "the new link at %s", o->addr.sun_path);
		return HB_OPENING_FAILED;
	}
	hb_buf_free(&o->request);
	return HB_OPENING_READ;
}

/* The answer is here: the master's has brought a descriptor. */
static enum hb_opening_step
answered(struct hb_opening *o, const struct hb_frame *reply, struct hb_error *err)
{
	if (o->via == HB_LINK_DIRECT)
		return hb_hello_check(reply, "the companion", err) == -1 ? HB_OPENING_FAILED : HB_OPENING_DONE;
	if (reply->flags & HB_LINK_ERROR) {
		hb_frame_error(reply->payload, reply->len, err);
		return HB_OPENING_FAILED;
	}
	if (o->passed == -1) {
		hb_error_set(err, HB_ERROR_PROTOCOL, "%s answers without a link", o->addr.sun_path);
		return HB_OPENING_FAILED;
	}
	o->spent = o->fd;
	o->fd = o->passed;
	o->passed = -1;
	return HB_OPENING_DONE;
}

/* Never more than the answer: what follows it is the link's. */
static enum hb_opening_step
read_answer(struct hb_opening *o, struct hb_error *err)
{
	struct hb_frame reply;
	int64_t whole;
	ssize_t n;

	if (o->passed == -1)
		n = hb_fd_recv(o->fd, o->in + o->have, o->need - o->have, &o->passed);
	else
		n = recv(o->fd, o->in + o->have, o->need - o->have, 0);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return HB_OPENING_READ;
	if (n <= 0) {
		if (n == 0)
			hb_error_set(err, HB_ERROR_CONNECT, "%s closed the new link", o->addr.sun_path);
		else
			hb_error_errno(err, HB_ERROR_CONNECT, "the new link at %s", o->addr.sun_path);
		return HB_OPENING_FAILED;
	}
	o->have += (size_t)n;
	whole = hb_frame_parse(o->in, o->have, &reply, &o->need, err);
	if (whole > 0)
		return answered(o, &reply, err);
	if (whole == 0 && o->need <= sizeof o->in)
		return HB_OPENING_READ;
	if (whole == 0)
		hb_error_set(err, HB_ERROR_PROTOCOL, "%s answers with %zu bytes to a greeting", o->addr.sun_path, o->need);
	return HB_OPENING_FAILED;
}

enum hb_opening_step
hb_opening_go_on(struct hb_opening *o, struct hb_error *err)
{
	return o->connected ? read_answer(o, err) : try_connect(o, err);
}

void
hb_opening_end(struct hb_opening *o)
{
	hb_fd_close(&o->fd);
	hb_fd_close(&o->spent);
	hb_fd_close(&o->passed);
	hb_buf_free(&o->request);
}
