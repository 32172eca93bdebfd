/* Addresses and networks that are trusted: see trust.h. */
#include "http/trust.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"

/* IPv4 addresses are kept as IPv6 ones, ::ffff:1.2.3.4: one comparison for both. */
struct network {
	uint64_t ip[2];
	uint64_t mask[2];
};

struct hb_trust {
	bool local; /* "unix:" */
	size_t count;
	struct network networks[];
};

static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void
map_ipv4(const struct in_addr *in, struct in6_addr *ip)
{
	memcpy(ip->s6_addr, mapped, sizeof mapped);
	memcpy(ip->s6_addr + sizeof mapped, in, sizeof *in);
}

bool
hb_trust_parse(const unsigned char *text, size_t len, struct in6_addr *ip)
{
	char copy[INET6_ADDRSTRLEN];
	struct in_addr in;

	if (len == 0 || len >= sizeof copy || memchr(text, '\0', len) != NULL)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (memchr(text, ':', len) != NULL)
		return inet_pton(AF_INET6, copy, ip) == 1;
	if (inet_pton(AF_INET, copy, &in) != 1)
		return false;
	map_ipv4(&in, ip);
	return true;
}

static void
add(struct hb_trust *t, const char *entry)
{
	size_t len = strcspn(entry, "/");
	bool ipv4 = strchr(entry, ':') == NULL;
	unsigned long bits = entry[len] == '/' ? strtoul(entry + len + 1, NULL, 10) : ipv4 ? 32 : 128;
	struct network *n = &t->networks[t->count];
	struct in6_addr ip;
	unsigned char mask[16];

	if (strcmp(entry, "unix:") == 0) {
		t->local = true;
		return;
	}
	if (!hb_trust_parse((const unsigned char *)entry, len, &ip))
		abort(); /* the configuration lets no other text through */
	if (ipv4)
		bits += 8 * sizeof mapped;
	for (unsigned i = 0; i < sizeof mask; i++) {
		unsigned whole = 8 * i;

		mask[i] = bits >= whole + 8 ? 0xff : bits <= whole ? 0 : (unsigned char)(0xff00U >> (bits - whole));
	}
	memcpy(n->ip, &ip, sizeof n->ip);
	memcpy(n->mask, mask, sizeof n->mask);
	t->count++;
}

struct hb_trust *
hb_trust_new(const char *const *entries, size_t count)
{
	struct hb_trust *t = hb_xcalloc(1, sizeof *t + count * sizeof t->networks[0]);

	for (size_t i = 0; i < count; i++)
		add(t, entries[i]);
	return t;
}

void
hb_trust_free(struct hb_trust *t)
{
	free(t);
}

bool
hb_trust_ip(const struct hb_trust *t, const struct in6_addr *ip)
{
	uint64_t words[2];

	memcpy(words, ip, sizeof words);
	for (size_t i = 0; i < t->count; i++) {
		const struct network *n = &t->networks[i];

		if ((((words[0] ^ n->ip[0]) & n->mask[0]) | ((words[1] ^ n->ip[1]) & n->mask[1])) == 0)
			return true;
	}
	return false;
}

bool
hb_trust_peer(const struct hb_trust *t, const struct sockaddr *peer)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	switch (peer->sa_family) {
	case AF_UNIX:
		return t->local;
	case AF_INET:
		memcpy(&in, peer, sizeof in);
		map_ipv4(&in.sin_addr, &in6.sin6_addr);
		return hb_trust_ip(t, &in6.sin6_addr);
	case AF_INET6:
		memcpy(&in6, peer, sizeof in6);
		return hb_trust_ip(t, &in6.sin6_addr);
	}
	return false;
}
