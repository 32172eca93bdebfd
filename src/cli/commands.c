/*
 * The table of commands.  A new command is one row here, one file, its lines
 * in cli.h and local.mk, and its section in hornbeam(1), which a test compares
 * with this table.
 */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "common/str.h"

static const struct cli_option set_options[] = {
	{ "ttl", 0, "TIME", "the key expires after this time, such as 60s; without it, never" },
	{ "nx", 0, NULL, "only if the key does not exist" },
	{ "xx", 0, NULL, "only if the key exists" },
	{ "json", 0, NULL, "VALUE is JSON; hornbeam-json(7) tells how it holds tuples, atoms and bytes" },
	{ "int", 0, NULL, "VALUE is an integer" },
	{ "float", 0, NULL, "VALUE is a floating-point number" },
	{ "term", 0, NULL, "VALUE is an Erlang term" },
	{ "file", 0, NULL, "VALUE is the name of a file that holds the value" },
	{ NULL },
};

static const struct cli_option message_options[] = {
	{ "json", 0, NULL, "MESSAGE is JSON; hornbeam-json(7) tells how it holds tuples, atoms and bytes" },
	{ "int", 0, NULL, "MESSAGE is an integer" },
	{ "float", 0, NULL, "MESSAGE is a floating-point number" },
	{ "term", 0, NULL, "MESSAGE is an Erlang term" },
	{ "file", 0, NULL, "MESSAGE is the name of a file that holds the message" },
	{ NULL },
};

static const struct cli_option subscribe_options[] = {
	{ "count", 'n', "COUNT", "end after so many messages" },
	{ NULL },
};

static const struct cli_option arg_options[] = {
	{ "json", 0, NULL, "each ARG is a JSON value; hornbeam-json(7) tells how it holds tuples, atoms and bytes" },
	{ "int", 0, NULL, "each ARG is an integer" },
	{ "float", 0, NULL, "each ARG is a floating-point number" },
	{ "term", 0, NULL, "each ARG is an Erlang term" },
	{ "file", 0, NULL, "each ARG is the name of a file that holds the argument" },
	{ NULL },
};

static const struct cli_option keys_options[] = {
	{ "limit", 'n', "N", "at most N keys" },
	{ "null", '0', NULL, "end each key with a zero byte, for xargs -0" },
	{ NULL },
};

static const struct cli_option run_options[] = {
	{ "bind", 'b', "ADDR", "listen there: IPV4:PORT, [IPV6]:PORT or unix:PATH; may be repeated (127.0.0.1:8000)" },
	{ "workers", 'w', "N", "the number of worker processes, or auto (1)" },
	{ "threads", 0, "N", "WSGI calls at once in a worker (4)" },
	{ "python-path", 'p', "DIR", "look for modules there too; may be repeated" },
	{ "venv", 0, "DIR", "the virtual environment of the application" },
	{ "erlang-path", 0, "DIR", "compiled Erlang modules for the companion; may be repeated" },
	{ "reload", 0, NULL, "serve what is saved: reload when a Python source changes" },
	{ "set", 0, "KEY=VALUE", "any key of hornbeam.yaml(5); may be repeated" },
	{ NULL },
};

#define VALUE_TEXT \
	"VALUE is text as it stands; - reads it from standard input. Text that is not UTF-8 is\n" \
	"kept as bytes. --json, --int, --float, --term and --file say otherwise."
#define ARG_TEXT \
	"Each ARG is text as it stands; --json, --int, --float, --term and --file say otherwise,\n" \
	"for all of them. - as an ARG reads it from standard input."
#define NODE_TEXT "NODE is the name of a node; - or local is the companion's own."
#define FORMS "[--json|--int|--float|--term] [--file]"
#define ATOMIC_TEXT "A key that does not exist counts as 0. Prints the new value."

const struct cli_command cli_commands[] = {
	{ "state get", "KEY...", "print the values of keys",
	    "One key: its value. Several: a line \"KEY<TAB>VALUE\" each (-o json, -o term: one map).\n"
	    "Text is printed as it stands, other values as JSON.", 1, -1, NULL, cmd_state_get },
	{ "state set", "KEY VALUE [--ttl TIME] [--nx|--xx] [--json|--int|--float|--term] [--file]",
	    "store a value", VALUE_TEXT, 2, 2, set_options, cmd_state_set },
	{ "state delete", "KEY...", "delete keys", NULL, 1, -1, NULL, cmd_state_delete },
	{ "state incr", "KEY [N]", "add to a counter", ATOMIC_TEXT, 1, 2, NULL, cmd_state_incr },
	{ "state decr", "KEY [N]", "subtract from a counter", ATOMIC_TEXT, 1, 2, NULL, cmd_state_decr },
	{ "state keys", "[PREFIX] [--limit N] [-0]", "list keys in their order", NULL, 0, 1, keys_options,
	    cmd_state_keys },
	{ "state exists", "KEY", "say whether a key exists", NULL, 1, 1, NULL, cmd_state_exists },
	{ "state ttl", "KEY", "print the seconds until a key expires",
	    "Prints never for a key that does not expire.", 1, 1, NULL, cmd_state_ttl },
	{ "publish", "TOPIC MESSAGE " FORMS, "send a message to the subscribers of a topic",
	    "Prints how many subscribers it went to. MESSAGE is text as it stands; - reads it from\n"
	    "standard input. --json, --int, --float, --term and --file say otherwise.", 2, 2, message_options,
	    cmd_publish },
	{ "subscribe", "TOPIC... [-n COUNT]", "print the messages of topics as they come",
	    "A line a message: one topic, the message; several, \"TOPIC<TAB>MESSAGE\"; -o json an object\n"
	    "with topic and message. -t is how long to listen (for ever); it is exit status 5 where\n"
	    "COUNT messages have not come by then. Ctrl-C ends it with status 0.", 1, -1, subscribe_options,
	    cmd_subscribe },
	{ "topics", "", "list the topics that have subscribers", NULL, 0, 0, NULL, cmd_topics },
	{ "call", "NAME [ARG...] " FORMS, "call a registered function",
	    "Prints what the function returns: V of {ok, V}. " ARG_TEXT, 1, -1, arg_options, cmd_call },
	{ "cast", "NAME [ARG...] " FORMS, "start a registered function and do not wait for it",
	    ARG_TEXT, 1, -1, arg_options, cmd_cast },
	{ "functions", "", "list the registered functions", NULL, 0, 0, NULL, cmd_functions },
	{ "rpc call", "NODE MODULE FUNCTION [ARG...] " FORMS,
	    "call a function of an Erlang node", NODE_TEXT "\n" ARG_TEXT, 3, -1, arg_options, cmd_rpc_call },
	{ "rpc cast", "NODE MODULE FUNCTION [ARG...] " FORMS,
	    "start a function of an Erlang node and do not wait for it", NODE_TEXT "\n" ARG_TEXT, 3, -1, arg_options,
	    cmd_rpc_cast },
	{ "node", "", "print the name of the companion's node", NULL, 0, 0, NULL, cmd_node },
	{ "nodes", "", "list the nodes that the companion is connected to", NULL, 0, 0, NULL, cmd_nodes },
	{ "ping", "", "check that hornbeamd and its companion answer", NULL, 0, 0, NULL, cmd_ping },
	{ "status", "", "show the master, the workers and the companion", NULL, 0, 0, NULL, cmd_status },
	{ "workers", "", "list the workers", NULL, 0, 0, NULL, cmd_workers },
	{ "reload", "", "read the configuration and the application again",
	    "Returns when the new workers serve and the old ones finish what they have. Where the\n"
	    "configuration is wrong or a new worker does not start, all stays as it was, and the cause\n"
	    "is printed. -t is the time that the new workers get (5m).", 0, 0, NULL, cmd_reload },
	{ "stop", "", "end the server",
	    "Requests in progress are finished, as long as timeouts.graceful lets them. Returns when the\n"
	    "server has ended. -t is the time to wait for that (5m).", 0, 0, NULL, cmd_stop },
	{ "logs reopen", "", "open the access log again", "After it was moved away, as logrotate does.", 0, 0, NULL,
	    cmd_logs_reopen },
	{ "config check", "[FILE]", "check a configuration",
	    "FILE is " HB_SYSCONFDIR "/hornbeam.yaml unless given; its conf.d is read too.", 0, 1, NULL,
	    cmd_config_check },
	{ "config show", "[FILE]", "print a whole configuration, defaults included",
	    "FILE is " HB_SYSCONFDIR "/hornbeam.yaml unless given; its conf.d is read too.", 0, 1, NULL,
	    cmd_config_show },
	{ "run", "MODULE:CALLABLE [--bind ADDR] [--workers N] [--threads N] [--python-path DIR]\n"
		 "                    [--venv DIR] [--erlang-path DIR] [--reload] [--set KEY=VALUE]",
	    "serve an application from the current directory, in the foreground",
	    "The companion is started with it; hornbeam finds the socket of your own run by itself.\n"
	    "Ctrl-C ends it; a second one does not wait for requests in progress.", 1, 1, run_options, cmd_run },
	{ "help", "[COMMAND]", "explain a command", NULL, 0, 2, NULL, cmd_help },
};

const size_t cli_commands_count = sizeof cli_commands / sizeof *cli_commands;

bool
cli_command_is_group(const char *word)
{
	size_t len = strlen(word);

	for (size_t i = 0; i < cli_commands_count; i++) {
		if (strncmp(cli_commands[i].name, word, len) == 0 && cli_commands[i].name[len] == ' ')
			return true;
	}
	return false;
}

const struct cli_command *
cli_command_find(const char *group, const char *word)
{
	size_t len = group != NULL ? strlen(group) + 1 : 0;

	for (size_t i = 0; i < cli_commands_count; i++) {
		const char *name = cli_commands[i].name;

		if (group != NULL && (strncmp(name, group, len - 1) != 0 || name[len - 1] != ' '))
			continue;
		if (strcmp(name + len, word) == 0)
			return &cli_commands[i];
	}
	return NULL;
}

int
cli_unknown_command(const char *group, const char *word, struct hb_error *err)
{
	char words[64][32];
	const char *names[65];
	const char *before = group != NULL ? group : "", *space = group != NULL ? " " : "";
	size_t skip = group != NULL ? strlen(group) + 1 : 0;
	size_t n = 0;
	const char *near;

	for (size_t i = 0; i < cli_commands_count && n < 64; i++) {
		const char *name = cli_commands[i].name;

		if (group != NULL && (strncmp(name, group, skip - 1) != 0 || name[skip - 1] != ' '))
			continue;
		snprintf(words[n], sizeof words[n], "%.*s", (int)strcspn(name + skip, " "), name + skip);
		names[n] = words[n];
		n++;
	}
	names[n] = NULL;
	near = hb_str_nearest(word, names);
	if (near != NULL)
		return hb_error_set(err, HB_ERROR_USAGE, "unknown command '%s%s%s', did you mean '%s%s%s'?",
		    before, space, word, before, space, near);
	return hb_error_set(err, HB_ERROR_USAGE, "unknown command '%s%s%s'; `hornbeam help` lists them", before,
	    space, word);
}
