/* The server's descriptors: see own.h. */
#include "worker/own.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "common/log.h"
#include "common/str.h"
#include "worker/state.h"

void
hb_own_init(struct hb_own *own)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;

	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL) {
		int fd = (int)strtol(e->d_name, NULL, 10);

		if (fd > STDERR_FILENO && fd != dirfd(dir))
			hb_own_add(own, fd);
	}
	closedir(dir);
}

void
hb_own_free(struct hb_own *own)
{
	free(own->bits);
	*own = (struct hb_own){0};
}

void
hb_own_add(struct hb_own *own, int fd)
{
	size_t at = (size_t)fd / 8, size = own->size != 0 ? own->size : 64;

	while (size <= at)
		size *= 2;
	if (size != own->size) {
		own->bits = hb_xrealloc(own->bits, size);
		memset(own->bits + own->size, 0, size - own->size);
		own->size = size;
	}
	own->bits[at] |= (unsigned char)(1U << (fd % 8));
}

void
hb_own_drop(struct hb_own *own, int fd)
{
	if (fd >= 0 && (size_t)fd / 8 < own->size)
		own->bits[fd / 8] &= (unsigned char)~(1U << (fd % 8));
}

bool
hb_own_has(const struct hb_own *own, int fd)
{
	return (size_t)fd / 8 < own->size && (own->bits[fd / 8] >> (fd % 8) & 1) != 0;
}

void
hb_worker_give_up(struct hb_worker *w, const char *why)
{
	hb_err("worker: %s: this worker ends, with all that it is doing", why);
	hb_access_flush(&w->access);
	_exit(EX_SOFTWARE);
}
