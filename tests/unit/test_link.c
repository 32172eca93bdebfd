/* The frame codec and the blocking client, against the other side's good and bad manners. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "fake_link.h"
#include "fuzz_frame.h"
#include "link/client.h"
#include "link/frame.h"
#include "term/term.h"
#include "unit.h"

static struct fake fake;
static struct hb_link *link_;
static struct hb_buf reply;
static struct hb_error err;

static void
open_link(enum hb_link_via via, int (*interrupted)(void *))
{
	link_ = hb_link_new(&(struct hb_link_options){via, fake.path, "client", "test", interrupted, NULL});
}

static void
start(fake_serve *serve)
{
	fake_start(&fake, serve);
	open_link(HB_LINK_DIRECT, NULL);
}

static void
stop(void)
{
	hb_link_free(link_);
	link_ = NULL;
	fake_stop(&fake);
	hb_buf_free(&reply);
}

/* One call with text as its payload; the reply's text is in out. */
static int
say(const char *text, int ms, struct hb_buf *out, struct hb_error *why)
{
	struct hb_buf request = HB_BUF_INIT;
	int result;

	hb_link_begin(&request);
	hb_buf_add_str(&request, text);
	result = hb_link_call(link_, HB_OP_GET, &request, ms ? hb_clock_ms() + ms : 0, out, why);
	hb_buf_free(&request);
	return result;
}

#define ASSERT_SAYS(what, ms, expected)                                                     \
	do {                                                                                \
		int r_ = say(what, ms, &reply, &err);                                       \
		ck_assert_msg(r_ == 0, "%s", err.text);                                     \
		ck_assert_uint_eq(reply.len, strlen(expected));                             \
		ck_assert_mem_eq(reply.data, expected, reply.len);                          \
	} while (0)

#define ASSERT_FAILS(what, ms, kind_)                                                       \
	do {                                                                                \
		ck_assert_int_eq(say(what, ms, &reply, &err), -1);                          \
		ck_assert_msg(err.kind == kind_, "kind %d: %s", err.kind, err.text);        \
	} while (0)

START_TEST(header_says_what_it_was_given)
{
	unsigned char head[HB_LINK_HEADER];
	struct hb_frame frame;
	size_t need;

	hb_frame_header(head, 21, HB_OP_SET, HB_LINK_MORE, 0x01020304, 0xfffefdfc);
	ck_assert_int_eq(hb_frame_parse(head, 15, &frame, &need, &err), 0);
	ck_assert_uint_eq(need, HB_LINK_HEADER);
	ck_assert_int_eq(hb_frame_parse(head, 16, &frame, &need, &err), 0);
	ck_assert_uint_eq(need, 21);
	ck_assert_int_eq(frame.version, HB_LINK_VERSION);
	ck_assert_int_eq(frame.op, HB_OP_SET);
	ck_assert_int_eq(frame.flags, HB_LINK_MORE);
	ck_assert_uint_eq(frame.id, 0x01020304);
	ck_assert_uint_eq(frame.deadline, 0xfffefdfc);
	ck_assert_uint_eq(frame.len, 5);
}
END_TEST

START_TEST(impossible_lengths_are_refused)
{
	static const uint32_t lengths[] = {0, 11, HB_LINK_FRAME_MAX + 1, UINT32_MAX};
	unsigned char head[HB_LINK_HEADER] = {0};
	struct hb_frame frame;
	size_t need;

	for (size_t i = 0; i < 4; i++) {
		hb_put_u32(head, lengths[i]);
		ck_assert_int_eq(hb_frame_parse(head, sizeof head, &frame, &need, &err), -1);
		ck_assert_int_eq(err.kind, HB_ERROR_PROTOCOL);
	}
}
END_TEST

START_TEST(deadline_of_zero_means_none_only)
{
	ck_assert_uint_eq(hb_frame_deadline(0), 0);
	ck_assert_uint_eq(hb_frame_deadline((int64_t)7 << 32), 1);
	ck_assert_uint_eq(hb_frame_deadline(((int64_t)7 << 32) + 9), 9);
}
END_TEST

START_TEST(error_classes_keep_their_kind)
{
	static const struct {
		const char *name;
		enum hb_error_kind kind;
	} cases[] = {{"type", HB_ERROR_TYPE}, {"limit", HB_ERROR_LIMIT}, {"denied", HB_ERROR_PERMISSION},
	    {"down", HB_ERROR_DOWN}, {"strange", HB_ERROR_REMOTE}};
	struct hb_buf b = HB_BUF_INIT;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		hb_buf_clear(&b);
		hb_term_put_version(&b);
		hb_term_put_tuple(&b, 2);
		hb_term_put_atom(&b, cases[i].name);
		hb_term_put_str(&b, "why");
		hb_frame_error(b.data, b.len, &err);
		ck_assert_int_eq(err.kind, cases[i].kind);
		ck_assert_ptr_nonnull(strstr(err.text, "why"));
	}
	hb_frame_error("nonsense", 8, &err);
	ck_assert_int_eq(err.kind, HB_ERROR_PROTOCOL);
	hb_buf_free(&b);
}
END_TEST

static void
add_frame(struct hb_buf *b, uint8_t op, int flags, uint32_t id, const void *payload, size_t len)
{
	unsigned char head[HB_LINK_HEADER];

	hb_frame_header(head, sizeof head + len, op, (uint8_t)(HB_LINK_REPLY | flags), id, 0);
	hb_buf_add(b, head, sizeof head);
	hb_buf_add(b, payload, len);
}

/* The target aborts where a cut changes what a call gets. */
START_TEST(frames_mean_the_same_however_they_are_cut)
{
	static const unsigned char refusal[] = {131, 104, 2, 119, 5, 'l', 'i', 'm', 'i', 't', 109, 0, 0, 0, 1, 'x'};
	struct hb_buf b = HB_BUF_INIT;

	add_frame(&b, HB_OP_GET, HB_LINK_MORE, 2, "part one", 8);
	add_frame(&b, HB_OP_GET, 0, 1, "whole", 5);
	add_frame(&b, HB_OP_GET, 0, 77, "nobody's", 8);
	add_frame(&b, HB_OP_GET, HB_LINK_ERROR, 3, refusal, sizeof refusal);
	add_frame(&b, HB_OP_GET, HB_LINK_MORE, 2, NULL, 0);
	add_frame(&b, HB_OP_GET, 0, 2, "part two", 8);
	for (size_t len = 0; len <= b.len; len++)
		LLVMFuzzerTestOneInput(b.data, len);
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 0x81;
		LLVMFuzzerTestOneInput(b.data, b.len);
		b.data[i] ^= 0x81;
	}
	hb_buf_free(&b);
}
END_TEST

static void
serve_echo(struct fake *f, int fd, int nth)
{
	if (fake_hello(f, fd, PACKAGE_VERSION))
		fake_echo(f, fd);
}

START_TEST(call_brings_its_reply)
{
	start(serve_echo);
	for (int i = 0; i < 1000; i++)
		ASSERT_SAYS("one", 60000, "one");
	ASSERT_SAYS("without deadline", 0, "without deadline");
	ck_assert_int_eq(fake.connections, 1);
	stop();
}
END_TEST

static void
serve_bytewise(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame;
	unsigned char out[64];

	fake_hello(f, fd, PACKAGE_VERSION);
	while (fake_read(f, fd, &in, &frame)) {
		hb_frame_header(out, HB_LINK_HEADER + 3, frame.op, HB_LINK_REPLY | HB_LINK_MORE, frame.id, 0);
		memcpy(out + HB_LINK_HEADER, "abc", 3);
		hb_frame_header(out + 19, HB_LINK_HEADER + 2, frame.op, HB_LINK_REPLY, frame.id, 0);
		memcpy(out + 19 + HB_LINK_HEADER, "de", 2);
		for (size_t i = 0; i < 37; i++)
			ck_assert_int_eq(send(fd, out + i, 1, MSG_NOSIGNAL), 1);
	}
	hb_buf_free(&in);
}

START_TEST(reply_may_come_byte_by_byte_and_in_parts)
{
	start(serve_bytewise);
	ASSERT_SAYS("x", 60000, "abcde");
	ASSERT_SAYS("x", 60000, "abcde");
	stop();
}
END_TEST

/* Reads count requests; their payloads are texts of one letter. */
static void
read_many(struct fake *f, int fd, int count, struct hb_frame *frames, char *letters)
{
	struct hb_buf in = HB_BUF_INIT;

	for (int i = 0; i < count; i++) {
		if (!fake_read(f, fd, &in, &frames[i]))
			break;
		letters[i] = (char)frames[i].payload[0];
	}
	hb_buf_free(&in);
}

/* The first request: its caller knows then that there is a connection, whose making takes its time. */
static void
echo_one(struct fake *f, int fd)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame;

	if (fake_read(f, fd, &in, &frame))
		fake_reply(fd, &frame, 0, frame.payload, frame.len);
	hb_buf_free(&in);
}

struct talker {
	pthread_t thread;
	char text[2];
	int result;
	struct hb_buf reply;
	struct hb_error err;
};

static void *
talk(void *arg)
{
	struct talker *t = arg;

	t->result = say(t->text, 10000, &t->reply, &t->err);
	return NULL;
}

static void
start_talkers(struct talker *talkers, int count)
{
	for (int i = 0; i < count; i++) {
		talkers[i] = (struct talker){.text = {(char)('a' + i), '\0'}};
		ck_assert_int_eq(pthread_create(&talkers[i].thread, NULL, talk, &talkers[i]), 0);
	}
}

static void
join_talkers(struct talker *talkers, int count)
{
	for (int i = 0; i < count; i++)
		pthread_join(talkers[i].thread, NULL);
}

enum { TALKERS = 8, PART = 100000 };

static void
serve_interleaved(struct fake *f, int fd, int nth)
{
	struct hb_frame frames[TALKERS];
	char letters[TALKERS], *part = malloc(PART);

	fake_hello(f, fd, PACKAGE_VERSION);
	read_many(f, fd, TALKERS, frames, letters);
	for (int round = 0; round < 3; round++)
		for (int i = TALKERS - 1; i >= 0; i--) {
			memset(part, letters[i] - 'a' + 'A' + round, PART);
			fake_reply(fd, &frames[i], round < 2 ? HB_LINK_MORE : 0, part, PART);
		}
	free(part);
	fake_echo(f, fd);
}

START_TEST(replies_find_their_threads_in_any_order_and_interleaved)
{
	struct talker talkers[TALKERS];

	start(serve_interleaved);
	start_talkers(talkers, TALKERS);
	join_talkers(talkers, TALKERS);
	for (int i = 0; i < TALKERS; i++) {
		ck_assert_msg(talkers[i].result == 0, "%s", talkers[i].err.text);
		ck_assert_uint_eq(talkers[i].reply.len, 3 * PART);
		for (int at = 0; at < 3 * PART; at++)
			if (talkers[i].reply.data[at] != 'A' + i + at / PART)
				ck_abort_msg("byte %d of %d is another's", at, i);
		hb_buf_free(&talkers[i].reply);
	}
	stop();
}
END_TEST

static void
serve_late(struct fake *f, int fd, int nth)
{
	struct hb_frame frames[2];
	char letters[2];

	fake_hello(f, fd, PACKAGE_VERSION);
	echo_one(f, fd);
	read_many(f, fd, 2, frames, letters);
	fake_reply(fd, &frames[0], 0, "late", 4);
	fake_reply(fd, &frames[1], 0, "right", 5);
	fake_echo(f, fd);
}

START_TEST(late_reply_is_nobodys)
{
	int64_t before;

	start(serve_late);
	ASSERT_SAYS("0", 30000, "0");
	before = hb_clock_ms();
	ASSERT_FAILS("1", 60, HB_ERROR_TIMEOUT);
	ck_assert_int_ge(hb_clock_ms() - before, 60);
	ck_assert_int_lt(hb_clock_ms() - before, 20000);
	ASSERT_SAYS("2", 60000, "right");
	ASSERT_SAYS("3", 60000, "3");
	ck_assert_int_eq(fake.connections, 1);
	stop();
}
END_TEST

static void
serve_lost(struct fake *f, int fd, int nth)
{
	struct hb_frame frames[TALKERS];
	char letters[TALKERS];

	fake_hello(f, fd, PACKAGE_VERSION);
	if (nth == 0)
		read_many(f, fd, TALKERS, frames, letters);
	else
		fake_echo(f, fd);
}

START_TEST(lost_link_fails_all_calls_in_flight_once)
{
	struct talker talkers[TALKERS];

	start(serve_lost);
	start_talkers(talkers, TALKERS);
	join_talkers(talkers, TALKERS);
	for (int i = 0; i < TALKERS; i++) {
		ck_assert_int_eq(talkers[i].result, -1);
		ck_assert_int_eq(talkers[i].err.kind, HB_ERROR_CONNECT);
		hb_buf_free(&talkers[i].reply);
	}
	ck_assert_int_eq(fake.requests, TALKERS);
	ck_assert_int_le(fake.connections, 1);
	say("n", 5000, &reply, &err); /* may fall into the first moments after a loss */
	for (int tries = 0; say("again", 5000, &reply, &err) == -1; tries++)
		ck_assert_int_lt(tries, 1000000);
	ASSERT_SAYS("again", 60000, "again");
	stop();
}
END_TEST

static void
serve_once(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame;

	if (fake_hello(f, fd, PACKAGE_VERSION) && fake_read(f, fd, &in, &frame))
		fake_reply(fd, &frame, 0, frame.payload, frame.len);
	hb_buf_free(&in);
	shutdown(fd, SHUT_RDWR);
	atomic_store(&f->flag, nth + 1);
}

START_TEST(connection_that_died_idle_is_replaced_unnoticed)
{
	start(serve_once);
	for (int i = 1; i < 5; i++) {
		ASSERT_SAYS("x", 60000, "x");
		fake_await(&fake, i);
	}
	ck_assert_int_eq(fake.connections, 4);
	ck_assert_int_eq(fake.requests, 4);
	stop();
}
END_TEST

START_TEST(absent_peer_fails_at_once_and_a_new_one_is_found)
{
	int64_t before = hb_clock_ms();

	fake_prepare(&fake, serve_echo);
	open_link(HB_LINK_DIRECT, NULL);
	for (int i = 0; i < 1000; i++)
		ASSERT_FAILS("x", 5000, HB_ERROR_CONNECT);
	ck_assert_int_lt(hb_clock_ms() - before, 20000);
	ck_assert_ptr_nonnull(strstr(err.text, fake.path));
	fake_listen(&fake);
	before = hb_clock_ms();
	while (say("x", 60000, &reply, &err) == -1)
		ck_assert_int_lt(hb_clock_ms() - before, 20000);
	stop();
}
END_TEST

static void
serve_old(struct fake *f, int fd, int nth)
{
	fake_hello(f, fd, "0.0.1");
}

START_TEST(other_release_is_refused_by_name)
{
	start(serve_old);
	ASSERT_FAILS("x", 30000, HB_ERROR_VERSION);
	ck_assert_ptr_nonnull(strstr(err.text, PACKAGE_VERSION));
	ck_assert_ptr_nonnull(strstr(err.text, "0.0.1"));
	ASSERT_FAILS("x", 30000, HB_ERROR_VERSION);
	stop();
}
END_TEST

static void
serve_errors(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame;

	fake_hello(f, fd, PACKAGE_VERSION);
	while (fake_read(f, fd, &in, &frame))
		fake_error(fd, &frame, frame.payload[0] == 't' ? "type" : "limit", "max_value is 8388608");
	hb_buf_free(&in);
}

START_TEST(error_reply_is_the_calls_error)
{
	start(serve_errors);
	ASSERT_FAILS("t", 30000, HB_ERROR_TYPE);
	ASSERT_FAILS("l", 30000, HB_ERROR_LIMIT);
	ck_assert_str_eq(err.text, "max_value is 8388608");
	ck_assert_int_eq(fake.connections, 1);
	stop();
}
END_TEST

START_TEST(oversized_request_is_refused_unsent)
{
	struct hb_buf request = HB_BUF_INIT;

	start(serve_echo);
	hb_link_begin(&request);
	ck_assert_ptr_nonnull(hb_buf_reserve(&request, HB_LINK_FRAME_MAX));
	memset(request.data + request.len, 'x', HB_LINK_FRAME_MAX);
	request.len = HB_LINK_FRAME_MAX + 5;
	ck_assert_int_eq(hb_link_call(link_, HB_OP_SET, &request, 0, &reply, &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_LIMIT);
	ck_assert_int_eq(fake.connections, 0);
	request.len--;
	ck_assert_int_eq(hb_link_call(link_, HB_OP_SET, &request, 0, &reply, &err), 0);
	ck_assert_uint_eq(reply.len, request.len - HB_LINK_HEADER);
	hb_buf_free(&request);
	stop();
}
END_TEST

static void
serve_garbage(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame;

	if (nth == 0) {
		send(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, MSG_NOSIGNAL);
		fake_read(f, fd, &in, &frame);
	} else if (nth == 1) {
		fake_hello(f, fd, PACKAGE_VERSION);
		fake_read(f, fd, &in, &frame);
		send(fd, "garbage garbage garbage", 23, MSG_NOSIGNAL);
		fake_read(f, fd, &in, &frame);
	} else if (nth == 2) {
		fake_hello(f, fd, PACKAGE_VERSION);
		fake_read(f, fd, &in, &frame);
		frame.op++;
		fake_reply(fd, &frame, 0, "x", 1);
		fake_read(f, fd, &in, &frame);
	} else {
		serve_echo(f, fd, nth);
	}
	hb_buf_free(&in);
}

START_TEST(garbage_ends_the_connection_only)
{
	int64_t end = hb_clock_ms() + 60000;
	int failed = 0;

	start(serve_garbage);
	while (fake.connections < 4) {
		if (say("x", 60000, &reply, &err) == -1) {
			ck_assert_msg(err.kind == HB_ERROR_PROTOCOL, "%s", err.text);
			failed++;
		}
		ck_assert_int_lt(hb_clock_ms(), end);
	}
	ck_assert_int_ge(failed, 3);
	ASSERT_SAYS("x", 60000, "x");
	stop();
}
END_TEST

static void
serve_held(struct fake *f, int fd, int nth)
{
	struct hb_frame frame;
	char letter;

	fake_hello(f, fd, PACKAGE_VERSION);
	if (nth > 0) {
		fake_echo(f, fd);
		return;
	}
	read_many(f, fd, 1, &frame, &letter);
	atomic_store(&f->flag, 1);
	fake_await(f, 2);
	fake_reply(fd, &frame, 0, "held", 4);
	fake_echo(f, fd);
}

START_TEST(fork_leaves_parent_alone_and_child_has_a_link_of_its_own)
{
	struct talker talker;
	int status;
	pid_t pid;

	start(serve_held);
	start_talkers(&talker, 1);
	fake_await(&fake, 1);
	pid = fork();
	if (pid == 0) {
		int result = say("child", 5000, &reply, &err);

		_exit(result == 0 && reply.len == 5 && memcmp(reply.data, "child", 5) == 0 ? 0 : 1);
	}
	ck_assert_int_ne(pid, -1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(fake.connections, 2);
	ck_assert_int_eq(fake.hello_pid, pid);
	atomic_store(&fake.flag, 2);
	join_talkers(&talker, 1);
	ck_assert_int_eq(talker.result, 0);
	ck_assert_mem_eq(talker.reply.data, "held", 4);
	hb_buf_free(&talker.reply);
	ASSERT_SAYS("parent", 60000, "parent");
	ck_assert_int_eq(fake.connections, 2);
	stop();
}
END_TEST

static void
serve_deaf(struct fake *f, int fd, int nth)
{
	fake_hello(f, fd, PACKAGE_VERSION);
	fake_await(f, 1);
	fake_echo(f, fd);
}

static void
serve_deaf_later(struct fake *f, int fd, int nth)
{
	fake_hello(f, fd, PACKAGE_VERSION);
	echo_one(f, fd);
	fake_await(f, 1);
	fake_echo(f, fd);
}

START_TEST(deadline_holds_when_the_socket_is_full_and_the_link_stays_whole)
{
	struct hb_buf request = HB_BUF_INIT;
	int64_t before;

	start(serve_deaf_later);
	ASSERT_SAYS("first", 30000, "first");
	hb_link_begin(&request);
	ck_assert_ptr_nonnull(hb_buf_reserve(&request, 4000000));
	memset(request.data + request.len, 'x', 4000000);
	request.len += 4000000;
	before = hb_clock_ms();
	ck_assert_int_eq(hb_link_call(link_, HB_OP_SET, &request, before + 60, &reply, &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_TIMEOUT);
	ck_assert_int_lt(hb_clock_ms() - before, 20000);
	memset(request.data + HB_LINK_HEADER, 'y', 4000000); /* what is left to send is the link's own */
	ASSERT_FAILS("behind", 30, HB_ERROR_TIMEOUT);
	atomic_store(&fake.flag, 1);
	ASSERT_SAYS("after", 30000, "after");
	ck_assert_int_eq(fake.connections, 1);
	ck_assert_int_eq(fake.requests, 3); /* the first, the big one whole, "behind" never */
	hb_buf_free(&request);
	stop();
}
END_TEST

static void *
exchange_big(void *arg)
{
	struct hb_buf request = HB_BUF_INIT, answer = HB_BUF_INIT;
	struct hb_error why;
	int letter = *(char *)arg;

	for (int i = 0; i < 5; i++) {
		hb_link_begin(&request);
		ck_assert_ptr_nonnull(hb_buf_reserve(&request, 3000000));
		memset(request.data + request.len, letter, 3000000);
		request.len += 3000000;
		ck_assert_int_eq(hb_link_call(link_, HB_OP_SET, &request, hb_clock_ms() + 20000, &answer, &why), 0);
		ck_assert_uint_eq(answer.len, 3000000);
		ck_assert_int_eq(answer.data[0], letter);
		ck_assert_mem_eq(answer.data, answer.data + 1, 2999999);
	}
	hb_buf_free(&request);
	hb_buf_free(&answer);
	return NULL;
}

START_TEST(big_requests_and_big_replies_do_not_block_each_other)
{
	char letters[] = "abcd";
	pthread_t threads[4];

	start(serve_echo);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, exchange_big, &letters[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(fake.connections, 1);
	stop();
}
END_TEST

static atomic_int hooked;

static int
hook_that_stops(void *arg)
{
	hooked++;
	return -1;
}

static int
hook_that_calls(void *arg)
{
	struct hb_buf answer = HB_BUF_INIT;
	struct hb_error why;

	if (hooked++ == 0) {
		ck_assert_int_eq(say("inner", 5000, &answer, &why), 0);
		ck_assert_mem_eq(answer.data, "inner", 5);
		atomic_store(&fake.flag, 2);
	}
	hb_buf_free(&answer);
	return 0;
}

static void
on_alarm(int sig)
{
}

static void
alarm_in(int ms)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct itimerval timer = {.it_value = {0, ms * 1000}};

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

START_TEST(hook_ends_a_wait_after_a_signal)
{
	int64_t before = hb_clock_ms();

	fake_start(&fake, serve_held);
	open_link(HB_LINK_DIRECT, hook_that_stops);
	hooked = 0;
	alarm_in(30);
	ASSERT_FAILS("x", 100000, HB_ERROR_INTERRUPT);
	ck_assert_int_lt(hb_clock_ms() - before, 50000);
	ck_assert_int_eq(hooked, 1);
	atomic_store(&fake.flag, 2);
	stop();
}
END_TEST

/* Reads what is meant to be a call of so many bytes, its cancellation and a request, and answers that alone. */
static void
serve_cancelled(struct fake *f, int fd, int nth)
{
	fake_hello(f, fd, PACKAGE_VERSION);
	ck_assert_uint_eq(nth, 0);
	fake_await(f, 1);
	fake_cancelled(f, fd, HB_OP_CALL);
	fake_echo(f, fd);
}

/* Calls a function with so many bytes; the hook, which is asked once they are out, or the socket is full, ends it. */
static void
interrupt_call(size_t size)
{
	struct hb_buf request = HB_BUF_INIT;

	hb_link_begin(&request);
	ck_assert_ptr_nonnull(hb_buf_reserve(&request, size));
	memset(request.data + request.len, 'x', size);
	request.len += size;
	alarm_in(30);
	ck_assert_int_eq(hb_link_call(link_, HB_OP_CALL, &request, hb_clock_ms() + 60000, &reply, &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_INTERRUPT);
	hb_buf_free(&request);
}

START_TEST(call_that_is_interrupted_is_cancelled)
{
	fake_start(&fake, serve_cancelled);
	open_link(HB_LINK_DIRECT, hook_that_stops);
	atomic_store(&fake.flag, 1);
	interrupt_call(10);
	ASSERT_SAYS("after", 30000, "after");
	ck_assert_int_eq(fake.requests, 3);
	stop();
}
END_TEST

START_TEST(call_that_is_interrupted_in_its_own_frame_is_cancelled_behind_it)
{
	fake_start(&fake, serve_cancelled);
	open_link(HB_LINK_DIRECT, hook_that_stops);
	interrupt_call(4000000);
	atomic_store(&fake.flag, 1);
	ASSERT_SAYS("after", 30000, "after");
	ck_assert_int_eq(fake.requests, 3);
	stop();
}
END_TEST

START_TEST(state_that_is_interrupted_is_not_cancelled)
{
	fake_start(&fake, serve_deaf);
	open_link(HB_LINK_DIRECT, hook_that_stops);
	ASSERT_FAILS("x", 30000, HB_ERROR_INTERRUPT);
	atomic_store(&fake.flag, 1);
	ASSERT_SAYS("after", 30000, "after");
	ck_assert_int_eq(fake.requests, 2);
	stop();
}
END_TEST

/* Holds its first request back until another one came. */
static void
serve_nested(struct fake *f, int fd, int nth)
{
	struct hb_frame frames[2];
	char letters[2];

	fake_hello(f, fd, PACKAGE_VERSION);
	read_many(f, fd, 2, frames, letters);
	fake_reply(fd, &frames[1], 0, "inner", 5);
	fake_await(f, 2);
	fake_reply(fd, &frames[0], 0, "outer", 5);
	fake_echo(f, fd);
}

START_TEST(hook_may_make_calls_of_its_own)
{
	fake_start(&fake, serve_nested);
	open_link(HB_LINK_DIRECT, hook_that_calls);
	hooked = 0;
	ASSERT_SAYS("x", 30000, "outer");
	ck_assert_int_ge(hooked, 1);
	stop();
}
END_TEST

static int
hook_that_forks(void *arg)
{
	if (hooked++ == 0 && fork() == 0)
		return 0;
	atomic_store(&fake.flag, 2);
	return 0;
}

START_TEST(call_that_wakes_up_in_a_child_ends_there_and_goes_on_in_the_parent)
{
	pid_t me = getpid();
	int status;

	fake_start(&fake, serve_held);
	open_link(HB_LINK_DIRECT, hook_that_forks);
	hooked = 0;
	if (say("x", 10000, &reply, &err) == -1) {
		int bad = getpid() == me || err.kind != HB_ERROR_CONNECT || say("child", 5000, &reply, &err) == -1;

		_exit(bad);
	}
	ck_assert_int_eq(getpid(), me);
	ck_assert_mem_eq(reply.data, "held", 4);
	ck_assert_int_gt(wait(&status), 0);
	ck_assert_int_eq(status, 0);
	stop();
}
END_TEST

static void
serve_control(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame;
	unsigned char out[HB_LINK_HEADER + 2] = {[HB_LINK_HEADER] = 131, 106};
	int pair[2];

	ck_assert(fake_read(f, fd, &in, &frame));
	ck_assert_int_eq(frame.op, HB_OP_LINK);
	if (nth == 0) {
		fake_error(fd, &frame, "down", "the companion is down; it is being restarted");
	} else {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		hb_frame_header(out, sizeof out, HB_OP_LINK, HB_LINK_REPLY, frame.id, 0);
		ck_assert_int_eq(hb_fd_nonblock(pair[1]), 0);
		ck_assert_int_eq(hb_fd_send(fd, out, sizeof out, pair[1]), sizeof out);
		close(pair[1]);
		ck_assert(!fake_read(f, fd, &in, &frame));
		fake_echo(f, pair[0]);
		close(pair[0]);
	}
	hb_buf_free(&in);
}

START_TEST(control_socket_hands_a_link_over_or_says_that_the_companion_is_down)
{
	int64_t end = hb_clock_ms() + 60000;

	fake_start(&fake, serve_control);
	open_link(HB_LINK_CONTROL, NULL);
	ASSERT_FAILS("x", 5000, HB_ERROR_DOWN);
	while (say("x", 60000, &reply, &err) == -1) {
		ck_assert_int_eq(err.kind, HB_ERROR_DOWN);
		ck_assert_int_lt(hb_clock_ms(), end);
	}
	ASSERT_SAYS("through", 60000, "through");
	ck_assert_int_eq(fake.connections, 2);
	stop();
}
END_TEST

static void
serve_master(struct fake *f, int fd, int nth)
{
	fake_echo(f, fd);
}

START_TEST(calls_to_the_master_need_no_hello)
{
	fake_start(&fake, serve_master);
	open_link(HB_LINK_TO_MASTER, NULL);
	ASSERT_SAYS("status", 60000, "status");
	stop();
}
END_TEST

static void
serve_silent(struct fake *f, int fd, int nth)
{
	fake_await(f, 1);
}

START_TEST(deadline_holds_in_the_greeting)
{
	int64_t before = hb_clock_ms();

	start(serve_silent);
	ASSERT_FAILS("x", 50, HB_ERROR_TIMEOUT);
	ck_assert_int_lt(hb_clock_ms() - before, 20000);
	atomic_store(&fake.flag, 1);
	stop();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("link");
	TCase *t = tcase_create("all");

	tcase_add_test(t, header_says_what_it_was_given);
	tcase_add_test(t, impossible_lengths_are_refused);
	tcase_add_test(t, deadline_of_zero_means_none_only);
	tcase_add_test(t, error_classes_keep_their_kind);
	tcase_add_test(t, frames_mean_the_same_however_they_are_cut);
	tcase_add_test(t, call_brings_its_reply);
	tcase_add_test(t, reply_may_come_byte_by_byte_and_in_parts);
	tcase_add_test(t, replies_find_their_threads_in_any_order_and_interleaved);
	tcase_add_test(t, late_reply_is_nobodys);
	tcase_add_test(t, lost_link_fails_all_calls_in_flight_once);
	tcase_add_test(t, connection_that_died_idle_is_replaced_unnoticed);
	tcase_add_test(t, absent_peer_fails_at_once_and_a_new_one_is_found);
	tcase_add_test(t, other_release_is_refused_by_name);
	tcase_add_test(t, error_reply_is_the_calls_error);
	tcase_add_test(t, oversized_request_is_refused_unsent);
	tcase_add_test(t, garbage_ends_the_connection_only);
	tcase_add_test(t, fork_leaves_parent_alone_and_child_has_a_link_of_its_own);
	tcase_add_test(t, deadline_holds_when_the_socket_is_full_and_the_link_stays_whole);
	tcase_add_test(t, big_requests_and_big_replies_do_not_block_each_other);
	tcase_add_test(t, hook_ends_a_wait_after_a_signal);
	tcase_add_test(t, hook_may_make_calls_of_its_own);
	tcase_add_test(t, call_that_is_interrupted_is_cancelled);
	tcase_add_test(t, call_that_is_interrupted_in_its_own_frame_is_cancelled_behind_it);
	tcase_add_test(t, state_that_is_interrupted_is_not_cancelled);
	tcase_add_test(t, call_that_wakes_up_in_a_child_ends_there_and_goes_on_in_the_parent);
	tcase_add_test(t, control_socket_hands_a_link_over_or_says_that_the_companion_is_down);
	tcase_add_test(t, calls_to_the_master_need_no_hello);
	tcase_add_test(t, deadline_holds_in_the_greeting);
	suite_add_tcase(s, t);
	return s;
}
