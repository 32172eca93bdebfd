/* Request targets (RFC 9112 3.2), authorities (RFC 3986 3.2) and path escapes. */
#include "http/target.h"

#include <arpa/inet.h>
#include <string.h>

#include "http/parse.h"

enum { HB_CHAR_TARGET = 1, HB_CHAR_HOST = 2 };

#define T HB_CHAR_TARGET
#define H (HB_CHAR_TARGET | HB_CHAR_HOST)
/*
 * What a target and a registered name may hold.  A name may not hold "," though
 * RFC 3986 has it: "Host: a, b" is how two joined fields look.
 */
/* clang-format off */
static const uint8_t chars[256] = {
	['!'] = H, ['$'] = H, ['%'] = T, ['&'] = H, ['\''] = H, ['('] = H, [')'] = H, ['*'] = H, ['+'] = H,
	[','] = T, ['-'] = H, ['.'] = H, ['/'] = T, [':'] = T, [';'] = H, ['='] = H, ['?'] = T, ['@'] = T,
	['['] = T, ['\\'] = T, [']'] = T, ['^'] = T, ['_'] = H, ['`'] = T, ['{'] = T, ['|'] = T, ['}'] = T,
	['~'] = H,
	['0'] = H, ['1'] = H, ['2'] = H, ['3'] = H, ['4'] = H, ['5'] = H, ['6'] = H, ['7'] = H, ['8'] = H,
	['9'] = H,
	['A'] = H, ['B'] = H, ['C'] = H, ['D'] = H, ['E'] = H, ['F'] = H, ['G'] = H, ['H'] = H, ['I'] = H,
	['J'] = H, ['K'] = H, ['L'] = H, ['M'] = H, ['N'] = H, ['O'] = H, ['P'] = H, ['Q'] = H, ['R'] = H,
	['S'] = H, ['T'] = H, ['U'] = H, ['V'] = H, ['W'] = H, ['X'] = H, ['Y'] = H, ['Z'] = H,
	['a'] = H, ['b'] = H, ['c'] = H, ['d'] = H, ['e'] = H, ['f'] = H, ['g'] = H, ['h'] = H, ['i'] = H,
	['j'] = H, ['k'] = H, ['l'] = H, ['m'] = H, ['n'] = H, ['o'] = H, ['p'] = H, ['q'] = H, ['r'] = H,
	['s'] = H, ['t'] = H, ['u'] = H, ['v'] = H, ['w'] = H, ['x'] = H, ['y'] = H, ['z'] = H,
};
/* clang-format on */
#undef T
#undef H

static int
fail(struct hb_http_failure *failure, unsigned status, const char *cause, const char *rule)
{
	*failure = (struct hb_http_failure){ status, cause, rule };
	return -1;
}

/* The escape at p, of which n bytes are there: its byte, or -1. */
static int
escaped(const unsigned char *p, size_t n)
{
	int high, low;

	if (n < 3)
		return -1;
	high = hb_http_hex(p[1]);
	low = hb_http_hex(p[2]);
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool
is_port(const unsigned char *p, size_t len)
{
	unsigned port = 0;

	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		port = port * 10 + (unsigned)(p[i] - '0');
		if (port > 65535)
			return false;
	}
	return true;
}

/* The length of "[IPv6 address]" at p, or 0. */
static size_t
ipv6_literal(const unsigned char *p, size_t len)
{
	const unsigned char *end = memchr(p, ']', len);
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;
	size_t n;

	if (end == NULL)
		return 0;
	n = (size_t)(end - p) - 1;
	if (n >= sizeof(text))
		return 0;
	memcpy(text, p + 1, n);
	text[n] = '\0';
	if (strlen(text) != n || inet_pton(AF_INET6, text, &address) != 1)
		return 0;
	return n + 2;
}

bool
hb_http_is_authority(const unsigned char *p, size_t len, bool may_be_empty)
{
	size_t i = 0;

	if (len > 0 && p[0] == '[') {
		i = ipv6_literal(p, len);
		if (i == 0)
			return false;
	} else {
		while (i < len && p[i] != ':') {
			if (p[i] == '%') {
				if (escaped(p + i, len - i) <= 0)
					return false;
				i += 3;
			} else if (chars[p[i]] & HB_CHAR_HOST) {
				i++;
			} else {
				return false;
			}
		}
		if (i == 0)
			return may_be_empty && len == 0;
	}
	return i == len || (p[i] == ':' && is_port(p + i + 1, len - i - 1));
}

/* The absolute-form: finds the authority and sets *path to where the path starts, or the end. */
static int
absolute(struct hb_http_request *r, const unsigned char *t, bool secure, size_t *path,
    struct hb_http_failure *failure)
{
	size_t len = r->target.len, start, end;

	if (len >= 7 && hb_http_equal(t, 4, "http") && memcmp(t + 4, "://", 3) == 0)
		start = 7;
	else if (len >= 8 && hb_http_equal(t, 5, "https") && memcmp(t + 5, "://", 3) == 0)
		start = 8;
	else
		return fail(failure, 400, "target is neither a path nor an http or https URI", "RFC 9112 3.2");
	for (end = start; end < len && t[end] != '/' && t[end] != '?'; end++)
		;
	if (!hb_http_is_authority(t + start, end - start, false))
		return fail(failure, 400, "bad authority in the target", "RFC 9110 4.2");
	if (start == 8 && !secure)
		return fail(failure, 421, "https URI on a connection without TLS", "RFC 9110 7.4");
	r->form = HB_HTTP_ABSOLUTE;
	r->host = (struct hb_http_span){ r->target.off + (uint32_t)start, (uint32_t)(end - start) };
	*path = end;
	return 0;
}

static int
check_escapes(const unsigned char *p, size_t len, struct hb_http_failure *failure)
{
	const unsigned char *end = p + len;

	while ((p = memchr(p, '%', (size_t)(end - p))) != NULL) {
		int byte = escaped(p, (size_t)(end - p));

		if (byte < 0)
			return fail(failure, 400, "malformed escape in the path", "RFC 3986 2.1");
		if (byte == 0)
			return fail(failure, 400, "escaped NUL in the path", "RFC 3986 7.3");
		p += 3;
	}
	return 0;
}

int
hb_http_target_parse(struct hb_http_request *r, const unsigned char *data, bool secure,
    struct hb_http_failure *failure)
{
	const unsigned char *t = data + r->target.off, *mark;
	size_t len = r->target.len, path = 0, path_len;

	for (size_t i = 0; i < len; i++)
		if (!(chars[t[i]] & HB_CHAR_TARGET))
			return fail(failure, 400, "byte in the target that must be escaped", "RFC 9112 3.2");
	if (r->method_id == HB_HTTP_M_CONNECT)
		return fail(failure, 501, "CONNECT is not implemented", "RFC 9110 9.3.6");
	if (t[0] == '/') {
		r->form = HB_HTTP_ORIGIN;
	} else if (len == 1 && t[0] == '*') {
		if (r->method_id != HB_HTTP_M_OPTIONS)
			return fail(failure, 400, "target * with another method than OPTIONS",
			    "RFC 9112 3.2.4");
		r->form = HB_HTTP_ASTERISK;
	} else if (absolute(r, t, secure, &path, failure) != 0) {
		return -1;
	}

	mark = memchr(t + path, '?', len - path);
	path_len = (mark == NULL ? len : (size_t)(mark - t)) - path;
	if (mark != NULL) {
		r->has_query = true;
		r->query.off = r->target.off + (uint32_t)(mark + 1 - t);
		r->query.len = (uint32_t)(t + len - (mark + 1));
	}
	r->path = (struct hb_http_span){ r->target.off + (uint32_t)path, (uint32_t)path_len };
	if (path_len == 0) /* an empty path is "/" (RFC 9110 4.2.3): the one in front of the authority */
		r->path = (struct hb_http_span){ r->host.off - 1, 1 };
	return check_escapes(t + path, path_len, failure);
}

size_t
hb_http_path_decode(const unsigned char *path, size_t len, unsigned char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		int byte = path[i] == '%' ? escaped(path + i, len - i) : -1;

		if (byte >= 0)
			i += 2;
		out[n++] = byte >= 0 ? (unsigned char)byte : path[i];
	}
	return n;
}
