/* The command line of hornbeamd. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hornbeamd/options.h"
#include "unit.h"

enum { ARGS_MAX = 10 };

/* Splits words at spaces and parses them as the arguments. */
static int
parse(const char *words, struct hb_options *options, struct hb_error *err)
{
	static char copy[256];
	char *argv[ARGS_MAX + 2] = { copy + sizeof copy - 1 };
	int argc = 1;

	snprintf(copy, sizeof copy, "%s", words);
	for (char *word = strtok(copy, " "); word != NULL && argc <= ARGS_MAX; word = strtok(NULL, " "))
		argv[argc++] = word;
	return hb_options_parse(options, argc, argv, err);
}

START_TEST(without_options_it_runs)
{
	struct hb_options o;
	struct hb_error err;

	ck_assert_int_eq(parse("", &o, &err), 0);
	ck_assert_int_eq(o.action, HB_ACTION_RUN);
	ck_assert_str_eq(o.file, HB_SYSCONFDIR "/hornbeam.yaml");
	ck_assert(!o.file_given);
	ck_assert_uint_eq(o.verbose, 0);
	ck_assert_ptr_null(o.sets[0]);
	ck_assert(!o.attached);
	hb_options_free(&o);
}
END_TEST

START_TEST(every_option_is_taken)
{
	struct hb_options o;
	struct hb_error err;

	ck_assert_int_eq(parse("-c a.yaml --set a=b --set c=d=e --watch --attached -vv --check", &o, &err), 0);
	ck_assert_int_eq(o.action, HB_ACTION_CHECK);
	ck_assert_str_eq(o.file, "a.yaml");
	ck_assert(o.file_given);
	ck_assert_str_eq(o.sets[0], "a=b");
	ck_assert_str_eq(o.sets[1], "c=d=e");
	ck_assert_ptr_null(o.sets[2]);
	ck_assert_uint_eq(o.verbose, 2);
	ck_assert(o.watch);
	ck_assert(o.attached);
	hb_options_free(&o);
}
END_TEST

static const struct {
	const char *words;
	enum hb_options_action action;
	enum hb_config_form form;
} actions[] = {
	{ "--check", HB_ACTION_CHECK, HB_CONFIG_YAML },
	{ "--print-config", HB_ACTION_PRINT_CONFIG, HB_CONFIG_YAML },
	{ "--print-config=yaml", HB_ACTION_PRINT_CONFIG, HB_CONFIG_YAML },
	{ "--print-config=json", HB_ACTION_PRINT_CONFIG, HB_CONFIG_JSON },
	{ "-V", HB_ACTION_VERSION, HB_CONFIG_YAML },
	{ "--version", HB_ACTION_VERSION, HB_CONFIG_YAML },
	{ "-h", HB_ACTION_HELP, HB_CONFIG_YAML },
	{ "--help --nonsense", HB_ACTION_HELP, HB_CONFIG_YAML },
	{ "--worker 0", HB_ACTION_WORKER, HB_CONFIG_YAML },
	{ "--worker 1023", HB_ACTION_WORKER, HB_CONFIG_YAML },
};

START_TEST(option_chooses_the_action)
{
	struct hb_options o;
	struct hb_error err;

	ck_assert_int_eq(parse(actions[_i].words, &o, &err), 0);
	ck_assert_int_eq(o.action, actions[_i].action);
	ck_assert_int_eq(o.form, actions[_i].form);
	if (o.action == HB_ACTION_WORKER)
		ck_assert_uint_eq(o.worker, (unsigned)atoi(actions[_i].words + strlen("--worker ")));
	hb_options_free(&o);
}
END_TEST

static const struct {
	const char *words;
	const char *text;
} complaints[] = {
	{ "-x", "unknown option -x" },
	{ "-vx", "unknown option -x" },
	{ "-v --chekc", "unknown option --chekc; did you mean --check?" },
	{ "--chekc=1", "unknown option --chekc; did you mean --check?" },
	{ "--workerx 1", "unknown option --workerx" },
	{ "--nonsense", "unknown option --nonsense" },
	{ "--check=yes", "the option --check takes no argument" },
	{ "--verbose=yes", "the option --verbose takes no argument" },
	{ "-c", "the option -c needs an argument" },
	{ "--set", "the option --set needs an argument" },
	{ "--set workers", "--set needs KEY=VALUE, not workers" },
	{ "--set =1", "--set needs KEY=VALUE, not =1" },
	{ "--print-config=xml", "--print-config prints yaml or json, not xml" },
	{ "--worker x", "--worker needs an index below 1024, not x" },
	{ "--slot 4096", "--slot needs a number below 4096, not 4096" },
	{ "--slot -1", "--slot needs a number below 4096, not -1" },
	{ "--worker 1024", "--worker needs an index below 1024, not 1024" },
	{ "start", "unexpected argument start" },
	{ "-v start --check", "unexpected argument start" },
};

START_TEST(wrong_use_is_explained)
{
	struct hb_options o;
	struct hb_error err;

	ck_assert_int_eq(parse(complaints[_i].words, &o, &err), -1);
	ck_assert_str_eq(err.text, complaints[_i].text);
	ck_assert_int_eq(err.kind, HB_ERROR_USAGE);
}
END_TEST

START_TEST(missing_file_is_passed_over_only_if_it_is_the_default)
{
	struct hb_options o = { .file = "/nonexistent/hornbeam.yaml" };
	struct hb_config_source source;

	hb_options_source(&o, NULL, &source);
	ck_assert_ptr_null(source.file);
	o.file_given = true;
	hb_options_source(&o, NULL, &source);
	ck_assert_str_eq(source.file, "/nonexistent/hornbeam.yaml");
	o.file_given = false;
	o.file = "/";
	hb_options_source(&o, NULL, &source);
	ck_assert_str_eq(source.file, "/");
	ck_assert(source.conf_d);
}
END_TEST

START_TEST(usage_names_every_option)
{
	static const char *const options[] = { "-c FILE", "--check", "--print-config[=json]", "--set KEY=VALUE", "[-v]",
		"[-V]", "[-h]" };
	struct hb_buf text = HB_BUF_INIT;

	hb_options_usage(&text);
	hb_buf_add_u8(&text, '\0');
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		ck_assert_ptr_nonnull(strstr((const char *)text.data, options[i]));
	ck_assert_ptr_null(strstr((const char *)text.data, "--worker"));
	ck_assert_ptr_null(strstr((const char *)text.data, "--slot"));
	hb_buf_free(&text);
}
END_TEST

#define LENGTH(a) (int)(sizeof(a) / sizeof((a)[0]))

Suite *
unit_suite(void)
{
	Suite *s = suite_create("options");
	TCase *t = tcase_create("options");

	tcase_add_test(t, without_options_it_runs);
	tcase_add_test(t, every_option_is_taken);
	tcase_add_loop_test(t, option_chooses_the_action, 0, LENGTH(actions));
	tcase_add_loop_test(t, wrong_use_is_explained, 0, LENGTH(complaints));
	tcase_add_test(t, missing_file_is_passed_over_only_if_it_is_the_default);
	tcase_add_test(t, usage_names_every_option);
	suite_add_tcase(s, t);
	return s;
}
