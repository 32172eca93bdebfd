/* Finding the control socket: see locate.h. */
#include "link/locate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

_Static_assert(HB_LINK_PATH == sizeof ((struct sockaddr_un *)0)->sun_path, "HB_LINK_PATH is that of sockaddr_un");

static int
fits(int n, size_t size, const char *what, struct hb_error *err)
{
	if (n < 0 || (size_t)n >= size || n >= HB_LINK_PATH)
		return hb_error_set(err, HB_ERROR_SYSTEM, "%s is longer than the %d bytes of a socket's path", what,
		    HB_LINK_PATH - 1);
	return 0;
}

static int
tmp_dir(char *out, size_t size, struct hb_error *err)
{
	return fits(snprintf(out, size, "/tmp/hornbeam-%lu", (unsigned long)getuid()), size, "/tmp/hornbeam-UID", err);
}

int
hb_link_run_dir(char *out, size_t size, struct hb_error *err)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (runtime == NULL || runtime[0] != '/')
		return tmp_dir(out, size, err);
	return fits(snprintf(out, size, "%s/hornbeam", runtime), size, "XDG_RUNTIME_DIR", err);
}

/* Others can make names in /tmp: the directory must be the user's alone. */
static bool
is_own(const char *path, mode_t type)
{
	struct stat st;

	if (lstat(path, &st) == -1 || (st.st_mode & S_IFMT) != type || st.st_uid != getuid())
		return false;
	return type != S_IFDIR || (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* A socket file outlives a process that was killed: somebody must listen. */
static bool
is_served(const char *path)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool served;

	if (fd == -1)
		return false;
	memcpy(un.sun_path, path, strlen(path));
	served = connect(fd, (struct sockaddr *)&un, sizeof un) == 0 || errno == EAGAIN;
	close(fd);
	return served;
}

static bool
is_running(char *path, size_t size)
{
	size_t len = strlen(path);
	struct hb_error err;

	if (!is_own(path, S_IFDIR) ||
	    fits((int)len + snprintf(path + len, size - len, "/control.sock"), size, path, &err) == -1)
		return false;
	return is_own(path, S_IFSOCK) && is_served(path);
}

int
hb_link_locate(char *out, size_t size, struct hb_error *err)
{
	const char *named = getenv("HORNBEAM_SOCKET");

	if (named != NULL && named[0] != '\0')
		return fits(snprintf(out, size, "%s", named), size, "HORNBEAM_SOCKET", err);
	if (hb_link_run_dir(out, size, err) == 0 && is_running(out, size))
		return 0;
	if (tmp_dir(out, size, err) == 0 && is_running(out, size))
		return 0;
	return fits(snprintf(out, size, "%s", HB_RUNDIR "/control.sock"), size, HB_RUNDIR, err);
}
