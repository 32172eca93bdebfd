/* Tables: see table.h. */
#include "cli/table.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"

enum { GAP = 2 };

void
cli_table_add(struct cli_table *table, char *owned)
{
	if (table->count == table->cap) {
		table->cap = table->cap == 0 ? 64 : 2 * table->cap;
		table->cells = hb_xrealloc(table->cells, table->cap * sizeof *table->cells);
	}
	table->cells[table->count++] = owned;
}

static size_t
width(const struct cli_table *table, size_t column)
{
	size_t widest = table->titles != NULL ? strlen(table->titles[column]) : 0;

	for (size_t i = column; i < table->count; i += table->columns) {
		size_t len = strlen(table->cells[i]);

		widest = len > widest ? len : widest;
	}
	return widest;
}

/* Whether a column stands to the right: where all of its cells start with a digit. */
static bool
is_number(const struct cli_table *table, size_t column)
{
	if (table->titles == NULL)
		return false;
	for (size_t i = column; i < table->count; i += table->columns) {
		const char *cell = table->cells[i];

		if (!isdigit((unsigned char)cell[0]) && strcmp(cell, "-") != 0)
			return false;
	}
	return true;
}

static void
print_line(const struct cli_table *table, const char *const *cells)
{
	for (size_t i = 0; i < table->columns; i++) {
		int w = (int)width(table, i);
		bool last = i + 1 == table->columns;

		if (is_number(table, i))
			printf("%*s", w, cells[i]);
		else
			printf("%-*s", last ? 0 : w, cells[i]);
		printf("%*s", last ? 0 : GAP, "");
	}
	putchar('\n');
}

void
cli_table_print(const struct cli_table *table)
{
	if (table->titles != NULL)
		print_line(table, table->titles);
	for (size_t i = 0; i + table->columns <= table->count; i += table->columns)
		print_line(table, (const char *const *)&table->cells[i]);
}

void
cli_table_free(struct cli_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		free(table->cells[i]);
	free(table->cells);
	table->cells = NULL;
	table->count = table->cap = 0;
}
