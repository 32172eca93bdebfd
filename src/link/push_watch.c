/* What an event loop watches of the push connection: see push.h. */
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/str.h"
#include "link/push_state.h"

static int
control(const struct hb_push_watch *watch, int operation, int fd, bool write)
{
	struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.fd = fd};

	return epoll_ctl(watch->poller, operation, fd, &event);
}

/*
 * A connection that cannot be added (no memory) is not watched: the loop's
 * waits then depend on other threads'.
 */
void
hb_push_watch_connection(struct hb_push *push, int operation)
{
	struct hb_push_watch *watch;

	LIST_FOREACH(watch, &push->watches, link)
		if (control(watch, operation, push->fd, push->full) == -1)
			continue;
}

/* All of them: any one's loop may have other work, or have ended. */
void
hb_push_ring_all(struct hb_push *push)
{
	struct hb_push_watch *watch;

	if (push->polling)
		hb_push_ring(push->bell);
	LIST_FOREACH(watch, &push->watches, link)
		hb_push_ring(watch->bell);
}

/* The epoll instance is shared with the parent: it is only closed. */
void
hb_push_watch_forked(struct hb_push_watch *watch)
{
	TAILQ_INIT(&watch->woken);
	hb_fd_close(&watch->poller);
	hb_fd_close(&watch->bell);
}

struct hb_push_watch *
hb_push_watch_new(struct hb_push *push, struct hb_error *err)
{
	struct hb_push_watch *watch = hb_xcalloc(1, sizeof *watch);

	watch->push = push;
	TAILQ_INIT(&watch->woken);
	pthread_mutex_lock(&push->lock);
	watch->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	watch->poller = epoll_create1(EPOLL_CLOEXEC);
	LIST_INSERT_HEAD(&push->watches, watch, link);
	if (watch->bell == -1 || watch->poller == -1 || control(watch, EPOLL_CTL_ADD, watch->bell, false) == -1 ||
	    (push->fd != -1 && control(watch, EPOLL_CTL_ADD, push->fd, push->full) == -1)) {
		hb_error_errno(err, HB_ERROR_SYSTEM, "a descriptor for the event loop");
		pthread_mutex_unlock(&push->lock);
		hb_push_watch_free(watch);
		return NULL;
	}
	/* Frames that another thread has read may wait in the buffer. */
	if (push->more)
		hb_push_ring(watch->bell);
	pthread_mutex_unlock(&push->lock);
	return watch;
}

void
hb_push_watch_free(struct hb_push_watch *watch)
{
	struct hb_subscriber *s;

	if (watch == NULL)
		return;
	pthread_mutex_lock(&watch->push->lock);
	TAILQ_FOREACH(s, &watch->push->subscribers, link)
		if (s->watch == watch) {
			s->watch = NULL;
			s->woken = false;
		}
	LIST_REMOVE(watch, link);
	hb_fd_close(&watch->poller);
	hb_fd_close(&watch->bell);
	pthread_mutex_unlock(&watch->push->lock);
	free(watch);
}

int
hb_push_watch_fd(const struct hb_push_watch *watch)
{
	return watch->poller;
}

void
hb_push_read(struct hb_push_watch *watch)
{
	struct hb_push *push = watch->push;

	pthread_mutex_lock(&push->lock);
	if (watch->bell != -1) {
		hb_push_silence(watch->bell);
		push->reading = watch;
		if (push->fd != -1)
			hb_push_exchange(push);
		if (push->fd == -1)
			hb_push_connect(push);
		push->reading = NULL;
		if (push->more)
			hb_push_ring_all(push);
	}
	pthread_mutex_unlock(&push->lock);
}

struct hb_subscriber *
hb_push_woken(struct hb_push_watch *watch)
{
	struct hb_subscriber *s;

	pthread_mutex_lock(&watch->push->lock);
	s = TAILQ_FIRST(&watch->woken);
	if (s != NULL) {
		TAILQ_REMOVE(&watch->woken, s, of_watch);
		s->woken = false;
		s->watch = NULL;
	}
	pthread_mutex_unlock(&watch->push->lock);
	return s;
}

bool
hb_push_arm(struct hb_subscriber *s, struct hb_push_watch *watch, bool *elsewhere)
{
	bool armed = false;

	*elsewhere = false;
	pthread_mutex_lock(&s->push->lock);
	if (s->watch != NULL && s->watch != watch)
		*elsewhere = true;
	else if (s->counts.queued == 0 && !s->closed && watch->bell != -1) {
		s->watch = watch;
		armed = true;
	}
	pthread_mutex_unlock(&s->push->lock);
	return armed;
}

void
hb_push_disarm(struct hb_subscriber *s)
{
	pthread_mutex_lock(&s->push->lock);
	if (s->woken)
		TAILQ_REMOVE(&s->watch->woken, s, of_watch);
	s->woken = false;
	s->watch = NULL;
	pthread_mutex_unlock(&s->push->lock);
}
