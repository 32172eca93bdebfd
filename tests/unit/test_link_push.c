/*
 * The push connection against a fake companion that counts what it is told
 * and sends what the test asks for.  tests/tsan.sh runs it under ThreadSanitizer.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "fake_link.h"
#include "link/push.h"
#include "term/term.h"
#include "unit.h"

static struct fake fake;
static struct hb_push *push;
static atomic_int link_fd; /* of the newest connection */
static atomic_int said;    /* the number in the newest request */
static atomic_bool mute;   /* requests get no reply */
static atomic_bool refuse;

static void
serve(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_term_reader reader;
	struct hb_frame frame;
	struct hb_error err;
	const unsigned char *name;
	char there[8];
	uint32_t arity;
	int64_t n;
	size_t len;

	if (!fake_hello(f, fd, PACKAGE_VERSION))
		return;
	link_fd = fd;
	while (fake_read(f, fd, &in, &frame)) {
		if (frame.op == HB_OP_SUBSCRIBE) {
			ck_assert_int_eq(hb_term_open(&reader, frame.payload, frame.len, &err), 0);
			ck_assert_int_eq(hb_term_want_tuple(&reader, &arity, &err), 0);
			ck_assert_int_eq(hb_term_want_binary(&reader, &name, &len, &err), 0);
			ck_assert_int_eq(hb_term_want_int(&reader, &n, &err), 0);
			said = (int)n;
		}
		if (frame.op == HB_OP_PROVIDE) {
			ck_assert_int_eq(hb_term_open(&reader, frame.payload, frame.len, &err), 0);
			ck_assert_int_eq(hb_term_want_tuple(&reader, &arity, &err), 0);
			ck_assert_int_eq(hb_term_want_binary(&reader, &name, &len, &err), 0);
			ck_assert_int_eq(hb_term_want_atom(&reader, there, sizeof there, &err), 0);
			said = strcmp(there, "true") == 0;
		}
		if (frame.op == HB_OP_RAN) {
			atomic_fetch_add(&f->flag, 1);
			continue;
		}
		/* As the companion does: an answer would come in the middle of what the test sends meanwhile. */
		if (mute || frame.op == HB_OP_MISSED)
			continue;
		if (refuse)
			fake_error(fd, &frame, "limit", "too many topics");
		else
			fake_reply(fd, &frame, 0, "\x83\x77\x02ok", 5);
	}
	hb_buf_free(&in);
}

static void
send_frame_times(uint8_t op, const struct hb_buf *payload, int times)
{
	struct hb_buf out = HB_BUF_INIT;

	hb_link_begin(&out);
	hb_buf_add(&out, payload->data, payload->len);
	hb_frame_header(out.data, out.len, op, 0, 0, 0);
	for (int i = 0; i < times; i++)
		ck_assert_int_eq(send(link_fd, out.data, out.len, MSG_NOSIGNAL), (ssize_t)out.len);
	hb_buf_free(&out);
}

static void
send_frame(uint8_t op, const struct hb_buf *payload)
{
	send_frame_times(op, payload, 1);
}

static void
publish_times(const char *topic, const char *text, size_t size, int times)
{
	struct hb_buf out = HB_BUF_INIT, body = HB_BUF_INIT;

	hb_buf_add_u8(&body, 131);
	hb_buf_add_str(&body, text);
	if (body.len < size && hb_buf_reserve(&body, size - body.len) != NULL) {
		memset(body.data + body.len, 'x', size - body.len);
		body.len = size;
	}
	hb_term_put_version(&out);
	hb_term_put_tuple(&out, 2);
	hb_term_put_str(&out, topic);
	hb_term_put_binary(&out, body.data, body.len);
	send_frame_times(HB_OP_MESSAGE, &out, times);
	hb_buf_free(&out);
	hb_buf_free(&body);
}

static void
publish(const char *topic, const char *text, size_t size)
{
	publish_times(topic, text, size, 1);
}

static void
send_gap(const char *topic, int count)
{
	struct hb_buf out = HB_BUF_INIT;

	hb_term_put_version(&out);
	hb_term_put_list(&out, 1);
	hb_term_put_tuple(&out, 2);
	hb_term_put_str(&out, topic);
	hb_term_put_int(&out, count);
	hb_term_put_nil(&out);
	send_frame(HB_OP_GAP, &out);
	hb_buf_free(&out);
}

static void
set_up(void)
{
	mute = refuse = false;
	said = -1;
	fake_start(&fake, serve);
	push = hb_push_new(&(struct hb_link_options){HB_LINK_DIRECT, fake.path, "client", "test", NULL, NULL}, 8);
}

static void
tear_down(void)
{
	hb_push_free(push);
	fake_stop(&fake);
}

static int64_t
soon(void)
{
	return hb_clock_ms() + 200000; /* sanitizers are slow, and so is a machine that has other work */
}

static void
await_int(atomic_int *value, int wanted)
{
	const struct timespec pause = {0, 1000000};
	int tries = 0;

	while (*value != wanted) {
		ck_assert_msg(tries++ < 100000, "%d instead of %d", *value, wanted);
		nanosleep(&pause, NULL);
	}
}

static void
must_subscribe(struct hb_subscriber *s, const char *topic)
{
	struct hb_error err = {0};

	ck_assert_msg(hb_push_subscribe(s, topic, strlen(topic), soon(), &err) == 0, "%s", err.text);
}

/* The next message is this one. */
static void
expect(struct hb_subscriber *s, const char *topic, const char *text)
{
	struct hb_message *message = NULL;
	struct hb_error err = {0};

	ck_assert_msg(hb_push_next(s, soon(), &message, &err) == HB_PUSH_MESSAGE, "no message: %s", err.text);
	ck_assert_uint_eq(message->topic_len, strlen(topic));
	ck_assert_mem_eq(message->topic, topic, strlen(topic));
	ck_assert_uint_eq(message->len, 1 + strlen(text));
	ck_assert_mem_eq(message->body + 1, text, strlen(text));
	hb_message_unref(message);
}

static void
expect_nothing(struct hb_subscriber *s)
{
	struct hb_message *message = NULL;
	struct hb_error err;

	ck_assert_int_eq(hb_push_next(s, hb_clock_ms(), &message, &err), HB_PUSH_NOTHING);
}

START_TEST(a_message_reaches_each_subscriber_of_its_topic_and_nobody_else)
{
	struct hb_subscriber *a = hb_subscriber_new(push, NULL), *b = hb_subscriber_new(push, NULL),
	                     *c = hb_subscriber_new(push, NULL);

	must_subscribe(a, "news");
	must_subscribe(b, "news");
	must_subscribe(c, "other");
	publish("news", "one", 0);
	publish("other", "two", 0);
	publish("nobody", "three", 0);
	expect(c, "other", "two");
	expect(a, "news", "one");
	expect(b, "news", "one");
	expect_nothing(a);
	expect_nothing(b);
	expect_nothing(c);
	hb_subscriber_free(a);
	hb_subscriber_free(b);
	hb_subscriber_free(c);
}
END_TEST

START_TEST(the_companion_is_told_how_many_subscribe)
{
	struct hb_subscriber *a = hb_subscriber_new(push, NULL), *b = hb_subscriber_new(push, NULL);

	must_subscribe(a, "news");
	ck_assert_int_eq(said, 1);
	must_subscribe(a, "news");
	ck_assert_int_eq(said, 1);
	must_subscribe(b, "news");
	ck_assert_int_eq(said, 2);
	ck_assert(hb_push_unsubscribe(a, "news", 4));
	ck_assert(!hb_push_unsubscribe(a, "news", 4));
	await_int(&said, 1);
	hb_subscriber_close(b);
	await_int(&said, 0);
	hb_subscriber_free(a);
	hb_subscriber_free(b);
}
END_TEST

START_TEST(a_full_queue_drops_its_oldest_and_counts_them)
{
	struct hb_subscriber *s = hb_subscriber_new(push, NULL), *other = hb_subscriber_new(push, NULL);
	char text[8];

	must_subscribe(s, "news");
	must_subscribe(other, "end");
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof text, "%d", i);
		publish("news", text, 0);
	}
	publish("end", "end", 0);
	expect(other, "end", "end");
	ck_assert_uint_eq(hb_subscriber_counts(s).dropped, 12);
	ck_assert_uint_eq(hb_subscriber_counts(s).queued, 8);
	expect(s, "news", "12");
	hb_subscriber_free(s);
	hb_subscriber_free(other);
}
END_TEST

enum { BIG = 15 * 1024 * 1024 };

static void *
publish_big(void *arg)
{
	publish_times("news", "big", BIG, 4); /* it is made once: valgrind is slow at it */
	publish("end", "end", 0);
	return NULL;
}

START_TEST(big_messages_are_bounded_by_their_size)
{
	struct hb_subscriber *s = hb_subscriber_new(push, NULL), *other = hb_subscriber_new(push, NULL);
	struct hb_message *message = NULL;
	struct hb_error err;
	pthread_t thread;

	must_subscribe(s, "news");
	must_subscribe(other, "end");
	pthread_create(&thread, NULL, publish_big, NULL);
	expect(other, "end", "end");
	pthread_join(thread, NULL);
	ck_assert_uint_eq(hb_subscriber_counts(s).queued, 2);
	ck_assert_uint_eq(hb_subscriber_counts(s).dropped, 2);
	ck_assert_int_eq(hb_push_next(s, soon(), &message, &err), HB_PUSH_MESSAGE);
	ck_assert_uint_eq(message->len, BIG);
	ck_assert_int_eq(message->body[BIG - 1], 'x');
	hb_message_unref(message);
	hb_subscriber_free(s);
	hb_subscriber_free(other);
}
END_TEST

START_TEST(a_gap_of_the_companion_is_counted_by_the_topics_subscribers)
{
	struct hb_subscriber *s = hb_subscriber_new(push, NULL), *other = hb_subscriber_new(push, NULL);

	must_subscribe(s, "news");
	must_subscribe(other, "other");
	send_gap("news", 41);
	send_gap("unknown", 7);
	publish("news", "after", 0);
	expect(s, "news", "after");
	ck_assert_uint_eq(hb_subscriber_counts(s).dropped, 41);
	ck_assert_uint_eq(hb_subscriber_counts(other).dropped, 0);
	hb_subscriber_free(s);
	hb_subscriber_free(other);
}
END_TEST

START_TEST(a_gap_without_topics_is_that_of_every_subscriber)
{
	struct hb_subscriber *s = hb_subscriber_new(push, NULL), *idle = hb_subscriber_new(push, NULL);
	struct hb_buf out = HB_BUF_INIT;

	must_subscribe(s, "news");
	must_subscribe(s, "more");
	hb_term_put_version(&out);
	hb_term_put_nil(&out);
	send_frame(HB_OP_GAP, &out);
	hb_buf_free(&out);
	publish("news", "after", 0);
	expect(s, "news", "after");
	ck_assert_uint_eq(hb_subscriber_counts(s).gaps, 1);
	ck_assert_uint_eq(hb_subscriber_counts(s).cuts, 0);
	ck_assert_uint_eq(hb_subscriber_counts(s).dropped, 0);
	ck_assert_uint_eq(hb_subscriber_counts(idle).gaps, 0);
	hb_subscriber_free(s);
	hb_subscriber_free(idle);
}
END_TEST

START_TEST(a_lost_link_is_made_again_with_its_subscriptions_and_shows_as_a_gap)
{
	struct hb_subscriber *s = hb_subscriber_new(push, NULL), *idle = hb_subscriber_new(push, NULL);
	struct hb_message *message;
	struct hb_error err;

	must_subscribe(s, "news");
	must_subscribe(s, "more");
	said = -1;
	shutdown(link_fd, SHUT_RDWR);
	ck_assert_int_eq(hb_push_next(s, hb_clock_ms() + 1, &message, &err), HB_PUSH_NOTHING);
	await_int(&fake.connections, 2);
	await_int(&fake.requests, 4);
	ck_assert_int_eq(said, 1);
	publish("more", "back", 0);
	expect(s, "more", "back");
	ck_assert_uint_eq(hb_subscriber_counts(s).gaps, 1);
	ck_assert_uint_eq(hb_subscriber_counts(s).cuts, 1);
	ck_assert_uint_eq(hb_subscriber_counts(idle).gaps, 0);
	hb_subscriber_free(s);
	hb_subscriber_free(idle);
}
END_TEST

START_TEST(without_a_companion_subscribing_fails_at_once)
{
	struct hb_subscriber *s;
	struct hb_push *lonely = hb_push_new(
	    &(struct hb_link_options){HB_LINK_DIRECT, "/nonexistent/socket", "client", "test", NULL, NULL}, 0);
	int64_t before = hb_clock_ms();
	struct hb_error err;

	s = hb_subscriber_new(lonely, NULL);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(hb_push_subscribe(s, "news", 4, soon(), &err), -1);
		ck_assert_int_eq(err.kind, HB_ERROR_CONNECT);
	}
	ck_assert_int_lt(hb_clock_ms() - before, 100000); /* half of what one waits */
	ck_assert_uint_eq(hb_subscriber_counts(s).topics, 0);
	hb_subscriber_free(s);
	hb_push_free(lonely);
}
END_TEST

START_TEST(a_subscription_that_is_not_confirmed_is_none)
{
	struct hb_subscriber *s = hb_subscriber_new(push, NULL);
	struct hb_error err;

	must_subscribe(s, "news");
	refuse = true;
	ck_assert_int_eq(hb_push_subscribe(s, "more", 4, soon(), &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_LIMIT);
	ck_assert_str_eq(err.text, "too many topics");
	refuse = false;
	mute = true;
	ck_assert_int_eq(hb_push_subscribe(s, "more", 4, hb_clock_ms() + 20, &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_TIMEOUT);
	ck_assert_uint_eq(hb_subscriber_counts(s).topics, 1);
	await_int(&said, 0);
	ck_assert_int_eq(hb_push_subscribe(s, "", 0, soon(), &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_VALUE);
	hb_subscriber_free(s);
}
END_TEST

static void *
wait_for_one(void *arg)
{
	expect(arg, "news", "for you");
	return NULL;
}

START_TEST(threads_that_wait_read_for_each_other)
{
	enum { N = 6 };
	struct hb_subscriber *s[N];
	pthread_t threads[N];

	for (int i = 0; i < N; i++) {
		s[i] = hb_subscriber_new(push, NULL);
		must_subscribe(s[i], "news");
		pthread_create(&threads[i], NULL, wait_for_one, s[i]);
	}
	publish("news", "for you", 0);
	for (int i = 0; i < N; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < N; i++)
		hb_subscriber_free(s[i]);
}
END_TEST

static void *
wait_for_the_end(void *arg)
{
	struct hb_message *message;
	struct hb_error err;

	return hb_push_next(arg, 0, &message, &err) == HB_PUSH_CLOSED ? arg : NULL;
}

START_TEST(closing_a_subscriber_ends_the_waits_for_it)
{
	struct hb_subscriber *s[2];
	pthread_t threads[2];
	void *result;

	for (int i = 0; i < 2; i++) {
		s[i] = hb_subscriber_new(push, NULL);
		must_subscribe(s[i], "news");
		pthread_create(&threads[i], NULL, wait_for_the_end, s[i]);
	}
	for (int i = 0; i < 2; i++) {
		hb_subscriber_close(s[i]);
		pthread_join(threads[i], &result);
		ck_assert_ptr_eq(result, s[i]);
		hb_subscriber_free(s[i]);
	}
}
END_TEST

static void
await_readable(struct hb_push_watch *watch)
{
	struct pollfd pfd = {hb_push_watch_fd(watch), POLLIN, 0};

	ck_assert_int_eq(poll(&pfd, 1, 200000), 1);
}

static struct hb_subscriber *
await_woken(struct hb_push_watch *watch)
{
	struct hb_subscriber *s;

	while ((s = hb_push_woken(watch)) == NULL) {
		await_readable(watch);
		hb_push_read(watch);
	}
	return s;
}

START_TEST(a_loop_is_woken_for_its_armed_subscribers)
{
	struct hb_error err;
	struct hb_push_watch *watch = hb_push_watch_new(push, &err);
	struct hb_subscriber *s = hb_subscriber_new(push, NULL), *other = hb_subscriber_new(push, NULL);
	struct hb_message *message;
	bool elsewhere;

	must_subscribe(s, "news");
	must_subscribe(other, "news");
	ck_assert(hb_push_arm(s, watch, &elsewhere));
	publish("news", "one", 0);
	ck_assert_ptr_eq(await_woken(watch), s);
	ck_assert_ptr_null(hb_push_woken(watch));
	message = hb_push_take(s);
	ck_assert_ptr_nonnull(message);
	hb_message_unref(message);
	/* Another thread reads. */
	ck_assert(hb_push_arm(s, watch, &elsewhere));
	expect(other, "news", "one");
	publish("news", "two", 0);
	expect(other, "news", "two");
	ck_assert_ptr_eq(await_woken(watch), s);
	ck_assert(!hb_push_arm(s, watch, &elsewhere) && !elsewhere);
	expect(s, "news", "two");
	/* The link is lost and made again, with nobody but the loop to see it. */
	ck_assert(hb_push_arm(s, watch, &elsewhere));
	said = -1;
	shutdown(link_fd, SHUT_RDWR);
	await_readable(watch);
	hb_push_read(watch);
	await_int(&fake.connections, 2);
	await_int(&said, 2);
	publish("news", "three", 0);
	ck_assert_ptr_eq(await_woken(watch), s);
	ck_assert_uint_eq(hb_subscriber_counts(s).gaps, 1);
	hb_subscriber_free(s);
	hb_subscriber_free(other);
	hb_push_watch_free(watch);
}
END_TEST

static void *
publish_flood(void *arg)
{
	for (int i = 0; i < 500; i++)
		publish("news", "flood", 0);
	return NULL;
}

START_TEST(a_loop_sees_a_flood_in_parts_and_loses_nothing)
{
	struct hb_error err;
	struct hb_push_watch *watch = hb_push_watch_new(push, &err);
	struct hb_subscriber *s = hb_subscriber_new(push, NULL);
	struct hb_message *message;
	pthread_t thread;
	bool elsewhere;
	int got = 0;

	must_subscribe(s, "news");
	pthread_create(&thread, NULL, publish_flood, NULL);
	while (got < 500) {
		if (hb_push_arm(s, watch, &elsewhere))
			ck_assert_ptr_eq(await_woken(watch), s);
		while ((message = hb_push_take(s)) != NULL) {
			hb_message_unref(message);
			got++;
		}
	}
	pthread_join(thread, NULL);
	ck_assert_uint_eq(hb_subscriber_counts(s).dropped, 0);
	hb_subscriber_free(s);
	hb_push_watch_free(watch);
}
END_TEST

/* One reads a part of a flood into the buffer, and then has other work, or has ended. */
START_TEST(what_a_loop_leaves_in_the_buffer_is_for_the_others)
{
	struct hb_error err;
	struct hb_push_watch *watch = hb_push_watch_new(push, &err), *newer = hb_push_watch_new(push, &err);
	struct hb_subscriber *s = hb_subscriber_new(push, NULL), *other = hb_subscriber_new(push, NULL);
	bool elsewhere;

	must_subscribe(s, "end");
	must_subscribe(other, "news");
	ck_assert(hb_push_arm(s, watch, &elsewhere));
	publish_times("news", "flood", 0, 20);
	publish("end", "end", 0);
	hb_push_read(newer);
	ck_assert_ptr_eq(await_woken(watch), s);
	expect(s, "end", "end");
	/* So it is with a thread. */
	ck_assert(hb_push_arm(s, watch, &elsewhere));
	publish_times("news", "flood", 0, 20);
	publish("end", "end", 0);
	while (hb_subscriber_counts(other).queued > 0)
		hb_message_unref(hb_push_take(other));
	expect(other, "news", "flood");
	ck_assert_ptr_eq(await_woken(watch), s);
	hb_subscriber_free(s);
	hb_subscriber_free(other);
	hb_push_watch_free(newer);
	hb_push_watch_free(watch);
}
END_TEST

#ifndef __SANITIZE_THREAD__ /* whose children may have no threads */
START_TEST(a_forked_child_begins_anew)
{
	struct hb_subscriber *s = hb_subscriber_new(push, NULL), *own;
	struct hb_message *message;
	struct hb_error err;
	int status;
	pid_t pid;

	must_subscribe(s, "news");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (hb_subscriber_is_mine(s) || hb_push_next(s, 0, &message, &err) != HB_PUSH_FAILED ||
		    hb_push_subscribe(s, "more", 4, soon(), &err) == 0)
			_exit(1);
		own = hb_subscriber_new(push, NULL);
		if (hb_push_subscribe(own, "news", 4, soon(), &err) == -1)
			_exit(2);
		hb_subscriber_free(s);
		if (hb_push_next(own, soon(), &message, &err) != HB_PUSH_MESSAGE)
			_exit(3);
		_exit(0);
	}
	ck_assert_int_ne(pid, -1);
	await_int(&fake.connections, 2);
	await_int(&fake.requests, 2);
	publish("news", "child", 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(hb_subscriber_counts(s).gaps, 0);
	expect_nothing(s);
	hb_subscriber_free(s);
}
END_TEST
#endif

static int
stop(void *arg)
{
	return ++*(atomic_int *)arg >= 2;
}

START_TEST(the_hook_ends_a_wait)
{
	atomic_int asked = 0;
	struct hb_push *hooked =
	    hb_push_new(&(struct hb_link_options){HB_LINK_DIRECT, fake.path, "client", "test", stop, &asked}, 0);
	struct hb_subscriber *s = hb_subscriber_new(hooked, NULL);
	struct hb_message *message;
	struct hb_error err;

	ck_assert_int_eq(hb_push_next(s, 0, &message, &err), HB_PUSH_FAILED);
	ck_assert_int_eq(err.kind, HB_ERROR_INTERRUPT);
	hb_subscriber_free(s);
	hb_push_free(hooked);
}
END_TEST

START_TEST(what_is_no_message_goes_to_the_listener)
{
	struct hb_subscriber *s = hb_subscriber_new(push, NULL);
	struct hb_buf payload = HB_BUF_INIT, request = HB_BUF_INIT;
	struct hb_message *message = NULL;
	struct hb_error err;
	uint64_t link;

	ck_assert_int_eq(hb_push_post(push, 1, HB_OP_RAN, &request, &err), -1);
	hb_push_listen(push, s);
	ck_assert_int_eq(hb_push_provide(push, "model", 5, true, soon(), &err), 0);
	hb_term_put_version(&payload);
	hb_term_put_int(&payload, 7);
	send_frame(HB_OP_RUN, &payload);
	ck_assert_int_eq(hb_push_next(s, soon(), &message, &err), HB_PUSH_MESSAGE);
	ck_assert_int_eq(message->op, HB_OP_RUN);
	ck_assert_ptr_null(message->topic);
	ck_assert_uint_eq(message->len, payload.len);
	ck_assert_mem_eq(message->body, payload.data, payload.len);
	link = message->link;
	hb_message_unref(message);
	hb_link_begin(&request);
	hb_buf_add(&request, payload.data, payload.len);
	ck_assert_int_eq(hb_push_post(push, link, HB_OP_RAN, &request, &err), 0);
	fake_await(&fake, 1);
	/* It is provided again. */
	shutdown(link_fd, SHUT_RDWR);
	ck_assert_int_eq(hb_push_next(s, hb_clock_ms() + 1, &message, &err), HB_PUSH_NOTHING);
	await_int(&fake.requests, 3);
	ck_assert_int_eq(hb_push_provide(push, "model", 5, false, soon(), &err), 0);
	/* What the lost connection asked for is not answered over this one. */
	ck_assert_int_eq(hb_push_post(push, link, HB_OP_RAN, &request, &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_CONNECT);
	hb_buf_free(&payload);
	hb_buf_free(&request);
	hb_subscriber_free(s);
}
END_TEST

START_TEST(a_function_stays_when_saying_so_again_fails)
{
	struct hb_error err;

	ck_assert_int_eq(hb_push_provide(push, "zero", 4, true, soon(), &err), 0); /* it is connected */
	mute = true;
	ck_assert_int_eq(hb_push_provide(push, "model", 5, true, hb_clock_ms() + 20, &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_TIMEOUT);
	await_int(&said, 0);
	mute = false;
	ck_assert_int_eq(hb_push_provide(push, "model", 5, true, soon(), &err), 0);
	mute = true;
	ck_assert_int_eq(hb_push_provide(push, "model", 5, true, hb_clock_ms() + 20, &err), -1);
	mute = false;
	ck_assert_int_eq(hb_push_provide(push, "other", 5, true, soon(), &err), 0);
	ck_assert_int_eq(fake.requests, 6);
	shutdown(link_fd, SHUT_RDWR);
	ck_assert_int_eq(hb_push_provide(push, "third", 5, true, soon(), &err), 0);
	await_int(&fake.requests, 10);
}
END_TEST

static void *
subscribe_slowly(void *arg)
{
	struct hb_error err;

	return hb_push_subscribe(arg, "news", 4, soon(), &err) == 0 ? arg : NULL;
}

START_TEST(who_subscribes_to_what_another_thread_is_subscribing_to_waits_too)
{
	struct hb_subscriber *s = hb_subscriber_new(push, NULL);
	struct hb_error err;
	pthread_t thread;
	void *result;

	must_subscribe(s, "other");
	mute = true;
	pthread_create(&thread, NULL, subscribe_slowly, s);
	await_int(&fake.requests, 2);
	ck_assert_int_eq(hb_push_subscribe(s, "news", 4, hb_clock_ms() + 20, &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_TIMEOUT);
	/* The other still waits, and is answered. */
	mute = false;
	shutdown(link_fd, SHUT_RDWR);
	pthread_join(thread, &result);
	ck_assert_ptr_eq(result, s);
	ck_assert_uint_eq(hb_subscriber_counts(s).topics, 2);
	publish("news", "one", 0);
	expect(s, "news", "one");
	hb_subscriber_free(s);
}
END_TEST

/* Threads that subscribe, wait and leave while the link comes and goes. */
static atomic_int working, received;

static void *
work(void *arg)
{
	unsigned seed = (unsigned)(size_t)arg;
	struct hb_subscriber *s = hb_subscriber_new(push, NULL);
	struct hb_message *message;
	struct hb_error err;

	for (int i = 0; i < 200; i++) {
		const char *topic = rand_r(&seed) % 2 ? "a" : "b";

		if (hb_push_subscribe(s, topic, 1, hb_clock_ms() + 1000, &err) == -1)
			ck_assert_msg(err.kind == HB_ERROR_CONNECT || err.kind == HB_ERROR_TIMEOUT, "%s", err.text);
		if (hb_push_next(s, hb_clock_ms() + 2, &message, &err) == HB_PUSH_MESSAGE) {
			hb_message_unref(message);
			received++;
		}
		if (rand_r(&seed) % 2)
			hb_push_unsubscribe(s, topic, 1);
	}
	hb_subscriber_free(s);
	working--;
	return NULL;
}

static void *
watch_loop(void *arg)
{
	struct hb_error err;
	struct hb_push_watch *watch = hb_push_watch_new(push, &err);
	struct hb_subscriber *s = hb_subscriber_new(push, NULL);
	struct hb_message *message;
	bool elsewhere;

	if (hb_push_subscribe(s, "a", 1, soon(), &err) == -1)
		ck_assert_int_eq(err.kind, HB_ERROR_CONNECT);
	while (working > 0) {
		struct pollfd pfd = {hb_push_watch_fd(watch), POLLIN, 0};

		hb_push_arm(s, watch, &elsewhere);
		poll(&pfd, 1, 5);
		hb_push_read(watch);
		while (hb_push_woken(watch) != NULL)
			while ((message = hb_push_take(s)) != NULL) {
				hb_message_unref(message);
				received++;
			}
	}
	hb_subscriber_free(s);
	hb_push_watch_free(watch);
	return NULL;
}

static void
serve_chaos(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT, out = HB_BUF_INIT;
	struct hb_frame frame;
	int n = 0;

	if (!fake_hello(f, fd, PACKAGE_VERSION))
		return;
	hb_link_begin(&out);
	hb_term_put_version(&out);
	hb_term_put_tuple(&out, 2);
	hb_term_put_str(&out, "a");
	hb_term_put_binary(&out, "\x83\x6a", 2);
	hb_frame_header(out.data, out.len, HB_OP_MESSAGE, 0, 0, 0);
	while (n++ < 300 && fake_read(f, fd, &in, &frame)) {
		fake_reply(fd, &frame, 0, "\x83\x77\x02ok", 5);
		for (int i = 0; i < 3; i++)
			if (send(fd, out.data, out.len, MSG_NOSIGNAL) == -1)
				break;
	}
	hb_buf_free(&in);
	hb_buf_free(&out);
}

START_TEST(threads_share_the_connection_whatever_happens_to_it)
{
	enum { N = 6 };
	pthread_t threads[N], loops[2];

	fake_start(&fake, serve_chaos);
	push = hb_push_new(&(struct hb_link_options){HB_LINK_DIRECT, fake.path, "client", "test", NULL, NULL}, 8);
	working = N;
	for (int i = 0; i < N; i++)
		pthread_create(&threads[i], NULL, work, (void *)(size_t)i);
	for (int i = 0; i < 2; i++)
		pthread_create(&loops[i], NULL, watch_loop, NULL);
	for (int i = 0; i < N; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(loops[i], NULL);
	ck_assert_int_gt(received, 0);
	ck_assert_int_gt(fake.connections, 1);
	tear_down();
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("link_push");
	TCase *t = tcase_create("all"), *chaos = tcase_create("chaos");

	tcase_set_timeout(t, 300);
	tcase_set_timeout(chaos, 300);
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_message_reaches_each_subscriber_of_its_topic_and_nobody_else);
	tcase_add_test(t, the_companion_is_told_how_many_subscribe);
	tcase_add_test(t, a_full_queue_drops_its_oldest_and_counts_them);
	tcase_add_test(t, big_messages_are_bounded_by_their_size);
	tcase_add_test(t, a_gap_of_the_companion_is_counted_by_the_topics_subscribers);
	tcase_add_test(t, a_gap_without_topics_is_that_of_every_subscriber);
	tcase_add_test(t, a_lost_link_is_made_again_with_its_subscriptions_and_shows_as_a_gap);
	tcase_add_test(t, without_a_companion_subscribing_fails_at_once);
	tcase_add_test(t, a_subscription_that_is_not_confirmed_is_none);
	tcase_add_test(t, threads_that_wait_read_for_each_other);
	tcase_add_test(t, closing_a_subscriber_ends_the_waits_for_it);
	tcase_add_test(t, a_loop_is_woken_for_its_armed_subscribers);
	tcase_add_test(t, a_loop_sees_a_flood_in_parts_and_loses_nothing);
	tcase_add_test(t, what_a_loop_leaves_in_the_buffer_is_for_the_others);
#ifndef __SANITIZE_THREAD__
	tcase_add_test(t, a_forked_child_begins_anew);
#endif
	tcase_add_test(t, the_hook_ends_a_wait);
	tcase_add_test(t, what_is_no_message_goes_to_the_listener);
	tcase_add_test(t, a_function_stays_when_saying_so_again_fails);
	tcase_add_test(t, who_subscribes_to_what_another_thread_is_subscribing_to_waits_too);
	suite_add_tcase(s, t);
	tcase_add_test(chaos, threads_share_the_connection_whatever_happens_to_it);
	suite_add_tcase(s, chaos);
	return s;
}
