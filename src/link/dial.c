/* Opening a link, blocking: see dial.h. */
#include "link/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "link/locate.h"

void
hb_dial_init(struct hb_dial *dial, pthread_mutex_t *lock)
{
	memset(dial, 0, sizeof *dial);
	dial->lock = lock;
	dial->opening.fd = dial->opening.spent = dial->opening.passed = -1;
}

void
hb_dial_end(struct hb_dial *dial)
{
	hb_opening_end(&dial->opening);
}

/* Waits for the next step, or the deadline: 0, or -1 with err. */
static int
await(struct hb_opening *o, enum hb_opening_step step, int64_t deadline, struct hb_error *err)
{
	struct pollfd pfd = {o->fd, POLLIN, 0};
	int64_t left = deadline - hb_clock_ms(), most = step == HB_OPENING_PAUSE ? HB_OPENING_PAUSE_MS : 60000;
	int n;

	if (left <= 0)
		return hb_error_set(err, HB_ERROR_TIMEOUT, "no answer at %s before the deadline", o->addr.sun_path);
	n = poll(&pfd, step == HB_OPENING_READ, left > most ? (int)most : (int)left);
	if (n == -1 && errno == EINTR)
		return hb_error_set(err, HB_ERROR_INTERRUPT, "interrupted");
	if (n == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "poll");
	return 0;
}

int
hb_dial(struct hb_dial *dial, enum hb_link_via via, const char *path, const char *role, const char *name,
    int64_t deadline, struct hb_error *err)
{
	struct hb_hello hello = {role, name, getuid(), getgid(), getpid()};
	struct hb_opening *o = &dial->opening;
	enum hb_opening_step step = HB_OPENING_READ;
	char located[HB_LINK_PATH];
	int flags;

	if (path == NULL) {
		if (hb_link_locate(located, sizeof located, err) == -1)
			return -1;
		path = located;
	}
	pthread_mutex_lock(dial->lock);
	if (hb_opening_begin(o, via, path, &hello, deadline, err) == -1)
		step = HB_OPENING_FAILED;
	else
		step = hb_opening_go_on(o, err);
	pthread_mutex_unlock(dial->lock);
	while (step == HB_OPENING_READ || step == HB_OPENING_PAUSE) {
		if (await(o, step, deadline, err) == -1)
			return -1;
		pthread_mutex_lock(dial->lock);
		step = hb_opening_go_on(o, err);
		pthread_mutex_unlock(dial->lock);
	}
	if (step == HB_OPENING_FAILED)
		return -1;
	flags = fcntl(o->fd, F_GETFL);
	if (flags == -1 || fcntl(o->fd, F_SETFL, flags & ~O_NONBLOCK) == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "fcntl");
	return o->fd;
}
