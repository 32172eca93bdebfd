/* Messages on standard error, and the exit status that goes with a failure. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void
say(const char *fmt, va_list ap) HB_PRINTF(1, 0);

static void
say(const char *fmt, va_list ap)
{
	fputs("hornbeam: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

static void
hint(const char *text)
{
	fprintf(stderr, "hornbeam: hint: %s\n", text);
}

static void
usage_line(const struct cli_command *command)
{
	fprintf(stderr, "usage: hornbeam %s%s%s\n", command->name, command->args[0] != '\0' ? " " : "",
	    command->args);
}

/* The exit status for a kind of error. */
static int
status_of(const struct hb_error *err)
{
	switch (err->kind) {
	case HB_ERROR_NONE:
		return CLI_DONE;
	case HB_ERROR_USAGE:
		return CLI_USAGE;
	case HB_ERROR_CONNECT:
		return err->saved_errno == EACCES || err->saved_errno == EPERM ? CLI_DENIED : CLI_CONNECT;
	case HB_ERROR_VERSION:
		return CLI_CONNECT;
	case HB_ERROR_PERMISSION:
		return CLI_DENIED;
	case HB_ERROR_TIMEOUT:
	case HB_ERROR_INTERRUPT:
		return CLI_TIMEOUT;
	case HB_ERROR_DOWN:
		return CLI_DOWN;
	case HB_ERROR_CONFIG:
	case HB_ERROR_MISSING:
		return CLI_FALSE;
	case HB_ERROR_SYSTEM:
	case HB_ERROR_MEMORY:
		return CLI_SYSTEM;
	case HB_ERROR_BIND:
		return CLI_TAKEN;
	case HB_ERROR_PROTOCOL:
	case HB_ERROR_TYPE:
	case HB_ERROR_VALUE:
	case HB_ERROR_LIMIT:
	case HB_ERROR_REMOTE:
	case HB_ERROR_APPLICATION:
		return CLI_REMOTE;
	}
	return CLI_REMOTE;
}

bool
cli_is_far(const struct hb_error *err)
{
	return err->kind == HB_ERROR_CONNECT && err->saved_errno == EHOSTUNREACH;
}

/* The system's refusal, or hornbeamd's; the companion's (rpc.allow) is not mended by membership of a group. */
static bool
is_about_the_socket(const struct hb_error *err)
{
	return err->saved_errno != 0 || strstr(err->text, "control.group") != NULL;
}

int
cli_fail(const struct cli *cli, const struct hb_error *err)
{
	int status = status_of(err);

	if (cli->quiet && status != CLI_USAGE)
		return status;
	fprintf(stderr, "hornbeam: %s\n", err->text);
	switch (status) {
	case CLI_USAGE:
		if (cli->command != NULL)
			usage_line(cli->command);
		break;
	case CLI_CONNECT:
		if (cli_is_far(err))
			hint("`hornbeam nodes` lists the nodes that are connected");
		else if (err->kind == HB_ERROR_CONNECT)
			hint("is hornbeamd running? `hornbeam run` starts one of your own, -s names another socket");
		break;
	case CLI_DENIED:
		if (is_about_the_socket(err))
			hint("members of the group hornbeam may use the command line; see `id`");
		break;
	case CLI_DOWN:
		hint("hornbeamd starts the companion again; `hornbeam status` and the log tell more");
		break;
	default:
		break;
	}
	return status;
}

void
cli_warn(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	if (cli->quiet)
		return;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

int
cli_usage(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	if (cli->command != NULL)
		usage_line(cli->command);
	return CLI_USAGE;
}
