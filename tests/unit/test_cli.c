/* The command line's parts that need no server: arguments, values, tables, facts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/facts.h"
#include "cli/outcome.h"
#include "cli/records.h"
#include "cli/table.h"
#include "cli/value.h"
#include "common/str.h"
#include "term/erl.h"
#include "term/term.h"
#include "unit.h"

/* Parses words behind "hornbeam"; a NULL ends them. */
static int
parse(struct cli *cli, struct hb_error *err, const char *const *words)
{
	char *argv[32] = { (char *)"hornbeam" };
	int argc = 1;

	for (; *words != NULL; words++)
		argv[argc++] = (char *)*words;
	return cli_parse(cli, argc, argv, err);
}
#define PARSE(cli, err, ...) parse(cli, err, (const char *const[]){ __VA_ARGS__, NULL })

START_TEST(options_stand_before_and_after_the_command)
{
	struct cli cli;
	struct hb_error err;

	ck_assert_int_eq(PARSE(&cli, &err, "-s", "/a", "state", "-ojson", "set", "-q", "k", "--ttl=60s", "v", "-t",
	    "1m", "--nx"), 0);
	ck_assert_str_eq(cli.command->name, "state set");
	ck_assert_str_eq(cli.socket, "/a");
	ck_assert_int_eq(cli.form, CLI_JSON);
	ck_assert(cli.quiet);
	ck_assert_int_eq(cli.timeout_ms, 60000);
	ck_assert_uint_eq(cli.nargs, 2);
	ck_assert_str_eq(cli.args[0], "k");
	ck_assert_str_eq(cli.args[1], "v");
	ck_assert_str_eq(cli_option(&cli, "ttl"), "60s");
	ck_assert(cli_flag(&cli, "nx"));
	ck_assert(!cli_flag(&cli, "xx"));
	cli_free(&cli);
}
END_TEST

START_TEST(dashes_end_options_and_numbers_are_arguments)
{
	struct cli cli;
	struct hb_error err;

	ck_assert_int_eq(PARSE(&cli, &err, "state", "incr", "k", "-5"), 0);
	ck_assert_str_eq(cli.args[1], "-5");
	cli_free(&cli);
	ck_assert_int_eq(PARSE(&cli, &err, "state", "set", "--", "--nx", "-q"), 0);
	ck_assert_str_eq(cli.args[0], "--nx");
	ck_assert_str_eq(cli.args[1], "-q");
	ck_assert(!cli.quiet);
	cli_free(&cli);
	ck_assert_int_eq(PARSE(&cli, &err, "state", "set", "k", "-"), 0);
	ck_assert_str_eq(cli.args[1], "-");
	cli_free(&cli);
	ck_assert_int_eq(PARSE(&cli, &err, "state", "keys", "-0q"), 0);
	ck_assert(cli_flag(&cli, "null"));
	ck_assert(cli.quiet);
	cli_free(&cli);
}
END_TEST

START_TEST(the_last_of_an_option_wins)
{
	struct cli cli;
	struct hb_error err;

	ck_assert_int_eq(PARSE(&cli, &err, "state", "set", "k", "v", "--ttl", "1s", "--ttl", "2s"), 0);
	ck_assert_str_eq(cli_option(&cli, "ttl"), "2s");
	cli_free(&cli);
}
END_TEST

START_TEST(wrong_arguments_are_told)
{
	static const struct {
		const char *words[6];
		const char *text;
	} cases[] = {
		{ { "state", "gett" }, "unknown command 'state gett', did you mean 'state get'?" },
		{ { "pong" }, "unknown command 'pong', did you mean 'ping'?" },
		{ { "confg" }, "unknown command 'confg', did you mean 'config'?" },
		{ { "--ttl", "1s", "state" }, "unknown option --ttl" },
		{ { "ping", "--quite" }, "unknown option --quite, did you mean --quiet?" },
		{ { "ping", "-Z" }, "unknown option -Z" },
		{ { "state", "get" }, "state get needs KEY..." },
		{ { "ping", "a" }, "ping: unexpected argument 'a'" },
		{ { "ping", "-o", "yaml" }, "-o takes text, json, raw or term, not 'yaml'" },
		{ { "ping", "-t", "soon" }, "-t takes a time" },
		{ { "ping", "-s" }, "-s takes PATH" },
		{ { "call" }, "call needs NAME" },
		{ { "rpc", "call", "-", "m" }, "rpc call needs NODE MODULE FUNCTION" },
		{ { "rpc", "cal" }, "unknown command 'rpc cal', did you mean 'rpc call'?" },
		{ { "subscribe" }, "subscribe needs TOPIC..." },
		{ { "publish", "t" }, "publish needs TOPIC MESSAGE" },
		{ { "ping", "--quiet=yes" }, "--quiet takes no value" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct hb_error err = { HB_ERROR_NONE };
		struct cli cli;

		ck_assert_int_eq(parse(&cli, &err, cases[i].words), -1);
		ck_assert_int_eq(err.kind, HB_ERROR_USAGE);
		ck_assert_msg(strstr(err.text, cases[i].text) == err.text, "%s", err.text);
		cli_free(&cli);
	}
}
END_TEST

START_TEST(every_command_is_found_by_its_words)
{
	for (size_t i = 0; i < cli_commands_count; i++) {
		const struct cli_command *command = &cli_commands[i];
		const char *space = strchr(command->name, ' ');
		char *group = space != NULL ? hb_xstrndup(command->name, (size_t)(space - command->name)) : NULL;

		ck_assert_ptr_eq(cli_command_find(group, space != NULL ? space + 1 : command->name), command);
		ck_assert_ptr_nonnull(command->run);
		if (group != NULL)
			ck_assert(cli_command_is_group(group));
		free(group);
	}
	ck_assert_ptr_null(cli_command_find(NULL, "state"));
	ck_assert_ptr_null(cli_command_find("stat", "get"));
	ck_assert(!cli_command_is_group("stat"));
	ck_assert(!cli_command_is_group("ping"));
}
END_TEST

/* What `state set k TEXT OPTION` stores, as the bytes of its term. */
static struct hb_buf
stored(const char *text, const char *option, struct hb_error *err, int *rc)
{
	struct hb_buf out = HB_BUF_INIT;
	struct cli cli;

	if (option != NULL)
		ck_assert_int_eq(PARSE(&cli, err, "state", "set", "k", option, "--", text), 0);
	else
		ck_assert_int_eq(PARSE(&cli, err, "state", "set", "k", "--", text), 0);
	*rc = cli_put_value(&cli, &out, cli.args[1], err);
	cli_free(&cli);
	return out;
}

static void
assert_stored(const char *text, const char *option, const char *expected, size_t len)
{
	struct hb_error err;
	int rc;
	struct hb_buf out = stored(text, option, &err, &rc);

	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(out.len, len);
	ck_assert_mem_eq(out.data, expected, len);
	hb_buf_free(&out);
}
#define ASSERT_STORED(text, option, bytes) assert_stored(text, option, bytes, sizeof bytes - 1)

START_TEST(integers_are_stored_as_themselves_and_the_rest_as_binaries)
{
	ASSERT_STORED("42", "--int", "\x61\x2a");
	ASSERT_STORED(" -1\n", "--int", "\x62\xff\xff\xff\xff");
	ASSERT_STORED("42", "--json", "\x61\x2a");
	ASSERT_STORED("42", "--term", "\x61\x2a");
	ASSERT_STORED("18446744073709551616", "--int", "\x6e\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01");
	ASSERT_STORED("42", NULL, "m\0\0\0\x8\x83m\0\0\0\x2" "42");
	ASSERT_STORED("", NULL, "m\0\0\0\x6\x83m\0\0\0\0");
	ASSERT_STORED("\xff", NULL, "m\0\0\0\x8\x83M\0\0\0\x1\x8\xff");
	ASSERT_STORED("1.5", "--float", "m\0\0\0\xa\x83" "F\x3f\xf8\0\0\0\0\0\0");
	ASSERT_STORED("[]", "--json", "m\0\0\0\x2\x83j");
	ASSERT_STORED("{}", "--term", "m\0\0\0\x3\x83h\0");
}
END_TEST

START_TEST(what_is_no_value_is_a_wrong_use)
{
	static const char *const cases[][2] = { { "--int", "1x" }, { "--int", "" }, { "--int", "--" }, { "--int", "1.0" },
		{ "--float", "inf" }, { "--float", "" }, { "--float", "1x" }, { "--json", "" }, { "--json", "{" },
		{ "--json", "{\"$none\":1}" }, { "--term", "{" }, { "--term", "" } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct hb_error err = { HB_ERROR_NONE };
		struct hb_buf out;
		int rc;

		out = stored(cases[i][1], cases[i][0], &err, &rc);
		ck_assert_msg(rc == -1, "%s %s", cases[i][0], cases[i][1]);
		ck_assert_int_eq(err.kind, HB_ERROR_USAGE);
		hb_buf_free(&out);
	}
}
END_TEST

/* What `call f ARG...` sends of its arguments. */
static struct hb_buf
arguments(const char *const *words, struct hb_error *err, int *rc)
{
	struct hb_buf out = HB_BUF_INIT;
	struct cli cli;

	ck_assert_int_eq(parse(&cli, err, words), 0);
	*rc = cli_put_arguments(&cli, &out, 1, err);
	cli_free(&cli);
	return out;
}
#define ARGUMENTS(err, rc, ...) arguments((const char *const[]){ "call", "f", __VA_ARGS__, NULL }, err, rc)

static void
assert_bytes(struct hb_buf *out, const char *expected, size_t len)
{
	ck_assert_uint_eq(out->len, len);
	ck_assert_mem_eq(out->data, expected, len);
	hb_buf_free(out);
}
#define ASSERT_BYTES(out, bytes) assert_bytes(out, bytes, sizeof bytes - 1)

START_TEST(arguments_are_one_list_in_a_binary)
{
	struct hb_error err;
	struct hb_buf out;
	int rc;

	out = ARGUMENTS(&err, &rc, "--", "-1", "true");
	ck_assert_int_eq(rc, 0);
	ASSERT_BYTES(&out, "m\0\0\0\x17\x83l\0\0\0\x2m\0\0\0\x2-1m\0\0\0\x4true" "j");
	out = ARGUMENTS(&err, &rc, "--json", "-1", "true", "[\"a\"]");
	ck_assert_int_eq(rc, 0);
	ASSERT_BYTES(&out, "m\0\0\0\x1e\x83l\0\0\0\x3\x62\xff\xff\xff\xffw\x4truel\0\0\0\x1m\0\0\0\x1" "ajj");
	out = ARGUMENTS(&err, &rc, "--term", "total");
	ck_assert_int_eq(rc, 0);
	ASSERT_BYTES(&out, "m\0\0\0\xe\x83l\0\0\0\x1w\x5totalj");
	out = arguments((const char *const[]){ "call", "f", NULL }, &err, &rc);
	ck_assert_int_eq(rc, 0);
	ASSERT_BYTES(&out, "m\0\0\0\x2\x83j");
}
END_TEST

START_TEST(wrong_arguments_of_a_call_are_a_wrong_use)
{
	struct hb_error err = { HB_ERROR_NONE };
	struct hb_buf out;
	int rc;

	out = ARGUMENTS(&err, &rc, "-", "-");
	ck_assert_int_eq(rc, -1);
	ck_assert_int_eq(err.kind, HB_ERROR_USAGE);
	ck_assert_str_eq(err.text, "only one argument can be -, standard input");
	hb_buf_free(&out);
	out = ARGUMENTS(&err, &rc, "--int", "1", "x");
	ck_assert_int_eq(rc, -1);
	ck_assert_str_eq(err.text, "'x' is not an integer");
	hb_buf_free(&out);
	out = ARGUMENTS(&err, &rc, "--int", "--json", "1");
	ck_assert_int_eq(rc, -1);
	ck_assert_str_eq(err.text, "--json and --int exclude each other");
	hb_buf_free(&out);
}
END_TEST

START_TEST(a_message_is_always_a_binary_that_holds_its_term)
{
	struct hb_buf out = HB_BUF_INIT;
	struct hb_error err;
	struct cli cli;

	ck_assert_int_eq(PARSE(&cli, &err, "publish", "t", "42", "--int"), 0);
	ck_assert_int_eq(cli_put_message(&cli, &out, cli.args[1], &err), 0);
	ASSERT_BYTES(&out, "m\0\0\0\x3\x83\x61\x2a");
	cli_free(&cli);
}
END_TEST

START_TEST(integers_are_negated_for_decr)
{
	struct hb_buf out = HB_BUF_INIT;
	struct hb_error err;

	ck_assert_int_eq(cli_put_integer(&out, "-9223372036854775808", true, &err), 0);
	ck_assert_mem_eq(out.data, "\x6e\x08\x00\x00\x00\x00\x00\x00\x00\x00\x80", 11);
	hb_buf_clear(&out);
	ck_assert_int_eq(cli_put_integer(&out, "1", true, &err), 0);
	ck_assert_mem_eq(out.data, "\x62\xff\xff\xff\xff", 5);
	hb_buf_free(&out);
}
END_TEST

START_TEST(facts_are_flattened_and_made_readable)
{
	struct hb_buf b = HB_BUF_INIT;
	struct cli_facts facts = { NULL, 0 };
	struct hb_term_reader r;
	struct hb_error err;

	hb_term_put_version(&b);
	hb_term_put_map(&b, 7);
	hb_term_put_str(&b, "uptime_ms");
	hb_term_put_int(&b, 3723000);
	hb_term_put_str(&b, "rss_bytes");
	hb_term_put_int(&b, 18 * 1024 * 1024 + 512 * 1024);
	hb_term_put_str(&b, "file");
	hb_term_put_atom(&b, "undefined");
	hb_term_put_str(&b, "companion");
	hb_term_put_map(&b, 1);
	hb_term_put_str(&b, "pid");
	hb_term_put_int(&b, 12);
	hb_term_put_str(&b, "listen");
	hb_term_put_list(&b, 2);
	hb_term_put_str(&b, "a");
	hb_term_put_str(&b, "b");
	hb_term_put_nil(&b);
	hb_term_put_str(&b, "links");
	hb_term_put_list(&b, 1);
	hb_term_put_map(&b, 1);
	hb_term_put_str(&b, "x");
	hb_term_put_tuple(&b, 0);
	hb_term_put_nil(&b);
	hb_term_put_str(&b, "none");
	hb_term_put_list(&b, 0);
	ck_assert_int_eq(hb_term_open(&r, b.data, b.len, &err), 0);
	ck_assert_int_eq(cli_facts_read(&facts, &r, "", &err), 0);
	ck_assert_str_eq(cli_facts_get(&facts, "uptime_ms"), "1h 2m");
	ck_assert_str_eq(cli_facts_get(&facts, "rss_bytes"), "18.5 MiB");
	ck_assert_str_eq(cli_facts_get(&facts, "file"), "-");
	ck_assert_str_eq(cli_facts_get(&facts, "companion.pid"), "12");
	ck_assert_str_eq(cli_facts_get(&facts, "listen"), "a, b");
	ck_assert_str_eq(cli_facts_get(&facts, "links"), "1");
	ck_assert_str_eq(cli_facts_get(&facts, "none"), "-");
	ck_assert_str_eq(cli_facts_get(&facts, "nobody"), "-");
	cli_facts_free(&facts);
	hb_buf_free(&b);
}
END_TEST

START_TEST(broken_facts_are_refused)
{
	static const unsigned char list[] = { 131, 106 }, cut[] = { 131, 116, 0, 0, 0, 1, 109, 0, 0, 0, 1, 'a' },
		key[] = { 131, 116, 0, 0, 0, 1, 97, 1, 97, 2 };
	static const struct {
		const unsigned char *p;
		size_t len;
	} cases[] = { { list, sizeof list }, { cut, sizeof cut }, { key, sizeof key } };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct cli_facts facts = { NULL, 0 };
		struct hb_term_reader r;
		struct hb_error err;

		ck_assert_int_eq(hb_term_open(&r, cases[i].p, cases[i].len, &err), 0);
		ck_assert_int_eq(cli_facts_read(&facts, &r, "", &err), -1);
		cli_facts_free(&facts);
	}
}
END_TEST

/* A pipe in place of standard output or standard error, for what is printed meanwhile. */
struct capture {
	FILE *stream;
	int saved, fd;
};

static struct capture
capture(FILE *stream)
{
	struct capture c = { stream, dup(fileno(stream)), -1 };
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	fflush(stream);
	ck_assert_int_ge(dup2(fds[1], fileno(stream)), 0);
	close(fds[1]);
	c.fd = fds[0];
	return c;
}

static void
assert_captured(struct capture *c, const char *expected)
{
	char text[16384];
	ssize_t n;

	fflush(c->stream);
	dup2(c->saved, fileno(c->stream));
	close(c->saved);
	n = read(c->fd, text, sizeof text - 1);
	close(c->fd);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	ck_assert_str_eq(text, expected);
}

static void
assert_printed(const struct cli_table *table, const char *expected)
{
	struct capture c = capture(stdout);

	cli_table_print(table);
	assert_captured(&c, expected);
}

START_TEST(tables_align_text_left_and_numbers_right)
{
	static const char *const titles[] = { "NAME", "N", "NOTE" };
	struct cli_table table = CLI_TABLE_INIT(3, titles);
	static const char *const cells[] = { "a", "100", "x", "longer", "7", "-" };

	for (size_t i = 0; i < 6; i++)
		cli_table_add(&table, hb_xstrdup(cells[i]));
	assert_printed(&table, "NAME      N  NOTE\na       100  x\nlonger    7  -\n");
	cli_table_free(&table);
}
END_TEST

/* The outcome of a call, written in Erlang's syntax, and what is printed of it. */
static void
assert_outcome(const char *erlang, const char *option, int status, const char *out, const char *err_text)
{
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	struct capture out_capture, err_capture;
	struct cli cli;
	int got;

	ck_assert_int_eq(PARSE(&cli, &err, "call", "f", option), 0);
	hb_term_put_version(&reply);
	ck_assert_int_eq(hb_term_from_erl(erlang, strlen(erlang), &reply, &err), 0);
	out_capture = capture(stdout);
	err_capture = capture(stderr);
	got = cli_print_outcome(&cli, "shop:total", &reply);
	assert_captured(&err_capture, err_text);
	assert_captured(&out_capture, out);
	ck_assert_int_eq(got, status);
	cli_free(&cli);
	hb_buf_free(&reply);
}

START_TEST(the_value_of_a_call_is_printed_as_others)
{
	assert_outcome("{ok, <<\"two\\nlines\">>}", "-otext", CLI_DONE, "two\nlines\n", "");
	assert_outcome("{ok, <<\"text\">>}", "-oraw", CLI_DONE, "text", "");
	assert_outcome("{ok, <<\"text\">>}", "-ojson", CLI_DONE, "\"text\"\n", "");
	assert_outcome("{ok, {ok, 3}}", "-oterm", CLI_DONE, "{ok,3}\n", "");
	assert_outcome("{ok, 3}", "-otext", CLI_DONE, "3\n", "");
	assert_outcome("{ok, false}", "-otext", CLI_DONE, "false\n", "");
	assert_outcome("{ok, []}", "-otext", CLI_DONE, "[]\n", "");
}
END_TEST

START_TEST(failed_calls_are_told_with_reason_and_stack)
{
	assert_outcome("{error, {not_found, 7}}", "-otext", CLI_REMOTE, "",
	    "hornbeam: shop:total returned {error,{not_found,7}}\n");
	assert_outcome("{error, {not_found, 7}}", "-q", CLI_REMOTE, "", "");
	assert_outcome("{raised, error, {badmatch, #{a => 1}}, <<\"shop:total/1\\n\\n  shop:sum/2\">>}", "-ojson",
	    CLI_REMOTE, "",
	    "hornbeam: shop:total raised error: {badmatch,#{a => 1}}\n  shop:total/1\n    shop:sum/2\n");
	assert_outcome("{raised, exit, normal, <<>>}", "-otext", CLI_REMOTE, "",
	    "hornbeam: shop:total raised exit: normal\n");
	assert_outcome("{raised, throw, a, <<\"exception throw: a\\n  in f/1\">>}", "-otext", CLI_REMOTE, "",
	    "hornbeam: shop:total raised throw: a\n    in f/1\n");
	assert_outcome("{raised, throw, a, <<\"exception throw: ab\">>}", "-otext", CLI_REMOTE, "",
	    "hornbeam: shop:total raised throw: a\n  exception throw: ab\n");
	assert_outcome("{raised, error, {python_error, <<\"ValueError\">>, <<\"no\\ex\">>}, <<>>}", "-otext", CLI_REMOTE,
	    "", "hornbeam: shop:total raised ValueError: no?x\n");
	assert_outcome("{raised, error, badarg, <<\"\\e[2J\\n1\\n2\\n3\\n4\\n5\\n6\\n7\\n8\\n9\\n10\\n11\\n12\">>}", "-otext",
	    CLI_REMOTE, "",
	    "hornbeam: shop:total raised error: badarg\n  ?[2J\n  1\n  2\n  3\n  4\n  5\n  6\n  7\n"
	    "  8\n  9\n  10\n  11\n  ...\n");
}
END_TEST

START_TEST(a_long_reason_is_cut_between_characters)
{
	char erlang[10000] = "{error, <<\"a", expected[8000];
	size_t n = strlen(erlang);

	while (n < 9000)
		n += (size_t)sprintf(erlang + n, "\xc3\xa9");
	strcpy(erlang + n, "\"/utf8>>}");
	n = (size_t)sprintf(expected, "hornbeam: shop:total returned {error,");
	/* <<"a and 1,997 characters of two bytes: one more would make 4,001. */
	n += (size_t)sprintf(expected + n, "<<\"a");
	for (int i = 0; i < 1998; i++)
		n += (size_t)sprintf(expected + n, "\xc3\xa9");
	sprintf(expected + n, " ...}\n");
	assert_outcome(erlang, "-otext", CLI_REMOTE, "", expected);
}
END_TEST

START_TEST(what_is_no_outcome_is_refused)
{
	static const char *const cases[] = { "ok", "{ok}", "{ok, 1, 2}", "{raised, error}", "{raised, error, a, b}",
		"{raised, <<\"error\">>, a, <<>>}", "{1, 2}", "[]" };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct hb_buf reply = HB_BUF_INIT;
		struct hb_error err;
		struct cli cli;

		ck_assert_int_eq(PARSE(&cli, &err, "call", "f", "-q"), 0);
		hb_term_put_version(&reply);
		ck_assert_int_eq(hb_term_from_erl(cases[i], strlen(cases[i]), &reply, &err), 0);
		ck_assert_msg(cli_print_outcome(&cli, "f", &reply) == CLI_REMOTE, "%s", cases[i]);
		cli_free(&cli);
		hb_buf_free(&reply);
	}
}
END_TEST

static int
print_records(const char *erlang, const char *option)
{
	static const struct cli_records records = { 2, { "TOPIC", "N" }, { "topic", "n" } };
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	struct cli cli;
	int status;

	ck_assert_int_eq(PARSE(&cli, &err, "topics", option), 0);
	hb_term_put_version(&reply);
	ck_assert_int_eq(hb_term_from_erl(erlang, strlen(erlang), &reply, &err), 0);
	status = cli_print_records(&cli, &records, &reply);
	cli_free(&cli);
	hb_buf_free(&reply);
	return status;
}

static void
assert_records(const char *erlang, const char *option, const char *expected)
{
	struct capture c = capture(stdout);
	int status = print_records(erlang, option);

	assert_captured(&c, expected);
	ck_assert_int_eq(status, CLI_DONE);
}

START_TEST(records_are_a_table_or_maps)
{
	static const char two[] = "[{<<\"news\">>, 12}, {<<\"a\\nb\">>, 0}]";

	assert_records(two, "-otext", "TOPIC    N\nnews    12\n\"a\\nb\"   0\n");
	assert_records(two, "-ojson", "[{\"topic\":\"news\",\"n\":12},{\"topic\":\"a\\nb\",\"n\":0}]\n");
	assert_records("[{<<\"news\">>, 12}]", "-oterm", "[#{<<\"topic\">> => <<\"news\">>,<<\"n\">> => 12}]\n");
	assert_records("[]", "-otext", "TOPIC  N\n");
	assert_records("[]", "-ojson", "[]\n");
}
END_TEST

START_TEST(what_is_no_record_is_refused)
{
	static const char *const cases[] = { "{}", "[1]", "[{<<\"a\">>}]", "[{<<\"a\">>, 1, 2}]", "[{<<\"a\">>, b}]",
		"[{<<\"a\">>, [1]}]" };

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ck_assert_msg(print_records(cases[i], "-q") == CLI_REMOTE, "%s", cases[i]);
		ck_assert_msg(print_records(cases[i], "-qojson") == CLI_REMOTE, "%s", cases[i]);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("cli");
	TCase *tc = tcase_create("cli");

	tcase_add_test(tc, options_stand_before_and_after_the_command);
	tcase_add_test(tc, dashes_end_options_and_numbers_are_arguments);
	tcase_add_test(tc, the_last_of_an_option_wins);
	tcase_add_test(tc, wrong_arguments_are_told);
	tcase_add_test(tc, every_command_is_found_by_its_words);
	tcase_add_test(tc, integers_are_stored_as_themselves_and_the_rest_as_binaries);
	tcase_add_test(tc, what_is_no_value_is_a_wrong_use);
	tcase_add_test(tc, arguments_are_one_list_in_a_binary);
	tcase_add_test(tc, wrong_arguments_of_a_call_are_a_wrong_use);
	tcase_add_test(tc, a_message_is_always_a_binary_that_holds_its_term);
	tcase_add_test(tc, integers_are_negated_for_decr);
	tcase_add_test(tc, facts_are_flattened_and_made_readable);
	tcase_add_test(tc, broken_facts_are_refused);
	tcase_add_test(tc, tables_align_text_left_and_numbers_right);
	tcase_add_test(tc, the_value_of_a_call_is_printed_as_others);
	tcase_add_test(tc, failed_calls_are_told_with_reason_and_stack);
	tcase_add_test(tc, a_long_reason_is_cut_between_characters);
	tcase_add_test(tc, what_is_no_outcome_is_refused);
	tcase_add_test(tc, records_are_a_table_or_maps);
	tcase_add_test(tc, what_is_no_record_is_refused);
	suite_add_tcase(suite, tc);
	return suite;
}
