/*
 * The interpreter and the applications of a worker, and what the environ says
 * about each listener.
 */
#include "worker/applications.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "worker/overdue.h"
#include "worker/state.h"

/* A checkout's module, else the installed one. */
static char *
module_dir(void)
{
	const char *build = getenv("HORNBEAM_BUILD");

	return build != NULL && *build != '\0' ? hb_xasprintf("%s/pylib", build) : hb_xstrdup(HB_PYLIBDIR);
}

static int
set_python(struct hb_worker *w)
{
	const struct hb_config *c = w->config;
	char *dir = module_dir(), *link = hb_xasprintf("%s.link", c->control.socket);
	struct hb_py_options options = {
		.path = (const char *const *)c->python.path,
		.path_count = c->python.path_count,
		.venv = c->python.venv,
		.module_dir = dir,
		.link_path = link,
		.multiprocess = c->workers > 1,
		.multithread = c->threads > 1,
		.lifespan = (enum hb_py_lifespan)c->lifespan,
		.lifespan_timeout = c->timeouts.lifespan,
		.pubsub_queue = c->pubsub.queue,
		.waiting = &hb_overdue_waiting,
		.server = &w->server,
	};
	struct hb_error err;

	setenv("HORNBEAM_SOCKET", c->control.socket, 1);
	for (size_t i = 0; i < c->python.env_count; i++)
		setenv(c->python.env[i].name, c->python.env[i].value, 1);
	w->py = hb_py_start(&options, &err);
	free(dir);
	free(link);
	if (w->py != NULL) {
		w->entered = true;
		return EX_OK;
	}
	hb_err("%s", err.text);
	return err.kind == HB_ERROR_CONFIG ? EX_CONFIG : EX_SOFTWARE;
}

static int
set_applications(struct hb_worker *w)
{
	const struct hb_config *c = w->config;
	struct hb_error err;

	w->apps = hb_xcalloc(c->apps_count + 1, sizeof *w->apps);
	for (size_t i = 0; i < c->apps_count; i++) {
		w->apps[i].mount_len = strlen(c->apps[i].mount);
		w->apps[i].py = hb_py_app_load(w->py, c->apps[i].app, (enum hb_py_interface)c->apps[i].interface, &err);
		if (w->apps[i].py == NULL) {
			hb_err("%s", err.text);
			return EX_SOFTWARE;
		}
		w->apps[i].async = hb_py_app_is_async(w->apps[i].py);
		w->async = w->async || w->apps[i].async;
	}
	return EX_OK;
}

/* SERVER_NAME and SERVER_PORT of a listener: what a client could write in a URL.  Returns its family, or -1. */
static int
server_name(int fd, char name[HB_ADDRESS_TEXT], char port[8])
{
	struct hb_address a = {.len = sizeof a.u};

	if (getsockname(fd, &a.u.sa, &a.len) == -1)
		return -1;
	if (a.u.sa.sa_family == AF_UNIX) {
		strcpy(name, "localhost");
		strcpy(port, "80");
		return AF_UNIX;
	}
	snprintf(port, 8, "%u", (unsigned)hb_address_host(&a, name));
	if ((strcmp(name, "0.0.0.0") == 0 || strcmp(name, "::") == 0) && gethostname(name, HB_ADDRESS_TEXT) == -1)
		strcpy(name, "localhost");
	return a.u.sa.sa_family;
}

static int
set_listeners(struct hb_worker *w)
{
	const struct hb_config *c = w->config;
	char name[HB_ADDRESS_TEXT], port[8];
	struct hb_error err;

	w->listeners_count = w->start->listeners_count;
	w->listeners = hb_xcalloc(w->listeners_count + 1, sizeof *w->listeners);
	for (size_t i = 0; i < w->listeners_count; i++) {
		struct hb_worker_listener *l = &w->listeners[i];
		struct hb_py_listener at = {name, port, NULL};
		int family = server_name(w->start->listeners[i], name, port);

		l->worker = w;
		l->fd = w->start->listeners[i];
		if (family == -1 || hb_fd_nonblock(l->fd) == -1) {
			hb_err("worker: listener %zu: %s", i, strerror(errno));
			return EX_OSERR;
		}
		if (family == AF_UNIX)
			at.path = c->listen[i].address + strlen("unix:");
		l->places = hb_xcalloc(c->apps_count + 1, sizeof *l->places);
		for (size_t k = 0; k < c->apps_count; k++) {
			l->places[k] = hb_py_place_new(w->py, &at, c->apps[k].mount, &err);
			if (l->places[k] == NULL) {
				hb_err("%s", err.text);
				return EX_OSERR;
			}
		}
	}
	return EX_OK;
}

int
hb_applications_start(struct hb_worker *w)
{
	int status = set_python(w);

	if (status == EX_OK)
		status = set_applications(w);
	return status == EX_OK ? set_listeners(w) : status;
}

void
hb_applications_stop(struct hb_worker *w)
{
	for (size_t i = 0; i < w->listeners_count; i++) {
		for (size_t k = 0; w->listeners[i].places != NULL && k < w->config->apps_count; k++)
			hb_py_place_free(w->py, w->listeners[i].places[k]);
		free(w->listeners[i].places);
	}
	for (size_t i = 0; w->apps != NULL && i < w->config->apps_count; i++)
		hb_py_app_free(w->py, w->apps[i].py);
	free(w->listeners);
	free(w->apps);
	if (w->py != NULL)
		hb_py_stop(w->py);
}
