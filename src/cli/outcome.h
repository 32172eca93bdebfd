/* What came of a call of somebody's code: its value, or how it failed. */
#ifndef HB_CLI_OUTCOME_H
#define HB_CLI_OUTCOME_H

#include "cli/cli.h"
#include "common/buf.h"

/*
 * Prints the value of {ok, Value}; says on standard error what {error,
 * Reason} and {raised, Class, Reason, Stack} hold, with CLI_REMOTE.  what is
 * the function's name, for the message; the reply is used up.
 */
int cli_print_outcome(struct cli *cli, const char *what, struct hb_buf *reply);

#endif
