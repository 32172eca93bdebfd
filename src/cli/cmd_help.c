/* hornbeam help [COMMAND] */
#include "cli/cli.h"

int
cmd_help(struct cli *cli)
{
	const char *first = cli->nargs > 0 ? cli->args[0] : NULL;
	const char *group = first != NULL && cli_command_is_group(first) ? first : NULL;
	const char *word = group != NULL ? cli->args[1] : first;
	const struct cli_command *command;
	struct hb_error err;

	if (first == NULL) {
		cli_help_all(false);
		return CLI_DONE;
	}
	if (word == NULL) {
		cli_help_group(group, false);
		return CLI_DONE;
	}
	if (group == NULL && cli->nargs > 1)
		return cli_usage(cli, "help: unexpected argument '%s'", cli->args[1]);
	command = cli_command_find(group, word);
	if (command == NULL) {
		(void)cli_unknown_command(group, word, &err);
		return cli_fail(cli, &err);
	}
	cli_help_command(command);
	return CLI_DONE;
}
