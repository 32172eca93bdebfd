/* Children: see spawn.h. */
#include "hornbeamd/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "common/str.h"

/* The master's handlers and ignored signals are its own. */
static void
default_signals(void)
{
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGKILL && sig != SIGSTOP)
			(void)signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Puts every descriptor into its place.  All of them move out of the way
 * first, so that none is overwritten before its turn.
 */
static int
place_descriptors(const struct hb_spawn *s, int *exe)
{
	int *fds = hb_xcalloc(s->fds_count, sizeof *fds), base = (int)s->fds_count; /* given back by exec */

	if (*exe != -1 && (*exe = fcntl(*exe, F_DUPFD_CLOEXEC, base)) == -1)
		return -1;
	for (size_t i = 0; i < s->fds_count; i++)
		if ((fds[i] = fcntl(s->fds[i], F_DUPFD_CLOEXEC, base)) == -1)
			return -1;
	for (size_t i = 0; i < s->fds_count; i++)
		if (dup2(fds[i], (int)i) == -1)
			return -1;
	return close_range((unsigned)base, ~0U, CLOSE_RANGE_CLOEXEC);
}

static _Noreturn void
become(const struct hb_spawn *s, pid_t parent)
{
	int exe = s->exe;

	default_signals();
	(void)setpgid(0, 0);
	/* The parent may have died before the call: then nobody else would end this process. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		_exit(EX_OSERR);
	if (place_descriptors(s, &exe) == 0) {
		if (exe != -1)
			fexecve(exe, s->argv, s->envp);
		else
			execve(s->path, s->argv, s->envp);
	}
	hb_err("cannot execute %s: %s", s->exe != -1 ? s->argv[0] : s->path, strerror(errno));
	_exit(EX_OSERR);
}

pid_t
hb_spawn(const struct hb_spawn *s, struct hb_error *err)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "cannot fork");
	if (pid == 0)
		become(s, parent);
	(void)setpgid(pid, pid); /* whoever comes first; a signal to the group must find it */
	return pid;
}

bool
hb_spawn_reap(pid_t pid, int *status)
{
	siginfo_t info = {0};

	/* The id stays taken until waitpid, so the group that is killed is the right one. */
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == -1 || info.si_pid == 0)
		return false;
	(void)kill(-pid, SIGKILL);
	return waitpid(pid, status, 0) == pid;
}

void
hb_exit_text(int status, char out[HB_EXIT_TEXT])
{
	const char *name;

	if (WIFEXITED(status)) {
		snprintf(out, HB_EXIT_TEXT, "exit status %d", WEXITSTATUS(status));
		return;
	}
	name = sigabbrev_np(WTERMSIG(status));
	if (name != NULL)
		snprintf(out, HB_EXIT_TEXT, "killed by SIG%s%s", name, WCOREDUMP(status) ? ", core dumped" : "");
	else
		snprintf(out, HB_EXIT_TEXT, "killed by signal %d", WTERMSIG(status));
}

/* Whether entry, NAME=VALUE, is the variable that name stands for. */
static bool
is_variable(const char *entry, const char *name)
{
	size_t len = strlen(name);

	if (len > 0 && name[len - 1] == '*')
		return strncmp(entry, name, len - 1) == 0;
	return strncmp(entry, name, len) == 0 && entry[len] == '=';
}

char **
hb_environ_without(char *const *envp, const char *const *names)
{
	size_t n = 0, kept = 0;
	char **out;

	while (envp[n] != NULL)
		n++;
	out = hb_xcalloc(n + 1, sizeof *out);
	for (size_t i = 0; i < n; i++) {
		bool drop = false;

		for (const char *const *name = names; *name != NULL && !drop; name++)
			drop = is_variable(envp[i], *name);
		if (!drop)
			out[kept++] = hb_xstrdup(envp[i]);
	}
	return out;
}

char **
hb_environ_set(char **envp, const char *name, const char *value)
{
	size_t n = 0;
	char *entry = hb_xasprintf("%s=%s", name, value);

	for (; envp[n] != NULL; n++)
		if (is_variable(envp[n], name)) {
			free(envp[n]);
			envp[n] = entry;
			return envp;
		}
	envp = hb_xrealloc(envp, (n + 2) * sizeof *envp);
	envp[n] = entry;
	envp[n + 1] = NULL;
	return envp;
}

const char *
hb_environ_get(char *const *envp, const char *name)
{
	for (; *envp != NULL; envp++)
		if (is_variable(*envp, name))
			return *envp + strlen(name) + 1;
	return NULL;
}

void
hb_environ_free(char **envp)
{
	if (envp == NULL)
		return;
	for (char **entry = envp; *entry != NULL; entry++)
		free(*entry);
	free(envp);
}
