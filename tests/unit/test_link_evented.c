/* Opening links on a libevent loop, and the evented client, against a fake companion. */
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "common/clock.h"
#include "fake_link.h"
#include "link/client.h"
#include "link/evdial.h"
#include "link/evented.h"
#include "term/term.h"
#include "unit.h"

static const struct hb_hello hello = {"client", "test", 1, 2, 4711};
static struct fake fake;
static struct event_base *base;
static struct hb_evlink *link_;

/* What a callback was told. */
struct told {
	int times;
	int fd;
	enum hb_error_kind kind;
	char text[512];
	struct hb_buf payload;
	void (*then)(struct told *told);
};

static void
prepare(fake_serve *serve)
{
	fake_start(&fake, serve);
	base = event_base_new();
	link_ = hb_evlink_new(base, fake.path, &hello);
}

static void
stop(void)
{
	hb_evlink_free(link_);
	event_base_free(base);
	fake_stop(&fake);
}

static void
note(struct told *told, const struct hb_error *err)
{
	told->times++;
	told->kind = err != NULL ? err->kind : HB_ERROR_NONE;
	strcpy(told->text, err != NULL ? err->text : "");
	if (told->then != NULL)
		told->then(told);
}

static void
dialled(void *arg, int fd, const struct hb_error *err)
{
	((struct told *)arg)->fd = fd;
	note(arg, err);
}

static void
answered(void *arg, const unsigned char *payload, size_t len, const struct hb_error *err)
{
	hb_buf_add(&((struct told *)arg)->payload, payload, len);
	note(arg, err);
}

static void
loop_until(const int *times, int wanted)
{
	int64_t end = hb_clock_ms() + 60000;

	while (*times < wanted) {
		ck_assert_int_lt(hb_clock_ms(), end);
		event_base_loopexit(base, &(struct timeval){0, 20000});
		event_base_loop(base, EVLOOP_ONCE);
	}
}

static struct hb_evcall *
ask(const char *text, int64_t ms, struct told *told, struct hb_error *err)
{
	struct hb_buf request = HB_BUF_INIT;
	struct hb_evcall *call;

	hb_link_begin(&request);
	hb_buf_add_str(&request, text);
	call = hb_evlink_call(link_, HB_OP_GET, &request, ms ? hb_clock_ms() + ms : 0, answered, told, err);
	hb_buf_free(&request);
	return call;
}

static void
serve_echo(struct fake *f, int fd, int nth)
{
	if (fake_hello(f, fd, PACKAGE_VERSION))
		fake_echo(f, fd);
}

static void
serve_old(struct fake *f, int fd, int nth)
{
	fake_hello(f, fd, "0.0.1");
}

static void
serve_silent(struct fake *f, int fd, int nth)
{
	fake_await(f, 1);
}

static struct told
dial_once(fake_serve *serve, bool listening, int64_t timeout)
{
	struct told told = {0};
	struct hb_error err;

	if (listening) {
		prepare(serve);
	} else {
		fake_prepare(&fake, serve);
		base = event_base_new();
	}
	ck_assert_ptr_nonnull(hb_evdial_start(base, fake.path, &hello, timeout, dialled, &told, &err));
	ck_assert_int_eq(told.times, 0);
	loop_until(&told.times, 1);
	atomic_store(&fake.flag, 1);
	return told;
}

START_TEST(link_is_opened_in_the_name_of_another)
{
	struct told told = dial_once(serve_echo, true, 5000);

	ck_assert_int_ne(told.fd, -1);
	ck_assert_int_eq(fake.hello_pid, 4711);
	close(told.fd);
	stop();
}
END_TEST

START_TEST(failed_openings_say_why)
{
	struct told told = dial_once(serve_old, true, 5000);

	ck_assert_int_eq(told.kind, HB_ERROR_VERSION);
	ck_assert_int_eq(told.fd, -1);
	ck_assert_ptr_nonnull(strstr(told.text, "0.0.1"));
	stop();
	told = dial_once(serve_silent, true, 40);
	ck_assert_msg(told.kind == HB_ERROR_TIMEOUT, "%s", told.text);
	stop();
	link_ = NULL;
	told = dial_once(serve_echo, false, 5000);
	ck_assert_int_eq(told.kind, HB_ERROR_CONNECT);
	ck_assert_ptr_nonnull(strstr(told.text, fake.path));
	stop();
}
END_TEST

START_TEST(many_calls_at_once_are_each_answered)
{
	struct told told[300] = {{0}};
	struct hb_error err;
	char text[16];

	prepare(serve_echo);
	for (int i = 0; i < 300; i++) {
		snprintf(text, sizeof text, "call %d", i);
		ck_assert_ptr_nonnull(ask(text, 5000, &told[i], &err));
	}
	for (int i = 0; i < 300; i++) {
		loop_until(&told[i].times, 1);
		snprintf(text, sizeof text, "call %d", i);
		ck_assert_uint_eq(told[i].payload.len, strlen(text));
		ck_assert_mem_eq(told[i].payload.data, text, strlen(text));
		hb_buf_free(&told[i].payload);
	}
	ck_assert_int_eq(fake.connections, 1);
	stop();
}
END_TEST

static void
serve_parts_late(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame first, second;

	fake_hello(f, fd, PACKAGE_VERSION);
	fake_read(f, fd, &in, &first);
	fake_read(f, fd, &in, &second);
	fake_reply(fd, &first, HB_LINK_MORE, "la", 2);
	fake_reply(fd, &second, HB_LINK_MORE, "ri", 2);
	fake_reply(fd, &first, 0, "te", 2);
	fake_reply(fd, &second, 0, "ght", 3);
	fake_echo(f, fd);
	hb_buf_free(&in);
}

START_TEST(late_and_cancelled_replies_are_nobodys)
{
	struct told first = {0}, second = {0}, third = {0};
	struct hb_error err;
	struct hb_evcall *cancelled;

	prepare(serve_parts_late);
	ck_assert_ptr_nonnull(ask("1", 40, &first, &err));
	loop_until(&first.times, 1);
	ck_assert_int_eq(first.kind, HB_ERROR_TIMEOUT);
	ck_assert_ptr_nonnull(ask("2", 5000, &second, &err));
	cancelled = ask("3", 5000, &third, &err);
	hb_evcall_cancel(cancelled);
	loop_until(&second.times, 1);
	ck_assert_mem_eq(second.payload.data, "right", 5);
	hb_buf_clear(&second.payload);
	ck_assert_ptr_nonnull(ask("4", 5000, &second, &err));
	loop_until(&second.times, 2);
	ck_assert_mem_eq(second.payload.data, "4", 1);
	ck_assert_int_eq(third.times, 0);
	hb_buf_free(&second.payload);
	stop();
}
END_TEST

static void
serve_lost(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame;

	fake_hello(f, fd, PACKAGE_VERSION);
	if (nth == 0)
		fake_read(f, fd, &in, &frame);
	else
		fake_echo(f, fd);
	hb_buf_free(&in);
}

START_TEST(lost_link_fails_its_calls_and_the_next_call_reconnects)
{
	struct told told[10] = {{0}}, next = {0};
	struct hb_error err;

	prepare(serve_lost);
	for (int i = 0; i < 10; i++)
		ck_assert_ptr_nonnull(ask("x", 5000, &told[i], &err));
	for (int i = 0; i < 10; i++) {
		loop_until(&told[i].times, 1);
		ck_assert_int_eq(told[i].kind, HB_ERROR_CONNECT);
	}
	ck_assert_ptr_nonnull(ask("y", 5000, &next, &err));
	loop_until(&next.times, 1);
	ck_assert_int_eq(next.kind, HB_ERROR_NONE);
	ck_assert_int_eq(fake.connections, 2);
	hb_buf_free(&next.payload);
	stop();
}
END_TEST

START_TEST(absent_companion_is_found_once_it_listens)
{
	struct told told = {0};
	struct hb_error err;
	int64_t end = hb_clock_ms() + 30000;

	fake_prepare(&fake, serve_echo);
	base = event_base_new();
	link_ = hb_evlink_new(base, fake.path, &hello);
	/* Until one is within the backoff, which grows. */
	while (ask("x", 5000, &told, &err) != NULL) {
		loop_until(&told.times, told.times + 1);
		ck_assert_int_eq(told.kind, HB_ERROR_CONNECT);
		ck_assert_int_lt(hb_clock_ms(), end);
	}
	ck_assert_int_gt(told.times, 0);
	ck_assert_int_eq(err.kind, HB_ERROR_CONNECT);
	fake_listen(&fake);
	do {
		while (ask("x", 60000, &told, &err) == NULL)
			ck_assert_int_lt(hb_clock_ms(), end);
		loop_until(&told.times, told.times + 1);
	} while (told.kind != HB_ERROR_NONE);
	hb_buf_free(&told.payload);
	stop();
}
END_TEST

static void
free_the_link(struct told *told)
{
	hb_evlink_free(link_);
	link_ = NULL;
}

START_TEST(callback_may_free_the_link)
{
	struct told told[3] = {{.then = free_the_link}, {0}, {0}};
	struct hb_error err;

	for (int lost = 0; lost < 2; lost++) {
		prepare(lost ? serve_lost : serve_echo);
		for (int i = 0; i < 3; i++) {
			told[i].times = 0;
			ck_assert_ptr_nonnull(ask("x", 5000, &told[i], &err));
		}
		loop_until(&told[0].times, 1);
		event_base_loop(base, EVLOOP_NONBLOCK);
		/* Those that the freed one overtook hear nothing. */
		ck_assert_int_le(told[1].times + told[2].times, 2);
		stop();
	}
	for (int i = 0; i < 3; i++)
		hb_buf_free(&told[i].payload);
}
END_TEST

static void
serve_deaf(struct fake *f, int fd, int nth)
{
	fake_hello(f, fd, PACKAGE_VERSION);
	fake_await(f, 1);
	fake_echo(f, fd);
}

START_TEST(output_to_a_deaf_companion_is_bounded)
{
	struct hb_buf request = HB_BUF_INIT;
	struct told told = {0};
	struct hb_error err;
	int taken = 0;

	prepare(serve_deaf);
	hb_link_begin(&request);
	ck_assert_ptr_nonnull(hb_buf_reserve(&request, 8000000));
	memset(request.data + request.len, 'x', 8000000);
	request.len += 8000000;
	while (hb_evlink_call(link_, HB_OP_SET, &request, 0, answered, &told, &err) != NULL) {
		taken++;
		ck_assert_int_lt(taken, 100);
		event_base_loop(base, EVLOOP_NONBLOCK);
	}
	ck_assert_int_eq(err.kind, HB_ERROR_LIMIT);
	ck_assert_int_ge(taken, 8);
	atomic_store(&fake.flag, 1);
	loop_until(&told.times, taken);
	ck_assert_uint_eq(told.payload.len, (size_t)taken * 8000000);
	hb_buf_free(&request);
	hb_buf_free(&told.payload);
	stop();
}
END_TEST

/* Answers nothing; the flag becomes the id that a cancel names. */
static void
serve_cancels(struct fake *f, int fd, int nth)
{
	struct hb_buf buf = HB_BUF_INIT;
	struct hb_frame frame;
	struct hb_term_reader r;
	struct hb_error err;
	int64_t id;

	if (fake_hello(f, fd, PACKAGE_VERSION))
		while (fake_read(f, fd, &buf, &frame))
			if (frame.op == HB_OP_CANCEL && hb_term_open(&r, frame.payload, frame.len, &err) == 0 &&
			    hb_term_want_int(&r, &id, &err) == 0)
				atomic_store(&f->flag, (int)id);
	hb_buf_free(&buf);
}

static void
loop_until_requests(int wanted)
{
	int64_t end = hb_clock_ms() + 60000;

	while (atomic_load(&fake.requests) < wanted) {
		ck_assert_int_lt(hb_clock_ms(), end);
		event_base_loopexit(base, &(struct timeval){0, 20000});
		event_base_loop(base, EVLOOP_ONCE);
	}
}

START_TEST(companion_is_told_of_a_call_that_is_abandoned)
{
	struct told told = {0}, other = {0};
	struct hb_evcall *call;
	struct hb_error err;

	prepare(serve_cancels);
	ck_assert_ptr_nonnull(ask("a", 0, &other, &err));
	call = ask("b", 0, &told, &err);
	loop_until_requests(2);
	hb_evcall_abandon(call);
	hb_evcall_abandon(NULL);
	loop_until_requests(3);
	fake_await(&fake, 2); /* the second call */
	ck_assert_int_eq(told.times + other.times, 0);
	stop();
}
END_TEST

START_TEST(call_waits_a_moment_longer_than_its_deadline)
{
	int64_t began = hb_clock_ms();
	struct told told = {0};
	struct hb_evcall *call;
	struct hb_error err;

	prepare(serve_cancels);
	call = ask("a", 1, &told, &err);
	hb_evcall_wait_until(call, began + 300);
	loop_until(&told.times, 1);
	ck_assert_int_eq(told.kind, HB_ERROR_TIMEOUT);
	ck_assert_int_ge(hb_clock_ms() - began, 290);
	stop();
}
END_TEST

/* arg is where the connection's descriptor is kept; it is open still when it is told to be over. */
static void
keep_descriptor(void *arg, int fd)
{
	int *kept = arg;

	ck_assert((fd == -1) != (*kept == -1));
	ck_assert_int_ne(fcntl(fd != -1 ? fd : *kept, F_GETFD), -1);
	*kept = fd;
}

START_TEST(the_descriptor_is_told_from_its_first_to_its_last_moment)
{
	struct told told = {0};
	struct hb_error err;
	int fd = -1;

	prepare(serve_echo);
	hb_evlink_on_descriptor(link_, keep_descriptor, &fd);
	ck_assert_ptr_nonnull(ask("a", 0, &told, &err));
	ck_assert_int_eq(fd, -1);
	loop_until(&told.times, 1);
	ck_assert_int_ge(fd, 0);
	hb_evlink_free(link_);
	link_ = NULL;
	ck_assert_int_eq(fd, -1);
	hb_buf_free(&told.payload);
	stop();
}
END_TEST

START_TEST(batched_requests_wait_for_the_flush)
{
	struct told first = {0}, told = {0};
	struct hb_error err;

	prepare(serve_echo);
	hb_evlink_batch(link_);
	ck_assert_ptr_nonnull(ask("a", 0, &first, &err)); /* for which there is no connection yet */
	loop_until(&first.times, 1);
	for (int i = 0; i < 3; i++)
		ck_assert_ptr_nonnull(ask("b", 0, &told, &err));
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(atomic_load(&fake.requests), 1);
	hb_evlink_flush(link_);
	hb_evlink_flush(link_);
	loop_until(&told.times, 3);
	ck_assert_int_eq(atomic_load(&fake.requests), 4);
	hb_buf_free(&first.payload);
	hb_buf_free(&told.payload);
	stop();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("link_evented");
	TCase *t = tcase_create("all");

	tcase_add_test(t, link_is_opened_in_the_name_of_another);
	tcase_add_test(t, failed_openings_say_why);
	tcase_add_test(t, many_calls_at_once_are_each_answered);
	tcase_add_test(t, late_and_cancelled_replies_are_nobodys);
	tcase_add_test(t, lost_link_fails_its_calls_and_the_next_call_reconnects);
	tcase_add_test(t, absent_companion_is_found_once_it_listens);
	tcase_add_test(t, callback_may_free_the_link);
	tcase_add_test(t, output_to_a_deaf_companion_is_bounded);
	tcase_add_test(t, companion_is_told_of_a_call_that_is_abandoned);
	tcase_add_test(t, call_waits_a_moment_longer_than_its_deadline);
	tcase_add_test(t, the_descriptor_is_told_from_its_first_to_its_last_moment);
	tcase_add_test(t, batched_requests_wait_for_the_flush);
	suite_add_tcase(s, t);
	return s;
}
