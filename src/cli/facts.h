/*
 * What status replies say: maps of names to simple values, flattened to
 * "a.b.c" and made into text for people (durations, sizes).
 */
#ifndef HB_CLI_FACTS_H
#define HB_CLI_FACTS_H

#include <stddef.h>

#include "common/error.h"
#include "term/term.h"

struct cli_fact {
	char *name; /* "companion.uptime_ms" */
	char *text; /* "3m 20s" */
};

struct cli_facts {
	struct cli_fact *v;
	size_t n;
};

/* Adds what the map at the reader holds, with before ("" or "x.") in front of every name. */
int cli_facts_read(struct cli_facts *facts, struct hb_term_reader *r, const char *before,
    struct hb_error *err) HB_WARN_UNUSED;
/* The text of a fact, or "-" where there is none. */
const char *cli_facts_get(const struct cli_facts *facts, const char *name);
void cli_facts_free(struct cli_facts *facts);

#endif
