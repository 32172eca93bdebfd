/* The companion's command line and words: see erl.h. */
#include "hornbeamd/erl.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/str.h"
#include "hornbeamd/spawn.h"
#include "term/term.h"

enum { SCHEDULERS_MAX = 4, DISTRIBUTION_WORDS = 7 };

/* Finds a program as execvp(3) does; NULL when there is none. */
static char *
find_program(const char *name)
{
	const char *path = getenv("PATH"), *end;

	if (strchr(name, '/') != NULL)
		return access(name, X_OK) == 0 ? hb_xstrdup(name) : NULL;
	for (path = path != NULL ? path : "/usr/local/bin:/usr/bin:/bin"; *path != '\0'; path = *end == ':' ? end + 1 : end) {
		char *file;

		end = strchrnul(path, ':');
		file = hb_xasprintf("%.*s/%s", (int)(end - path), path, name);
		if (end > path && access(file, X_OK) == 0)
			return file;
		free(file);
	}
	return NULL;
}

/* The one that ERL names; else the one of the build; else the first in PATH. */
static char *
find_erl(struct hb_error *err)
{
	const char *wanted = getenv("ERL");
	char *path;

	if (wanted != NULL && *wanted != '\0') {
		path = find_program(wanted);
	} else {
		path = find_program(HB_ERL);
		if (path == NULL)
			path = find_program("erl");
	}
	if (path == NULL)
		hb_error_set(err, HB_ERROR_DOWN, "%s: not found; install erlang-base",
		    wanted != NULL && *wanted != '\0' ? wanted : "erl");
	return path;
}

/* A build tree's own application comes before the installed one. */
static char *
ebin_directory(void)
{
	const char *build = getenv("HORNBEAM_BUILD");

	return build != NULL && *build != '\0' ? hb_xasprintf("%s/erlang/ebin", build) : hb_xstrdup(HB_EBINDIR);
}

/* The processors that this process may use, at most the four that a companion has work for. */
static int
processors(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < SCHEDULERS_MAX ? n : SCHEDULERS_MAX;
}

/*
 * Only what net_kernel reads from the command line; the rest is in the
 * configuration.  -nocookie: no ~/.erlang.cookie is read or made.
 */
static size_t
fill_distribution(char **argv, const struct hb_config *config)
{
	bool inet6 = strchr(config->erlang.listen, ':') != NULL, tls = config->erlang.tls != NULL;
	size_t n = 0;

	argv[n++] = hb_xstrdup("-nocookie");
	argv[n++] = hb_xstrdup("-epmd_module");
	argv[n++] = hb_xstrdup("hornbeam_epmd");
	argv[n++] = hb_xstrdup("-proto_dist");
	argv[n++] = hb_xasprintf("inet%s_%s", inet6 ? "6" : "", tls ? "tls" : "tcp");
	if (tls) {
		argv[n++] = hb_xstrdup("-ssl_dist_optfile");
		argv[n++] = hb_xstrdup(config->erlang.tls);
	}
	return n;
}

/* HACKING tells what each is for.  Every word is a copy, so that one loop gives all of them back. */
static void
fill_argv(struct hb_erl *erl, const struct hb_config *config)
{
	static const char *const fixed[] = {"erl", "-noshell", "-noinput", "-mode", "interactive", "-boot",
	    "no_dot_erlang", "-start_epmd", "false", "+SDcpu", "1:1", "+SDio", "1", "+A", "1", "+sbwt", "none",
	    "+sbwtdcpu", "none", "+sbwtdio", "none", "+Bi", "-kernel", "logger", "[{handler,default,undefined}]", "+S"};
	const size_t words = sizeof fixed / sizeof *fixed;
	size_t n = 0;

	erl->argv = hb_xcalloc(words + 2 * config->erlang.code_path_count + DISTRIBUTION_WORDS + 6, sizeof *erl->argv);
	for (size_t i = 0; i < words; i++)
		erl->argv[n++] = hb_xstrdup(fixed[i]);
	erl->argv[n++] = hb_xasprintf("%d:%d", processors(), processors());
	erl->argv[n++] = hb_xstrdup("-pa");
	erl->argv[n++] = ebin_directory();
	for (size_t i = 0; i < config->erlang.code_path_count; i++) {
		erl->argv[n++] = hb_xstrdup("-pa");
		erl->argv[n++] = hb_xstrdup(config->erlang.code_path[i]);
	}
	if (config->erlang.node != NULL)
		n += fill_distribution(erl->argv + n, config);
	erl->argv[n++] = hb_xstrdup("-s");
	erl->argv[n] = hb_xstrdup("hornbeam_embedded");
}

/* But for the port at which all nodes of the machine look for epmd. */
#define EPMD_PORT "ERL_EPMD_PORT"

/* What ERL_ variables of whoever started us would change is not ours to have changed. */
static void
fill_environment(struct hb_erl *erl, const char *home)
{
	static const char *const foreign[] = {"ERL_*", "ERLANG_*", "BINDIR", "ROOTDIR", "PROGNAME", "EMU", NULL};
	const char *epmd_port = getenv(EPMD_PORT);

	erl->envp = hb_environ_without(environ, foreign);
	if (hb_environ_get(erl->envp, "HOME") == NULL)
		erl->envp = hb_environ_set(erl->envp, "HOME", home);
	erl->envp = hb_environ_set(erl->envp, "ERL_CRASH_DUMP_BYTES", "0");
	if (epmd_port != NULL)
		erl->envp = hb_environ_set(erl->envp, EPMD_PORT, epmd_port);
}

int
hb_erl_init(struct hb_erl *erl, const struct hb_config *config, const char *home, struct hb_error *err)
{
	memset(erl, 0, sizeof *erl);
	erl->path = find_erl(err);
	if (erl->path == NULL)
		return -1;
	fill_argv(erl, config);
	fill_environment(erl, home);
	return 0;
}

void
hb_erl_free(struct hb_erl *erl)
{
	free(erl->path);
	hb_environ_free(erl->argv);
	hb_environ_free(erl->envp);
	memset(erl, 0, sizeof *erl);
}

/* The elements behind the tag.  -1 when they are others. */
static int
read_elements(struct hb_term_reader *reader, const char *tag, uint32_t arity, struct hb_erl_answer *out, struct hb_error *err)
{
	struct hb_error inner;
	const unsigned char *text;
	size_t n;
	bool failed = strcmp(tag, "failed") == 0;

	if (strcmp(tag, "ready") == 0 || strcmp(tag, "reloaded") == 0) {
		out->word = strcmp(tag, "ready") == 0 ? HB_ERL_READY : HB_ERL_RELOADED;
		return arity == 2 && hb_term_want_int(reader, &out->number, &inner) == 0 ? 0 : -1;
	}
	if (!failed && strcmp(tag, "refused") != 0)
		return -1;
	out->word = HB_ERL_REFUSED;
	if (arity != (failed ? 2 : 3) || (!failed && hb_term_want_int(reader, &out->number, &inner) == -1) ||
	    hb_term_want_binary(reader, &text, &n, &inner) == -1)
		return -1;
	hb_error_set(err, failed ? HB_ERROR_REMOTE : HB_ERROR_CONFIG, "%.*s", (int)n, (const char *)text);
	return failed ? 1 : 0;
}

int
hb_erl_read(const void *p, size_t len, struct hb_erl_answer *out, struct hb_error *err)
{
	struct hb_term_reader reader;
	struct hb_error inner;
	uint32_t arity;
	char tag[16];
	int result = -1;

	if (hb_term_open(&reader, p, len, &inner) == 0 && hb_term_want_tuple(&reader, &arity, &inner) == 0 &&
	    hb_term_want_atom(&reader, tag, sizeof tag, &inner) == 0)
		result = read_elements(&reader, tag, arity, out, err);
	if (result == -1)
		return hb_error_set(err, HB_ERROR_PROTOCOL, "unexpected term from the companion");
	return result == 0 ? 0 : -1;
}
