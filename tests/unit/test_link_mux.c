/* The client for whatever loop, driven by poll(2), against a fake companion; and its table of calls in flight. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "fake_link.h"
#include "link/frame.h"
#include "link/mux.h"
#include "unit.h"

enum { CALLS = 200 };

struct asked {
	struct hb_mux_call call;
	int done; /* 0: not yet, 1: as the first, and so on */
	enum hb_error_kind kind;
	struct hb_buf reply;
};

static struct fake fake;
static struct hb_mux *mux;
static struct hb_mux_backoff backoff;
static struct hb_error err;
static struct asked asked[CALLS];
static int ended, closings;
static struct hb_mux_call *victim; /* of the next call that ends; NULL: none */

static void
on_done(void *arg, struct hb_mux_call *call, const unsigned char *payload, size_t len, const struct hb_error *why)
{
	struct asked *a = (struct asked *)call;

	ck_assert_int_eq(a->done, 0);
	a->done = ++ended;
	a->kind = why != NULL ? why->kind : HB_ERROR_NONE;
	hb_buf_add(&a->reply, payload, len);
	if (victim != NULL)
		hb_mux_cancel(mux, victim);
	victim = NULL;
}

static void
on_closing(void *arg, int fd)
{
	ck_assert_int_ne(fd, -1);
	closings++;
}

static void
open_mux(enum hb_link_via via)
{
	memset(asked, 0, sizeof asked);
	memset(&backoff, 0, sizeof backoff);
	ended = closings = 0;
	mux = hb_mux_new(&(struct hb_mux_options){.via = via, .path = fake.path, .role = "client", .name = "test",
	    .backoff = &backoff, .done = on_done, .closing = on_closing});
	ck_assert_ptr_nonnull(mux);
}

static void
start(fake_serve *serve)
{
	fake_start(&fake, serve);
	open_mux(HB_LINK_DIRECT);
}

static void
stop(void)
{
	while (hb_mux_take(mux) != NULL)
		;
	hb_mux_free(mux);
	fake_stop(&fake);
	for (int i = 0; i < CALLS; i++)
		hb_buf_free(&asked[i].reply);
}

/* One turn of a loop. */
static void
turn(int most)
{
	struct hb_mux_wait wait;
	struct pollfd pfd;
	int64_t left;

	hb_mux_wait(mux, &wait);
	pfd = (struct pollfd){wait.fd, (short)((wait.readable ? POLLIN : 0) | (wait.writable ? POLLOUT : 0)), 0};
	left = wait.until == INT64_MAX ? most : wait.until - hb_clock_ms();
	if (left > most)
		left = most;
	poll(&pfd, 1, left < 0 ? 0 : (int)left);
	if (pfd.revents & POLLOUT)
		hb_mux_flush(mux);
	if (pfd.revents & ~POLLOUT)
		hb_mux_readable(mux);
	hb_mux_wait(mux, &wait);
	if (hb_clock_ms() >= wait.until)
		hb_mux_tick(mux);
}

static void
turn_until(int wanted)
{
	int64_t end = hb_clock_ms() + 30000;

	while (ended < wanted) {
		ck_assert_int_lt(hb_clock_ms(), end);
		turn(100);
	}
}

/* Queues call number i with size bytes, all of them its number. */
static int
ask(int i, enum hb_link_op op, size_t size, int ms)
{
	struct hb_buf request = HB_BUF_INIT;
	int rc;

	hb_link_begin(&request);
	ck_assert_ptr_nonnull(hb_buf_reserve(&request, size));
	memset(request.data + request.len, i, size);
	request.len += size;
	rc = hb_mux_call(mux, &asked[i].call, op, &request, hb_clock_ms() + ms, &err);
	hb_buf_free(&request);
	return rc;
}

#define ASK(i, op, size, ms) ck_assert_msg(ask(i, op, size, ms) == 0, "%s", err.text)

static void
has_its_own(int i, size_t size)
{
	ck_assert(asked[i].done);
	ck_assert_int_eq(asked[i].kind, HB_ERROR_NONE);
	ck_assert_uint_eq(asked[i].reply.len, size);
	if (size > 0) {
		ck_assert_uint_eq(asked[i].reply.data[0], (unsigned char)i);
		ck_assert_mem_eq(asked[i].reply.data, asked[i].reply.data + 1, size - 1);
	}
}

static void
serve_echo(struct fake *f, int fd, int nth)
{
	if (fake_hello(f, fd, PACKAGE_VERSION))
		fake_echo(f, fd);
}

START_TEST(each_call_gets_its_own_reply_over_one_connection)
{
	start(serve_echo);
	for (int i = 0; i < CALLS; i++)
		ASK(i, HB_OP_GET, (size_t)(i % 7 * i * 20), 30000);
	hb_mux_flush(mux);
	turn_until(CALLS);
	for (int i = 0; i < CALLS; i++)
		has_its_own(i, (size_t)(i % 7 * i * 20));
	ck_assert_int_eq(fake.connections, 1);
	stop();
}
END_TEST

START_TEST(big_requests_and_replies_go_as_the_socket_takes_them)
{
	start(serve_echo);
	for (int i = 0; i < 8; i++)
		ASK(i, HB_OP_SET, 5000000, 30000);
	turn_until(8);
	for (int i = 0; i < 8; i++)
		has_its_own(i, 5000000);
	stop();
}
END_TEST

/* Answers four requests, last first, in parts that take turns, byte by byte; the last part of one is empty. */
static void
serve_parts(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT, out = HB_BUF_INIT;
	struct hb_frame frames[4];

	fake_hello(f, fd, PACKAGE_VERSION);
	for (int i = 0; i < 4; i++)
		ck_assert(fake_read(f, fd, &in, &frames[i]));
	for (int round = 0; round < 3; round++)
		for (int i = 3; i >= 0; i--) {
			size_t len = round < 2 ? 5 : (size_t)i;
			unsigned char *head = hb_buf_reserve(&out, HB_LINK_HEADER + len);

			hb_frame_header(head, HB_LINK_HEADER + len, frames[i].op,
			    (uint8_t)(HB_LINK_REPLY | (round < 2 ? HB_LINK_MORE : 0)), frames[i].id, 0);
			memset(head + HB_LINK_HEADER, i, len);
			out.len += HB_LINK_HEADER + len;
		}
	for (size_t i = 0; i < out.len; i++)
		ck_assert_int_eq(send(fd, out.data + i, 1, MSG_NOSIGNAL), 1);
	hb_buf_free(&in);
	hb_buf_free(&out);
	fake_echo(f, fd);
}

START_TEST(replies_in_parts_are_put_together)
{
	start(serve_parts);
	for (int i = 0; i < 4; i++)
		ASK(i, HB_OP_GET, 1, 30000);
	turn_until(4);
	for (int i = 0; i < 4; i++)
		has_its_own(i, 10 + (size_t)i);
	stop();
}
END_TEST

/* Answers one request, which in and frame then hold; every connection but the first echoes, and it is false. */
static bool
answered_one(struct fake *f, int fd, int nth, struct hb_buf *in, struct hb_frame *frame)
{
	fake_hello(f, fd, PACKAGE_VERSION);
	if (nth > 0) {
		fake_echo(f, fd);
		return false;
	}
	ck_assert(fake_read(f, fd, in, frame));
	fake_reply(fd, frame, 0, "\0", 1);
	return true;
}

/* Reads three requests and goes; the next connection echoes. */
static void
serve_and_go(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame;

	if (!answered_one(f, fd, nth, &in, &frame))
		return;
	for (int i = 0; i < 2; i++)
		ck_assert(fake_read(f, fd, &in, &frame));
	hb_buf_free(&in);
}

START_TEST(lost_link_fails_what_was_sent_and_nothing_is_sent_again)
{
	start(serve_and_go);
	ASK(0, HB_OP_GET, 1, 30000);
	turn_until(1);
	has_its_own(0, 1);
	for (int i = 1; i < 3; i++)
		ASK(i, HB_OP_INCR, 1, 30000);
	hb_mux_flush(mux);
	turn_until(3);
	ck_assert_int_eq(asked[1].kind, HB_ERROR_CONNECT);
	ck_assert_int_eq(asked[2].kind, HB_ERROR_CONNECT);
	ck_assert_int_eq(closings, 1);
	ASK(3, HB_OP_GET, 1, 30000);
	turn_until(4);
	has_its_own(3, 1);
	ck_assert_int_eq(fake.requests, 4);
	stop();
}
END_TEST

START_TEST(whoever_hears_of_a_lost_link_may_cancel_others_and_ask_again)
{
	start(serve_and_go);
	ASK(0, HB_OP_GET, 1, 30000);
	turn_until(1);
	ASK(1, HB_OP_CALL, 1, 20000);
	ASK(2, HB_OP_CALL, 1, 30000);
	victim = &asked[2].call;
	hb_mux_flush(mux);
	turn_until(2);
	ck_assert_int_eq(asked[1].kind, HB_ERROR_CONNECT);
	ASK(3, HB_OP_GET, 1, 30000);
	turn_until(3);
	has_its_own(3, 1);
	ck_assert(!asked[2].done);
	stop();
}
END_TEST

/* Answers one request and goes; the next connection echoes. */
static void
serve_one(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame;

	if (!answered_one(f, fd, nth, &in, &frame))
		return;
	shutdown(fd, SHUT_RDWR);
	atomic_store(&f->flag, 1);
	hb_buf_free(&in);
}

START_TEST(what_was_not_sent_goes_to_the_next_connection)
{
	start(serve_one);
	ASK(0, HB_OP_GET, 1, 30000);
	turn_until(1);
	fake_await(&fake, 1);
	for (int i = 1; i < 5; i++)
		ASK(i, HB_OP_INCR, 100, 30000);
	hb_mux_cancel(mux, &asked[2].call);
	hb_mux_flush(mux);
	turn_until(4);
	has_its_own(1, 100);
	has_its_own(3, 100);
	has_its_own(4, 100);
	ck_assert_int_eq(fake.connections, 2);
	stop();
}
END_TEST

static void
serve_silent(struct fake *f, int fd, int nth)
{
	fake_hello(f, fd, PACKAGE_VERSION);
	fake_await(f, 1);
	fake_echo(f, fd);
}

START_TEST(deadlines_end_calls_in_their_order_and_late_replies_are_nobodys)
{
	static const int order[] = {3, 1, 2};
	int64_t before = hb_clock_ms();

	start(serve_silent);
	ASK(0, HB_OP_GET, 1, 90);
	ASK(1, HB_OP_GET, 1, 30);
	ASK(2, HB_OP_GET, 1, 60);
	turn_until(3);
	ck_assert_int_ge(hb_clock_ms() - before, 90);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(asked[i].kind, HB_ERROR_TIMEOUT);
		ck_assert_int_eq(asked[i].done, order[i]);
	}
	atomic_store(&fake.flag, 1);
	ASK(3, HB_OP_GET, 1, 30000);
	hb_mux_flush(mux);
	turn_until(4);
	has_its_own(3, 1);
	stop();
}
END_TEST

START_TEST(answer_that_is_there_counts_though_the_loop_comes_late)
{
	struct hb_mux_wait wait;

	start(serve_echo);
	ASK(0, HB_OP_GET, 1, 30000);
	turn_until(1);
	ASK(1, HB_OP_GET, 1, 20);
	hb_mux_flush(mux);
	while (hb_clock_ms() < asked[1].call.deadline || fake.requests < 2)
		poll(NULL, 0, 5);
	hb_mux_wait(mux, &wait);
	ck_assert_int_eq(poll(&(struct pollfd){wait.fd, POLLIN, 0}, 1, 60000), 1);
	hb_mux_tick(mux);
	has_its_own(1, 1);
	stop();
}
END_TEST

/* Reads a call, its cancellation and another request, and answers that. */
static void
serve_cancelled(struct fake *f, int fd, int nth)
{
	fake_hello(f, fd, PACKAGE_VERSION);
	fake_cancelled(f, fd, HB_OP_RPC_CALL);
	fake_echo(f, fd);
}

START_TEST(cancelled_call_is_told_and_cancelled_state_is_not)
{
	start(serve_cancelled);
	ASK(0, HB_OP_RPC_CALL, 1, 30000);
	hb_mux_cancel(mux, &asked[0].call);
	ASK(1, HB_OP_GET, 1, 30000);
	hb_mux_cancel(mux, &asked[1].call);
	ASK(2, HB_OP_GET, 1, 30000);
	turn_until(1);
	has_its_own(2, 1);
	ck_assert(!asked[0].done && !asked[1].done);
	stop();
}
END_TEST

START_TEST(what_waits_to_be_sent_is_bounded)
{
	int i;

	start(serve_silent);
	for (i = 0; i < CALLS && ask(i, HB_OP_SET, 4000000, 30000) == 0; i++)
		hb_mux_flush(mux);
	ck_assert_int_gt(i, 10);
	ck_assert_int_lt(i, 20);
	ck_assert_int_eq(err.kind, HB_ERROR_LIMIT);
	ck_assert_int_eq(ask(i, HB_OP_SET, HB_LINK_FRAME_MAX, 30000), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_LIMIT);
	atomic_store(&fake.flag, 1);
	turn_until(i);
	for (int done = 0; done < i; done++)
		has_its_own(done, 4000000);
	stop();
}
END_TEST

START_TEST(absent_companion_is_asked_for_with_backoff)
{
	fake_prepare(&fake, serve_echo);
	open_mux(HB_LINK_DIRECT);
	ck_assert_int_eq(ask(0, HB_OP_GET, 1, 30000), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_CONNECT);
	ck_assert_ptr_nonnull(strstr(err.text, fake.path));
	ck_assert_int_gt(backoff.delay, 0);
	ck_assert_int_gt(backoff.until, 0);
	fake_listen(&fake);
	backoff.until = hb_clock_ms() + 60000; /* the pause, as long as this test may take */
	ck_assert_int_eq(ask(0, HB_OP_GET, 1, 30000), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_CONNECT);
	backoff.until = hb_clock_ms();
	ck_assert_int_eq(ask(0, HB_OP_GET, 1, 30000), 0);
	turn_until(1);
	has_its_own(0, 1);
	stop();
}
END_TEST

/* The master: answers a request for a link with the other end of a pair, whose first request is echoed. */
static void
serve_master(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame;
	unsigned char out[HB_LINK_HEADER + 2];
	int pair[2];

	if (!fake_read(f, fd, &in, &frame))
		return;
	ck_assert_int_eq(frame.op, HB_OP_LINK);
	if (nth == 0) {
		fake_error(fd, &frame, "down", "the companion does not run");
	} else {
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		hb_frame_header(out, sizeof out, frame.op, HB_LINK_REPLY, frame.id, 0);
		memcpy(out + HB_LINK_HEADER, "\x83j", 2);
		ck_assert_int_eq(hb_fd_send(fd, out, sizeof out, pair[1]), sizeof out);
		close(pair[1]);
		fake_echo(f, pair[0]);
		close(pair[0]);
	}
	hb_buf_free(&in);
}

START_TEST(master_hands_a_link_over_or_says_that_the_companion_is_down)
{
	fake_start(&fake, serve_master);
	open_mux(HB_LINK_CONTROL);
	ASK(0, HB_OP_GET, 1, 30000);
	turn_until(1);
	ck_assert_int_eq(asked[0].kind, HB_ERROR_DOWN);
	while (hb_clock_ms() < backoff.until)
		poll(NULL, 0, 1);
	ASK(1, HB_OP_GET, 9, 30000);
	turn_until(2);
	has_its_own(1, 9);
	ck_assert_int_eq(closings, 2); /* of the refused one, and of the control socket once it was spent */
	stop();
}
END_TEST

static void
serve_garbage(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame;

	fake_hello(f, fd, PACKAGE_VERSION);
	if (nth == 0 && fake_read(f, fd, &in, &frame))
		ck_assert_int_eq(send(fd, "\0\0\0\x0cGarbage, garbage", 20, MSG_NOSIGNAL), 20);
	hb_buf_free(&in);
	fake_echo(f, fd);
}

START_TEST(garbage_ends_the_connection_and_its_calls)
{
	start(serve_garbage);
	ASK(0, HB_OP_GET, 1, 30000);
	ASK(1, HB_OP_GET, 1, 30000);
	turn_until(2);
	ck_assert_int_eq(asked[0].kind, HB_ERROR_PROTOCOL);
	ck_assert_int_eq(asked[1].kind, HB_ERROR_PROTOCOL);
	while (ask(2, HB_OP_GET, 1, 30000) == -1)
		poll(NULL, 0, 1);
	turn_until(3);
	has_its_own(2, 1);
	stop();
}
END_TEST

START_TEST(child_of_a_fork_closes_its_copy_and_the_parent_goes_on)
{
	struct hb_mux_wait wait;
	int status;
	pid_t pid;

	start(serve_echo);
	ASK(0, HB_OP_GET, 1, 30000);
	turn_until(1);
	hb_mux_wait(mux, &wait);
	pid = fork();
	if (pid == 0) {
		char c;

		_exit(hb_mux_is_parents(mux) && recv(wait.fd, &c, 1, MSG_DONTWAIT) == -1 ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert(!hb_mux_is_parents(mux));
	ASK(1, HB_OP_GET, 1, 30000);
	hb_mux_flush(mux);
	turn_until(2);
	has_its_own(1, 1);
	ck_assert_int_eq(fake.connections, 1);
	stop();
}
END_TEST

/* Against a plain array, over random steps. */
START_TEST(calls_in_flight_are_found_by_id_and_by_deadline)
{
	enum { MANY = 3000 };
	struct hb_mux_call *calls = calloc(MANY, sizeof *calls), *first;
	struct hb_inflight f = {0};
	uint32_t id = UINT32_MAX - 500;
	bool *in = calloc(MANY, sizeof *in);

	srand(20261122);
	for (int step = 0; step < 40000; step++) {
		int i = rand() % MANY;

		if (!in[i]) {
			calls[i] = (struct hb_mux_call){.id = ++id, .deadline = rand() % 1000};
			ck_assert_int_eq(hb_inflight_add(&f, &calls[i]), 0);
			in[i] = true;
		} else if (rand() % 3 > 0) {
			ck_assert_ptr_eq(hb_inflight_find(&f, calls[i].id), &calls[i]);
			hb_inflight_remove(&f, &calls[i]);
			ck_assert_ptr_null(hb_inflight_find(&f, calls[i].id));
			in[i] = false;
		}
		if (step % 100 > 0)
			continue;
		first = hb_inflight_first(&f);
		for (int j = 0; j < MANY; j++)
			ck_assert(!in[j] || calls[j].deadline >= first->deadline);
	}
	for (int64_t last = 0; (first = hb_inflight_first(&f)) != NULL; last = first->deadline) {
		ck_assert_int_ge(first->deadline, last);
		hb_inflight_remove(&f, first);
	}
	hb_inflight_free(&f);
	free(calls);
	free(in);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("link_mux");
	TCase *t = tcase_create("all");

	tcase_add_test(t, each_call_gets_its_own_reply_over_one_connection);
	tcase_add_test(t, big_requests_and_replies_go_as_the_socket_takes_them);
	tcase_add_test(t, replies_in_parts_are_put_together);
	tcase_add_test(t, lost_link_fails_what_was_sent_and_nothing_is_sent_again);
	tcase_add_test(t, whoever_hears_of_a_lost_link_may_cancel_others_and_ask_again);
	tcase_add_test(t, what_was_not_sent_goes_to_the_next_connection);
	tcase_add_test(t, deadlines_end_calls_in_their_order_and_late_replies_are_nobodys);
	tcase_add_test(t, answer_that_is_there_counts_though_the_loop_comes_late);
	tcase_add_test(t, cancelled_call_is_told_and_cancelled_state_is_not);
	tcase_add_test(t, what_waits_to_be_sent_is_bounded);
	tcase_add_test(t, absent_companion_is_asked_for_with_backoff);
	tcase_add_test(t, master_hands_a_link_over_or_says_that_the_companion_is_down);
	tcase_add_test(t, garbage_ends_the_connection_and_its_calls);
	tcase_add_test(t, child_of_a_fork_closes_its_copy_and_the_parent_goes_on);
	tcase_add_test(t, calls_in_flight_are_found_by_id_and_by_deadline);
	suite_add_tcase(s, t);
	return s;
}
