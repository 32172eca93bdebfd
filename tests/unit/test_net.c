/* Addresses and listeners. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/address.h"
#include "net/listener.h"
#include "unit.h"

static const struct hb_listener_file private_file = {0600, (uid_t)-1, (gid_t)-1};
static char directory[] = "/tmp/hb-net-XXXXXX";
static char path[32], text[64];

static void
make_directory(void)
{
	strcpy(directory + sizeof directory - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/s", directory);
	snprintf(text, sizeof text, "unix:%s", path);
}

static void
remove_directory(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
}

static struct hb_address
parsed(const char *s)
{
	struct hb_address a;
	struct hb_error err;

	ck_assert_msg(hb_address_parse(&a, s, &err) == 0, "%s", err.text);
	return a;
}

static int
connects(const struct hb_address *a)
{
	int fd = socket(a->u.sa.sa_family, SOCK_STREAM, 0);
	int ok = connect(fd, &a->u.sa, a->len) == 0;

	close(fd);
	return ok;
}

START_TEST(address_comes_back_as_it_was_written)
{
	static const char *const same[] = {"127.0.0.1:8000", "0.0.0.0:0", "255.255.255.255:65535", "[::]:8000", "[::1]:1",
	    "[2001:db8::42]:443", "unix:/run/hornbeam/http.sock"};

	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		struct hb_address a = parsed(same[i]);
		char out[HB_ADDRESS_TEXT];

		hb_address_format(&a, out);
		ck_assert_str_eq(out, same[i]);
	}
}
END_TEST

START_TEST(malformed_addresses_are_refused_by_name)
{
	static const char *const bad[] = {"", "8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
	    "127.0.0.1: 80", "127.0.0.1:8000x", "127.0.0.1:000080", "256.0.0.1:80", "example.org:80", "::1:80", "[::1]",
	    "[::1:80", "[127.0.0.1]:80", "[]:80", "unix:", "unix:relative", ":80", "*:80", "localhost:80", "[fe80::1%lo]:80"};
	struct hb_address a;
	struct hb_error err;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		memset(&err, 0, sizeof err);
		ck_assert_msg(hb_address_parse(&a, bad[i], &err) == -1, "%s was taken", bad[i]);
		ck_assert_int_eq(err.kind, HB_ERROR_VALUE);
		ck_assert_msg(strncmp(err.text, bad[i], strlen(bad[i])) == 0, "%s", err.text);
	}
}
END_TEST

START_TEST(path_too_long_for_a_socket_is_refused)
{
	char longest[5 + 107 + 2] = "unix:/", out[HB_ADDRESS_TEXT];
	struct hb_address a;
	struct hb_error err;

	memset(longest + 6, 'a', 106);
	longest[112] = '\0';
	a = parsed(longest);
	hb_address_format(&a, out);
	ck_assert_str_eq(out, longest);
	strcat(longest, "b");
	ck_assert_int_eq(hb_address_parse(&a, longest, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "at most 107"));
}
END_TEST

START_TEST(host_and_port_come_apart)
{
	struct hb_address a = parsed("[::1]:8000");
	char host[HB_ADDRESS_TEXT];

	ck_assert_uint_eq(hb_address_host(&a, host), 8000);
	ck_assert_str_eq(host, "::1");
	a = parsed("192.0.2.1:65535");
	ck_assert_uint_eq(hb_address_host(&a, host), 65535);
	ck_assert_str_eq(host, "192.0.2.1");
}
END_TEST

START_TEST(listener_accepts_and_tells_the_peer)
{
	struct hb_address a = parsed("127.0.0.1:0"), peer, own;
	struct hb_listener l;
	struct hb_error err;
	int client, server;
	char expected[HB_ADDRESS_TEXT], got[HB_ADDRESS_TEXT];

	ck_assert_int_eq(hb_listener_open(&l, &a, NULL, &err), 0);
	ck_assert_uint_ne(ntohs(l.address.u.in.sin_port), 0);
	ck_assert(fcntl(l.fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(l.fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(hb_accept(l.fd, &peer), -1);
	ck_assert_int_eq(errno, EAGAIN);
	client = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(client, &l.address.u.sa, l.address.len), 0);
	server = hb_accept(l.fd, &peer);
	ck_assert_int_ne(server, -1);
	ck_assert(fcntl(server, F_GETFL) & O_NONBLOCK);
	own.len = sizeof own.u;
	ck_assert_int_eq(getsockname(client, &own.u.sa, &own.len), 0);
	hb_address_format(&own, expected);
	hb_address_format(&peer, got);
	ck_assert_str_eq(got, expected);
	close(client);
	close(server);
	hb_listener_close(&l, 1);
	ck_assert_int_eq(l.fd, -1);
}
END_TEST

START_TEST(port_in_use_is_named_with_its_cause)
{
	struct hb_address a = parsed("127.0.0.1:0");
	struct hb_listener first, second;
	struct hb_error err;
	char expected[HB_ADDRESS_TEXT + 32], address[HB_ADDRESS_TEXT];

	ck_assert_int_eq(hb_listener_open(&first, &a, NULL, &err), 0);
	ck_assert_int_eq(hb_listener_open(&second, &first.address, NULL, &err), -1);
	ck_assert_int_eq(second.fd, -1);
	ck_assert_int_eq(err.kind, HB_ERROR_BIND);
	ck_assert_int_eq(err.saved_errno, EADDRINUSE);
	hb_address_format(&first.address, address);
	snprintf(expected, sizeof expected, "%s: address already in use", address);
	ck_assert_str_eq(err.text, expected);
	hb_listener_close(&first, 1);
}
END_TEST

START_TEST(every_ipv6_address_leaves_the_ipv4_port_free)
{
	struct hb_address a = parsed("[::]:0"), b = parsed("0.0.0.0:0");
	struct hb_listener six, four;
	struct hb_error err;

	if (hb_listener_open(&six, &a, NULL, &err) == -1 && err.saved_errno != EADDRINUSE)
		return; /* this host has no IPv6 */
	ck_assert_int_ne(six.fd, -1);
	b.u.in.sin_port = six.address.u.in6.sin6_port;
	ck_assert_msg(hb_listener_open(&four, &b, NULL, &err) == 0, "%s", err.text);
	hb_listener_close(&six, 1);
	hb_listener_close(&four, 1);
}
END_TEST

START_TEST(foreign_address_and_missing_directory_are_told_apart)
{
	struct hb_address a = parsed("192.0.2.1:0"), b = parsed("unix:/nonexistent/s");
	struct hb_listener l;
	struct hb_error err;

	ck_assert_int_eq(hb_listener_open(&l, &a, NULL, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "192.0.2.1:0: this host has no such address"));
	ck_assert_int_eq(hb_listener_open(&l, &b, &private_file, &err), -1);
	ck_assert_str_eq(err.text, "unix:/nonexistent/s: no such directory");
}
END_TEST

START_TEST(unix_listener_gets_its_mode_and_takes_its_file_away)
{
	const struct hb_listener_file file = {0604, (uid_t)-1, (gid_t)-1};
	struct hb_address a = parsed(text);
	struct hb_listener l;
	struct hb_error err;
	struct stat st;
	mode_t mask = umask(022), after;

	ck_assert_msg(hb_listener_open(&l, &a, &file, &err) == 0, "%s", err.text);
	after = umask(mask);
	ck_assert_uint_eq(after, 022);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0604);
	ck_assert(connects(&a));
	hb_listener_close(&l, 1);
	ck_assert_int_eq(stat(path, &st), -1);
}
END_TEST

START_TEST(unix_socket_in_use_is_left_alone)
{
	struct hb_address a = parsed(text);
	struct hb_listener first, second;
	struct hb_error err;

	ck_assert_int_eq(hb_listener_open(&first, &a, &private_file, &err), 0);
	ck_assert_int_eq(hb_listener_open(&second, &a, &private_file, &err), -1);
	ck_assert_int_eq(err.saved_errno, EADDRINUSE);
	ck_assert(connects(&a));
	hb_listener_close(&first, 1);
}
END_TEST

START_TEST(stale_unix_socket_is_replaced)
{
	struct hb_address a = parsed(text);
	struct hb_listener dead, l;
	struct hb_error err;

	ck_assert_int_eq(hb_listener_open(&dead, &a, &private_file, &err), 0);
	hb_listener_close(&dead, 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_msg(hb_listener_open(&l, &a, &private_file, &err) == 0, "%s", err.text);
	ck_assert(connects(&a));
	hb_listener_close(&l, 1);
}
END_TEST

START_TEST(file_that_is_no_socket_is_not_removed)
{
	struct hb_address a = parsed(text);
	struct hb_listener l;
	struct hb_error err;

	close(open(path, O_CREAT | O_WRONLY, 0600));
	ck_assert_int_eq(hb_listener_open(&l, &a, &private_file, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "exists and is not a socket"));
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(successors_socket_survives_the_end_of_its_predecessor)
{
	struct hb_address a = parsed(text);
	struct hb_listener old, new;
	struct hb_error err;

	ck_assert_int_eq(hb_listener_open(&old, &a, &private_file, &err), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(hb_listener_open(&new, &a, &private_file, &err), 0);
	hb_listener_close(&old, 1);
	ck_assert(connects(&a));
	hb_listener_close(&new, 1);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("net");
	TCase *t = tcase_create("addresses"), *u = tcase_create("unix sockets");

	tcase_add_test(t, address_comes_back_as_it_was_written);
	tcase_add_test(t, malformed_addresses_are_refused_by_name);
	tcase_add_test(t, path_too_long_for_a_socket_is_refused);
	tcase_add_test(t, host_and_port_come_apart);
	tcase_add_test(t, listener_accepts_and_tells_the_peer);
	tcase_add_test(t, port_in_use_is_named_with_its_cause);
	tcase_add_test(t, every_ipv6_address_leaves_the_ipv4_port_free);
	tcase_add_test(t, foreign_address_and_missing_directory_are_told_apart);
	suite_add_tcase(s, t);
	tcase_add_checked_fixture(u, make_directory, remove_directory);
	tcase_add_test(u, unix_listener_gets_its_mode_and_takes_its_file_away);
	tcase_add_test(u, unix_socket_in_use_is_left_alone);
	tcase_add_test(u, stale_unix_socket_is_replaced);
	tcase_add_test(u, file_that_is_no_socket_is_not_removed);
	tcase_add_test(u, successors_socket_survives_the_end_of_its_predecessor);
	suite_add_tcase(s, u);
	return s;
}
