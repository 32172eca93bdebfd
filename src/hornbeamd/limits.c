/* Limits: see limits.h. */
#include "hornbeamd/limits.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

/* What a worker opens beside connections: the interpreter, the application's files and sockets. */
enum { OTHER_DESCRIPTORS = 256 };

int
hb_limits_descriptors(struct hb_error *err)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
		if (fd == -1)
			return hb_error_errno(err, HB_ERROR_SYSTEM, "/dev/null");
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

void
hb_limits_apply(const struct hb_config *config)
{
	rlim_t need = (rlim_t)config->limits.connections + OTHER_DESCRIPTORS;
	struct rlimit limit;

	umask(027);
	if (getrlimit(RLIMIT_NOFILE, &limit) == -1 || limit.rlim_cur >= need)
		return;
	limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
	if (setrlimit(RLIMIT_NOFILE, &limit) == -1)
		hb_warn("limits: cannot raise the number of open files: %m");
	else if (limit.rlim_cur < need)
		hb_warn("limits: limits.connections %llu needs %llu open files, the system allows %llu (ulimit -n, LimitNOFILE)",
		    (unsigned long long)config->limits.connections, (unsigned long long)need,
		    (unsigned long long)limit.rlim_max);
}
