/*
 * hornbeam: the command line.  Parses the arguments, runs one command and
 * makes sure that what it printed was written.
 */
#include "cli/cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "link/client.h"

static int
run(struct cli *cli)
{
	if (cli->version) {
		puts("hornbeam " PACKAGE_VERSION);
		return CLI_DONE;
	}
	if (cli->help) {
		if (cli->command != NULL)
			cli_help_command(cli->command);
		else if (cli->group != NULL)
			cli_help_group(cli->group, false);
		else
			cli_help_all(false);
		return CLI_DONE;
	}
	if (cli->command != NULL)
		return cli->command->run(cli);
	if (cli->group != NULL)
		cli_help_group(cli->group, true);
	else
		cli_help_all(true);
	return CLI_USAGE;
}

/* A full disk must not look like success. */
static int
close_output(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "hornbeam: cannot write to standard output: %s\n", strerror(errno));
	return CLI_OUTPUT;
}

int
main(int argc, char **argv)
{
	struct hb_error err;
	struct cli cli;
	int status;

	/* A reader that has enough, such as head(1), ends the command without a word. */
	signal(SIGPIPE, SIG_DFL);
	if (cli_parse(&cli, argc, argv, &err) == 0)
		status = run(&cli);
	else
		status = cli_fail(&cli, &err);
	hb_link_free(cli.companion);
	hb_link_free(cli.master);
	cli_free(&cli);
	return close_output(status);
}
