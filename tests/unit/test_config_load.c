/* The configuration from files, fragments, variables and --set, in their order. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/str.h"
#include "config/config.h"
#include "unit.h"

/* environ's strings are not const */
#define VARIABLE(s) ((char *)(uintptr_t)(s))

static char directory[] = "/tmp/test_config.XXXXXX";
static char file[64];

static void
write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_ne(fputs(text, f), EOF);
	ck_assert_int_eq(fclose(f), 0);
}

static void
set_up(void)
{
	char path[128];

	memcpy(directory + sizeof directory - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/conf.d", directory);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(file, sizeof file, "%s/h.yaml", directory);
}

static void
tear_down(void)
{
	static const char *const names[] = { "conf.d/10.yaml", "conf.d/9.yaml", "conf.d/.x.yaml", "conf.d/x.yml",
		"conf.d", "h.yaml", "" };
	char path[128];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", directory, names[i]);
		remove(path);
	}
}

static struct hb_config *
load(const char *const *sets, char *const *variables)
{
	struct hb_config_source source = { .file = file, .conf_d = true, .sets = sets, .environ = variables };
	struct hb_error err = { .text = "" };
	struct hb_config *config = hb_config_load(&source, &err);

	ck_assert_msg(config != NULL, "%s", err.text);
	return config;
}

static struct hb_config *
parse(const char *text)
{
	struct hb_error err = { .text = "" };
	struct hb_config *config = hb_config_parse(text, strlen(text), "f", &err);

	ck_assert_msg(config != NULL, "%s", err.text);
	return config;
}

/* path is name in the test's directory. */
static void
assert_below(const char *path, const char *name)
{
	char *expected = hb_xasprintf("%s/%s", directory, name);

	ck_assert_str_eq(path, expected);
	free(expected);
}

/* The text of a failure to load. */
static const char *
complaint(void)
{
	static struct hb_error err;
	struct hb_config_source source = { .file = file, .conf_d = true };

	ck_assert_ptr_null(hb_config_load(&source, &err));
	ck_assert_int_eq(err.kind, HB_ERROR_CONFIG);
	return err.text;
}

START_TEST(defaults_are_those_of_the_contract)
{
	struct hb_config_source source = { .file = NULL };
	struct hb_error err;
	struct hb_config *c = hb_config_load(&source, &err);
	cpu_set_t cpus;

	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->listen_count, 1);
	ck_assert_str_eq(c->listen[0].address, "127.0.0.1:8000");
	ck_assert_uint_eq(c->apps_count, 0);
	ck_assert_uint_eq(c->python.path_count, 0);
	ck_assert_ptr_null(c->python.venv);
	ck_assert_uint_eq(c->python.env_count, 0);
	ck_assert_int_eq(sched_getaffinity(0, sizeof cpus, &cpus), 0);
	ck_assert_uint_eq(c->workers, (unsigned)CPU_COUNT(&cpus));
	ck_assert_uint_eq(c->threads, 4);
	ck_assert_int_eq(c->lifespan, HB_LIFESPAN_AUTO);
	ck_assert_uint_eq(c->max_requests, 0);
	ck_assert_uint_eq(c->max_requests_jitter, 0);
	ck_assert_int_eq(c->timeouts.request, 30000);
	ck_assert_int_eq(c->timeouts.idle, 300000);
	ck_assert_int_eq(c->timeouts.lifespan, 30000);
	ck_assert_uint_eq(c->websocket.max_message, 16 << 20);
	ck_assert_int_eq(c->websocket.idle, 60000);
	ck_assert(c->websocket.compression);
	ck_assert(!c->forwarded.host);
	ck_assert_uint_eq(c->forwarded.trust_count, 3);
	ck_assert_str_eq(c->forwarded.trust[0], "127.0.0.1");
	ck_assert_str_eq(c->forwarded.trust[1], "::1");
	ck_assert_str_eq(c->forwarded.trust[2], "unix:");
	ck_assert_int_eq(c->timeouts.keepalive, 15000);
	ck_assert_int_eq(c->timeouts.header, 10000);
	ck_assert_int_eq(c->timeouts.body, 30000);
	ck_assert_int_eq(c->timeouts.write, 60000);
	ck_assert_int_eq(c->timeouts.graceful, 30000);
	ck_assert_uint_eq(c->limits.request_line, 8192);
	ck_assert_uint_eq(c->limits.header, 32768);
	ck_assert_uint_eq(c->limits.headers, 100);
	ck_assert_uint_eq(c->limits.body, 64 << 20);
	ck_assert_uint_eq(c->limits.body_memory, 1 << 20);
	ck_assert_uint_eq(c->limits.connections, 10000);
	ck_assert_uint_eq(c->state.max_keys, 0);
	ck_assert_uint_eq(c->state.max_bytes, 0);
	ck_assert_uint_eq(c->state.max_value, 8 << 20);
	ck_assert_ptr_null(c->control.group);
	ck_assert_int_eq(c->log.level, HB_LOG_INFO);
	ck_assert_str_eq(c->log.access, "-");
	ck_assert_int_eq(c->log.access_format, HB_ACCESS_COMBINED);
	ck_assert_ptr_null(c->erlang.node);
	ck_assert_str_eq(c->erlang.listen, "127.0.0.1");
	ck_assert_uint_eq(c->erlang.port, 0);
	ck_assert(!c->erlang.epmd);
	ck_assert_str_eq(c->erlang.cookie_file + strlen(c->erlang.cookie_file) - 20, "/lib/hornbeam/cookie");
	ck_assert_ptr_null(c->erlang.tls);
	ck_assert_uint_eq(c->erlang.connect_count, 0);
	ck_assert_uint_eq(c->erlang.code_path_count, 0);
	ck_assert_uint_eq(c->erlang.applications_count, 0);
	ck_assert_uint_eq(c->functions_count, 0);
	ck_assert_ptr_null(c->hooks.on_request);
	ck_assert_ptr_null(c->hooks.on_response);
	ck_assert_ptr_null(c->hooks.on_error);
	ck_assert_int_eq(c->hooks.timeout, 5000);
	ck_assert_int_eq(c->hooks.when_down, HB_WHEN_DOWN_REFUSE);
	ck_assert_uint_eq(c->pubsub.queue, 1000);
	ck_assert_uint_eq(c->rpc.allow_count, 1);
	ck_assert_str_eq(c->rpc.allow[0], "*");
	ck_assert_ptr_null(c->user);
	ck_assert_ptr_null(c->group);
	hb_config_free(c);
}
END_TEST

START_TEST(later_places_win)
{
	static const char *const sets[] = { "limits.headers=5", "limits.headers=6", NULL };
	static char *const variables[] = { VARIABLE("HORNBEAM_LIMITS_CONNECTIONS=4"),
		VARIABLE("HORNBEAM_LIMITS_HEADERS=4"), VARIABLE("HORNBEAM_SOCKET=/x"), VARIABLE("HORNBEAM_BUILD=/y"),
		VARIABLE("PATH=/bin"), VARIABLE("HORNBEAM"), NULL };
	struct hb_config *c;

	write_file("h.yaml", "limits: {headers: 1, connections: 1, header: 1K, body: 1K, request_line: 1K}\n");
	write_file("conf.d/10.yaml", "limits: {headers: 2, connections: 2, header: 2K, body: 2K}\n");
	write_file("conf.d/9.yaml", "limits: {headers: 3, connections: 3, header: 3K}\n");
	write_file("conf.d/.x.yaml", "limits: {header: 4K}\n");
	write_file("conf.d/x.yml", "limits: {header: 4K}\n");
	c = load(sets, variables);
	ck_assert_uint_eq(c->limits.headers, 6);
	ck_assert_uint_eq(c->limits.connections, 4);
	ck_assert_uint_eq(c->limits.header, 3072);
	ck_assert_uint_eq(c->limits.body, 2048);
	ck_assert_uint_eq(c->limits.request_line, 1024);
	hb_config_free(c);
}
END_TEST

START_TEST(mappings_merge_and_lists_replace)
{
	static const char *const sets[] = { "python.env.C=3", "python.env={\"D\": 4}", NULL };
	struct hb_config *c;

	write_file("h.yaml", "python: {path: [/a, /b], env: {A: 1, B: 1}}\nlisten: [127.0.0.1:1, 127.0.0.1:2]\n");
	write_file("conf.d/9.yaml", "python: {path: [/c], env: {B: 2}}\nlisten: 127.0.0.1:3\n");
	c = load(sets, NULL);
	ck_assert_uint_eq(c->python.path_count, 1);
	ck_assert_str_eq(c->python.path[0], "/c");
	ck_assert_uint_eq(c->listen_count, 1);
	ck_assert_str_eq(c->listen[0].address, "127.0.0.1:3");
	ck_assert_uint_eq(c->python.env_count, 4);
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(c->python.env[i].name[0], "ABCD"[i]);
		ck_assert_int_eq(c->python.env[i].value[0], "1234"[i]);
	}
	hb_config_free(c);
}
END_TEST

START_TEST(null_takes_an_optional_value_back)
{
	static const char *const sets[] = { "user=", NULL };
	struct hb_config *c;

	write_file("h.yaml", "user: a\ngroup: b\ncontrol: {group: c}\n");
	write_file("conf.d/9.yaml", "group: null\ncontrol: {group: ~}\n");
	c = load(sets, NULL);
	ck_assert_ptr_null(c->user);
	ck_assert_ptr_null(c->group);
	ck_assert_ptr_null(c->control.group);
	hb_config_free(c);
}
END_TEST

START_TEST(relative_paths_start_at_their_file)
{
	struct hb_config *c;

	write_file("h.yaml", "python: {path: [., ./lib, x/y, /abs], venv: ../venv}\ncontrol: {socket: s}\n");
	write_file("conf.d/9.yaml", "erlang: {code_path: ebin}\n");
	c = load(NULL, NULL);
	ck_assert_str_eq(c->python.path[0], directory);
	assert_below(c->python.path[1], "lib");
	assert_below(c->python.path[2], "x/y");
	ck_assert_str_eq(c->python.path[3], "/abs");
	assert_below(c->python.venv, "../venv");
	assert_below(c->control.socket, "s");
	assert_below(c->erlang.code_path[0], "conf.d/ebin");
	hb_config_free(c);
}
END_TEST

START_TEST(relative_paths_of_variables_and_set_start_here)
{
	static const char *const sets[] = { "python.path=lib", NULL };
	static char *const variables[] = { VARIABLE("HORNBEAM_PYTHON_VENV=venv"), NULL };
	struct hb_config *c;

	write_file("h.yaml", "");
	ck_assert_int_eq(chdir("/usr"), 0);
	c = load(sets, variables);
	ck_assert_str_eq(c->python.path[0], "/usr/lib");
	ck_assert_str_eq(c->python.venv, "/usr/venv");
	hb_config_free(c);
	/* a file that is named without a directory */
	ck_assert_int_eq(chdir(directory), 0);
	write_file("h.yaml", "python: {path: lib}\n");
	snprintf(file, sizeof file, "h.yaml");
	c = load(NULL, NULL);
	assert_below(c->python.path[0], "lib");
	hb_config_free(c);
}
END_TEST

START_TEST(missing_or_unreadable_file_is_named)
{
	char expected[160];

	snprintf(expected, sizeof expected, "%s: cannot open: No such file or directory", file);
	ck_assert_str_eq(complaint(), expected);
	snprintf(file, sizeof file, "%s", directory);
	snprintf(expected, sizeof expected, "%s: cannot read: Is a directory", file);
	ck_assert_str_eq(complaint(), expected);
}
END_TEST

START_TEST(file_of_more_than_a_mebibyte_is_refused)
{
	size_t n = (1 << 20) + 1;
	char *text = hb_xmalloc(n + 1), expected[160];

	memset(text, '#', n);
	text[n] = '\0';
	write_file("h.yaml", text);
	free(text);
	snprintf(expected, sizeof expected, "%s: larger than 1048576 bytes", file);
	ck_assert_str_eq(complaint(), expected);
}
END_TEST

START_TEST(error_in_a_fragment_names_it)
{
	char expected[160];

	write_file("h.yaml", "workers: 1\n");
	write_file("conf.d/9.yaml", "\n\nworkers: x\n");
	snprintf(expected, sizeof expected, "%s/conf.d/9.yaml:3: workers: expected auto or a number, found \"x\"",
	    directory);
	ck_assert_str_eq(complaint(), expected);
}
END_TEST

START_TEST(fragments_are_read_only_on_request)
{
	struct hb_config_source source = { .file = file, .conf_d = false };
	struct hb_error err;
	struct hb_config *c;

	write_file("h.yaml", "workers: 1\n");
	write_file("conf.d/9.yaml", "workers: 2\n");
	c = hb_config_load(&source, &err);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(c->workers, 1);
	hb_config_free(c);
}
END_TEST

START_TEST(values_of_set_need_no_quotes)
{
	static const char *const sets[] = { "log.access=-", "listen=[::1]:8000", "user=~", "group=true", "apps=m:f()",
		"control.group=\"a b\"", "limits={body: 1K, headers: 7}", "python.path=[/a, '/b']",
		"python.env.X.Y=[1]", NULL };
	struct hb_config *c;

	write_file("h.yaml", "user: x\n");
	c = load(sets, NULL);
	ck_assert_str_eq(c->log.access, "-");
	ck_assert_uint_eq(c->listen_count, 1);
	ck_assert_str_eq(c->listen[0].address, "[::1]:8000");
	ck_assert_ptr_null(c->user);
	ck_assert_str_eq(c->group, "true");
	ck_assert_str_eq(c->apps[0].app, "m:f()");
	ck_assert_str_eq(c->apps[0].mount, "");
	ck_assert_str_eq(c->control.group, "a b");
	ck_assert_uint_eq(c->limits.body, 1024);
	ck_assert_uint_eq(c->limits.headers, 7);
	ck_assert_uint_eq(c->python.path_count, 2);
	ck_assert_str_eq(c->python.path[1], "/b");
	ck_assert_str_eq(c->python.env[0].name, "X.Y");
	ck_assert_str_eq(c->python.env[0].value, "[1]");
	hb_config_free(c);
}
END_TEST

START_TEST(listeners_are_normalised)
{
	struct hb_config *c = parse("listen:\n- 127.0.0.1:08000\n- \"[0:0::1]:80\"\n- unix:/s\n"
				    "- {address: \"unix:/t\", mode: 600}\n");

	ck_assert_uint_eq(c->listen_count, 4);
	ck_assert_str_eq(c->listen[0].address, "127.0.0.1:8000");
	ck_assert_uint_eq(c->listen[0].mode, 0);
	ck_assert_str_eq(c->listen[1].address, "[::1]:80");
	ck_assert_str_eq(c->listen[2].address, "unix:/s");
	ck_assert_uint_eq(c->listen[2].mode, 0660);
	ck_assert_uint_eq(c->listen[3].mode, 0600);
	hb_config_free(c);
}
END_TEST

START_TEST(applications_stand_longest_mount_first)
{
	struct hb_config *c = parse("apps:\n- a:a\n- {mount: /x/, app: b.c:d.e}\n- {mount: /x/y, app: \"c:f()\", "
				    "interface: wsgi}\n- {mount: /w, app: d:d}\n");

	ck_assert_uint_eq(c->apps_count, 4);
	ck_assert_str_eq(c->apps[0].mount, "/x/y");
	ck_assert_str_eq(c->apps[0].app, "c:f()");
	ck_assert_int_eq(c->apps[0].interface, HB_INTERFACE_WSGI);
	ck_assert_str_eq(c->apps[1].mount, "/w");
	ck_assert_str_eq(c->apps[2].mount, "/x");
	ck_assert_str_eq(c->apps[2].app, "b.c:d.e");
	ck_assert_int_eq(c->apps[2].interface, HB_INTERFACE_AUTO);
	ck_assert_str_eq(c->apps[3].mount, "");
	hb_config_free(c);
}
END_TEST

START_TEST(empty_files_and_sections_are_fine)
{
	static const char *const texts[] = { "", "# nothing\n", "---\n...\n", "limits:\npython:\n", "{}\n", "---\n" };

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		hb_config_free(parse(texts[i]));
}
END_TEST

START_TEST(editors_of_other_systems_are_fine)
{
	struct hb_config *c = parse("\xef\xbb\xbfworkers: 3\r\nuser: x\r\n");

	ck_assert_uint_eq(c->workers, 3);
	ck_assert_str_eq(c->user, "x");
	hb_config_free(c);
}
END_TEST

START_TEST(json_is_yaml)
{
	struct hb_config *c = parse("{\"workers\": 3, \"python\": {\"path\": [\"/a\\u00e9\"]}}");

	ck_assert_uint_eq(c->workers, 3);
	ck_assert_str_eq(c->python.path[0], "/a\xc3\xa9");
	hb_config_free(c);
}
END_TEST

START_TEST(values_keep_their_text)
{
	struct hb_config *c = parse("python:\n  env: {A: 0123, B: true, C: '', D: !!str 1.50, E: \"~\"}\n"
				    "log: {access: off}\n");

	ck_assert_str_eq(c->python.env[0].value, "0123");
	ck_assert_str_eq(c->python.env[1].value, "true");
	ck_assert_str_eq(c->python.env[2].value, "");
	ck_assert_str_eq(c->python.env[3].value, "1.50");
	ck_assert_str_eq(c->python.env[4].value, "~");
	ck_assert_str_eq(c->log.access, "off");
	hb_config_free(c);
}
END_TEST

START_TEST(timeout_of_an_application_may_be_absent_or_null)
{
	struct hb_config *c = parse("apps:\n"
				    "  - {mount: /aa, app: a:a, timeout: 1500ms}\n"
				    "  - {mount: /b, app: b:b, timeout: null}\n"
				    "  - {mount: /, app: c:c}\n");

	ck_assert_int_eq(c->apps[0].timeout, 1500);
	ck_assert_int_eq(c->apps[1].timeout, 0);
	ck_assert_int_eq(c->apps[2].timeout, 0);
	hb_config_free(c);
}
END_TEST

START_TEST(peers_are_normalised)
{
	struct hb_config *c = parse("forwarded: {trust: [10.0.0.0/8, \"2001:DB8:0:0::1\", \"::/0\", \"unix:\"]}\n");

	ck_assert_uint_eq(c->forwarded.trust_count, 4);
	ck_assert_str_eq(c->forwarded.trust[0], "10.0.0.0/8");
	ck_assert_str_eq(c->forwarded.trust[1], "2001:db8::1");
	ck_assert_str_eq(c->forwarded.trust[2], "::/0");
	ck_assert_str_eq(c->forwarded.trust[3], "unix:");
	hb_config_free(c);
	c = parse("forwarded: {trust: 192.0.2.0/24}\n");
	ck_assert_uint_eq(c->forwarded.trust_count, 1);
	hb_config_free(c);
	c = parse("forwarded: {trust: []}\n");
	ck_assert_uint_eq(c->forwarded.trust_count, 0);
	hb_config_free(c);
}
END_TEST

START_TEST(limits_themselves_are_inside)
{
	struct hb_config *c = parse("workers: 1024\ntimeouts: {keepalive: 0, header: 1ms, graceful: 24h}\n"
				    "limits: {body: 1024G, request_line: 64}\nstate: {max_value: 16380K}\n");

	ck_assert_uint_eq(c->workers, 1024);
	ck_assert_int_eq(c->timeouts.keepalive, 0);
	ck_assert_int_eq(c->timeouts.header, 1);
	ck_assert_int_eq(c->timeouts.graceful, 86400000);
	ck_assert_uint_eq(c->limits.body, (uint64_t)1 << 40);
	ck_assert_uint_eq(c->limits.request_line, 64);
	ck_assert_uint_eq(c->state.max_value, (16 << 20) - 4096);
	hb_config_free(c);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("config_load");
	TCase *t = tcase_create("places");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, later_places_win);
	tcase_add_test(t, mappings_merge_and_lists_replace);
	tcase_add_test(t, null_takes_an_optional_value_back);
	tcase_add_test(t, relative_paths_start_at_their_file);
	tcase_add_test(t, relative_paths_of_variables_and_set_start_here);
	tcase_add_test(t, missing_or_unreadable_file_is_named);
	tcase_add_test(t, file_of_more_than_a_mebibyte_is_refused);
	tcase_add_test(t, error_in_a_fragment_names_it);
	tcase_add_test(t, fragments_are_read_only_on_request);
	tcase_add_test(t, values_of_set_need_no_quotes);
	suite_add_tcase(s, t);
	t = tcase_create("values");
	tcase_add_test(t, defaults_are_those_of_the_contract);
	tcase_add_test(t, listeners_are_normalised);
	tcase_add_test(t, applications_stand_longest_mount_first);
	tcase_add_test(t, empty_files_and_sections_are_fine);
	tcase_add_test(t, editors_of_other_systems_are_fine);
	tcase_add_test(t, json_is_yaml);
	tcase_add_test(t, values_keep_their_text);
	tcase_add_test(t, timeout_of_an_application_may_be_absent_or_null);
	tcase_add_test(t, peers_are_normalised);
	tcase_add_test(t, limits_themselves_are_inside);
	suite_add_tcase(s, t);
	return s;
}
