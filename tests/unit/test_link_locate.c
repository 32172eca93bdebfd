/* Which control socket is found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "link/locate.h"
#include "unit.h"

static char runtime[32], dir[64], path[HB_LINK_PATH], found[HB_LINK_PATH];
static struct hb_error err;

static void
make_runtime(void)
{
	strcpy(runtime, "/tmp/hb-locate-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(runtime));
	snprintf(dir, sizeof dir, "%s/hornbeam", runtime);
	snprintf(path, sizeof path, "%s/control.sock", dir);
	ck_assert_int_eq(mkdir(dir, 0700), 0);
	setenv("XDG_RUNTIME_DIR", runtime, 1);
	unsetenv("HORNBEAM_SOCKET");
}

static void
remove_runtime(void)
{
	unlink(path);
	rmdir(dir);
	rmdir(runtime);
}

static int
listen_at(const char *where)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(un.sun_path, where);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	return fd;
}

static const char *
locate(void)
{
	ck_assert_int_eq(hb_link_locate(found, sizeof found, &err), 0);
	return found;
}

START_TEST(variable_comes_first)
{
	make_runtime();
	listen_at(path);
	setenv("HORNBEAM_SOCKET", "/else/where.sock", 1);
	ck_assert_str_eq(locate(), "/else/where.sock");
	setenv("HORNBEAM_SOCKET", "", 1);
	ck_assert_str_eq(locate(), path);
	remove_runtime();
}
END_TEST

START_TEST(own_run_comes_before_the_system)
{
	make_runtime();
	listen_at(path);
	ck_assert_str_eq(locate(), path);
	ck_assert_int_eq(hb_link_run_dir(found, sizeof found, &err), 0);
	ck_assert_str_eq(found, dir);
	remove_runtime();
}
END_TEST

START_TEST(stale_socket_is_passed_over)
{
	make_runtime();
	close(listen_at(path));
	ck_assert_str_ne(locate(), path);
	remove_runtime();
}
END_TEST

START_TEST(directory_that_others_may_write_is_not_trusted)
{
	make_runtime();
	listen_at(path);
	ck_assert_int_eq(chmod(dir, 0770), 0);
	ck_assert_str_ne(locate(), path);
	if (geteuid() == 0) {
		ck_assert_int_eq(chmod(dir, 0700), 0);
		ck_assert_int_eq(chown(dir, 12345, 12345), 0);
		ck_assert_str_ne(locate(), path);
	}
	remove_runtime();
}
END_TEST

START_TEST(system_socket_is_last)
{
	char own[HB_LINK_PATH];

	make_runtime();
	snprintf(own, sizeof own, "/tmp/hornbeam-%lu/control.sock", (unsigned long)getuid());
	if (access(own, F_OK) == -1)
		ck_assert_str_eq(locate(), HB_RUNDIR "/control.sock");
	unsetenv("XDG_RUNTIME_DIR");
	ck_assert_int_eq(hb_link_run_dir(found, sizeof found, &err), 0);
	ck_assert_int_eq(strncmp(found, own, strlen(found)), 0);
	remove_runtime();
}
END_TEST

START_TEST(path_that_no_socket_can_have_is_an_error)
{
	char path_too_long[HB_LINK_PATH + 1];

	memset(path_too_long, 'x', HB_LINK_PATH);
	path_too_long[HB_LINK_PATH] = '\0';
	setenv("HORNBEAM_SOCKET", path_too_long, 1);
	ck_assert_int_eq(hb_link_locate(found, sizeof found, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "HORNBEAM_SOCKET"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("link_locate");
	TCase *t = tcase_create("all");

	tcase_add_test(t, variable_comes_first);
	tcase_add_test(t, own_run_comes_before_the_system);
	tcase_add_test(t, stale_socket_is_passed_over);
	tcase_add_test(t, directory_that_others_may_write_is_not_trusted);
	tcase_add_test(t, system_socket_is_last);
	tcase_add_test(t, path_that_no_socket_can_have_is_an_error);
	suite_add_tcase(s, t);
	return s;
}
