/*
 * The arguments of the command line.  Options may stand before and after the
 * command and between its arguments; "--" ends them; "-" and what looks
 * like a negative number are arguments.
 */
#include "cli/cli.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "config/units.h"

const struct cli_option cli_general_options[] = {
	{ "socket", 's', "PATH", "the control socket" },
	{ "timeout", 't', "TIME", "how long the command may take, such as 500ms or 1m (5s)" },
	{ "output", 'o', "FORM", "text, json, raw or term (text)" },
	{ "quiet", 'q', NULL, "no messages on standard error: the exit status tells" },
	{ "help", 'h', NULL, "explain the command" },
	{ "version", 'V', NULL, "print the version" },
	{ NULL },
};

static int
parse_form(const char *value, enum cli_form *form, struct hb_error *err)
{
	static const char *const names[] = { "text", "json", "raw", "term", NULL };

	for (size_t i = 0; names[i] != NULL; i++) {
		if (strcmp(names[i], value) == 0) {
			*form = (enum cli_form)i;
			return 0;
		}
	}
	return hb_error_set(err, HB_ERROR_USAGE, "-o takes text, json, raw or term, not '%s'", value);
}

static int
take_general(struct cli *cli, const struct cli_option *option, const char *value, struct hb_error *err)
{
	switch (option->letter) {
	case 's':
		if (*value == '\0')
			return hb_error_set(err, HB_ERROR_USAGE, "-s takes the path of a socket, not ''");
		cli->socket = value;
		return 0;
	case 't':
		if (!hb_units_duration(value, &cli->timeout_ms) || cli->timeout_ms <= 0)
			return hb_error_set(err, HB_ERROR_USAGE,
			    "-t takes a time such as 500ms, 5s or 1m, not '%s'", value);
		cli->timed = true;
		return 0;
	case 'o':
		return parse_form(value, &cli->form, err);
	case 'q':
		cli->quiet = true;
		return 0;
	case 'h':
		cli->help = true;
		return 0;
	default:
		cli->version = true;
		return 0;
	}
}

static int
take(struct cli *cli, const struct cli_option *option, const char *value, struct hb_error *err)
{
	bool general = false;

	for (const struct cli_option *o = cli_general_options; o->name != NULL; o++)
		general = general || o == option;
	if (general)
		return take_general(cli, option, value, err);
	cli->given[cli->ngiven++] = (struct cli_given){ option, value };
	return 0;
}

/* By letter, or by a name of len bytes; the command's own come first. */
static const struct cli_option *
find(const struct cli *cli, char letter, const char *name, size_t len)
{
	const struct cli_option *tables[] = { cli->command != NULL ? cli->command->options : NULL,
		cli_general_options };

	for (size_t i = 0; i < 2; i++) {
		for (const struct cli_option *o = tables[i]; o != NULL && o->name != NULL; o++) {
			if (name != NULL ? strlen(o->name) == len && memcmp(o->name, name, len) == 0
			                 : o->letter == letter)
				return o;
		}
	}
	return NULL;
}

static int
unknown_option(const struct cli *cli, const char *arg, struct hb_error *err)
{
	const char *names[64];
	const struct cli_option *tables[] = { cli->command != NULL ? cli->command->options : NULL,
		cli_general_options };
	const char *near;
	size_t n = 0;

	for (size_t i = 0; i < 2; i++) {
		for (const struct cli_option *o = tables[i]; o != NULL && o->name != NULL && n < 63; o++)
			names[n++] = o->name;
	}
	names[n] = NULL;
	near = strncmp(arg, "--", 2) == 0 ? hb_str_nearest(arg + 2, names) : NULL;
	if (near != NULL)
		return hb_error_set(err, HB_ERROR_USAGE, "unknown option %s, did you mean --%s?", arg, near);
	return hb_error_set(err, HB_ERROR_USAGE, "unknown option %s (-- goes before an argument that starts with -)",
	    arg);
}

/* --name, --name=value, or --name value with the value in next; *used says that it was taken. */
static int
parse_long(struct cli *cli, const char *arg, const char *next, bool *used, struct hb_error *err)
{
	const char *name = arg + 2, *equals = strchr(name, '=');
	size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
	const struct cli_option *option = find(cli, 0, name, len);

	if (option == NULL)
		return unknown_option(cli, arg, err);
	if (option->arg == NULL) {
		if (equals != NULL)
			return hb_error_set(err, HB_ERROR_USAGE, "--%s takes no value", option->name);
		return take(cli, option, "", err);
	}
	if (equals != NULL)
		return take(cli, option, equals + 1, err);
	if (next == NULL)
		return hb_error_set(err, HB_ERROR_USAGE, "--%s takes %s", option->name, option->arg);
	*used = true;
	return take(cli, option, next, err);
}

/* -x, -xVALUE, -x VALUE, or several flags in one: -q0. */
static int
parse_short(struct cli *cli, const char *arg, const char *next, bool *used, struct hb_error *err)
{
	for (const char *p = arg + 1; *p != '\0'; p++) {
		const struct cli_option *option = find(cli, *p, NULL, 0);

		if (option == NULL)
			return unknown_option(cli, arg, err);
		if (option->arg == NULL) {
			if (take(cli, option, "", err) != 0)
				return -1;
			continue;
		}
		if (p[1] != '\0')
			return take(cli, option, p + 1, err);
		if (next == NULL)
			return hb_error_set(err, HB_ERROR_USAGE, "-%c takes %s", option->letter, option->arg);
		*used = true;
		return take(cli, option, next, err);
	}
	return 0;
}

static int
take_word(struct cli *cli, const char *word, struct hb_error *err)
{
	if (cli->command != NULL) {
		cli->args[cli->nargs++] = word;
		return 0;
	}
	if (cli->group == NULL && cli_command_is_group(word)) {
		cli->group = word;
		return 0;
	}
	cli->command = cli_command_find(cli->group, word);
	if (cli->command != NULL)
		return 0;
	return cli_unknown_command(cli->group, word, err);
}

static bool
is_option(const struct cli *cli, const char *arg)
{
	if (arg[0] != '-' || arg[1] == '\0')
		return false;
	if (isdigit((unsigned char)arg[1]) || (arg[1] == '.' && isdigit((unsigned char)arg[2])))
		return find(cli, arg[1], NULL, 0) != NULL;
	return true;
}

static int
check_count(const struct cli *cli, struct hb_error *err)
{
	const struct cli_command *command = cli->command;
	const char *optional = strstr(command->args, " [");

	if (cli->nargs < (size_t)command->min)
		return hb_error_set(err, HB_ERROR_USAGE, "%s needs %.*s", command->name,
		    (int)(optional != NULL ? (size_t)(optional - command->args) : strlen(command->args)), command->args);
	if (command->max >= 0 && cli->nargs > (size_t)command->max)
		return hb_error_set(err, HB_ERROR_USAGE, "%s: unexpected argument '%s'", command->name,
		    cli->args[command->max]);
	return 0;
}

int
cli_parse(struct cli *cli, int argc, char **argv, struct hb_error *err)
{
	bool words_only = false;

	*cli = (struct cli){ .timeout_ms = 5000 };
	cli->args = hb_xcalloc((size_t)argc + 1, sizeof *cli->args);
	/* A cluster such as -q0 gives at most one option a byte. */
	size_t most = 0;
	for (int i = 1; i < argc; i++)
		most += strlen(argv[i]) + 1;
	cli->given = hb_xcalloc(most + 1, sizeof *cli->given);
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;
		bool used = false;
		int rc;

		if (words_only || !is_option(cli, arg)) {
			rc = take_word(cli, arg, err);
		} else if (strcmp(arg, "--") == 0) {
			words_only = true;
			continue;
		} else if (arg[1] == '-') {
			rc = parse_long(cli, arg, next, &used, err);
		} else {
			rc = parse_short(cli, arg, next, &used, err);
		}
		if (rc != 0)
			return -1;
		if (used)
			i++;
	}
	return cli->command == NULL || cli->help ? 0 : check_count(cli, err);
}

void
cli_free(struct cli *cli)
{
	free(cli->args);
	free(cli->given);
	cli->args = NULL;
	cli->given = NULL;
}

const char *
cli_option(const struct cli *cli, const char *name)
{
	for (size_t i = cli->ngiven; i > 0; i--) {
		if (strcmp(cli->given[i - 1].option->name, name) == 0)
			return cli->given[i - 1].value;
	}
	return NULL;
}
