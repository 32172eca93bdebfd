/*
 * A companion that was there first: the Erlang node that started hornbeamd as
 * its port (hornbeam:start in hornbeam_attached.erl).  Its life is standard
 * input: HB_ATTACHED_DRAIN asks for a drain, the end of file is the end.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/str.h"
#include "hornbeamd/companion_kind.h"
#include "hornbeamd/master.h"
#include "link/evdial.h"

enum { HELLO_MS = 10000, HB_ATTACHED_DRAIN = 'D' };

struct attached {
	struct hb_companion base;
	struct event *words; /* on standard input; NULL after its end */
	bool node_gone;      /* its process, or who in it had started this one */
	struct hb_evdial *dial; /* NULL: none is under way */
	pid_t pid;
	int64_t ready_ms;
};

static struct attached *
attached(struct hb_companion *c)
{
	return (struct attached *)c;
}

static void
close_words(struct attached *a)
{
	if (a->words != NULL)
		event_free(a->words);
	a->words = NULL;
}

static void
on_words(evutil_socket_t fd, short what, void *arg)
{
	struct attached *a = arg;
	char words[64];
	ssize_t n = read(fd, words, sizeof words);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && memchr(words, HB_ATTACHED_DRAIN, (size_t)n) != NULL)
		hb_master_drain(a->base.master, "companion: the node asks for the end");
	if (n > 0)
		return;
	close_words(a);
	a->node_gone = true;
	hb_master_end(a->base.master, "companion: the node has gone (end of file on standard input)");
}

static void
fail(struct attached *a, const char *text)
{
	hb_err("companion: %s", text);
	hb_master_fail(a->base.master, EX_UNAVAILABLE);
}

/* The greeting has shown that the node is of our release; who needs a link dials for itself. */
static void
on_greeted(void *arg, int fd, const struct hb_error *err)
{
	struct attached *a = arg;
	struct ucred cred = {.pid = 0};
	socklen_t len = sizeof cred;

	a->dial = NULL;
	if (fd == -1) {
		fail(a, err->text);
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		a->pid = cred.pid;
	close(fd);
	a->ready_ms = hb_clock_ms();
	hb_companion_set_state(&a->base, HB_COMPANION_READY);
	hb_info("companion: ready, the node of process %d", (int)a->pid);
	hb_master_companion_ready(a->base.master);
}

static void
start(struct hb_companion *c)
{
	struct attached *a = attached(c);
	const struct hb_hello hello = {
	    .role = "client", .name = "hornbeamd", .uid = getuid(), .gid = getgid(), .pid = getpid()};
	struct hb_error err;

	hb_companion_set_state(c, HB_COMPANION_STARTING);
	if (event_add(a->words, NULL) == -1) {
		fail(a, "--attached needs a pipe or a socket as its standard input");
		return;
	}
	a->dial = hb_evdial_start(c->master->base, c->master->link_path, &hello, HELLO_MS, on_greeted, a, &err);
	if (a->dial == NULL)
		fail(a, err.text);
}

static void
stop(struct hb_companion *c)
{
	struct attached *a = attached(c);

	hb_evdial_cancel(a->dial);
	a->dial = NULL;
	hb_companion_set_state(c, HB_COMPANION_GONE);
}

static void
info(const struct hb_companion *c, struct hb_companion_info *out)
{
	const struct attached *a = (const struct attached *)c;

	out->pid = a->pid;
	out->uptime_ms = a->pid != 0 ? hb_clock_ms() - a->ready_ms : 0;
}

/* hornbeam_attached_dir.erl made the directory of the configuration for this one process: nobody else clears it away. */
static void
remove_directory(const char *config_file)
{
	static const char prefix[] = "hornbeam-node-", *const names[] = {"hornbeam.json", "notify", "control.sock.link"};
	const char *slash = config_file != NULL ? strrchr(config_file, '/') : NULL, *base;
	char *dir = slash != NULL ? hb_xasprintf("%.*s", (int)(slash - config_file), config_file) : NULL, *path;
	struct stat st;

	if (dir == NULL)
		return;
	base = strrchr(dir, '/');
	if (base != NULL && strncmp(base + 1, prefix, sizeof prefix - 1) == 0 && lstat(dir, &st) == 0 &&
	    S_ISDIR(st.st_mode) && st.st_uid == geteuid()) {
		for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
			path = hb_xasprintf("%s/%s", dir, names[i]);
			(void)unlink(path);
			free(path);
		}
		(void)rmdir(dir);
	}
	free(dir);
}

static void
free_attached(struct hb_companion *c)
{
	struct attached *a = attached(c);

	if (a->node_gone)
		remove_directory(c->master->config_file);
	hb_evdial_cancel(a->dial);
	close_words(a);
	free(a);
}

static struct hb_companion *
make(struct hb_master *m, struct hb_error *err)
{
	struct attached *a = hb_xcalloc(1, sizeof *a);

	a->base = (struct hb_companion){.kind = &hb_companion_attached, .master = m};
	a->words = event_new(m->base, STDIN_FILENO, EV_READ | EV_PERSIST, on_words, a);
	if (a->words != NULL)
		return &a->base;
	hb_error_set(err, HB_ERROR_MEMORY, "companion: out of memory");
	free_attached(&a->base);
	return NULL;
}

const struct hb_companion_kind hb_companion_attached = {
    .name = "attached",
    .make = make,
    .free = free_attached,
    .start = start,
    .stop = stop,
    .kill = stop,
    .info = info,
};
