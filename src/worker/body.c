/* A request's body in memory or in a file: see body.h. */
#include "worker/body.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/str.h"

static int
open_file(struct hb_error *err)
{
	const char *dir = getenv("TMPDIR");
	char *path;
	int fd;

	if (dir == NULL || *dir == '\0')
		dir = "/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (fd == -1 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		path = hb_xasprintf("%s/hornbeam-XXXXXX", dir);
		fd = mkostemp(path, O_CLOEXEC);
		if (fd != -1)
			unlink(path);
		free(path);
	}
	if (fd == -1)
		hb_error_errno(err, HB_ERROR_SYSTEM, "a request's body needs a file in %s", dir);
	return fd;
}

static int
write_all(int fd, const unsigned char *p, size_t n, struct hb_error *err)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done == -1 && errno == EINTR)
			continue;
		if (done == -1)
			return hb_error_errno(err, HB_ERROR_SYSTEM, "the file of a request's body");
		p += done;
		n -= (size_t)done;
	}
	return 0;
}

int
hb_body_add(struct hb_body *b, const void *p, size_t n, size_t memory_limit, struct hb_error *err)
{
	if (b->fd == -1 && b->size + n > memory_limit) {
		b->fd = open_file(err);
		if (b->fd == -1 || write_all(b->fd, b->memory.data, b->memory.len, err) == -1)
			return -1;
		hb_buf_free(&b->memory);
	}
	if (b->fd != -1) {
		if (write_all(b->fd, p, n, err) == -1)
			return -1;
	} else {
		hb_buf_add(&b->memory, p, n);
		if (b->memory.failed)
			return hb_error_set(err, HB_ERROR_MEMORY, "no memory for a request's body");
	}
	b->size += n;
	return 0;
}

const unsigned char *
hb_body_bytes(struct hb_body *b, struct hb_error *err)
{
	void *map;

	if (b->fd == -1)
		return b->memory.data != NULL ? b->memory.data : (const unsigned char *)"";
	if (b->map == NULL) {
		map = mmap(NULL, b->size, PROT_READ, MAP_PRIVATE, b->fd, 0);
		if (map == MAP_FAILED) {
			hb_error_errno(err, HB_ERROR_SYSTEM, "the file of a request's body");
			return NULL;
		}
		b->map = map;
	}
	return b->map;
}

void
hb_body_clear(struct hb_body *b)
{
	if (b->map != NULL)
		munmap(b->map, b->size);
	hb_fd_close(&b->fd);
	hb_buf_free(&b->memory);
	b->map = NULL;
	b->size = 0;
}
