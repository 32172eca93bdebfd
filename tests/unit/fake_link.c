/* The other side of a link for the unit tests: see fake_link.h. */
#include "fake_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/str.h"
#include "term/term.h"
#include "unit.h"

struct served {
	struct fake *fake;
	int fd, nth;
	pthread_t thread;
	struct served *next;
};

static void *
serve_one(void *arg)
{
	struct served *served = arg;

	served->fake->serve(served->fake, served->fd, served->nth);
	close(served->fd);
	return NULL;
}

static void *
accept_all(void *arg)
{
	struct fake *fake = arg;
	struct served *all = NULL, *served;
	int fd;

	while ((fd = accept(fake->listener, NULL, NULL)) != -1) {
		served = hb_xcalloc(1, sizeof *served);
		*served = (struct served){fake, fd, atomic_fetch_add(&fake->connections, 1), 0, all};
		pthread_create(&served->thread, NULL, serve_one, served);
		all = served;
	}
	while ((served = all) != NULL) {
		pthread_join(served->thread, NULL);
		all = served->next;
		free(served);
	}
	return NULL;
}

void
fake_prepare(struct fake *fake, fake_serve *serve)
{
	memset(fake, 0, sizeof *fake);
	strcpy(fake->dir, "/tmp/hb-link-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(fake->dir));
	snprintf(fake->path, sizeof fake->path, "%s/sock", fake->dir);
	fake->listener = -1;
	fake->serve = serve;
}

void
fake_listen(struct fake *fake)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	strcpy(un.sun_path, fake->path);
	fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fake->listener, (struct sockaddr *)&un, sizeof un), 0);
	ck_assert_int_eq(listen(fake->listener, 64), 0);
	ck_assert_int_eq(pthread_create(&fake->thread, NULL, accept_all, fake), 0);
}

void
fake_start(struct fake *fake, fake_serve *serve)
{
	fake_prepare(fake, serve);
	fake_listen(fake);
}

void
fake_stop(struct fake *fake)
{
	if (fake->listener != -1) {
		shutdown(fake->listener, SHUT_RDWR);
		pthread_join(fake->thread, NULL);
		close(fake->listener);
	}
	unlink(fake->path);
	rmdir(fake->dir);
}

static bool
read_all(int fd, unsigned char *p, size_t n)
{
	while (n > 0) {
		ssize_t got = recv(fd, p, n, 0);

		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

bool
fake_read(struct fake *fake, int fd, struct hb_buf *buf, struct hb_frame *frame)
{
	struct hb_error err;

	hb_buf_clear(buf);
	hb_buf_reserve(buf, HB_LINK_HEADER);
	if (!read_all(fd, buf->data, HB_LINK_HEADER))
		return false;
	ck_assert_int_eq(hb_frame_head(buf->data, frame, &err), 0);
	buf->len = HB_LINK_HEADER;
	hb_buf_reserve(buf, frame->len);
	if (!read_all(fd, buf->data + HB_LINK_HEADER, frame->len))
		return false;
	frame->payload = buf->data + HB_LINK_HEADER;
	if (frame->op != HB_OP_HELLO)
		atomic_fetch_add(&fake->requests, 1);
	return true;
}

static void
write_all(int fd, const unsigned char *p, size_t n)
{
	while (n > 0) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		p += sent;
		n -= (size_t)sent;
	}
}

void
fake_reply(int fd, const struct hb_frame *to, int flags, const void *payload, size_t len)
{
	struct hb_buf out = HB_BUF_INIT;

	/* In one piece: other threads of a test send too. */
	hb_link_begin(&out);
	hb_buf_add(&out, payload, len);
	hb_frame_header(out.data, out.len, to->op, (uint8_t)(HB_LINK_REPLY | flags), to->id, 0);
	write_all(fd, out.data, out.len);
	hb_buf_free(&out);
}

bool
fake_hello(struct fake *fake, int fd, const char *release)
{
	struct hb_buf in = HB_BUF_INIT, out = HB_BUF_INIT;
	struct hb_frame frame;
	struct hb_term_reader reader;
	struct hb_error err;
	uint32_t arity;
	int64_t pid;
	bool there = fake_read(fake, fd, &in, &frame);

	if (there) {
		ck_assert_int_eq(frame.op, HB_OP_HELLO);
		ck_assert_int_eq(hb_term_open(&reader, frame.payload, frame.len, &err), 0);
		ck_assert_int_eq(hb_term_want_tuple(&reader, &arity, &err), 0);
		ck_assert_uint_eq(arity, 7);
		for (int i = 0; i < 6; i++)
			ck_assert_int_eq(hb_term_skip(&reader, &err), 0);
		ck_assert_int_eq(hb_term_want_int(&reader, &pid, &err), 0);
		atomic_store(&fake->hello_pid, (int)pid);
		hb_term_put_version(&out);
		hb_term_put_tuple(&out, 3);
		hb_term_put_atom(&out, "hello");
		hb_term_put_str(&out, release);
		hb_term_put_int(&out, 1);
		fake_reply(fd, &frame, 0, out.data, out.len);
	}
	hb_buf_free(&in);
	hb_buf_free(&out);
	return there;
}

void
fake_error(int fd, const struct hb_frame *to, const char *class, const char *text)
{
	struct hb_buf out = HB_BUF_INIT;

	hb_term_put_version(&out);
	hb_term_put_tuple(&out, 2);
	hb_term_put_atom(&out, class);
	hb_term_put_str(&out, text);
	fake_reply(fd, to, HB_LINK_ERROR, out.data, out.len);
	hb_buf_free(&out);
}

void
fake_echo(struct fake *fake, int fd)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame;

	while (fake_read(fake, fd, &in, &frame))
		fake_reply(fd, &frame, 0, frame.payload, frame.len);
	hb_buf_free(&in);
}

void
fake_await(struct fake *fake, int value)
{
	const struct timespec pause = {0, 1000000};
	int tries = 0;

	while (atomic_load(&fake->flag) < value) {
		ck_assert_msg(tries++ < 60000, "flag %d did not come", value);
		nanosleep(&pause, NULL);
	}
}

void
fake_cancelled(struct fake *fake, int fd, enum hb_link_op op)
{
	struct hb_buf buf = HB_BUF_INIT;
	struct hb_term_reader r;
	struct hb_frame frame;
	struct hb_error err;
	int64_t cancelled;
	uint32_t id;

	ck_assert(fake_read(fake, fd, &buf, &frame));
	ck_assert_int_eq(frame.op, op);
	id = frame.id;
	ck_assert(fake_read(fake, fd, &buf, &frame));
	ck_assert_int_eq(frame.op, HB_OP_CANCEL);
	ck_assert_int_eq(hb_term_open(&r, frame.payload, frame.len, &err), 0);
	ck_assert_int_eq(hb_term_want_int(&r, &cancelled, &err), 0);
	ck_assert_int_eq(cancelled, id);
	hb_buf_free(&buf);
}
