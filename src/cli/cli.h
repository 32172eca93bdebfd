/*
 * The command line: what main.c makes of the arguments and every command
 * gets.  A command is a row of the table in commands.c and a function that
 * returns the exit status.
 */
#ifndef HB_CLI_CLI_H
#define HB_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "link/locate.h"

/* The exit status; hornbeam(1) and the contract with scripts. */
enum cli_status {
	CLI_DONE = 0,
	CLI_FALSE = 1, /* no such key, or false */
	CLI_USAGE = 2,
	CLI_CONNECT = 3,
	CLI_DENIED = 4,
	CLI_TIMEOUT = 5,
	CLI_REMOTE = 6, /* the remote side raised */
	CLI_DOWN = 7,   /* the companion is down */
	CLI_SYSTEM = 71, /* EX_OSERR: this process itself failed */
	CLI_TAKEN = 73,  /* EX_CANTCREAT: another hornbeam run is up */
	CLI_OUTPUT = 74 /* EX_IOERR: standard output could not be written */
};

enum cli_form { CLI_TEXT, CLI_JSON, CLI_RAW, CLI_TERM };

struct cli;

struct cli_option {
	const char *name; /* without its "--" */
	char letter;      /* 0: none */
	const char *arg;  /* what it takes, for the help; NULL: a flag */
	const char *help;
};

struct cli_command {
	const char *name; /* "ping", or two words: "state get" */
	const char *args;
	const char *summary;
	const char *details; /* further text for its help; may be NULL */
	int min, max;        /* number of arguments; max -1: any */
	const struct cli_option *options; /* up to one without a name; may be NULL */
	int (*run)(struct cli *cli);
};

struct cli_given {
	const struct cli_option *option;
	const char *value;
};

struct hb_link;

struct cli {
	const struct cli_command *command; /* NULL until one is named */
	const char *group;                 /* the first word of a command of two; NULL: none */
	const char *socket;                /* -s, or where it was found; NULL: not yet */
	char located[HB_LINK_PATH];
	int64_t timeout_ms;
	bool timed; /* by -t */
	int64_t deadline; /* of the whole command, from its first call on; 0: not yet */
	enum cli_form form;
	bool quiet;
	bool help;
	bool version;
	const char **args; /* owned array of borrowed strings, as the next */
	size_t nargs;
	struct cli_given *given;
	size_t ngiven;
	struct hb_link *companion; /* made at the first call, as the next */
	struct hb_link *master;
};

/* commands.c: the table, and a command by its words. */
extern const struct cli_command cli_commands[];
extern const size_t cli_commands_count;
const struct cli_command *cli_command_find(const char *group, const char *word);
bool cli_command_is_group(const char *word);
/* The error for a wrong word, with the nearest command where one is near.  Always -1. */
int cli_unknown_command(const char *group, const char *word, struct hb_error *err);

/* parse.c: arguments to a struct cli; -1 with err for wrong ones. */
extern const struct cli_option cli_general_options[];
int cli_parse(struct cli *cli, int argc, char **argv, struct hb_error *err) HB_WARN_UNUSED;
void cli_free(struct cli *cli);
/* The last value given for an option of the command (a flag: ""); NULL: not given. */
const char *cli_option(const struct cli *cli, const char *name);
static inline bool
cli_flag(const struct cli *cli, const char *name)
{
	return cli_option(cli, name) != NULL;
}

/* report.c: messages on standard error. */
/* `hornbeam: cause` and a hint where one helps; returns the exit status for the kind of error. */
int cli_fail(const struct cli *cli, const struct hb_error *err);
/* Whether the companion answered, and what it could not reach was another node. */
bool cli_is_far(const struct hb_error *err);
/* A message that does not end the command; not with -q. */
void cli_warn(const struct cli *cli, const char *fmt, ...) HB_PRINTF(2, 3);
/* A wrong use: the cause and the command's usage line; returns CLI_USAGE. */
int cli_usage(const struct cli *cli, const char *fmt, ...) HB_PRINTF(2, 3);

/* help.c */
void cli_help_all(bool to_stderr);
void cli_help_group(const char *group, bool to_stderr);
void cli_help_command(const struct cli_command *command);

/* The commands, a file each. */
int cmd_call(struct cli *cli);
int cmd_cast(struct cli *cli);
int cmd_config_check(struct cli *cli);
int cmd_config_show(struct cli *cli);
int cmd_functions(struct cli *cli);
int cmd_help(struct cli *cli);
int cmd_logs_reopen(struct cli *cli);
int cmd_node(struct cli *cli);
int cmd_nodes(struct cli *cli);
int cmd_ping(struct cli *cli);
int cmd_publish(struct cli *cli);
int cmd_reload(struct cli *cli);
int cmd_rpc_call(struct cli *cli);
int cmd_rpc_cast(struct cli *cli);
int cmd_run(struct cli *cli);
int cmd_state_decr(struct cli *cli);
int cmd_state_delete(struct cli *cli);
int cmd_state_exists(struct cli *cli);
int cmd_state_get(struct cli *cli);
int cmd_state_incr(struct cli *cli);
int cmd_state_keys(struct cli *cli);
int cmd_state_set(struct cli *cli);
int cmd_state_ttl(struct cli *cli);
int cmd_status(struct cli *cli);
int cmd_stop(struct cli *cli);
int cmd_subscribe(struct cli *cli);
int cmd_topics(struct cli *cli);
int cmd_workers(struct cli *cli);

#endif
