/* The port mapper's life: see epmd.h. */
#include "hornbeamd/epmd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "hornbeamd/backoff.h"
#include "hornbeamd/spawn.h"

enum {
	PORT = 4369,
	PROBE_MS = 50,
	AGAIN_SECONDS = 5 /* until it is looked whether another's epmd still runs */
};

struct hb_epmd {
	char *path;
	char *argv[6];
	uint16_t port;
	char **envp;
	pid_t pid; /* 0: none */
	bool foreign; /* another's runs, and the log has said so */
	int64_t started_ms;
	struct hb_backoff backoff;
	struct event *again;
};

/* Whether somebody listens at epmd's port of this machine.  The loopback answers at once, or its listener is busy. */
static bool
runs_already(const struct hb_epmd *e)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(e->port)};
	struct pollfd p = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof error;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (p.fd == -1)
		return false;
	if (connect(p.fd, (struct sockaddr *)&at, sizeof at) == -1) {
		error = errno;
		if (error == EINPROGRESS && (poll(&p, 1, PROBE_MS) < 1 || getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1))
			error = 0;
	}
	hb_fd_close(&p.fd);
	return error == 0;
}

static void
schedule(struct hb_epmd *e, int64_t ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	evtimer_add(e->again, &tv);
}

void
hb_epmd_start(struct hb_epmd *e)
{
	struct hb_error err;
	int null;

	if (e == NULL || e->pid != 0)
		return;
	if (runs_already(e)) {
		if (!e->foreign)
			hb_info("epmd: one runs on port %u already; it is used", (unsigned)e->port);
		e->foreign = true;
		schedule(e, AGAIN_SECONDS * 1000);
		return;
	}
	e->foreign = false;
	e->started_ms = hb_clock_ms();
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	{
		const int fds[] = {null, null, STDERR_FILENO};
		struct hb_spawn spawn = {.exe = -1, .path = e->path, .argv = e->argv, .envp = e->envp, .fds = fds, .fds_count = 3};

		e->pid = hb_spawn(&spawn, &err);
	}
	hb_fd_close(&null);
	if (e->pid > 0) {
		hb_info("epmd: started on %s port %u, process %d", e->argv[2], (unsigned)e->port, (int)e->pid);
		return;
	}
	e->pid = 0;
	hb_err("epmd: %s", err.text);
	schedule(e, hb_backoff_pause(&e->backoff, 0));
}

static void
on_again(evutil_socket_t fd, short what, void *arg)
{
	hb_epmd_start(arg);
}

void
hb_epmd_reap(struct hb_epmd *e)
{
	char how[HB_EXIT_TEXT];
	int status;

	if (e == NULL || e->pid == 0 || !hb_spawn_reap(e->pid, &status))
		return;
	hb_exit_text(status, how);
	hb_warn("epmd: process %d ended: %s", (int)e->pid, how);
	e->pid = 0;
	schedule(e, hb_backoff_pause(&e->backoff, hb_clock_ms() - e->started_ms));
}

/* Beside erl, where both are of one Erlang. */
static char *
find(const char *erl)
{
	char *real = realpath(erl, NULL), *copy = hb_xstrdup(real != NULL ? real : erl);
	char *path = hb_xasprintf("%s/epmd", dirname(copy));

	free(copy);
	free(real);
	return path;
}

static uint16_t
port_of_environment(void)
{
	const char *text = getenv("ERL_EPMD_PORT");
	long port = text != NULL ? strtol(text, NULL, 10) : 0;

	return port > 0 && port <= UINT16_MAX ? (uint16_t)port : PORT;
}

int
hb_epmd_new(struct event_base *base, const struct hb_config *config, const char *erl, struct hb_epmd **out,
    struct hb_error *err)
{
	static const char *const foreign[] = {"ERL_*", "ERLANG_*", NULL};
	struct hb_epmd *e;

	*out = NULL;
	if (config->erlang.node == NULL || !config->erlang.epmd)
		return 0;
	e = hb_xcalloc(1, sizeof *e);
	e->path = find(erl);
	e->port = port_of_environment();
	e->envp = hb_environ_without(environ, foreign);
	e->argv[0] = hb_xstrdup("epmd");
	e->argv[1] = hb_xstrdup("-address");
	e->argv[2] = hb_xstrdup(config->erlang.listen);
	e->argv[3] = hb_xstrdup("-port");
	e->argv[4] = hb_xasprintf("%u", (unsigned)e->port);
	e->again = evtimer_new(base, on_again, e);
	*out = e;
	if (e->again == NULL)
		return hb_error_set(err, HB_ERROR_MEMORY, "epmd: out of memory");
	if (access(e->path, X_OK) == -1)
		return hb_error_errno(err, HB_ERROR_DOWN, "erlang.epmd: %s", e->path);
	return 0;
}

void
hb_epmd_free(struct hb_epmd *e)
{
	if (e == NULL)
		return;
	if (e->pid > 0) {
		(void)kill(e->pid, SIGKILL);
		(void)waitpid(e->pid, NULL, 0);
	}
	if (e->again != NULL)
		event_free(e->again);
	for (char **word = e->argv; *word != NULL; word++)
		free(*word);
	hb_environ_free(e->envp);
	free(e->path);
	free(e);
}
