/* The process of a worker: see process.h. */
#include "hornbeamd/process.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"
#include "hornbeamd/spawn.h"
#include "worker/worker.h"

void
hb_process_init(struct hb_process *p, unsigned index, void (*said)(void *arg, char word), void *arg)
{
	*p = (struct hb_process){.index = index, .channel = -1, .said = said, .arg = arg};
}

static void
hear_words(struct hb_process *p, char c)
{
	if (c == '\n')
		p->in_words = false;
	else if (p->words_len + 1 < sizeof p->words)
		p->words[p->words_len++] = c;
	p->words[p->words_len] = '\0';
}

static void
hear(struct hb_process *p, char c)
{
	if (p->in_words) {
		hear_words(p, c);
		return;
	}
	switch (c) {
	case 'E':
		p->in_words = true;
		p->words_len = 0;
		break;
	case 'R':
	case 'X':
		p->said(p->arg, c);
		break;
	default:
		hb_warn("worker %u: unexpected byte 0x%02x on its channel", p->index, (unsigned char)c);
		break;
	}
}

/* Returns false at the end of the channel. */
static bool
listen_to(struct hb_process *p)
{
	char bytes[HB_LOG_LAST];
	ssize_t n = read(p->channel, bytes, sizeof bytes);

	for (ssize_t i = 0; i < n; i++)
		hear(p, bytes[i]);
	return n > 0 || (n == -1 && (errno == EAGAIN || errno == EINTR));
}

static void
on_channel(evutil_socket_t fd, short what, void *arg)
{
	struct hb_process *p = arg;

	if (listen_to(p))
		return;
	/* A worker without a life line must not stay; usually it is about to end anyway. */
	event_del(p->readable);
	(void)shutdown(fd, SHUT_RDWR);
}

int
hb_process_start(struct hb_process *p, struct event_base *base, const struct hb_spawn *spawn, int *fds,
    struct hb_error *err)
{
	int pair[2];

	p->started_ms = hb_clock_ms();
	p->in_words = false;
	p->words_len = 0;
	p->words[0] = '\0';
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "socketpair");
	p->channel = pair[0];
	p->readable = event_new(base, p->channel, EV_READ | EV_PERSIST, on_channel, p);
	if (p->readable == NULL || event_add(p->readable, NULL) == -1 || hb_fd_nonblock(p->channel) == -1) {
		hb_error_errno(err, HB_ERROR_SYSTEM, "channel");
		goto fail;
	}
	fds[HB_WORKER_FD_CHANNEL] = pair[1];
	p->pid = hb_spawn(spawn, err);
	if (p->pid == -1)
		goto fail;
	close(pair[1]);
	return 0;
fail:
	close(pair[1]);
	hb_process_clear(p);
	return -1;
}

bool
hb_process_reap(struct hb_process *p, int *status)
{
	if (p->pid <= 0 || !hb_spawn_reap(p->pid, status))
		return false;
	(void)listen_to(p);
	hb_process_clear(p);
	return true;
}

void
hb_process_drain(struct hb_process *p, bool gently)
{
	if (send(p->channel, gently ? "G" : "D", 1, MSG_NOSIGNAL) != 1 && errno != EPIPE)
		hb_warn("worker %u: cannot be told to drain: %m", p->index);
}

void
hb_process_clear(struct hb_process *p)
{
	if (p->readable != NULL)
		event_free(p->readable);
	p->readable = NULL;
	hb_fd_close(&p->channel);
	p->pid = 0;
}
