/* Generations: see generation.h. */
#include "hornbeamd/generation.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "hornbeamd/shared.h"

/* The listener that a generation has for an address, as configured. */
static const struct hb_generation_listener *
find_listener(const struct hb_generation *g, const char *address)
{
	for (size_t i = 0; g != NULL && i < g->listeners_count; i++)
		if (strcmp(g->config->listen[i].address, address) == 0)
			return &g->listeners[i];
	return NULL;
}

static int
open_listener(struct hb_generation_listener *l, const struct hb_config_listen *listen, const struct hb_identity *id,
    struct hb_error *err)
{
	const struct hb_listener_file file = {
	    (mode_t)listen->mode, id->drop ? id->uid : (uid_t)-1, id->drop ? id->gid : (gid_t)-1};
	struct hb_address address;
	struct hb_error cause;

	if (hb_address_parse(&address, listen->address, &cause) == -1)
		return hb_error_set(err, HB_ERROR_CONFIG, "listen: %.400s", cause.text);
	if (hb_listener_open(&l->at, &address, &file, &cause) == -1)
		return hb_error_set(err, cause.kind, "listen: %.400s", cause.text);
	return 0;
}

static int
open_listeners(struct hb_generation *g, const struct hb_generation *before, const struct hb_identity *id,
    struct hb_error *err)
{
	g->listeners = hb_xcalloc(g->config->listen_count, sizeof *g->listeners);
	for (; g->listeners_count < g->config->listen_count; g->listeners_count++) {
		const struct hb_config_listen *listen = &g->config->listen[g->listeners_count];
		const struct hb_generation_listener *old = find_listener(before, listen->address);
		struct hb_generation_listener *l = &g->listeners[g->listeners_count];

		if (old != NULL)
			*l = (struct hb_generation_listener){old->at, true};
		else if (open_listener(l, listen, id, err) == -1)
			return -1;
	}
	return 0;
}

struct hb_generation *
hb_generation_new(struct hb_config *config, const struct hb_generation *before, const struct hb_identity *id,
    struct hb_error *err)
{
	struct hb_generation *g = hb_xcalloc(1, sizeof *g);

	g->config = config;
	g->config_fd = hb_shared_config(config, err);
	if (g->config_fd != -1 && open_listeners(g, before, id, err) == 0)
		return g;
	g->config = NULL; /* stays the caller's */
	hb_generation_free(g);
	return NULL;
}

/* The mode of a Unix socket that both have may have changed. */
static void
set_mode(const struct hb_generation *g, size_t i)
{
	const struct hb_listener *at = &g->listeners[i].at;
	struct stat st;

	if (at->address.u.sa.sa_family != AF_UNIX || lstat(at->address.u.un.sun_path, &st) == -1 ||
	    st.st_dev != at->dev || st.st_ino != at->ino || (st.st_mode & 0777) == g->config->listen[i].mode)
		return;
	if (fchmodat(AT_FDCWD, at->address.u.un.sun_path, (mode_t)g->config->listen[i].mode, AT_SYMLINK_NOFOLLOW) == -1)
		hb_warn("listen: %s: cannot set its mode: %m", g->config->listen[i].address);
}

void
hb_generation_succeed(struct hb_generation *g, struct hb_generation *before)
{
	for (size_t i = 0; i < before->listeners_count; i++)
		before->listeners[i].kept = find_listener(g, before->config->listen[i].address) != NULL;
	for (size_t i = 0; i < g->listeners_count; i++) {
		if (g->listeners[i].kept)
			set_mode(g, i);
		g->listeners[i].kept = false;
	}
	hb_generation_free(before);
}

void
hb_generation_close_listeners(struct hb_generation *g)
{
	for (size_t i = 0; i < g->listeners_count; i++)
		if (!g->listeners[i].kept)
			hb_listener_close(&g->listeners[i].at, 1);
}

void
hb_generation_free(struct hb_generation *g)
{
	if (g == NULL)
		return;
	hb_generation_close_listeners(g);
	free(g->listeners);
	hb_fd_close(&g->config_fd);
	hb_config_free(g->config);
	free(g);
}
