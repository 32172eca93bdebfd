/* A table for people: columns as wide as their widest cell. */
#ifndef HB_CLI_TABLE_H
#define HB_CLI_TABLE_H

#include <stddef.h>

struct cli_table {
	size_t columns;
	const char *const *titles; /* borrowed; NULL: no line of titles */
	char **cells;
	size_t count, cap;
};

#define CLI_TABLE_INIT(n, titles) { n, titles, NULL, 0, 0 }

/* The next cell, from left to right and line by line; takes the text. */
void cli_table_add(struct cli_table *table, char *owned);
/* Prints to standard output; cells that look like numbers stand to the right. */
void cli_table_print(const struct cli_table *table);
void cli_table_free(struct cli_table *table);

#endif
