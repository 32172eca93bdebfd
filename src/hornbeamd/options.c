/* The command line of hornbeamd: see options.h. */
#include "hornbeamd/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/str.h"
#include "config/units.h"
#include "worker/worker.h"

#define DEFAULT_FILE HB_SYSCONFDIR "/hornbeam.yaml"

enum { OPT_CHECK = 256, OPT_PRINT_CONFIG, OPT_SET, OPT_WATCH, OPT_ATTACHED, OPT_WORKER, OPT_SLOT };

static const struct option longs[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "print-config", optional_argument, NULL, OPT_PRINT_CONFIG },
	{ "set", required_argument, NULL, OPT_SET },
	{ "watch", no_argument, NULL, OPT_WATCH },
	{ "attached", no_argument, NULL, OPT_ATTACHED },
	{ "worker", required_argument, NULL, OPT_WORKER },
	{ "slot", required_argument, NULL, OPT_SLOT },
	{ "verbose", no_argument, NULL, 'v' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL }
};

static const char usage[] =
    "usage: hornbeamd [-c FILE] [--check] [--print-config[=json]] [--set KEY=VALUE] [--watch]\n"
    "                 [--attached] [-v] [-V] [-h]\n"
    "\n"
    "Serves Python web applications; runs in the foreground and logs to standard error.\n"
    "\n"
    "  -c, --config FILE      read FILE instead of " DEFAULT_FILE "\n"
    "      --check            check the configuration and exit\n"
    "      --print-config     print the whole configuration as YAML and exit; =json: as JSON\n"
    "      --set KEY=VALUE    set one key, such as workers=2 or limits.body=1G\n"
    "      --watch            reload when a source of the application is saved\n"
    "      --attached         the companion is the Erlang node that starts this\n"
    "  -v, --verbose          log more\n"
    "  -V, --version          print the version and exit\n"
    "  -h, --help             print this text and exit\n"
    "\n"
    "See hornbeamd(8) and hornbeam.yaml(5).\n";

static int
unknown_option(const char *arg, struct hb_error *err)
{
	const char *names[sizeof longs / sizeof longs[0]];
	const char *near;
	char *name;
	size_t n = 0;

	if (strncmp(arg, "--", 2) != 0) {
		char letter[2] = { (char)optopt, '\0' };

		return hb_error_set(err, HB_ERROR_USAGE, "unknown option -%s", letter);
	}
	for (size_t i = 0; longs[i].name != NULL; i++) {
		if (longs[i].val != OPT_WORKER && longs[i].val != OPT_SLOT)
			names[n++] = longs[i].name;
	}
	names[n] = NULL;
	name = hb_xstrndup(arg + 2, strcspn(arg + 2, "="));
	near = hb_str_nearest(name, names);
	if (near != NULL)
		hb_error_set(err, HB_ERROR_USAGE, "unknown option --%s; did you mean --%s?", name, near);
	else
		hb_error_set(err, HB_ERROR_USAGE, "unknown option --%s", name);
	free(name);
	return -1;
}

/* getopt_long returned '?': optopt is 0, an unknown letter, or the value of a long that takes no argument. */
static int
bad_option(const char *arg, struct hb_error *err)
{
	for (size_t i = 0; longs[i].name != NULL; i++) {
		if (optopt != 0 && longs[i].val == optopt && strchr(arg, '=') != NULL)
			return hb_error_set(err, HB_ERROR_USAGE, "the option --%s takes no argument", longs[i].name);
	}
	return unknown_option(arg, err);
}

static int
set_form(struct hb_options *o, struct hb_error *err)
{
	o->action = HB_ACTION_PRINT_CONFIG;
	if (optarg == NULL || strcmp(optarg, "yaml") == 0)
		o->form = HB_CONFIG_YAML;
	else if (strcmp(optarg, "json") == 0)
		o->form = HB_CONFIG_JSON;
	else
		return hb_error_set(err, HB_ERROR_USAGE, "--print-config prints yaml or json, not %s", optarg);
	return 0;
}

static int
set_worker(struct hb_options *o, struct hb_error *err)
{
	uint64_t index;

	if (!hb_units_number(optarg, &index) || index >= HB_CONFIG_WORKERS_MAX)
		return hb_error_set(err, HB_ERROR_USAGE, "--worker needs an index below %d, not %s",
		    HB_CONFIG_WORKERS_MAX, optarg);
	o->action = HB_ACTION_WORKER;
	o->worker = (unsigned)index;
	return 0;
}

static int
set_slot(struct hb_options *o, struct hb_error *err)
{
	uint64_t slot;

	if (!hb_units_number(optarg, &slot) || slot >= HB_WORKER_SLOTS)
		return hb_error_set(err, HB_ERROR_USAGE, "--slot needs a number below %d, not %s", HB_WORKER_SLOTS, optarg);
	o->slot = (unsigned)slot;
	return 0;
}

static int
take(struct hb_options *o, int opt, size_t *sets, const char *arg, struct hb_error *err)
{
	switch (opt) {
	case 'c':
		o->file = optarg;
		o->file_given = true;
		return 0;
	case OPT_CHECK:
		o->action = HB_ACTION_CHECK;
		return 0;
	case OPT_PRINT_CONFIG:
		return set_form(o, err);
	case OPT_SET:
		if (strchr(optarg, '=') == NULL || optarg[0] == '=')
			return hb_error_set(err, HB_ERROR_USAGE, "--set needs KEY=VALUE, not %s", optarg);
		o->sets[(*sets)++] = optarg;
		return 0;
	case OPT_WORKER:
		return set_worker(o, err);
	case OPT_SLOT:
		return set_slot(o, err);
	case OPT_ATTACHED:
		o->attached = true;
		return 0;
	case OPT_WATCH:
		o->watch = true;
		return 0;
	case 'v':
		o->verbose++;
		return 0;
	case 'V':
		o->action = HB_ACTION_VERSION;
		return 0;
	case 'h':
		o->action = HB_ACTION_HELP;
		return 0;
	case ':':
		return hb_error_set(err, HB_ERROR_USAGE, "the option %s needs an argument", arg);
	default:
		return bad_option(arg, err);
	}
}

int
hb_options_parse(struct hb_options *options, int argc, char **argv, struct hb_error *err)
{
	size_t sets = 0;
	int opt;

	*options = (struct hb_options){ .file = DEFAULT_FILE };
	options->sets = hb_xcalloc((size_t)argc + 1, sizeof *options->sets);
	optind = 0; /* starts getopt afresh */
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:c:vVh", longs, NULL)) != -1) {
		/* -x among "-vx" leaves optind at the same word until it is through */
		const char *arg = argv[optind > 1 ? optind - 1 : 1];

		if (take(options, opt, &sets, arg, err) == -1)
			goto fail;
		if (opt == 'h' || opt == 'V')
			return 0;
	}
	if (optind < argc) {
		hb_error_set(err, HB_ERROR_USAGE, "unexpected argument %s", argv[optind]);
		goto fail;
	}
	return 0;
fail:
	hb_options_free(options);
	return -1;
}

void
hb_options_free(struct hb_options *options)
{
	free(options->sets);
	options->sets = NULL;
}

void
hb_options_source(const struct hb_options *options, char *const *environ, struct hb_config_source *source)
{
	/* only a file that is not there is passed over: one that cannot be read is an error */
	bool absent = !options->file_given && access(options->file, F_OK) == -1 && errno == ENOENT;

	*source = (struct hb_config_source){
		.file = absent ? NULL : options->file,
		.conf_d = true,
		.sets = options->sets,
		.environ = environ,
	};
}

struct hb_config *
hb_options_load(const struct hb_options *options, const char **file, struct hb_error *err)
{
	struct hb_config_source source;
	struct hb_config *config;

	hb_options_source(options, environ, &source);
	*file = source.file;
	config = hb_config_load(&source, err);
	if (config != NULL && options->verbose > 0)
		config->log.level = HB_LOG_DEBUG;
	return config;
}

void
hb_options_usage(struct hb_buf *out)
{
	hb_buf_add_str(out, usage);
}
