/* Buffers, strings, errors, descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/error.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "unit.h"

START_TEST(buffer_holds_what_was_added)
{
	struct hb_buf b = HB_BUF_INIT;

	hb_buf_add_str(&b, "ab");
	hb_buf_add_u8(&b, 'c');
	hb_buf_add_u32(&b, 0x01020304);
	hb_buf_printf(&b, "%d", 42);
	ck_assert_uint_eq(b.len, 9);
	ck_assert_mem_eq(b.data, "abc\1\2\3\4" "42", 9);
	hb_buf_drop(&b, 7);
	ck_assert_mem_eq(b.data, "42", 2);
	ck_assert(!b.failed);
	hb_buf_free(&b);
}
END_TEST

START_TEST(buffer_grows_over_many_additions)
{
	struct hb_buf b = HB_BUF_INIT;

	for (uint32_t i = 0; i < 100000; i++)
		hb_buf_add_u32(&b, i);
	ck_assert_uint_eq(b.len, 400000);
	ck_assert_uint_eq(hb_get_u32(b.data + 4 * 77777), 77777);
	hb_buf_free(&b);
}
END_TEST

START_TEST(impossible_reservation_fails_and_sticks)
{
	struct hb_buf b = HB_BUF_INIT;

	ck_assert_ptr_null(hb_buf_reserve(&b, SIZE_MAX - 8));
	hb_buf_add_str(&b, "x");
	ck_assert(b.failed);
	ck_assert_uint_eq(b.len, 0);
	hb_buf_free(&b);
}
END_TEST

START_TEST(nearest_name_is_suggested_only_if_near)
{
	static const char *const names[] = {"workers", "listen", "timeouts", NULL};

	ck_assert_str_eq(hb_str_nearest("worker", names), "workers");
	ck_assert_str_eq(hb_str_nearest("lisetn", names), "listen");
	ck_assert_ptr_null(hb_str_nearest("frobnicate", names));
}
END_TEST

START_TEST(utf8_follows_rfc_3629)
{
	ck_assert(hb_str_is_utf8("", 0));
	ck_assert(hb_str_is_utf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x8c\xb3", 10));
	ck_assert(!hb_str_is_utf8("\xc0\x80", 2));
	ck_assert(!hb_str_is_utf8("\xed\xa0\x80", 3));
	ck_assert(!hb_str_is_utf8("\xf4\x90\x80\x80", 4));
	ck_assert(!hb_str_is_utf8("\xe2\x82", 2));
}
END_TEST

START_TEST(errno_text_follows_the_cause)
{
	struct hb_error err;

	errno = ENOENT;
	ck_assert_int_eq(hb_error_errno(&err, HB_ERROR_SYSTEM, "open %s", "/x"), -1);
	ck_assert_str_eq(err.text, "open /x: No such file or directory");
	ck_assert_int_eq(err.saved_errno, ENOENT);
}
END_TEST

START_TEST(descriptor_crosses_a_unix_socket)
{
	int pair[2], through[2], fd;
	char c;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ck_assert_int_eq(pipe(through), 0);
	ck_assert_int_eq(hb_fd_send(pair[0], "x", 1, through[1]), 1);
	ck_assert_int_eq(hb_fd_recv(pair[1], &c, 1, &fd), 1);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, "y", 1), 1);
	ck_assert_int_eq(read(through[0], &c, 1), 1);
	ck_assert_int_eq(c, 'y');
}
END_TEST

START_TEST(output_to_a_pipe_never_waits_and_leaves_its_sharers_as_they_are)
{
	char block[4096] = {0};
	int p[2], own;
	ssize_t n;

	ck_assert_int_eq(pipe(p), 0);
	own = hb_fd_output(p[1]);
	ck_assert_int_gt(own, STDERR_FILENO);
	while ((n = write(own, block, sizeof block)) > 0)
		;
	ck_assert_int_eq(errno, EAGAIN);
	ck_assert_int_eq(fcntl(p[1], F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_ne(fcntl(own, F_GETFD) & FD_CLOEXEC, 0);
	ck_assert_int_eq(read(p[0], block, sizeof block), sizeof block);
	close(p[0]);
	ck_assert_int_eq(hb_fd_output(-1), -1);
}
END_TEST

START_TEST(log_drops_and_counts_when_its_reader_hangs)
{
	int p[2], saved = dup(STDERR_FILENO);
	char got[65536];
	ssize_t n;

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_ne(dup2(p[1], STDERR_FILENO), -1);
	hb_log_open("test", HB_LOG_INFO);
	for (int i = 0; i < 5000; i++)
		hb_info("line %d of many that nobody reads", i);
	ck_assert_uint_gt(hb_log_dropped(), 0);
	while ((n = read(p[0], got, sizeof got)) == sizeof got)
		;
	hb_info("after\nthe jam");
	n = read(p[0], got, sizeof got - 1);
	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	dup2(saved, STDERR_FILENO);
	ck_assert_ptr_nonnull(strstr(got, "lines were dropped"));
	ck_assert_ptr_nonnull(strstr(got, "after\\x0athe jam\n"));
}
END_TEST

static void *
log_on(void *stop)
{
	while (!atomic_load((atomic_bool *)stop))
		hb_info("another line");
	return NULL;
}

START_TEST(child_of_a_process_that_logs_can_log)
{
	int null = open("/dev/null", O_WRONLY), saved = dup(STDERR_FILENO), status = 0;
	atomic_bool stop = false;
	pthread_t thread;

	ck_assert_int_ne(dup2(null, STDERR_FILENO), -1);
	hb_log_open("test", HB_LOG_INFO);
	ck_assert_int_eq(pthread_create(&thread, NULL, log_on, &stop), 0);
	for (int i = 0; i < 200 && status == 0; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			alarm(2);
			hb_info("a child's line");
			_exit(0);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	dup2(saved, STDERR_FILENO);
	ck_assert_int_eq(status, 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("common");
	TCase *t = tcase_create("all");

	tcase_add_test(t, buffer_holds_what_was_added);
	tcase_add_test(t, buffer_grows_over_many_additions);
	tcase_add_test(t, impossible_reservation_fails_and_sticks);
	tcase_add_test(t, nearest_name_is_suggested_only_if_near);
	tcase_add_test(t, utf8_follows_rfc_3629);
	tcase_add_test(t, errno_text_follows_the_cause);
	tcase_add_test(t, descriptor_crosses_a_unix_socket);
	tcase_add_test(t, output_to_a_pipe_never_waits_and_leaves_its_sharers_as_they_are);
	tcase_add_test(t, child_of_a_process_that_logs_can_log);
	tcase_add_test(t, log_drops_and_counts_when_its_reader_hangs);
	suite_add_tcase(s, t);
	return s;
}
