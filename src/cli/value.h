/* A VALUE of the command line, made into what the companion stores. */
#ifndef HB_CLI_VALUE_H
#define HB_CLI_VALUE_H

#include "cli/cli.h"
#include "common/buf.h"

/*
 * Appends a stored value to a request: an integer as itself, anything else
 * as a binary that holds its term.  The command's options --json, --int,
 * --float, --term and --file say what arg is; "-" is standard input.
 */
int cli_put_value(struct cli *cli, struct hb_buf *request, const char *arg, struct hb_error *err) HB_WARN_UNUSED;
/* Appends a binary that holds the term of arg, by the same options: how messages and arguments travel. */
int cli_put_message(struct cli *cli, struct hb_buf *request, const char *arg, struct hb_error *err) HB_WARN_UNUSED;
/* Appends a binary that holds the list of the command's arguments from the first one on, each by the same options. */
int cli_put_arguments(struct cli *cli, struct hb_buf *request, size_t first, struct hb_error *err) HB_WARN_UNUSED;
/* Appends a decimal integer of any size, negated if asked. */
int cli_put_integer(struct hb_buf *request, const char *text, bool negate, struct hb_error *err) HB_WARN_UNUSED;

#endif
