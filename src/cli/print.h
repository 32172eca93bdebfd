/* What commands print, in the form that -o asks for. */
#ifndef HB_CLI_PRINT_H
#define HB_CLI_PRINT_H

#include "cli/cli.h"
#include "common/buf.h"

/* Appends a name for people: one with control characters as a JSON string, so that it stays on its line. */
void cli_add_name(struct hb_buf *out, const void *name, size_t len);

/*
 * Prints one term (external format, 131 in front): as text a string as it
 * stands, an integer as its digits and anything else as JSON; raw the same
 * to the byte, without the newline at the end.  Returns status, or that of the failure.
 */
int cli_print_term(struct cli *cli, const void *term, size_t len, int status);
/* A whole reply, with CLI_DONE. */
int cli_print_reply(struct cli *cli, const struct hb_buf *reply);
/* A reply that is a list of binaries: each with this end behind it, in JSON and Erlang's syntax as one list. */
int cli_print_names(struct cli *cli, const struct hb_buf *reply, char end);
/* true with CLI_DONE, or false with CLI_FALSE. */
int cli_print_bool(struct cli *cli, bool yes);
/*
 * One of several: "KEY<TAB>VALUE", or VALUE where key is NULL; a key or a
 * string with control characters is written as JSON, so that each stays on
 * its line; raw the value's bytes alone.
 */
int cli_print_row(struct cli *cli, const char *key, size_t key_len, const void *term, size_t len);
/* Says that a key does not exist; CLI_FALSE. */
int cli_missing(struct cli *cli, const char *key);

#endif
