/*
 * The log: see log.h.  Standard error may be shared with other processes, so
 * it is not made non-blocking; poll(2) says beforehand whether a write of
 * less than PIPE_BUF bytes can block.  Two processes may be told so at once:
 * a pipe is therefore opened anew where that is possible.  A descriptor of
 * its own also keeps the log out of whatever gets number 2 when an
 * application has closed standard error.
 */
#include "common/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/fd.h"

enum { LINE_MAX_BYTES = 4000 }; /* below PIPE_BUF: a line is written whole or not at all */

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static struct {
	const char *name;
	enum hb_log_level level;
	int fd; /* -1: standard error itself */
	uint64_t dropped;
	uint64_t reported;
	pthread_mutex_t lock;
	char last_error[HB_LOG_LAST];
} state = {"hornbeam", HB_LOG_INFO, -1, 0, 0, PTHREAD_MUTEX_INITIALIZER, ""};

/* Another thread may be in the middle of a line when the process forks. */
static void
lock(void)
{
	pthread_mutex_lock(&state.lock);
}

static void
unlock(void)
{
	pthread_mutex_unlock(&state.lock);
}

static void
watch_forks(void)
{
	pthread_atfork(lock, unlock, unlock);
}

void
hb_log_open(const char *name, enum hb_log_level level)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch_forks);
	state.name = name;
	state.level = level;
	hb_fd_close(&state.fd);
	state.fd = hb_fd_output(STDERR_FILENO);
}

uint64_t
hb_log_dropped(void)
{
	return state.dropped;
}

size_t
hb_log_last_error(char out[HB_LOG_LAST])
{
	size_t n;

	lock();
	n = strlen(state.last_error);
	memcpy(out, state.last_error, n + 1);
	unlock();
	return n;
}

static bool
write_line(const char *line, size_t len)
{
	struct pollfd pfd = {state.fd != -1 ? state.fd : STDERR_FILENO, POLLOUT, 0};
	ssize_t n;

	if (poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLNVAL)) { /* somebody has closed it */
		pfd.fd = STDERR_FILENO;
		(void)poll(&pfd, 1, 0);
	}
	if (!(pfd.revents & POLLOUT))
		return false;
	do
		n = write(pfd.fd, line, len);
	while (n == -1 && errno == EINTR);
	return n == (ssize_t)len;
}

/* Copies text with control bytes escaped; returns the length. */
static size_t
escape(char *out, size_t room, const char *text)
{
	size_t n = 0;

	for (; *text != '\0' && n + 5 < room; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			n += (size_t)snprintf(out + n, room - n, "\\x%02x", c);
		else
			out[n++] = (char)c;
	}
	return n;
}

static void
emit(enum hb_log_level level, const char *text)
{
	char stamp[HB_CLOCK_STAMP], line[LINE_MAX_BYTES];
	size_t n;

	hb_clock_stamp(stamp);
	n = (size_t)snprintf(line, sizeof line, "%s %s %s[%d]: ", stamp, level_names[level], state.name,
	    (int)getpid());
	n += escape(line + n, sizeof line - n - 1, text);
	line[n++] = '\n';
	if (!write_line(line, n))
		state.dropped++;
}

static void
emit_locked(enum hb_log_level level, const char *text)
{
	char note[64];

	lock();
	if (level == HB_LOG_ERROR)
		state.last_error[escape(state.last_error, sizeof state.last_error, text)] = '\0';
	if (state.dropped != state.reported) {
		uint64_t lost = state.dropped - state.reported;

		state.reported = state.dropped;
		snprintf(note, sizeof note, "log: %llu lines were dropped", (unsigned long long)lost);
		emit(HB_LOG_WARNING, note);
		if (state.dropped != state.reported) /* still stuck: count the notice out again */
			state.dropped = state.reported, state.reported -= lost;
	}
	emit(level, text);
	unlock();
}

void
hb_log(enum hb_log_level level, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;

	if (level < state.level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	emit_locked(level, text);
}

void
hb_log_lines(enum hb_log_level level, const char *prefix, const char *text)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		hb_log(level, "%s%.*s", prefix, (int)len, text);
		text += len;
		if (*text == '\n')
			text++;
	}
}
