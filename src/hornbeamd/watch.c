/*
 * Sources that change: see watch.h.  inotify(7) watches directories, one by
 * one; what a new one holds already has come before its watch.  Editors save in
 * several steps, and a checkout changes many files, so a reload waits for a
 * moment of silence, though not for long.
 */
#include "hornbeamd/watch.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "hornbeamd/master.h"
#include "hornbeamd/reload.h"
#include "hornbeamd/workers.h"

enum {
	SILENCE_MS = 50,
	PATIENCE_MS = 400,
	DIRECTORIES_MOST = 10000,
	DEPTH_MOST = 32,
	EVENTS = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ONLYDIR | IN_EXCL_UNLINK
};

struct hb_watch {
	struct hb_master *master;
	int fd;
	struct event *readable;
	struct event *silence;
	int64_t first_ms; /* when the first of the changes came that wait for silence; 0: none waits */
	char **paths;     /* by watch descriptor; NULL: not watched */
	size_t paths_size;
	size_t count;
	size_t told;      /* the count in the log */
	bool full;        /* and that has been logged */
};

static bool
is_source(const char *name)
{
	size_t n = strlen(name);

	return name[0] != '.' && name[0] != '#' && n > 3 && strcmp(name + n - 3, ".py") == 0;
}

/* What an application is not written in: caches, version control, other people's packages. */
static bool
is_ignored(const char *name)
{
	static const char *const names[] = {"__pycache__", "node_modules", "site-packages", "dist-packages", NULL};

	if (name[0] == '.')
		return true;
	for (const char *const *p = names; *p != NULL; p++)
		if (strcmp(name, *p) == 0)
			return true;
	return false;
}

static bool
is_venv(const char *dir)
{
	char *path = hb_xasprintf("%s/pyvenv.cfg", dir);
	bool yes = access(path, F_OK) == 0;

	free(path);
	return yes;
}

static void
changed(struct hb_watch *w)
{
	int64_t now = hb_clock_ms(), wait = SILENCE_MS;
	struct timeval tv;

	if (w->first_ms == 0)
		w->first_ms = now;
	if (now + wait > w->first_ms + PATIENCE_MS)
		wait = w->first_ms + PATIENCE_MS > now ? w->first_ms + PATIENCE_MS - now : 0;
	tv = (struct timeval){0, wait * 1000};
	evtimer_add(w->silence, &tv);
}

static void
remember(struct hb_watch *w, int wd, const char *path)
{
	if ((size_t)wd >= w->paths_size) {
		size_t size = (size_t)wd + 64;

		w->paths = hb_xrealloc(w->paths, size * sizeof *w->paths);
		memset(w->paths + w->paths_size, 0, (size - w->paths_size) * sizeof *w->paths);
		w->paths_size = size;
	}
	if (w->paths[wd] == NULL)
		w->count++;
	free(w->paths[wd]);
	w->paths[wd] = hb_xstrdup(path);
}

static void
forget(struct hb_watch *w, int wd)
{
	if (wd < 0 || (size_t)wd >= w->paths_size || w->paths[wd] == NULL)
		return;
	free(w->paths[wd]);
	w->paths[wd] = NULL;
	w->count--;
}

/* Returns false where it cannot be watched. */
static bool
add_directory(struct hb_watch *w, const char *path)
{
	int wd = w->count < DIRECTORIES_MOST ? inotify_add_watch(w->fd, path, EVENTS) : (errno = ENOSPC, -1);

	if (wd != -1) {
		remember(w, wd, path);
		return true;
	}
	if (errno == ENOSPC && !w->full) {
		hb_warn("watch: %s and more directories are not watched: there are too many below python.path (%zu are; "
			"see fs.inotify.max_user_watches)", path, w->count);
		w->full = true;
	} else if (errno != ENOSPC && errno != ENOENT && errno != ENOTDIR)
		hb_warn("watch: %s is not watched: %m", path);
	return false;
}

static bool
is_directory(const char *path, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type == DT_DIR;
	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Watches a directory and those below it; links are not followed.  Returns whether there are sources. */
static bool
add_tree(struct hb_watch *w, const char *path, int depth)
{
	bool sources = false;
	struct dirent *entry;
	DIR *dir;

	if (depth > DEPTH_MOST || is_venv(path) || !add_directory(w, path))
		return false;
	dir = opendir(path);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char *below;

		sources = sources || is_source(entry->d_name);
		if (is_ignored(entry->d_name))
			continue;
		below = hb_xasprintf("%s/%s", path, entry->d_name);
		if (is_directory(below, entry) && add_tree(w, below, depth + 1))
			sources = true;
		free(below);
	}
	if (dir != NULL)
		closedir(dir);
	return sources;
}

/* What was below a directory that has been moved away is not there any more. */
static void
drop_tree(struct hb_watch *w, const char *path)
{
	size_t len = strlen(path);

	for (size_t wd = 0; wd < w->paths_size; wd++) {
		const char *p = w->paths[wd];

		if (p != NULL && strncmp(p, path, len) == 0 && (p[len] == '/' || p[len] == '\0')) {
			(void)inotify_rm_watch(w->fd, (int)wd);
			forget(w, (int)wd);
		}
	}
}

static void
directory_event(struct hb_watch *w, const struct inotify_event *e)
{
	char *path;

	if (is_ignored(e->name))
		return;
	path = hb_xasprintf("%s/%s", w->paths[e->wd], e->name);
	if (e->mask & (IN_MOVED_FROM | IN_DELETE)) {
		drop_tree(w, path);
		changed(w);
	} else if (e->mask & (IN_CREATE | IN_MOVED_TO) && add_tree(w, path, 0))
		changed(w);
	free(path);
}

static void
on_event(struct hb_watch *w, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW) {
		hb_watch_roots(w);
		changed(w);
		return;
	}
	if (e->mask & IN_IGNORED) {
		forget(w, e->wd);
		return;
	}
	if (e->len == 0 || e->wd < 0 || (size_t)e->wd >= w->paths_size || w->paths[e->wd] == NULL)
		return;
	if (e->mask & IN_ISDIR) {
		directory_event(w, e);
		return;
	}
	/* A file that is made is closed, too, when it has been written. */
	if (is_source(e->name) && !(e->mask & IN_CREATE)) {
		hb_debug("watch: %s/%s", w->paths[e->wd], e->name);
		changed(w);
	}
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	_Alignas(struct inotify_event) char bytes[16384];
	ssize_t n = read(fd, bytes, sizeof bytes);

	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(bytes + at);

		on_event(arg, e);
		at += (ssize_t)(sizeof *e + e->len);
	}
}

static void
on_silence(evutil_socket_t fd, short what, void *arg)
{
	struct hb_watch *w = arg;

	w->first_ms = 0;
	if (w->master->state == HB_MASTER_STARTING && hb_workers_try_again(w->master->workers)) {
		hb_info("watch: sources have changed: starting again");
		return;
	}
	hb_info("watch: sources have changed: reloading");
	hb_reload_afresh(w->master->reload);
}

struct hb_watch *
hb_watch_new(struct hb_master *m, struct hb_error *err)
{
	struct hb_watch *w = hb_xcalloc(1, sizeof *w);

	w->master = m;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd != -1)
		w->readable = event_new(m->base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	w->silence = evtimer_new(m->base, on_silence, w);
	if (w->readable == NULL || w->silence == NULL || event_add(w->readable, NULL) == -1) {
		hb_error_errno(err, HB_ERROR_SYSTEM, "watch: inotify");
		hb_watch_free(w);
		return NULL;
	}
	hb_watch_roots(w);
	return w;
}

void
hb_watch_free(struct hb_watch *w)
{
	if (w == NULL)
		return;
	if (w->readable != NULL)
		event_free(w->readable);
	if (w->silence != NULL)
		event_free(w->silence);
	for (size_t wd = 0; wd < w->paths_size; wd++)
		free(w->paths[wd]);
	free(w->paths);
	hb_fd_close(&w->fd);
	free(w);
}

void
hb_watch_roots(struct hb_watch *w)
{
	const struct hb_config *config = w->master->config;

	for (size_t i = 0; i < config->python.path_count; i++)
		(void)add_tree(w, config->python.path[i], 0);
	if (w->count != w->told)
		hb_info("watch: %zu director%s below python.path", w->count, w->count == 1 ? "y" : "ies");
	w->told = w->count;
}
