/* The access log: see access.h. */
#include "worker/access.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/log.h"

enum { ACCESS_MAX = 1 << 18, TELL_SECONDS = 10 };

static int
open_file(struct hb_access *a, struct hb_error *err)
{
	struct stat st;

	a->fd = a->path != NULL
	            ? open(a->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640)
	            : hb_fd_output(STDOUT_FILENO);
	if (a->fd == -1)
		return hb_error_errno(err, HB_ERROR_BIND, "log.access: %s", a->path != NULL ? a->path : "-");
	a->regular = fstat(a->fd, &st) == 0 && S_ISREG(st.st_mode);
	return 0;
}

int
hb_access_open(struct hb_access *a, const char *where, enum hb_access_format format, struct hb_error *err)
{
	*a = (struct hb_access){.fd = -1, .format = format, .second = -1, .buf = HB_BUF_INIT};
	if (strcmp(where, "off") == 0)
		return 0;
	if (strcmp(where, "-") != 0)
		a->path = where;
	return open_file(a, err);
}

static uint64_t
count_lines(const unsigned char *p, size_t n)
{
	const unsigned char *end = p + n;
	uint64_t lines = 0;

	for (; p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
		lines++;
	return lines;
}

/* A reader that is gone for good is not complained about for every line. */
static void
tell_loss(struct hb_access *a, bool now_or_never)
{
	time_t now;

	if (a->dropped == a->reported)
		return;
	now = time(NULL);
	if (!now_or_never && a->told != 0 && now < a->told + TELL_SECONDS && now >= a->told)
		return;
	hb_warn("access log: %llu lines were dropped", (unsigned long long)(a->dropped - a->reported));
	a->reported = a->dropped;
	a->told = now;
}

void
hb_access_close(struct hb_access *a)
{
	hb_access_flush(a);
	a->dropped += count_lines(a->buf.data, a->buf.len);
	tell_loss(a, true);
	hb_fd_close(&a->fd);
	hb_buf_free(&a->buf);
}

int
hb_access_reopen(struct hb_access *a, struct hb_error *err)
{
	int old = a->fd;

	if (a->path == NULL)
		return 0;
	hb_access_flush(a);
	if (open_file(a, err) == -1) {
		a->fd = old;
		return -1;
	}
	hb_fd_close(&old);
	return 0;
}

/* The time as the format wants it. */
static void
put_stamp(char out[40], enum hb_access_format format, time_t now)
{
	struct tm tm;

	if (format == HB_ACCESS_JSON) {
		gmtime_r(&now, &tm);
		strftime(out, 40, "%Y-%m-%dT%H:%M:%SZ", &tm);
	} else {
		localtime_r(&now, &tm);
		strftime(out, 40, "%d/%b/%Y:%H:%M:%S %z", &tm);
	}
}

/* Quotes, backslashes and what is not printable ASCII, so that no peer can forge a line. */
static void
add_escaped(struct hb_buf *out, const unsigned char *p, size_t n, bool json)
{
	static const char hex[] = "0123456789abcdef";
	unsigned char *to = hb_buf_reserve(out, n * 6);
	unsigned char *q = to;

	if (to == NULL)
		return;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = p[i];

		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			*q++ = c;
			continue;
		}
		*q++ = '\\';
		if (c == '"' || c == '\\') {
			*q++ = c;
			continue;
		}
		*q++ = json ? 'u' : 'x';
		if (json) {
			*q++ = '0';
			*q++ = '0';
		}
		*q++ = (unsigned char)hex[c >> 4];
		*q++ = (unsigned char)hex[c & 15];
	}
	out->len += (size_t)(q - to);
}

/* For every request: printf takes ten times as long. */
static void
add_number(struct hb_buf *out, uint64_t v)
{
	char digits[20];
	size_t n = sizeof digits;

	do
		digits[--n] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	hb_buf_add(out, digits + n, sizeof digits - n);
}

static void
add_field(struct hb_buf *out, const struct hb_access_entry *e, enum hb_http_field_id id, bool json)
{
	const struct hb_http_field *f = e->head != NULL ? hb_http_find(e->head, id) : NULL;

	if (f != NULL)
		add_escaped(out, e->data + f->value, f->value_len, json);
	else if (!json)
		hb_buf_add_u8(out, '-');
}

static void
add_request_line(struct hb_buf *out, const struct hb_access_entry *e)
{
	if (e->head == NULL) {
		hb_buf_add_u8(out, '-');
		return;
	}
	add_escaped(out, e->data + e->head->method.off, e->head->method.len, false);
	hb_buf_add_u8(out, ' ');
	add_escaped(out, e->data + e->head->target.off, e->head->target.len, false);
	hb_buf_add_str(out, e->head->minor > 0 ? " HTTP/1.1" : " HTTP/1.0");
}

static void
format_json(struct hb_buf *out, const char *stamp, const struct hb_access_entry *e)
{
	const struct hb_http_request *h = e->head;

	hb_buf_printf(out, "{\"time\":\"%s\",\"remote\":\"", stamp);
	add_escaped(out, (const unsigned char *)e->remote, strlen(e->remote), true);
	hb_buf_add_str(out, "\",\"method\":\"");
	if (h != NULL)
		add_escaped(out, e->data + h->method.off, h->method.len, true);
	hb_buf_add_str(out, "\",\"target\":\"");
	if (h != NULL)
		add_escaped(out, e->data + h->target.off, h->target.len, true);
	hb_buf_printf(out, "\",\"protocol\":\"%s\",\"status\":%u,\"bytes\":%llu,\"duration\":%lld.%06lld,\"referer\":\"",
	    h == NULL ? "" : h->minor > 0 ? "HTTP/1.1" : "HTTP/1.0", e->status, (unsigned long long)e->bytes,
	    (long long)(e->microseconds / 1000000), (long long)(e->microseconds % 1000000));
	add_field(out, e, HB_HTTP_F_REFERER, true);
	hb_buf_add_str(out, "\",\"agent\":\"");
	add_field(out, e, HB_HTTP_F_USER_AGENT, true);
	hb_buf_add_str(out, "\"}\n");
}

void
hb_access_format(struct hb_buf *out, enum hb_access_format format, const char *stamp,
    const struct hb_access_entry *e)
{
	if (format == HB_ACCESS_JSON) {
		format_json(out, stamp, e);
		return;
	}
	hb_buf_add_str(out, *e->remote != '\0' ? e->remote : "-");
	hb_buf_add_str(out, " - - [");
	hb_buf_add_str(out, stamp);
	hb_buf_add_str(out, "] \"");
	add_request_line(out, e);
	hb_buf_add(out, "\" ", 2);
	add_number(out, e->status);
	hb_buf_add_u8(out, ' ');
	add_number(out, e->bytes);
	if (format == HB_ACCESS_COMBINED) {
		hb_buf_add_str(out, " \"");
		add_field(out, e, HB_HTTP_F_REFERER, false);
		hb_buf_add_str(out, "\" \"");
		add_field(out, e, HB_HTTP_F_USER_AGENT, false);
		hb_buf_add_u8(out, '"');
	}
	hb_buf_add_u8(out, '\n');
}

void
hb_access_add(struct hb_access *a, const struct hb_access_entry *e, time_t now)
{
	if (a->fd == -1)
		return;
	if (a->buf.len > ACCESS_MAX) {
		a->dropped++;
		return;
	}
	if (now != a->second) {
		a->second = now;
		put_stamp(a->stamp, a->format, now);
	}
	hb_access_format(&a->buf, a->format, a->stamp, e);
	if (a->buf.failed) {
		hb_buf_free(&a->buf);
		a->dropped++;
	}
}

/*
 * The length of what may be written at once: everything to a file; to a pipe
 * whole lines below PIPE_BUF, which poll(2) has room for and which do not mix
 * with another worker's.
 */
static size_t
portion(const struct hb_access *a, const unsigned char *p, size_t n)
{
	const unsigned char *end;

	if (a->regular || n <= PIPE_BUF)
		return n;
	end = memrchr(p, '\n', PIPE_BUF);
	return end != NULL ? (size_t)(end - p) + 1 : PIPE_BUF;
}

void
hb_access_flush(struct hb_access *a)
{
	struct pollfd pfd = {a->fd, POLLOUT, 0};
	size_t done = 0;

	while (done < a->buf.len) {
		size_t n = portion(a, a->buf.data + done, a->buf.len - done);
		ssize_t put;

		if (!a->regular && (poll(&pfd, 1, 0) != 1 || !(pfd.revents & POLLOUT)))
			break;
		put = write(a->fd, a->buf.data + done, n);
		if (put == -1 && errno == EINTR)
			continue;
		if (put == -1 && errno == EAGAIN)
			break;
		if (put <= 0) { /* a full disk, a closed pipe: these lines are lost */
			a->dropped += count_lines(a->buf.data + done, a->buf.len - done);
			done = a->buf.len;
			break;
		}
		done += (size_t)put;
	}
	hb_buf_drop(&a->buf, done);
	if (a->buf.len == 0)
		tell_loss(a, false);
}
