/*
 * For whom a trusted proxy speaks: Forwarded (RFC 7239) and the fields that
 * came before it, X-Forwarded-For, -Proto and -Host.
 *
 * Each proxy adds at the end of a list, from what address it was asked.  From
 * the end on, addresses that are trusted themselves are further proxies; the
 * first that is not is the client, and what stands to its left is its own
 * word and worth nothing.  Where all are trusted the leftmost is the client.
 *
 * The two kinds are not mixed.  Where a request has both, X-Forwarded- counts:
 * most proxies set these and pass a client's own Forwarded on as it is.
 */
#ifndef HB_HTTP_FORWARDED_H
#define HB_HTTP_FORWARDED_H

#include <netinet/in.h>
#include <stdbool.h>

#include "http/request.h"
#include "http/trust.h"

struct hb_forwarded {
	bool has_client;             /* addr and port are known; else the peer stays the client */
	bool has_scheme;
	bool secure;                 /* https or wss */
	struct hb_http_span host;    /* HOST[:PORT], in data; empty: not said */
	char addr[INET6_ADDRSTRLEN]; /* in its canonical form */
	char port[6];                /* "0" where it was not said */
};

/*
 * Reads what a request from a trusted peer says (r->forwarded tells whether to
 * ask at all).  A field that is malformed, where it counts, is as if absent.
 */
void hb_forwarded_read(struct hb_forwarded *f, const struct hb_trust *trust, const struct hb_http_request *r,
    const unsigned char *data);

#endif
