/* The help texts, all from the table of commands. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static void
print_options(FILE *out, const struct cli_option *options)
{
	for (const struct cli_option *o = options; o != NULL && o->name != NULL; o++) {
		char left[40];

		if (o->letter != 0)
			snprintf(left, sizeof left, "-%c, --%s%s%s", o->letter, o->name, o->arg != NULL ? " " : "",
			    o->arg != NULL ? o->arg : "");
		else
			snprintf(left, sizeof left, "    --%s%s%s", o->name, o->arg != NULL ? " " : "",
			    o->arg != NULL ? o->arg : "");
		fprintf(out, "  %-24s %s\n", left, o->help);
	}
}

static void
print_row(FILE *out, const struct cli_command *command)
{
	fprintf(out, "  %-14s %s\n", command->name, command->summary);
}

void
cli_help_all(bool to_stderr)
{
	FILE *out = to_stderr ? stderr : stdout;

	fputs("usage: hornbeam [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:\n", out);
	for (size_t i = 0; i < cli_commands_count; i++)
		print_row(out, &cli_commands[i]);
	fputs("\nOptions of every command, before or after it:\n", out);
	print_options(out, cli_general_options);
	fputs("\n`hornbeam help COMMAND` explains one; hornbeam(1) is the manual.\n", out);
}

void
cli_help_group(const char *group, bool to_stderr)
{
	FILE *out = to_stderr ? stderr : stdout;
	size_t len = strlen(group);

	fprintf(out, "usage: hornbeam %s COMMAND [ARGUMENT...]\n\nCommands:\n", group);
	for (size_t i = 0; i < cli_commands_count; i++) {
		const struct cli_command *command = &cli_commands[i];

		if (strncmp(command->name, group, len) == 0 && command->name[len] == ' ')
			print_row(out, command);
	}
}

void
cli_help_command(const struct cli_command *command)
{
	printf("usage: hornbeam %s%s%s\n\n", command->name, command->args[0] != '\0' ? " " : "", command->args);
	printf("  %s\n", command->summary);
	if (command->details != NULL)
		printf("\n%s\n", command->details);
	if (command->options != NULL) {
		puts("\nOptions:");
		print_options(stdout, command->options);
	}
	puts("\nOptions of every command:");
	print_options(stdout, cli_general_options);
}
