/*
 * Listeners: see listener.h.  Whether a Unix socket's file is in use is found
 * out by connecting to it; a lock on its directory keeps two daemons that
 * start at once from replacing each other's.
 */
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/fd.h"

enum { BACKLOG = 2048 };

/* The cause in the words of who has to mend it. */
static int
bind_error(struct hb_error *err, const struct hb_address *address, int cause)
{
	char text[HB_ADDRESS_TEXT];

	hb_address_format(address, text);
	err->saved_errno = cause;
	switch (cause) {
	case EADDRINUSE:
		hb_error_set(err, HB_ERROR_BIND, "%s: address already in use", text);
		break;
	case EADDRNOTAVAIL:
		hb_error_set(err, HB_ERROR_BIND, "%s: this host has no such address", text);
		break;
	case EACCES:
		hb_error_set(err, HB_ERROR_BIND, "%s: permission denied%s", text,
		    address->u.sa.sa_family == AF_UNIX ? "" : " (ports below 1024 need root)");
		break;
	case ENOENT:
		hb_error_set(err, HB_ERROR_BIND, "%s: no such directory", text);
		break;
	case EEXIST:
		hb_error_set(err, HB_ERROR_BIND, "%s: the file exists and is not a socket", text);
		break;
	case EBUSY:
		hb_error_set(err, HB_ERROR_BIND, "%s: the directory stays locked by another process", text);
		break;
	default:
		errno = cause;
		return hb_error_errno(err, HB_ERROR_BIND, "%s", text);
	}
	err->saved_errno = cause;
	return -1;
}

static int
new_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* 1: somebody listens there; 0: the file is stale or absent; -1 with errno. */
static int
unix_in_use(const struct hb_address *a)
{
	int fd = new_socket(AF_UNIX), cause;

	if (fd == -1)
		return -1;
	cause = connect(fd, &a->u.sa, a->len) == 0 ? 0 : errno;
	close(fd);
	switch (cause) {
	case 0:
	case EAGAIN: /* its backlog is full: somebody listens */
		return 1;
	case ECONNREFUSED:
	case ENOENT:
		return 0;
	default:
		errno = cause == EPROTOTYPE ? EADDRINUSE : cause;
		return -1;
	}
}

/* Makes way for a bind: removes a stale socket, and nothing that is not a socket. */
static int
remove_stale(const struct hb_address *a)
{
	struct stat st;
	int used;

	if (lstat(a->u.un.sun_path, &st) == -1)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return -1;
	}
	used = unix_in_use(a);
	if (used == 1)
		errno = EADDRINUSE;
	return used == 0 ? unlink(a->u.un.sun_path) : -1;
}

/*
 * The directory of a socket's file, locked; -1 with errno.  The lock is held
 * for microseconds; whoever keeps it for longer must not keep us from starting
 * without a word.
 */
static int
lock_directory(const struct hb_address *a)
{
	static const struct timespec pause = {0, 10 * 1000 * 1000};
	char path[sizeof a->u.un.sun_path];
	int fd, tries = 200;

	memcpy(path, a->u.un.sun_path, sizeof path);
	fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return -1;
	while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (tries-- == 0) {
			close(fd);
			errno = EBUSY;
			return -1;
		}
		nanosleep(&pause, NULL);
	}
	return fd;
}

static int
bind_unix(struct hb_listener *l, const struct hb_address *a, const struct hb_listener_file *file)
{
	const char *path = a->u.un.sun_path;
	struct stat st;
	mode_t mask;
	int lock, bound;

	lock = lock_directory(a);
	if (lock == -1)
		return -1;
	mask = umask(0777); /* nobody connects before the mode is set */
	bound = remove_stale(a) == -1 ? -1 : bind(l->fd, &a->u.sa, a->len);
	umask(mask);
	if (bound == -1)
		goto fail;
	if (lstat(path, &st) == -1)
		goto fail;
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	/* Listening comes first: without the lock, a socket that refuses would pass for stale. */
	if (listen(l->fd, BACKLOG) == -1 || lchown(path, file->uid, file->gid) == -1 ||
	    fchmodat(AT_FDCWD, path, file->mode, AT_SYMLINK_NOFOLLOW) == -1) {
		int cause = errno;

		unlink(path);
		errno = cause;
		goto fail;
	}
	close(lock);
	return 0;
fail:
	bound = errno;
	close(lock);
	errno = bound;
	return -1;
}

static int
bind_inet(struct hb_listener *l, const struct hb_address *a)
{
	int on = 1;

	if (setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1)
		return -1;
	if (a->u.sa.sa_family == AF_INET6 && setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == -1)
		return -1;
	if (bind(l->fd, &a->u.sa, a->len) == -1 || listen(l->fd, BACKLOG) == -1)
		return -1;
	return getsockname(l->fd, &l->address.u.sa, &l->address.len);
}

int
hb_listener_open(struct hb_listener *l, const struct hb_address *a, const struct hb_listener_file *file,
    struct hb_error *err)
{
	int cause;

	memset(l, 0, sizeof *l);
	l->address = *a;
	l->fd = new_socket(a->u.sa.sa_family);
	if (l->fd == -1)
		return bind_error(err, a, errno);
	if ((a->u.sa.sa_family == AF_UNIX ? bind_unix(l, a, file) : bind_inet(l, a)) == 0)
		return 0;
	cause = errno;
	hb_fd_close(&l->fd);
	return bind_error(err, a, cause);
}

void
hb_listener_close(struct hb_listener *l, int unlink_file)
{
	struct stat st;

	if (l->fd == -1)
		return;
	if (unlink_file && l->address.u.sa.sa_family == AF_UNIX && lstat(l->address.u.un.sun_path, &st) == 0 &&
	    st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->address.u.un.sun_path);
	hb_fd_close(&l->fd);
}

int
hb_accept(int listener, struct hb_address *peer)
{
	int fd, on = 1;

	peer->len = sizeof peer->u;
	fd = accept4(listener, &peer->u.sa, &peer->len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	/* Where an application has closed standard output, what it prints must not go to a client. */
	if (fd != -1 && fd <= STDERR_FILENO) {
		int low = fd;

		fd = fcntl(low, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
		close(low);
	}
	if (fd != -1 && peer->u.sa.sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return fd;
}
