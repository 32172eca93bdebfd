/* A reply that is a list of tuples of texts and counts: a table for people, maps for programs. */
#ifndef HB_CLI_RECORDS_H
#define HB_CLI_RECORDS_H

#include "cli/cli.h"
#include "common/buf.h"

enum { CLI_RECORDS_MAX = 4 };

struct cli_records {
	size_t columns;
	const char *titles[CLI_RECORDS_MAX]; /* of the table */
	const char *names[CLI_RECORDS_MAX];  /* the keys of the maps */
};

/* Prints the reply in the form asked for; returns the exit status. */
int cli_print_records(struct cli *cli, const struct cli_records *records, const struct hb_buf *reply);

#endif
