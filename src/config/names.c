/* Addresses, mounts and applications: see names.h. */
#include "config/names.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "config/units.h"

enum { SUN_PATH_MAX = 107 };

/* Splits "HOST:PORT" and "[HOST]:PORT"; port points into text.  Returns the family, 0 if it is neither. */
static int
split(const char *text, char host[INET6_ADDRSTRLEN], const char **port)
{
	const char *colon = strrchr(text, ':');
	size_t n;
	int family = AF_INET;

	if (colon == NULL)
		return 0;
	*port = colon + 1;
	n = (size_t)(colon - text);
	if (text[0] == '[') {
		if (n < 2 || colon[-1] != ']')
			return 0;
		family = AF_INET6;
		text++;
		n -= 2;
	}
	if (n >= INET6_ADDRSTRLEN)
		return 0;
	memcpy(host, text, n);
	host[n] = '\0';
	return family;
}

static int
unix_address(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out)
{
	const char *path = node->text + strlen("unix:");

	if (path[0] == '\0')
		return 0;
	if (path[0] != '/')
		return hb_config_fail(r, node->line, "the path of a unix: address must be absolute");
	if (strlen(path) > SUN_PATH_MAX)
		return hb_config_fail(
		    r, node->line, "the path of a unix: address is longer than %d bytes", SUN_PATH_MAX);
	*out = hb_xstrdup(node->text);
	return 1;
}

int
hb_config_address(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out)
{
	char host[INET6_ADDRSTRLEN], quoted[HB_CONFIG_QUOTED];
	struct in6_addr ip;
	const char *port;
	uint64_t n;
	int family;

	if (strncmp(node->text, "unix:", 5) == 0)
		return unix_address(r, node, out);
	family = split(node->text, host, &port);
	if (family == 0 || !hb_units_number(port, &n))
		return 0;
	if (inet_pton(family, host, &ip) != 1)
		return hb_config_fail(r, node->line,
		    "%s is not an IP address (names are not looked up; 127.0.0.1 is this machine alone, 0.0.0.0 and [::] are every address)",
		    hb_config_quote(host, quoted));
	if (n < 1 || n > 65535)
		return hb_config_fail(r, node->line, "the port %s is not in the range 1 to 65535", port);
	inet_ntop(family, &ip, host, sizeof host);
	*out = hb_xasprintf(family == AF_INET6 ? "[%s]:%u" : "%s:%u", host, (unsigned)n);
	return 1;
}

bool
hb_config_is_address(const char *text)
{
	struct hb_error err;
	struct hb_config_reader r = {.name = "", .err = &err};
	struct hb_yaml_node node = {.text = (char *)(uintptr_t)text};
	char *address = NULL;
	bool is = hb_config_address(&r, &node, &address) == 1;

	free(address);
	return is;
}

/* Clears the bits behind the first n; whether there were any. */
static bool
clear_host_bits(unsigned char *ip, unsigned n, unsigned bits)
{
	bool any = false;

	for (unsigned i = n; i < bits; i++) {
		unsigned char bit = (unsigned char)(0x80U >> i % 8);

		any = any || (ip[i / 8] & bit) != 0;
		ip[i / 8] &= (unsigned char)~bit;
	}
	return any;
}

int
hb_config_peer(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out)
{
	const char *slash = strchr(node->text, '/');
	size_t n = slash != NULL ? (size_t)(slash - node->text) : strlen(node->text);
	int family = memchr(node->text, ':', n) != NULL ? AF_INET6 : AF_INET;
	uint64_t bits = family == AF_INET6 ? 128 : 32, prefix = bits;
	unsigned char ip[sizeof(struct in6_addr)];
	char host[INET6_ADDRSTRLEN];

	if (strcmp(node->text, "unix:") == 0) {
		*out = hb_xstrdup(node->text);
		return 1;
	}
	if (n >= sizeof host)
		return 0;
	memcpy(host, node->text, n);
	host[n] = '\0';
	if (inet_pton(family, host, ip) != 1)
		return 0;
	if (slash != NULL && (!hb_units_number(slash + 1, &prefix) || prefix > bits))
		return hb_config_fail(r, node->line, "the length of the network's prefix is not in the range 0 to %d",
		    (int)bits);
	if (clear_host_bits(ip, (unsigned)prefix, (unsigned)bits)) {
		inet_ntop(family, ip, host, sizeof host);
		return hb_config_fail(r, node->line, "%s is an address in a network; did you mean %s/%d?", node->text,
		    host, (int)prefix);
	}
	inet_ntop(family, ip, host, sizeof host);
	*out = slash != NULL ? hb_xasprintf("%s/%d", host, (int)prefix) : hb_xstrdup(host);
	return 1;
}

int
hb_config_ip(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out)
{
	return strcmp(node->text, "unix:") == 0 || strchr(node->text, '/') != NULL ? 0 : hb_config_peer(r, node, out);
}

int
hb_config_mount(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out)
{
	const char *text = node->text;
	size_t n = strlen(text);

	if (text[0] != '/')
		return 0;
	while (n > 0 && text[n - 1] == '/')
		n--;
	for (const char *p = text; p < text + n;) {
		size_t len = strcspn(p + 1, "/");

		if (len == 0 || (len == 1 && p[1] == '.') || (len == 2 && p[1] == '.' && p[2] == '.'))
			return hb_config_fail(
			    r, node->line, "empty, . and .. parts are not possible in a mount");
		p += 1 + len;
	}
	if (strpbrk(text, " ?#") != NULL || hb_config_has_control(text))
		return hb_config_fail(
		    r, node->line, "spaces, control characters, ? and # are not possible in a mount");
	*out = hb_xstrndup(text, n);
	return 1;
}

bool
hb_config_has_control(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

static bool
is_identifier_byte(char c, bool first)
{
	/* Python's identifiers may hold letters beyond ASCII; the import is the judge of those */
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80 ||
	       (!first && c >= '0' && c <= '9');
}

/* Identifiers with dots between them, up to n bytes. */
static bool
is_dotted(const char *p, size_t n)
{
	bool first = true;

	for (size_t i = 0; i < n; i++) {
		if (!first && p[i] == '.') {
			first = true;
			continue;
		}
		if (!is_identifier_byte(p[i], first))
			return false;
		first = false;
	}
	return !first;
}

bool
hb_config_is_app(const char *text)
{
	const char *colon = strchr(text, ':');
	size_t n;

	if (colon == NULL || !is_dotted(text, (size_t)(colon - text)))
		return false;
	n = strlen(colon + 1);
	if (n > 2 && strcmp(colon + 1 + n - 2, "()") == 0)
		n -= 2;
	return is_dotted(colon + 1, n);
}
