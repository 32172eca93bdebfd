/*
 * What is being read and where it stands: the place in front of an error's
 * cause, and the directory that relative paths start from.
 */
#ifndef HB_CONFIG_READER_H
#define HB_CONFIG_READER_H

#include <stdbool.h>

#include "common/error.h"
#include "config/yaml.h"

struct hb_config_reader {
	const char *name; /* FILE, "--set KEY" or a variable's name */
	bool lines;       /* whether name has lines */
	const char *base; /* NULL: relative paths stay as they stand */
	char key[128];    /* "limits.header", "apps[1].mount"; "" at the top */
	struct hb_error *err;
};

/* Sets `NAME:LINE: KEY: cause` (without the parts that there are none of).  Always returns -1. */
int hb_config_fail(const struct hb_config_reader *r, unsigned line, const char *fmt, ...) HB_PRINTF(3, 4);
/* The same for a value of the wrong type or shape: "expected X, found Y". */
int hb_config_expected(const struct hb_config_reader *r, const struct hb_yaml_node *node, const char *what);
/* A text of the user's in quotes for a message, cut to what a line can hold. */
#define HB_CONFIG_QUOTED 72
const char *hb_config_quote(const char *text, char out[HB_CONFIG_QUOTED]);

#endif
