/*
 * Any bytes as header fields: what is told of the client is an address, a port
 * and a host that are well-formed, and comes from within the bytes.
 */
#include "fuzz_forwarded.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "http/forwarded.h"
#include "http/parser.h"
#include "http/target.h"

static void
check(const struct hb_forwarded *f, const unsigned char *data, size_t len)
{
	struct in6_addr ip;
	char *end;

	if (f->has_client && (!hb_trust_parse((const unsigned char *)f->addr, strlen(f->addr), &ip) ||
				 strtoul(f->port, &end, 10) > 65535 || *end != '\0' || f->port[0] == '\0'))
		abort();
	if (f->secure && !f->has_scheme)
		abort();
	if (f->host.len > 0 && (f->host.off > len || f->host.len > len - f->host.off ||
				   !hb_http_is_authority(data + f->host.off, f->host.len, false)))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct hb_http_limits limits = {8192, 32768, 100, 65536, false};
	static const char *const entries[] = {"10.0.0.0/8", "::1", "2001:db8::/33", "unix:"};
	struct hb_trust *trust = hb_trust_new(entries, sizeof entries / sizeof entries[0]);
	struct hb_buf request = HB_BUF_INIT;
	struct hb_http_parser parser;
	struct hb_forwarded f;
	size_t used;

	hb_http_parser_init(&parser, &limits);
	hb_buf_add_str(&request, "GET / HTTP/1.1\r\nHost: a\r\n");
	hb_buf_add(&request, data, len);
	hb_buf_add_str(&request, "\r\n\r\n");
	if (hb_http_parse(&parser, request.data, request.len, &used) == HB_HTTP_HEAD) {
		hb_forwarded_read(&f, trust, &parser.request, request.data);
		check(&f, request.data, request.len);
		if (!parser.request.forwarded && (f.has_client || f.has_scheme || f.host.len > 0))
			abort();
	}
	hb_http_parser_free(&parser);
	hb_buf_free(&request);
	hb_trust_free(trust);
	return 0;
}
