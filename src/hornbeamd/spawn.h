/* Starting a child process, and telling how one ended. */
#ifndef HB_HORNBEAMD_SPAWN_H
#define HB_HORNBEAMD_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

struct hb_spawn {
	int exe;          /* descriptor of the program, or -1 for path */
	const char *path;
	char *const *argv;
	char *const *envp;
	const int *fds;   /* fds[i] becomes descriptor i; nothing else is inherited */
	size_t fds_count; /* at least 3 */
};

/*
 * Starts a process in a group of its own (a terminal's Ctrl-C is the
 * master's alone) that the kernel kills when this process dies.  Returns its
 * id, or -1 with err.  A program that cannot be executed ends with 71.
 */
pid_t hb_spawn(const struct hb_spawn *spawn, struct hb_error *err) HB_WARN_UNUSED;

/*
 * If the child has ended: kills what is left of its group, takes its status
 * and returns true.
 */
bool hb_spawn_reap(pid_t pid, int *status);

#define HB_EXIT_TEXT 64
/* "exit status 70", "killed by SIGSEGV". */
void hb_exit_text(int status, char out[HB_EXIT_TEXT]);

/* A copy of the environment without the named variables (a name that ends with * is a prefix). */
char **hb_environ_without(char *const *envp, const char *const *names);
/* The same environment with NAME=VALUE set, or added. */
char **hb_environ_set(char **envp, const char *name, const char *value);
const char *hb_environ_get(char *const *envp, const char *name);
void hb_environ_free(char **envp);

#endif
