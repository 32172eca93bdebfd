/* The command line of hornbeamd. */
#ifndef HB_HORNBEAMD_OPTIONS_H
#define HB_HORNBEAMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"
#include "config/config.h"

enum hb_options_action {
	HB_ACTION_RUN,
	HB_ACTION_CHECK,
	HB_ACTION_PRINT_CONFIG,
	HB_ACTION_WORKER, /* internal: hornbeamd executes itself */
	HB_ACTION_VERSION,
	HB_ACTION_HELP
};

struct hb_options {
	enum hb_options_action action;
	const char *file;      /* of -c, or the default */
	bool file_given;       /* by -c: then it must be there */
	enum hb_config_form form;
	const char **sets;     /* of --set, NULL at the end; the strings belong to argv */
	unsigned verbose;      /* how many -v */
	unsigned worker;       /* the index, for HB_ACTION_WORKER */
	unsigned slot;         /* of its counters */
	bool watch;            /* --watch */
	bool attached;         /* --attached */
};

/* Parses argv (which getopt may permute).  -1 with HB_ERROR_USAGE and a message in err. */
int hb_options_parse(struct hb_options *options, int argc, char **argv, struct hb_error *err) HB_WARN_UNUSED;
void hb_options_free(struct hb_options *options);

/*
 * What to load for these options.  source->file is NULL when -c was not given
 * and there is no default file: only defaults, variables and --set apply.
 */
void hb_options_source(const struct hb_options *options, char *const *environ, struct hb_config_source *source);

/* Loads it, as -v changes it; *file is where it came from, or NULL.  Returns owned, or NULL with err. */
struct hb_config *hb_options_load(const struct hb_options *options, const char **file,
    struct hb_error *err) HB_WARN_UNUSED;

/* The text of -h. */
void hb_options_usage(struct hb_buf *out);

#endif
