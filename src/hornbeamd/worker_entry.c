/* A worker's first steps: see worker_entry.h.  The descriptors are those of worker.h. */
#include "hornbeamd/worker_entry.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "common/fd.h"
#include "common/log.h"
#include "common/str.h"
#include "hornbeamd/shared.h"
#include "worker/worker.h"

/* What the application executes must not inherit any of them. */
static int
keep_descriptors(int last)
{
	for (int fd = HB_WORKER_FD_CONFIG; fd <= last; fd++)
		if (hb_fd_cloexec(fd, 1) == -1)
			return -1;
	return 0;
}

/* Why it cannot start, for whoever asked the master for the start. */
static void
last_words(void)
{
	char line[HB_LOG_LAST + 2] = "E";
	size_t n = 1 + hb_log_last_error(line + 1);

	line[n++] = '\n';
	(void)send(HB_WORKER_FD_CHANNEL, line, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int
hb_worker_entry(unsigned index, unsigned slot)
{
	static char name[32];
	struct hb_worker_start start = {.index = index, .slot = slot, .channel = HB_WORKER_FD_CHANNEL};
	struct hb_config *config;
	struct hb_error err;
	int status;

	if (fcntl(HB_WORKER_FD_CHANNEL, F_GETFD) == -1) {
		fputs("hornbeamd: --worker is for hornbeamd itself\n", stderr);
		return EX_USAGE;
	}
	snprintf(name, sizeof name, "worker %u", start.index);
	(void)prctl(PR_SET_NAME, "hornbeamd"); /* executed from a descriptor, it would be called by its number */
	config = hb_shared_config_read(HB_WORKER_FD_CONFIG, &err);
	if (config == NULL)
		goto fail;
	hb_log_open(name, config->log.level);
	start.config = config;
	start.shared = hb_shared_counters_map(HB_WORKER_FD_COUNTERS, &err);
	if (start.shared == NULL)
		goto fail;
	start.listeners_count = config->listen_count;
	start.listeners = hb_xcalloc(start.listeners_count, sizeof *start.listeners);
	for (size_t i = 0; i < start.listeners_count; i++)
		start.listeners[i] = HB_WORKER_FD_LISTENERS + (int)i;
	if (keep_descriptors(HB_WORKER_FD_LISTENERS + (int)start.listeners_count - 1) == -1) {
		hb_error_errno(&err, HB_ERROR_SYSTEM, "the descriptors from the master");
		goto fail;
	}
	status = hb_worker_main(&start);
	if (status != EX_OK)
		last_words();
	free(start.listeners);
	hb_config_free(config);
	return status;
fail:
	hb_log_open(name, HB_LOG_INFO);
	hb_err("%s", err.text);
	last_words();
	return EX_OSERR;
}
