/*
 * hornbeamd: the set-ups in their order, then the loop.  The same program
 * with --worker is a worker.
 */
#include <event2/event.h>
#include <fcntl.h>
#include <paths.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "config/config.h"
#include "hornbeamd/checks.h"
#include "hornbeamd/companion.h"
#include "hornbeamd/control.h"
#include "hornbeamd/cookie.h"
#include "hornbeamd/generation.h"
#include "hornbeamd/identity.h"
#include "hornbeamd/limits.h"
#include "hornbeamd/master.h"
#include "hornbeamd/notify.h"
#include "hornbeamd/options.h"
#include "hornbeamd/reload.h"
#include "hornbeamd/shared.h"
#include "hornbeamd/watch.h"
#include "hornbeamd/worker_entry.h"
#include "hornbeamd/workers.h"

/* The exit status for a failure before the loop. */
static int
exit_status(const struct hb_error *err)
{
	switch (err->kind) {
	case HB_ERROR_USAGE:
		return EX_USAGE;
	case HB_ERROR_CONFIG:
	case HB_ERROR_VALUE:
		return EX_CONFIG;
	case HB_ERROR_BIND:
		return EX_CANTCREAT;
	case HB_ERROR_PERMISSION:
		return EX_NOPERM;
	case HB_ERROR_DOWN:
		return EX_UNAVAILABLE;
	default:
		return EX_OSERR;
	}
}

static int
print(struct hb_buf *text)
{
	int ok = !text->failed && fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0;

	hb_buf_free(text);
	return ok ? EX_OK : EX_OSERR;
}

static int
print_usage(void)
{
	struct hb_buf text = HB_BUF_INIT;

	hb_options_usage(&text);
	return print(&text);
}

static int
print_config(const struct hb_config *config, enum hb_config_form form)
{
	struct hb_buf text = HB_BUF_INIT;

	hb_config_dump(config, form, &text);
	return print(&text);
}

static int
open_shared(struct hb_master *m, struct hb_error *err)
{
	m->exe_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	m->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (m->exe_fd == -1 || m->null_fd == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "/proc/self/exe, /dev/null");
	m->counters_fd = hb_shared_counters(err);
	if (m->counters_fd == -1)
		return -1;
	m->shared = hb_shared_counters_map(m->counters_fd, err);
	return m->shared == NULL ? -1 : 0;
}

static int
open_loop(struct hb_master *m, const struct hb_options *options, struct hb_listener *control, struct hb_error *err)
{
	(void)signal(SIGPIPE, SIG_IGN);
	m->base = event_base_new();
	if (m->base == NULL)
		return hb_error_set(err, HB_ERROR_SYSTEM, "cannot make an event loop");
	m->companion = hb_companion_new(options->attached ? &hb_companion_attached : &hb_companion_embedded, m, err);
	if (m->companion == NULL)
		return -1;
	m->workers = hb_workers_new(m, options->watch);
	m->reload = hb_reload_new(m, options);
	if (options->watch) {
		m->watch = hb_watch_new(m, err);
		if (m->watch == NULL)
			return -1;
	}
	if (m->reload != NULL)
		m->control = hb_control_new(m, control);
	return m->control == NULL ? hb_error_set(err, HB_ERROR_MEMORY, "out of memory") : 0;
}

static void
close_all(struct hb_master *m, struct hb_listener *control)
{
	if (m->control != NULL)
		hb_control_free(m->control);
	else
		hb_listener_close(control, 1);
	hb_watch_free(m->watch);
	hb_reload_free(m->reload);
	hb_workers_free(m->workers);
	hb_companion_free(m->companion);
	if (m->base != NULL)
		event_base_free(m->base);
	hb_generation_free(m->generation);
	free(m->link_path);
	hb_identity_free(&m->identity);
	hb_fd_close(&m->exe_fd);
	hb_fd_close(&m->null_fd);
	hb_fd_close(&m->counters_fd);
}

/* A relative name means another file, or none, in another directory: a reload finds the same one. */
static char *
absolute(const char *file)
{
	char *dir = file[0] != '/' ? getcwd(NULL, 0) : NULL, *path;

	path = dir != NULL ? hb_xasprintf("%s/%s", dir, file) : hb_xstrdup(file);
	free(dir);
	return path;
}

/* The sockets and the cookie, as root where it is; then for good as the user of the configuration. */
static int
open_sockets(struct hb_master *m, struct hb_config *config, const struct hb_options *options,
    struct hb_listener *control, struct hb_error *err)
{
	if (hb_identity_resolve(&m->identity, config, err) == -1 ||
	    (!options->attached && hb_cookie_make(config, &m->identity, err) == -1) ||
	    hb_control_open(control, config, &m->identity, err) == -1)
		return -1;
	m->generation = hb_generation_new(config, NULL, &m->identity, err);
	if (m->generation == NULL || hb_identity_drop(&m->identity, err) == -1)
		return -1;
	return hb_control_check_directory(config, &m->identity, err);
}

/* Takes config. */
static int
serve(struct hb_config *config, const char *file, const struct hb_options *given, struct hb_error *err)
{
	char *path = file != NULL && strcmp(file, _PATH_DEVNULL) != 0 ? realpath(file, NULL) : NULL;
	char *named = absolute(given->file);
	struct hb_options options = *given;
	struct hb_master m = {.config = config, .config_file = path, .exe_fd = -1, .null_fd = -1, .counters_fd = -1};
	struct hb_listener control = {.fd = -1};
	int status;

	options.file = named;
	hb_info("master: hornbeamd " PACKAGE_VERSION " with Python " HB_PYTHON_VERSION " starts, configuration %s",
	    m.config_file != NULL ? m.config_file : "from the command line and the environment");
	m.link_path = hb_xasprintf("%s.link", config->control.socket);
	hb_notify_init();
	hb_limits_apply(config);
	if (hb_check_applications(config, file, err) == -1 ||
	    hb_check_companion(config, file, options.attached, err) == -1 || open_sockets(&m, config, &options, &control, err) == -1 ||
	    open_shared(&m, err) == -1 || open_loop(&m, &options, &control, err) == -1) {
		hb_err("%s", err->text);
		status = exit_status(err);
	} else {
		if (geteuid() == 0 && !options.attached)
			hb_warn("master: running as root; `user` in the configuration can name another");
		status = hb_master_run(&m);
	}
	if (m.generation == NULL)
		hb_config_free(config);
	close_all(&m, &control);
	free(named);
	free(path);
	return status;
}

static int
run(const struct hb_options *options)
{
	struct hb_error err;
	const char *file;
	struct hb_config *config = hb_options_load(options, &file, &err);
	int status;

	if (config == NULL || (options->action == HB_ACTION_CHECK && hb_check_host(config, file, options->attached, &err) == -1)) {
		fprintf(stderr, "hornbeamd: %s\n", err.text);
		hb_config_free(config);
		return exit_status(&err);
	}
	hb_log_open("hornbeamd", config->log.level);
	if (options->action == HB_ACTION_CHECK)
		status = EX_OK;
	else if (options->action == HB_ACTION_PRINT_CONFIG)
		status = print_config(config, options->form);
	else
		return serve(config, file, options, &err);
	hb_config_free(config);
	return status;
}

int
main(int argc, char **argv)
{
	struct hb_options options;
	struct hb_error err;
	int status = EX_OSERR;

	if (hb_limits_descriptors(&err) == -1)
		return EX_OSERR;
	if (hb_options_parse(&options, argc, argv, &err) == -1) {
		fprintf(stderr, "hornbeamd: %s\n", err.text);
		return EX_USAGE;
	}
	switch (options.action) {
	case HB_ACTION_RUN:
	case HB_ACTION_CHECK:
	case HB_ACTION_PRINT_CONFIG:
		status = run(&options);
		break;
	case HB_ACTION_WORKER:
		status = hb_worker_entry(options.worker, options.slot);
		break;
	case HB_ACTION_VERSION:
		puts("hornbeamd " PACKAGE_VERSION " (Python " HB_PYTHON_VERSION ")");
		status = EX_OK;
		break;
	case HB_ACTION_HELP:
		status = print_usage();
		break;
	}
	hb_options_free(&options);
	return status;
}
