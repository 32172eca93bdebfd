/*
 * The locking of the blocking client under stress: eight threads, a hook
 * that makes calls of its own, deadlines that pass, big frames, and a peer
 * that answers late, out of order or not at all.  tests/tsan.sh runs it under
 * ThreadSanitizer.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "fake_link.h"
#include "link/client.h"
#include "unit.h"

enum { THREADS = 8, ROUNDS = 400, BIG = 300000, LARGE = 4 * 1024 * 1024 };

static struct fake fake;
static struct hb_link *link_;
static atomic_int link_fd;
static atomic_int answered, timed_out, lost, hooked;

/* Requests are "KIND TEXT": e echo at once, l after the next request, c close, n never. */
static void
serve(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT, kept = HB_BUF_INIT;
	struct hb_frame frame, late;
	bool have_late = false;

	if (!fake_hello(f, fd, PACKAGE_VERSION))
		return;
	while (fake_read(f, fd, &in, &frame)) {
		char kind = (char)frame.payload[0];

		if (kind == 'c')
			break;
		if (kind != 'l' && kind != 'n')
			fake_reply(fd, &frame, 0, frame.payload, frame.len);
		if (have_late) {
			fake_reply(fd, &late, HB_LINK_MORE, kept.data, kept.len / 2);
			fake_reply(fd, &late, 0, kept.data + kept.len / 2, kept.len - kept.len / 2);
		}
		have_late = kind == 'l';
		if (have_late) {
			late = frame;
			hb_buf_clear(&kept);
			hb_buf_add(&kept, frame.payload, frame.len);
		}
	}
	hb_buf_free(&in);
	hb_buf_free(&kept);
}

static void
call(char kind, int thread, int round, size_t size, int64_t ms)
{
	struct hb_buf request = HB_BUF_INIT, reply = HB_BUF_INIT;
	struct hb_error err;

	hb_link_begin(&request);
	hb_buf_printf(&request, "%c %d %d ", kind, thread, round);
	while (request.len < size)
		hb_buf_add_u8(&request, (uint8_t)('a' + thread));
	if (hb_link_call(link_, HB_OP_GET, &request, hb_clock_ms() + ms, &reply, &err) == 0) {
		ck_assert_uint_eq(reply.len, request.len - HB_LINK_HEADER);
		ck_assert_mem_eq(reply.data, request.data + HB_LINK_HEADER, reply.len);
		answered++;
	} else if (err.kind == HB_ERROR_TIMEOUT) {
		timed_out++;
	} else {
		ck_assert_msg(err.kind == HB_ERROR_CONNECT, "%s", err.text);
		lost++;
	}
	hb_buf_free(&request);
	hb_buf_free(&reply);
}

/* Reads nothing between the first request and the flag, and answers the two small ones once both are there. */
static void
serve_late(struct fake *f, int fd, int nth)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_frame frame, first = {0};

	if (!fake_hello(f, fd, PACKAGE_VERSION))
		return;
	link_fd = fd;
	while (fake_read(f, fd, &in, &frame)) {
		if (frame.payload[0] == 'n')
			fake_await(f, 1);
		else if (frame.payload[0] == 'e' && first.len == 0)
			first = frame;
		else if (frame.payload[0] == 'e') {
			/* They are alike. */
			fake_reply(fd, &first, 0, frame.payload, frame.len);
			fake_reply(fd, &frame, 0, frame.payload, frame.len);
		}
	}
	hb_buf_free(&in);
}

static void *
call_in_vain(void *arg)
{
	call(*(char *)arg, 0, 0, *(char *)arg == 'b' ? LARGE : 0, 60000);
	return NULL;
}

static void *
call_for_an_answer(void *arg)
{
	atomic_store((atomic_int *)arg, gettid());
	call('e', 0, 0, 0, 20000); /* less than the others have */
	return NULL;
}

static void
await_requests(int count)
{
	const struct timespec pause = {0, 1000000};

	for (int tries = 0; atomic_load(&fake.requests) < count; tries++, nanosleep(&pause, NULL))
		ck_assert_int_lt(tries, 10000);
}

/* Until the large frame fills the socket: its rest waits. */
static void
await_backlog(void)
{
	const struct timespec pause = {0, 1000000};
	int there = 0;

	for (int tries = 0; there < 50000; tries++, nanosleep(&pause, NULL)) {
		ck_assert_int_lt(tries, 10000);
		ck_assert_int_eq(ioctl(link_fd, FIONREAD, &there), 0);
	}
}

/* Until the thread sleeps. */
static void
await_sleep(atomic_int *tid)
{
	char path[64], text[256], *state;
	const struct timespec pause = {0, 1000000};
	FILE *f;

	for (int tries = 0; tries < 10000; tries++, nanosleep(&pause, NULL)) {
		snprintf(path, sizeof path, "/proc/self/task/%d/stat", atomic_load(tid));
		f = fopen(path, "re");
		if (f == NULL)
			continue;
		state = fgets(text, sizeof text, f) != NULL ? strrchr(text, ')') : NULL;
		fclose(f);
		if (state != NULL && state[2] == 'S')
			return;
	}
	ck_abort_msg("it does not sleep");
}

/* One thread reads, a second is in the middle of a large frame: the others do not wait for an answer to either. */
START_TEST(who_waits_behind_a_large_request_is_the_next_to_send)
{
	pthread_t never, large, small[2];
	atomic_int tid[2] = {0};
	static char kinds[] = "nb";

	fake_start(&fake, serve_late);
	link_ = hb_link_new(&(struct hb_link_options){HB_LINK_DIRECT, fake.path, "client", "test", NULL, NULL});
	pthread_create(&never, NULL, call_in_vain, &kinds[0]);
	await_requests(1);
	pthread_create(&large, NULL, call_in_vain, &kinds[1]);
	await_backlog();
	for (int i = 0; i < 2; i++) {
		pthread_create(&small[i], NULL, call_for_an_answer, &tid[i]);
		await_sleep(&tid[i]);
	}
	atomic_store(&fake.flag, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(small[i], NULL);
	ck_assert_int_eq(answered, 2);
	shutdown(link_fd, SHUT_RDWR);
	pthread_join(never, NULL);
	pthread_join(large, NULL);
	hb_link_free(link_);
	fake_stop(&fake);
}
END_TEST

static int
hook(void *arg)
{
	static _Thread_local bool inside;

	hooked++;
	if (!inside) {
		inside = true;
		call('e', 9, 0, 0, 1000);
		inside = false;
	}
	return 0;
}

static void *
work(void *arg)
{
	int thread = *(int *)arg;
	unsigned seed = (unsigned)thread;

	for (int i = 0; i < ROUNDS; i++) {
		int dice = rand_r(&seed) % 100;

		if (dice < 80)
			call('e', thread, i, 0, 10000);
		else if (dice < 90)
			call('l', thread, i, 0, 200);
		else if (dice < 95)
			call('e', thread, i, BIG, 10000);
		else if (dice < 97)
			call('e', thread, i, BIG, 1);
		else if (dice < 99)
			call('n', thread, i, 0, 2);
		else
			call('c', thread, i, 0, 10000);
	}
	return NULL;
}

START_TEST(threads_share_a_link_whatever_happens_to_it)
{
	pthread_t threads[THREADS];
	int numbers[THREADS];

	fake_start(&fake, serve);
	link_ = hb_link_new(&(struct hb_link_options){HB_LINK_DIRECT, fake.path, "client", "test", hook, NULL});
	for (int i = 0; i < THREADS; i++) {
		numbers[i] = i;
		pthread_create(&threads[i], NULL, work, &numbers[i]);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_gt(answered, THREADS * ROUNDS / 2);
	ck_assert_int_gt(timed_out, 0);
	ck_assert_int_gt(lost, 0);
	ck_assert_int_gt(hooked, 0);
	hb_link_free(link_);
	fake_stop(&fake);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("link_threads");
	TCase *t = tcase_create("all");

	tcase_add_test(t, who_waits_behind_a_large_request_is_the_next_to_send);
	tcase_add_test(t, threads_share_a_link_whatever_happens_to_it);
	suite_add_tcase(s, t);
	return s;
}
