/* Sealed configuration and counters: see shared.h. */
#include "hornbeamd/shared.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW };

static int
write_all(int fd, const unsigned char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int
hb_shared_config(const struct hb_config *config, struct hb_error *err)
{
	struct hb_buf text = HB_BUF_INIT;
	int fd = memfd_create("hornbeam.yaml", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	hb_config_dump(config, HB_CONFIG_YAML, &text);
	if (fd == -1 || text.failed || write_all(fd, text.data, text.len) == -1 ||
	    fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_WRITE) == -1) {
		hb_error_errno(err, HB_ERROR_SYSTEM, "memfd for the configuration");
		hb_fd_close(&fd);
	}
	hb_buf_free(&text);
	return fd;
}

struct hb_config *
hb_shared_config_read(int fd, struct hb_error *err)
{
	struct hb_config *config;
	struct stat st;
	void *text;

	if (fstat(fd, &st) == -1 ||
	    (text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED) {
		hb_error_errno(err, HB_ERROR_SYSTEM, "descriptor %d, the configuration", fd);
		return NULL;
	}
	config = hb_config_parse(text, (size_t)st.st_size, "(from the master)", err);
	munmap(text, (size_t)st.st_size);
	return config;
}

int
hb_shared_counters(struct hb_error *err)
{
	int fd = memfd_create("hornbeam-counters", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* Sealed in size only: a worker that cut it short would kill the others. */
	if (fd == -1 || ftruncate(fd, sizeof(struct hb_worker_shared)) == -1 || fcntl(fd, F_ADD_SEALS, SEALS) == -1) {
		hb_error_errno(err, HB_ERROR_SYSTEM, "memfd for the counters");
		hb_fd_close(&fd);
	}
	return fd;
}

struct hb_worker_shared *
hb_shared_counters_map(int fd, struct hb_error *err)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) == -1 || (size_t)st.st_size != sizeof(struct hb_worker_shared) ||
	    (p = mmap(NULL, sizeof(struct hb_worker_shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED) {
		hb_error_errno(err, HB_ERROR_SYSTEM, "descriptor %d, the counters", fd);
		return NULL;
	}
	return p;
}
