/* Addresses: see address.h.  No names are resolved, so nothing here waits. */
#include "net/address.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static int
parse_unix(struct hb_address *a, const char *text, const char *path, struct hb_error *err)
{
	size_t len = strlen(path);

	if (path[0] != '/')
		return hb_error_set(err, HB_ERROR_VALUE, "%s: the path of a Unix socket starts with /", text);
	if (len >= sizeof a->u.un.sun_path)
		return hb_error_set(err, HB_ERROR_VALUE, "%s: the path has %zu bytes, a socket's at most %zu", text, len,
		    sizeof a->u.un.sun_path - 1);
	a->u.un.sun_family = AF_UNIX;
	memcpy(a->u.un.sun_path, path, len + 1);
	a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	return 0;
}

/* Digits only: no sign, no space, no sixth digit. */
static int
parse_port(const char *text, const char *port, uint16_t *out, struct hb_error *err)
{
	unsigned long n = 0;
	const char *p;

	for (p = port; *p >= '0' && *p <= '9' && p - port < 5; p++)
		n = n * 10 + (unsigned long)(*p - '0');
	if (p == port || *p != '\0' || n > 65535)
		return hb_error_set(err, HB_ERROR_VALUE, "%s: the port is not a number up to 65535", text);
	*out = htons((uint16_t)n);
	return 0;
}

static int
parse_ipv6(struct hb_address *a, const char *host)
{
	a->u.in6.sin6_family = AF_INET6;
	a->len = sizeof a->u.in6;
	return inet_pton(AF_INET6, host, &a->u.in6.sin6_addr) == 1 ? 0 : -1;
}

static int
parse_ipv4(struct hb_address *a, const char *host)
{
	a->u.in.sin_family = AF_INET;
	a->len = sizeof a->u.in;
	return inet_pton(AF_INET, host, &a->u.in.sin_addr) == 1 ? 0 : -1;
}

int
hb_address_parse(struct hb_address *a, const char *text, struct hb_error *err)
{
	const char *colon = strrchr(text, ':'), *start = text;
	char host[INET6_ADDRSTRLEN];
	size_t len;
	bool brackets;

	memset(a, 0, sizeof *a);
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(a, text, text + 5, err);
	if (colon == NULL)
		return hb_error_set(err, HB_ERROR_VALUE, "%s: the port is missing, as in 127.0.0.1:8000", text);
	len = (size_t)(colon - text);
	brackets = len > 1 && text[0] == '[' && colon[-1] == ']';
	if (brackets) {
		start = text + 1;
		len -= 2;
	}
	if (len >= sizeof host)
		return hb_error_set(err, HB_ERROR_VALUE, "%s: not an address", text);
	memcpy(host, start, len);
	host[len] = '\0';
	if (brackets) {
		if (parse_ipv6(a, host) == -1)
			return hb_error_set(err, HB_ERROR_VALUE, "%s: not an IPv6 address", text);
		return parse_port(text, colon + 1, &a->u.in6.sin6_port, err);
	}
	if (strchr(host, ':') != NULL)
		return hb_error_set(err, HB_ERROR_VALUE, "%s: an IPv6 address stands in brackets, as in [::1]:8000", text);
	if (parse_ipv4(a, host) == -1)
		return hb_error_set(err, HB_ERROR_VALUE, "%s: the host is not a numeric address", text);
	return parse_port(text, colon + 1, &a->u.in.sin_port, err);
}

/* The path's bytes, which need not end with a NUL when the kernel wrote them. */
static size_t
unix_path(const struct hb_address *a)
{
	size_t room = a->len > offsetof(struct sockaddr_un, sun_path)
	    ? a->len - offsetof(struct sockaddr_un, sun_path)
	    : 0;

	return strnlen(a->u.un.sun_path, room);
}

uint16_t
hb_address_host(const struct hb_address *a, char out[HB_ADDRESS_TEXT])
{
	out[0] = '\0';
	switch (a->u.sa.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &a->u.in.sin_addr, out, HB_ADDRESS_TEXT);
		return ntohs(a->u.in.sin_port);
	case AF_INET6: {
		size_t n;

		inet_ntop(AF_INET6, &a->u.in6.sin6_addr, out, HB_ADDRESS_TEXT);
		n = strlen(out);
		if (a->u.in6.sin6_scope_id != 0)
			snprintf(out + n, HB_ADDRESS_TEXT - n, "%%%u", a->u.in6.sin6_scope_id);
		return ntohs(a->u.in6.sin6_port);
	}
	default:
		snprintf(out, HB_ADDRESS_TEXT, "%.*s", (int)unix_path(a), a->u.un.sun_path);
		return 0;
	}
}

void
hb_address_format(const struct hb_address *a, char out[HB_ADDRESS_TEXT])
{
	char host[HB_ADDRESS_TEXT];
	uint16_t port = hb_address_host(a, host);

	/* The bound keeps the compiler sure of the room: only a path comes near it. */
	if (a->u.sa.sa_family == AF_INET6)
		snprintf(out, HB_ADDRESS_TEXT, "[%.80s]:%u", host, port);
	else if (a->u.sa.sa_family == AF_INET)
		snprintf(out, HB_ADDRESS_TEXT, "%.80s:%u", host, port);
	else
		snprintf(out, HB_ADDRESS_TEXT, "unix:%.*s", (int)sizeof a->u.un.sun_path, host);
}
