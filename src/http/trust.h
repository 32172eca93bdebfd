/*
 * Whose word is believed: the addresses and networks of forwarded.trust,
 * taken apart once, and asked for each peer and for each proxy on a request's way.
 */
#ifndef HB_HTTP_TRUST_H
#define HB_HTTP_TRUST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct hb_trust;

/* Of entries as the configuration has checked them: "10.0.0.0/8", "::1", "unix:".  Returns owned. */
struct hb_trust *hb_trust_new(const char *const *entries, size_t count);
void hb_trust_free(struct hb_trust *t);

/* An address as text, without brackets; an IPv4 one becomes the IPv6 one that is mapped to it. */
bool hb_trust_parse(const unsigned char *text, size_t len, struct in6_addr *ip);
bool hb_trust_ip(const struct hb_trust *t, const struct in6_addr *ip);
/* The other end of a connection. */
bool hb_trust_peer(const struct hb_trust *t, const struct sockaddr *peer);

#endif
