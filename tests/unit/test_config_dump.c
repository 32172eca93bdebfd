/* The configuration written out and read again. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "config/config.h"
#include "unit.h"

/* A value of every kind that differs from its default, and strings that YAML, JSON or a hurried writer get wrong. */
static const char everything[] =
    "listen: [\"[::]:8000\", {address: \"unix:/run/a b.sock\", mode: \"0600\"}, 0.0.0.0:80]\n"
    "apps: [{mount: /caf\xc3\xa9, app: \"a.b:c\", interface: wsgi, timeout: 90s}, \"m:f()\"]\n"
    "python:\n"
    "  path: [/srv/shop, '/a: b', '/#c', '/ d ', '/\"quoted\"', \"/back\\\\slash\", \"/new\\nline\", /null, \"true\"]\n"
    "  venv: \"/v\\te\"\n"
    "  env:\n"
    "    PLAIN: text\n"
    "    'yes': 'no'\n"
    "    \"with space\": \" x \"\n"
    "    NUMBER: '0123'\n"
    "    TRUE: 'true'\n"
    "    NULLISH: '~'\n"
    "    NULL: 'null'\n"
    "    EMPTY: ''\n"
    "    DASH: '-'\n"
    "    COLON: 'a: b'\n"
    "    HASH: 'a #b'\n"
    "    QUOTES: \"'\\\"\\\\\"\n"
    "    CONTROL: \"\\x01\\x1f\\x7f\\x85\\xa0\\t\\r\\n\"\n"
    "    LINES: \"a\\n  b\\n\\n\"\n"
    "    UNICODE: \"\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x9d\\u2028 \\u2029\\ufeff\\uffff\"\n"
    "    FLOW: '[a, {b: c}]'\n"
    "    TAG: '!!str x'\n"
    "    ANCHOR: '&a *b'\n"
    "    LEADING: '@`%?|>'\n"
    "    DOCUMENT: \"---\\n...\\n\"\n"
    "    MERGE: '<<'\n"
    "    OCTAL: '0o17'\n"
    "    SEXAGESIMAL: '1:30'\n"
    "    DATE: '2026-01-31'\n"
    "workers: 7\n"
    "threads: 64\n"
    "lifespan: on\n"
    "max_requests: 1000\n"
    "max_requests_jitter: 50\n"
    "timeouts: {request: 7s, keepalive: 0, header: 1500ms, body: 90s, write: 2h, idle: 1h, graceful: 61m, lifespan: 2s}\n"
    "websocket: {max_message: 1M, idle: 20s, compression: false}\n"
    "forwarded: {trust: [10.0.0.0/8, \"fd00::/8\", 192.0.2.7, \"2001:db8:0::1\", \"unix:\", 0.0.0.0/0], host: true}\n"
    "limits: {request_line: 1000, header: 64K, headers: 7, body: 3G, body_memory: 5000, connections: 3}\n"
    "state: {max_keys: 9007199254740992, max_bytes: 1G, max_value: 1}\n"
    "control: {socket: /s, group: 'true'}\n"
    "log: {level: debug, access: 'off', access_format: json}\n"
    "erlang: {code_path: [/ebin], node: shop@app1.example.org, listen: \"0:0::1\", port: 4370, epmd: true,\n"
    "  cookie_file: /c, tls: /t, connect: [a@b.c, worker-1@192.0.2.7], applications: [shop_erl, other]}\n"
    "functions: {get_user: \"user_db:get\", 'null': 'Elixir.Shop.Users:valid?', \"a.b c\": 'x:y'}\n"
    "hooks: {on_request: 'h:request', on_response: attached, on_error: 'h:failed', timeout: 2s, when_down: pass}\n"
    "pubsub: {queue: 1000000}\n"
    "rpc: {allow: ['*:erlang:node', 'local:*:*', '*']}\n"
    "user: '0123'\n"
    "group: 'null'\n";

static struct hb_config *
parse(const void *text, size_t len)
{
	struct hb_error err = { .text = "" };
	struct hb_config *config = hb_config_parse(text, len, "f", &err);

	ck_assert_msg(config != NULL, "%s in\n%.*s", err.text, (int)len, (const char *)text);
	return config;
}

static void
assert_pair(const struct hb_config_pair *pairs, size_t n, const char *name, const char *value)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(pairs[i].name, name) == 0) {
			ck_assert_str_eq(pairs[i].value, value);
			return;
		}
	}
	ck_abort_msg("no entry %s", name);
}

static void
assert_env(const struct hb_config *c, const char *name, const char *value)
{
	assert_pair(c->python.env, c->python.env_count, name, value);
}

static void
assert_pairs(const struct hb_config_pair *a, size_t n, const struct hb_config_pair *b, size_t m)
{
	ck_assert_uint_eq(n, m);
	for (size_t i = 0; i < n; i++)
		assert_pair(b, m, a[i].name, a[i].value);
}

static void
assert_lists(char *const *a, size_t n, char *const *b, size_t m)
{
	ck_assert_uint_eq(n, m);
	for (size_t i = 0; i < n; i++)
		ck_assert_str_eq(a[i], b[i]);
}

static void
assert_equal(const struct hb_config *a, const struct hb_config *b)
{
	ck_assert_uint_eq(a->listen_count, b->listen_count);
	for (size_t i = 0; i < a->listen_count; i++) {
		ck_assert_str_eq(a->listen[i].address, b->listen[i].address);
		ck_assert_uint_eq(a->listen[i].mode, b->listen[i].mode);
	}
	ck_assert_uint_eq(a->apps_count, b->apps_count);
	for (size_t i = 0; i < a->apps_count; i++) {
		ck_assert_str_eq(a->apps[i].mount, b->apps[i].mount);
		ck_assert_str_eq(a->apps[i].app, b->apps[i].app);
		ck_assert_int_eq(a->apps[i].interface, b->apps[i].interface);
		ck_assert_int_eq(a->apps[i].timeout, b->apps[i].timeout);
	}
	assert_lists(a->python.path, a->python.path_count, b->python.path, b->python.path_count);
	ck_assert_pstr_eq(a->python.venv, b->python.venv);
	assert_pairs(a->python.env, a->python.env_count, b->python.env, b->python.env_count);
	ck_assert_uint_eq(a->workers, b->workers);
	ck_assert_uint_eq(a->threads, b->threads);
	ck_assert_int_eq(a->lifespan, b->lifespan);
	ck_assert_uint_eq(a->max_requests, b->max_requests);
	ck_assert_uint_eq(a->max_requests_jitter, b->max_requests_jitter);
	ck_assert_uint_eq(a->websocket.max_message, b->websocket.max_message);
	ck_assert_int_eq(a->websocket.idle, b->websocket.idle);
	ck_assert_int_eq(a->websocket.compression, b->websocket.compression);
	assert_lists(a->forwarded.trust, a->forwarded.trust_count, b->forwarded.trust, b->forwarded.trust_count);
	ck_assert_int_eq(a->forwarded.host, b->forwarded.host);
	ck_assert_mem_eq(&a->timeouts, &b->timeouts, sizeof a->timeouts);
	ck_assert_mem_eq(&a->limits, &b->limits, sizeof a->limits);
	ck_assert_mem_eq(&a->state, &b->state, sizeof a->state);
	ck_assert_str_eq(a->control.socket, b->control.socket);
	ck_assert_pstr_eq(a->control.group, b->control.group);
	ck_assert_int_eq(a->log.level, b->log.level);
	ck_assert_str_eq(a->log.access, b->log.access);
	ck_assert_int_eq(a->log.access_format, b->log.access_format);
	assert_lists(a->erlang.code_path, a->erlang.code_path_count, b->erlang.code_path, b->erlang.code_path_count);
	assert_lists(a->erlang.connect, a->erlang.connect_count, b->erlang.connect, b->erlang.connect_count);
	assert_lists(a->erlang.applications, a->erlang.applications_count, b->erlang.applications,
	    b->erlang.applications_count);
	ck_assert_pstr_eq(a->erlang.node, b->erlang.node);
	ck_assert_str_eq(a->erlang.listen, b->erlang.listen);
	ck_assert_uint_eq(a->erlang.port, b->erlang.port);
	ck_assert_int_eq(a->erlang.epmd, b->erlang.epmd);
	ck_assert_str_eq(a->erlang.cookie_file, b->erlang.cookie_file);
	ck_assert_pstr_eq(a->erlang.tls, b->erlang.tls);
	assert_pairs(a->functions, a->functions_count, b->functions, b->functions_count);
	ck_assert_pstr_eq(a->hooks.on_request, b->hooks.on_request);
	ck_assert_pstr_eq(a->hooks.on_response, b->hooks.on_response);
	ck_assert_pstr_eq(a->hooks.on_error, b->hooks.on_error);
	ck_assert_int_eq(a->hooks.timeout, b->hooks.timeout);
	ck_assert_int_eq(a->hooks.when_down, b->hooks.when_down);
	ck_assert_uint_eq(a->pubsub.queue, b->pubsub.queue);
	assert_lists(a->rpc.allow, a->rpc.allow_count, b->rpc.allow, b->rpc.allow_count);
	ck_assert_pstr_eq(a->user, b->user);
	ck_assert_pstr_eq(a->group, b->group);
}

static void
assert_round_trip(const char *text, enum hb_config_form form)
{
	struct hb_config *first = parse(text, strlen(text)), *second;
	struct hb_buf out = HB_BUF_INIT;

	hb_config_dump(first, form, &out);
	ck_assert(!out.failed);
	ck_assert(hb_str_is_utf8(out.data, out.len));
	second = parse(out.data, out.len);
	assert_equal(first, second);
	hb_config_free(first);
	hb_config_free(second);
	hb_buf_free(&out);
}

START_TEST(yaml_loads_to_an_equal_configuration)
{
	assert_round_trip(everything, HB_CONFIG_YAML);
	assert_round_trip("", HB_CONFIG_YAML);
}
END_TEST

START_TEST(json_loads_to_an_equal_configuration)
{
	assert_round_trip(everything, HB_CONFIG_JSON);
	assert_round_trip("", HB_CONFIG_JSON);
}
END_TEST

START_TEST(strings_are_read_as_they_were_meant)
{
	struct hb_config *c = parse(everything, strlen(everything));

	ck_assert_str_eq(c->python.path[6], "/new\nline");
	assert_env(c, "yes", "no");
	assert_env(c, "QUOTES", "'\"\\");
	assert_env(c, "CONTROL", "\x01\x1f\x7f\xc2\x85\xc2\xa0\t\r\n");
	assert_env(c, "UNICODE", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x9d\xe2\x80\xa8 \xe2\x80\xa9\xef\xbb\xbf\xef\xbf\xbf");
	hb_config_free(c);
}
END_TEST

START_TEST(json_is_what_json_readers_take)
{
	struct hb_config *c = parse(everything, strlen(everything));
	struct hb_buf out = HB_BUF_INIT;
	json_error_t err;
	json_t *root, *python;

	hb_config_dump(c, HB_CONFIG_JSON, &out);
	root = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, &err);
	ck_assert_msg(root != NULL, "%s", err.text);
	ck_assert_int_eq(json_integer_value(json_object_get(root, "workers")), 7);
	python = json_object_get(root, "python");
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(python, "path"), 6)), "/new\nline");
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(python, "env"), "NUMBER")), "0123");
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(root, "limits"), "header")), "64K");
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(json_object_get(root, "apps"), 1), "mount")),
	    "/");
	json_decref(root);
	hb_config_free(c);
	hb_buf_free(&out);
}
END_TEST

START_TEST(yaml_reads_well)
{
	static const char given[] = "apps: shop.wsgi:app\npython: {path: /srv/shop, env: {A: 1}}\nworkers: 2\n";
	static const char wanted[] = "listen:\n"
				     "  - {address: \"127.0.0.1:8000\"}\n"
				     "apps:\n"
				     "  - {mount: /, app: \"shop.wsgi:app\", interface: auto}\n"
				     "python:\n"
				     "  path:\n"
				     "    - /srv/shop\n"
				     "  venv: null\n"
				     "  env:\n"
				     "    A: \"1\"\n"
				     "workers: 2\n"
				     "threads: 4\n"
				     "lifespan: auto\n"
				     "max_requests: 0\n"
				     "max_requests_jitter: 0\n"
				     "timeouts:\n"
				     "  request: 30s\n"
				     "  keepalive: 15s\n";
	struct hb_config *c = parse(given, strlen(given));
	struct hb_buf out = HB_BUF_INIT;

	hb_config_dump(c, HB_CONFIG_YAML, &out);
	ck_assert_uint_gt(out.len, strlen(wanted));
	out.data[strlen(wanted)] = '\0';
	ck_assert_str_eq((const char *)out.data, wanted);
	hb_config_free(c);
	hb_buf_free(&out);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("config_dump");
	TCase *t = tcase_create("dump");

	tcase_add_test(t, yaml_loads_to_an_equal_configuration);
	tcase_add_test(t, json_loads_to_an_equal_configuration);
	tcase_add_test(t, strings_are_read_as_they_were_meant);
	tcase_add_test(t, json_is_what_json_readers_take);
	tcase_add_test(t, yaml_reads_well);
	suite_add_tcase(s, t);
	return s;
}
