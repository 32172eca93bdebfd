/* The parts of the master that stand alone: backoff, children, environment, the companion's words. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/str.h"
#include "hornbeamd/backoff.h"
#include "hornbeamd/erl.h"
#include "hornbeamd/spawn.h"
#include "term/erl.h"
#include "term/term.h"
#include "unit.h"

static char *const no_environment[] = {NULL};

START_TEST(first_death_is_answered_at_once_then_ever_more_slowly)
{
	static const int64_t pauses[] = {0, 100, 200, 400, 800, 1600, 3200, 5000, 5000};
	struct hb_backoff b = {0};

	for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++)
		ck_assert_int_eq(hb_backoff_pause(&b, 50), pauses[i]);
}
END_TEST

START_TEST(stable_life_starts_the_pauses_over)
{
	struct hb_backoff b = {0};

	for (int i = 0; i < 9; i++)
		(void)hb_backoff_pause(&b, 50);
	ck_assert_int_eq(hb_backoff_pause(&b, HB_BACKOFF_STABLE_MS), 0);
	ck_assert_int_eq(hb_backoff_pause(&b, HB_BACKOFF_STABLE_MS - 1), 100);
}
END_TEST

/* Runs a shell command as a child with these standard descriptors. */
static pid_t
run(const char *command, int in, int out, int exe)
{
	char *argv[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)command, NULL};
	const int fds[] = {in, out, STDERR_FILENO};
	struct hb_spawn s = {
	    .exe = exe, .path = "/bin/sh", .argv = argv, .envp = no_environment, .fds = fds, .fds_count = 3};
	struct hb_error err;
	pid_t pid = hb_spawn(&s, &err);

	ck_assert_int_gt(pid, 0);
	return pid;
}

static int
reaped(pid_t pid)
{
	int status;

	for (int i = 0; i < 6000; i++) {
		if (hb_spawn_reap(pid, &status))
			return status;
		poll(NULL, 0, 10);
	}
	ck_abort_msg("the child did not end");
}

/* Everything until the end of file; up to size - 1 bytes. */
static void
read_all(int fd, char *out, size_t size)
{
	size_t n = 0;
	ssize_t got;

	while (n + 1 < size && (got = read(fd, out + n, size - 1 - n)) > 0)
		n += (size_t)got;
	out[n] = '\0';
}

START_TEST(child_has_its_descriptors_its_group_and_nothing_else)
{
	int p[2], extra = open("/dev/null", O_RDONLY);
	char got[256];
	pid_t pid;

	ck_assert_int_eq(pipe(p), 0);
	pid = run("cd /proc/self/fd; echo *; kill -TERM -$$", extra, p[1], -1);
	close(p[1]);
	read_all(p[0], got, sizeof got);
	ck_assert_str_eq(got, "0 1 2 3\n"); /* 3 is the directory that the shell lists */
	ck_assert_int_eq(WTERMSIG(reaped(pid)), SIGTERM);
	close(extra);
}
END_TEST

START_TEST(descriptors_that_stand_in_each_others_place_are_sorted_out)
{
	int p[2], q[2];
	char got[64];
	pid_t pid;

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(pipe(q), 0);
	/* What is to be 0 is our 1 and the other way round. */
	ck_assert_int_eq(write(q[1], "swapped\n", 8), 8);
	int saved0 = dup(0), saved1 = dup(1);
	dup2(q[0], 1);
	dup2(p[1], 0);
	pid = run("read -r x; echo $x", 1, 0, -1);
	dup2(saved0, 0);
	dup2(saved1, 1);
	close(p[1]);
	read_all(p[0], got, sizeof got);
	ck_assert_str_eq(got, "swapped\n");
	ck_assert_int_eq(reaped(pid), 0);
}
END_TEST

START_TEST(program_runs_from_its_descriptor)
{
	int exe = open("/bin/sh", O_RDONLY | O_CLOEXEC);
	int status = reaped(run("exit 7", STDIN_FILENO, STDOUT_FILENO, exe));
	char how[HB_EXIT_TEXT];

	ck_assert_int_eq(WEXITSTATUS(status), 7);
	hb_exit_text(status, how);
	ck_assert_str_eq(how, "exit status 7");
}
END_TEST

START_TEST(death_by_a_signal_is_told_by_name)
{
	char how[HB_EXIT_TEXT];

	hb_exit_text(reaped(run("kill -9 $$", STDIN_FILENO, STDOUT_FILENO, -1)), how);
	ck_assert_str_eq(how, "killed by SIGKILL");
}
END_TEST

START_TEST(rest_of_the_group_ends_with_its_leader)
{
	int p[2];
	char got[16];

	ck_assert_int_eq(pipe(p), 0);
	pid_t pid = run("sleep 600 & echo x", STDIN_FILENO, p[1], -1);
	close(p[1]);
	(void)reaped(pid);
	read_all(p[0], got, sizeof got); /* ends only when the sleeper has gone */
	ck_assert_str_eq(got, "x\n");
}
END_TEST

START_TEST(program_that_is_not_there_ends_with_71)
{
	char *argv[] = {(char *)"nothing", NULL};
	const int fds[] = {0, 1, 2};
	struct hb_spawn s = {
	    .exe = -1, .path = "/nonexistent/nothing", .argv = argv, .envp = no_environment, .fds = fds, .fds_count = 3};
	struct hb_error err;

	ck_assert_int_eq(WEXITSTATUS(reaped(hb_spawn(&s, &err))), EX_OSERR);
}
END_TEST

START_TEST(environment_is_filtered_and_extended)
{
	char *const from[] = {(char *)"ERL_FLAGS=x", (char *)"ERLANG=y", (char *)"HOME=/h", (char *)"HOMER=z", NULL};
	const char *const names[] = {"ERL_*", "HOME", NULL};
	char **envp = hb_environ_without(from, names);

	ck_assert_ptr_null(hb_environ_get(envp, "ERL_FLAGS"));
	ck_assert_ptr_null(hb_environ_get(envp, "HOME"));
	ck_assert_str_eq(hb_environ_get(envp, "ERLANG"), "y");
	ck_assert_str_eq(hb_environ_get(envp, "HOMER"), "z");
	envp = hb_environ_set(envp, "HOME", "/new");
	envp = hb_environ_set(envp, "HOME", "/newer");
	ck_assert_str_eq(hb_environ_get(envp, "HOME"), "/newer");
	ck_assert_str_eq(envp[2], "HOME=/newer");
	ck_assert_ptr_null(envp[3]);
	hb_environ_free(envp);
}
END_TEST

/* The one framed term of b, in Erlang's syntax. */
static void
assert_says(struct hb_buf *b, const char *wanted)
{
	struct hb_buf text = HB_BUF_INIT;
	struct hb_error err = {.text = ""};

	ck_assert_uint_eq(hb_get_u32(b->data), b->len - 4);
	ck_assert_msg(hb_term_to_erl(b->data + 4, b->len - 4, &text, &err) == 0, "%s", err.text);
	hb_buf_add_u8(&text, '\0');
	ck_assert_str_eq((const char *)text.data, wanted);
	hb_buf_free(&text);
	hb_buf_free(b);
}

START_TEST(configuration_for_the_companion_is_one_framed_map)
{
	struct hb_config config = {
	    .state = {1, 2, UINT64_MAX}, .log = {.level = HB_LOG_WARNING}, .hooks = {.timeout = 5000}, .pubsub = {.queue = 7}};
	struct hb_buf b = HB_BUF_INIT;

	hb_erl_put_config(&b, &config, "/x.link");
	assert_says(&b, "#{link => <<\"/x.link\">>,vsn => <<\"" PACKAGE_VERSION "\">>,"
			"state => #{max_keys => 1,max_bytes => 2,max_value => 18446744073709551615},"
			"distribution => none,code_path => [],applications => [],"
			"log_level => warning,functions => [],hooks => #{timeout => 5000},"
			"pubsub => #{queue => 7},rpc => #{allow => []},connect => []}");
}
END_TEST

START_TEST(companion_is_told_of_functions_hooks_and_the_cluster)
{
	static char *applications[] = {(char *)"shop_erl"}, *allow[] = {(char *)"*:m:f", (char *)"*"},
		    *connect[] = {(char *)"a@b", (char *)"c@d"}, *code_path[] = {(char *)"/ebin"};
	struct hb_config_pair functions[] = {{(char *)"get", (char *)"user_db:get"}, {(char *)"v", (char *)"Elixir.V:ok?"}};
	struct hb_config config = {
	    .erlang = {.node = (char *)"shop@db1", .listen = (char *)"127.0.0.1", .port = 4370, .epmd = true,
		.cookie_file = (char *)"/c", .tls = (char *)"/t", .connect = connect, .connect_count = 2,
		.code_path = code_path, .code_path_count = 1, .applications = applications, .applications_count = 1},
	    .functions = functions, .functions_count = 2,
	    .hooks = {.on_request = (char *)"h:request", .on_error = (char *)"h:failed", .timeout = 1},
	    .rpc = {allow, 2}};
	static const char live[] = "log_level => debug,"
				   "functions => [{<<\"get\">>,user_db,get},{<<\"v\">>,'Elixir.V','ok?'}],"
				   "hooks => #{on_request => {h,request},on_error => {h,failed},timeout => 1},"
				   "pubsub => #{queue => 0},rpc => #{allow => [<<\"*:m:f\">>,<<\"*\">>]},"
				   "connect => [a@b,c@d]}";
	struct hb_buf b = HB_BUF_INIT;
	char *wanted = hb_xasprintf("#{link => <<\"/l\">>,vsn => <<\"" PACKAGE_VERSION "\">>,"
				    "state => #{max_keys => 0,max_bytes => 0,max_value => 0},"
				    "distribution => #{node => shop@db1,listen => <<\"127.0.0.1\">>,port => 4370,"
				    "epmd => true,tls => <<\"/t\">>,cookie_file => <<\"/c\">>},"
				    "code_path => [<<\"/ebin\">>],applications => [shop_erl],%s", live);

	hb_erl_put_config(&b, &config, "/l");
	assert_says(&b, wanted);
	free(wanted);
	wanted = hb_xasprintf("{reload,3,#{%s}", live);
	hb_erl_put_reload(&b, &config, 3);
	assert_says(&b, wanted);
	free(wanted);
}
END_TEST

/* Reads the term of an Erlang text. */
static int
answer(const char *text, struct hb_erl_answer *out, struct hb_error *err)
{
	struct hb_buf b = HB_BUF_INIT;
	int result;

	hb_term_put_version(&b);
	ck_assert_int_eq(hb_term_from_erl(text, strlen(text), &b, err), 0);
	result = hb_erl_read(b.data, b.len, out, err);
	hb_buf_free(&b);
	return result;
}

START_TEST(answers_of_the_companion_are_told_apart)
{
	static const char *const nonsense[] = {"{ready, <<\"no room\">>}", "{ready, 1, 2}", "{hello, 4711}", "{ready}", "[]",
	    "{reloaded, x}", "{refused, <<\"no\">>}", "{refused, 1, no}", "{failed, 1}", "{failed, 1, <<\"no\">>}"};
	struct hb_error err;
	struct hb_erl_answer a;

	ck_assert_int_eq(answer("{ready, 4711}", &a, &err), 0);
	ck_assert_int_eq(a.word, HB_ERL_READY);
	ck_assert_int_eq(a.number, 4711);
	ck_assert_int_eq(answer("{reloaded, 3}", &a, &err), 0);
	ck_assert_int_eq(a.word, HB_ERL_RELOADED);
	ck_assert_int_eq(a.number, 3);
	ck_assert_int_eq(answer("{refused, 4, <<\"hooks: no\">>}", &a, &err), 0);
	ck_assert_int_eq(a.word, HB_ERL_REFUSED);
	ck_assert_int_eq(a.number, 4);
	ck_assert_str_eq(err.text, "hooks: no");
	ck_assert_int_eq(err.kind, HB_ERROR_CONFIG);
	ck_assert_int_eq(answer("{failed, <<\"no room\">>}", &a, &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_REMOTE);
	ck_assert_str_eq(err.text, "no room");
	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
		ck_assert_int_eq(answer(nonsense[i], &a, &err), -1);
		ck_assert_int_eq(err.kind, HB_ERROR_PROTOCOL);
	}
	ck_assert_int_eq(hb_erl_read("hello", 5, &a, &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_PROTOCOL);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("hornbeamd");
	TCase *t = tcase_create("all");

	tcase_add_test(t, first_death_is_answered_at_once_then_ever_more_slowly);
	tcase_add_test(t, stable_life_starts_the_pauses_over);
	tcase_add_test(t, child_has_its_descriptors_its_group_and_nothing_else);
	tcase_add_test(t, descriptors_that_stand_in_each_others_place_are_sorted_out);
	tcase_add_test(t, program_runs_from_its_descriptor);
	tcase_add_test(t, death_by_a_signal_is_told_by_name);
	tcase_add_test(t, rest_of_the_group_ends_with_its_leader);
	tcase_add_test(t, program_that_is_not_there_ends_with_71);
	tcase_add_test(t, environment_is_filtered_and_extended);
	tcase_add_test(t, configuration_for_the_companion_is_one_framed_map);
	tcase_add_test(t, companion_is_told_of_functions_hooks_and_the_cluster);
	tcase_add_test(t, answers_of_the_companion_are_told_apart);
	suite_add_tcase(s, t);
	return s;
}
