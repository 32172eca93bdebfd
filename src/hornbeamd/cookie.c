/* The cookie: see cookie.h.  What is in the file goes nowhere but into the file. */
#include "hornbeamd/cookie.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"

#define KEY "erlang.cookie_file"

enum { RANDOM = 32, COOKIE_MAX = 255 };

/* As many letters as there are hexadecimal digits of so many random bytes. */
static int
write_random(int fd)
{
	unsigned char random[RANDOM];
	char text[2 * RANDOM + 1];
	ssize_t n;

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return -1;
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(text + 2 * i, 3, "%02x", random[i]);
	n = write(fd, text, 2 * RANDOM);
	explicit_bzero(random, sizeof random);
	explicit_bzero(text, sizeof text);
	if (n >= 0 && n != 2 * RANDOM)
		errno = ENOSPC;
	return n == 2 * RANDOM ? 0 : -1;
}

/* The directory is usually there already, as a package or systemd makes it. */
static int
make_directory(const char *path, const struct hb_identity *id, struct hb_error *err)
{
	char *copy = hb_xstrdup(path);
	const char *dir = dirname(copy);
	int result = 0;

	if (mkdir(dir, 0750) == 0) {
		if (id->drop && chown(dir, id->uid, id->gid) == -1)
			result = hb_error_errno(err, HB_ERROR_BIND, KEY ": cannot hand %s over to %s", dir, id->user);
	} else if (errno != EEXIST) {
		result = hb_error_errno(err, HB_ERROR_BIND, KEY ": cannot make %s", dir);
	}
	free(copy);
	return result;
}

/* Somebody else's file of that name, made at the same time, is as good as ours. */
static int
make_file(const char *path, const struct hb_identity *id, struct hb_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);

	if (fd == -1)
		return errno == EEXIST ? 0 : hb_error_errno(err, HB_ERROR_BIND, KEY ": cannot make %s", path);
	if (write_random(fd) == -1 || fchmod(fd, 0400) == -1 || (id->drop && fchown(fd, id->uid, id->gid) == -1) ||
	    fsync(fd) == -1) {
		hb_error_errno(err, HB_ERROR_BIND, KEY ": cannot make %s", path);
		(void)unlink(path);
		hb_fd_close(&fd);
		return -1;
	}
	hb_fd_close(&fd);
	hb_info("master: made %s with a new cookie", path);
	return 0;
}

static int
check_content(int fd, const char *path, struct hb_error *err)
{
	char text[COOKIE_MAX + 2];
	ssize_t n = read(fd, text, sizeof text), len = n;
	bool control = false;

	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	for (ssize_t i = 0; i < len; i++)
		control = control || (unsigned char)text[i] < 0x20 || text[i] == 0x7f;
	explicit_bzero(text, sizeof text);
	if (n == -1)
		return hb_error_errno(err, HB_ERROR_PERMISSION, KEY ": cannot read %s", path);
	if (len == 0)
		return hb_error_set(err, HB_ERROR_CONFIG, KEY ": %s is empty; remove it, and a new one is made", path);
	if (len > COOKIE_MAX || control)
		return hb_error_set(err, HB_ERROR_CONFIG, KEY ": %s is not one line of at most %d bytes", path, COOKIE_MAX);
	return 0;
}

static int
check_file(int fd, const char *path, const struct hb_identity *id, struct hb_error *err)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return hb_error_errno(err, HB_ERROR_PERMISSION, KEY ": %s", path);
	if (!S_ISREG(st.st_mode))
		return hb_error_set(err, HB_ERROR_CONFIG, KEY ": %s is not a file", path);
	if (st.st_uid != id->uid)
		return hb_error_set(err, HB_ERROR_PERMISSION, KEY ": %s belongs to another user; make it %s's: chown %s %s",
		    path, id->user, id->user, path);
	if ((st.st_mode & 077) != 0)
		return hb_error_set(err, HB_ERROR_PERMISSION,
		    KEY ": %s is open to others (mode %04o), and whoever knows it can do anything here: chmod 400 %s", path,
		    (unsigned)st.st_mode & 07777, path);
	return check_content(fd, path, err);
}

int
hb_cookie_check(const struct hb_config *config, const struct hb_identity *id, struct hb_error *err)
{
	const char *path = config->erlang.cookie_file;
	int fd, result;

	if (config->erlang.node == NULL)
		return 0;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1)
		return hb_error_errno(err, HB_ERROR_PERMISSION, KEY ": cannot open %s", path);
	result = check_file(fd, path, id, err);
	hb_fd_close(&fd);
	return result;
}

int
hb_cookie_make(const struct hb_config *config, const struct hb_identity *id, struct hb_error *err)
{
	const char *path = config->erlang.cookie_file;

	if (config->erlang.node == NULL)
		return 0;
	if (access(path, F_OK) == -1 && errno == ENOENT &&
	    (make_directory(path, id, err) == -1 || make_file(path, id, err) == -1))
		return -1;
	return hb_cookie_check(config, id, err);
}
