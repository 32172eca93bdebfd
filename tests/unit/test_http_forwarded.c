/* Who is trusted, and what Forwarded and X-Forwarded- say of the client: cases, and mutations of them. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/buf.h"
#include "fuzz_forwarded.h"
#include "http/forwarded.h"
#include "http/parser.h"
#include "unit.h"

#define LENGTH(a) (int)(sizeof(a) / sizeof((a)[0]))

/* Trusted in all cases: 10.0.0.0/8, fd00::/8, 127.0.0.1, ::1. */
static const char *const entries[] = { "10.0.0.0/8", "fd00::/8", "127.0.0.1", "::1" };

struct said {
	const char *fields; /* lines, \n for their ends */
	const char *client; /* "ADDR PORT", or NULL: the peer */
	const char *scheme; /* or NULL: the connection's */
	const char *host;   /* or NULL */
};

static const struct said cases[] = {
	/* Forwarded: RFC 7239 4 */
	{ "Forwarded: for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60 0", "http", NULL },
	{ "Forwarded: for=\"192.0.2.60:4711\"", "192.0.2.60 4711", NULL, NULL },
	{ "Forwarded: For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17 4711", NULL, NULL },
	{ "forwarded: FOR=192.0.2.60;PROTO=HTTPS;Host=\"a.example:8443\"", "192.0.2.60 0", "https", "a.example:8443" },
	{ "Forwarded: for=192.0.2.60;host=\"[2001:db8::1]:80\"", "192.0.2.60 0", NULL, "[2001:db8::1]:80" },
	{ "Forwarded: for=192.0.2.60;ext=1;other=\"a;b,c\\\"d\"", "192.0.2.60 0", NULL, NULL },
	{ "Forwarded: for=\"192.0.2.6\\0\"", "192.0.2.60 0", NULL, NULL },
	{ "Forwarded: proto=https", NULL, "https", NULL },
	{ "Forwarded: proto=wss;for=192.0.2.60", "192.0.2.60 0", "https", NULL },
	{ "Forwarded: proto=ws", NULL, "http", NULL },
	{ "Forwarded: proto=gopher;for=192.0.2.60", "192.0.2.60 0", NULL, NULL },
	{ "Forwarded: ;for=192.0.2.60;;proto=https;", "192.0.2.60 0", "https", NULL },
	{ "Forwarded: for=192.0.2.60 ; proto=https", "192.0.2.60 0", "https", NULL },
	{ "Forwarded: , ,for=192.0.2.60,", "192.0.2.60 0", NULL, NULL },
	{ "Forwarded:", NULL, NULL, NULL },
	/* several: RFC 7239 7.1 */
	{ "Forwarded: for=192.0.2.43, for=198.51.100.17;proto=https", "198.51.100.17 0", "https", NULL },
	{ "Forwarded: for=192.0.2.43;proto=https;host=a.example, for=10.0.0.1;proto=http;host=b.example",
	    "192.0.2.43 0", "https", "a.example" },
	{ "Forwarded: for=192.0.2.43;proto=https\nForwarded: for=10.0.0.1;proto=http", "192.0.2.43 0", "https", NULL },
	{ "Forwarded: for=192.0.2.43\nForwarded: for=192.0.2.44, for=10.0.0.1", "192.0.2.44 0", NULL, NULL },
	{ "Forwarded: for=192.0.2.43,for=\"[fd00::1]\",for=10.0.0.1", "192.0.2.43 0", NULL, NULL },
	{ "Forwarded: for=10.0.0.3;proto=https, for=10.0.0.2, for=10.0.0.1", "10.0.0.3 0", "https", NULL },
	/* hidden and unknown: RFC 7239 6.2, 6.3 */
	{ "Forwarded: for=unknown;proto=https", NULL, "https", NULL },
	{ "Forwarded: for=_hidden;proto=https", NULL, "https", NULL },
	{ "Forwarded: for=\"_SEVKISEK:_x.-1\"", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.43, for=unknown", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.43, for=_gazonk, for=10.0.0.2, for=10.0.0.1", "10.0.0.2 0", NULL, NULL },
	{ "Forwarded: proto=https, for=10.0.0.1", "10.0.0.1 0", "https", NULL },
	{ "Forwarded: for=\"192.0.2.43:_port\"", "192.0.2.43 0", NULL, NULL },
	{ "Forwarded: for=\"unknown:80\"", NULL, NULL, NULL },
	/* malformed: nothing of it */
	{ "Forwarded: for=192.0.2.60;proto", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=[2001:db8::1]", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"2001:db8::1\"", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=192.0.2.60:80", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"192.0.2.60:\"", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"192.0.2.60:65536\"", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"192.0.2.60:100000\"", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"192.0.2.60:8o\"", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"[192.0.2.60]\"", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"[2001:db8::1\"", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"[2001:db8::1]80\"", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"[unknown]\"", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=192.0.2.256", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=192.0.2.060", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=host.example", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=_", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=_a!", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"\"", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"192.0.2.60", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"192.0.2.60\\", NULL, NULL, NULL },
	{ "Forwarded: proto=https;for=\"192.0.2.60\"x", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.60;for=192.0.2.61", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.60;proto=http;proto=https", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.60;host=a;HOST=b", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.60;by=unix:/x", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.60;by=_a;by=_b", NULL, NULL, NULL },
	{ "Forwarded: for =192.0.2.60", NULL, NULL, NULL },
	{ "Forwarded: for= 192.0.2.60", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.60 proto=https", NULL, NULL, NULL },
	{ "Forwarded: =192.0.2.60", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.60;proto=\"ht tp\"", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.60;host=\"a b\"", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.60;host=\"\"", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.60;host=\"a\\.example\"", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.60;host=\"u@a\"", NULL, NULL, NULL },
	{ "Forwarded: 192.0.2.60", NULL, NULL, NULL },
	{ "Forwarded: for=192.0.2.60, for", NULL, NULL, NULL },
	/* what a client wrote in front of the proxies' words does no harm */
	{ "Forwarded: for=\"\nForwarded: for=192.0.2.60;proto=https", "192.0.2.60 0", "https", NULL },
	{ "Forwarded: for=\", for=192.0.2.60", NULL, NULL, NULL },
	/* X-Forwarded-For */
	{ "X-Forwarded-For: 192.0.2.60", "192.0.2.60 0", NULL, NULL },
	{ "X-Forwarded-For: 192.0.2.60:4711", "192.0.2.60 4711", NULL, NULL },
	{ "X-Forwarded-For: 2001:DB8::1", "2001:db8::1 0", NULL, NULL },
	{ "X-Forwarded-For: [2001:db8::1]", "2001:db8::1 0", NULL, NULL },
	{ "X-Forwarded-For: [2001:db8::1]:80", "2001:db8::1 80", NULL, NULL },
	{ "X-Forwarded-For: ::ffff:192.0.2.60", "192.0.2.60 0", NULL, NULL },
	{ "X-Forwarded-For: 192.0.2.60,10.0.0.1\t, 127.0.0.1", "192.0.2.60 0", NULL, NULL },
	{ "X-Forwarded-For: 192.0.2.1, 192.0.2.2, 10.0.0.1", "192.0.2.2 0", NULL, NULL },
	{ "X-Forwarded-For: 192.0.2.1\nX-Forwarded-For: 192.0.2.2\nX-Forwarded-For: ::1", "192.0.2.2 0", NULL, NULL },
	{ "X-Forwarded-For: 192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1 0", NULL, NULL },
	{ "X-Forwarded-For: 10.0.0.2, 10.0.0.1", "10.0.0.2 0", NULL, NULL },
	{ "X-Forwarded-For: unknown, 10.0.0.1", "10.0.0.1 0", NULL, NULL },
	{ "X-Forwarded-For: unknown", NULL, NULL, NULL },
	{ "X-Forwarded-For: ,, 192.0.2.1 ,,", "192.0.2.1 0", NULL, NULL },
	{ "X-Forwarded-For:", NULL, NULL, NULL },
	/* what a client wrote in front does no harm */
	{ "X-Forwarded-For: 127.0.0.1, rubbish, \", 192.0.2.1, 10.0.0.1", "192.0.2.1 0", NULL, NULL },
	/* malformed */
	{ "X-Forwarded-For: rubbish", NULL, NULL, NULL },
	{ "X-Forwarded-For: 192.0.2.1, rubbish, 10.0.0.1", NULL, NULL, NULL },
	{ "X-Forwarded-For: 192.0.2.1 192.0.2.2", NULL, NULL, NULL },
	{ "X-Forwarded-For: \"192.0.2.1\"", NULL, NULL, NULL },
	{ "X-Forwarded-For: 192.0.2", NULL, NULL, NULL },
	{ "X-Forwarded-For: 1:2:3", NULL, NULL, NULL },
	{ "X-Forwarded-For: fe80::1%eth0", NULL, NULL, NULL },
	{ "X-Forwarded-For: 192.0.2.1:", NULL, NULL, NULL },
	{ "X-Forwarded-For: []", NULL, NULL, NULL },
	{ "X-Forwarded-For: [:", NULL, NULL, NULL },
	{ "X-Forwarded-For: :80", NULL, NULL, NULL },
	/* X-Forwarded-Proto and -Host */
	{ "X-Forwarded-Proto: https", NULL, "https", NULL },
	{ "X-Forwarded-Proto: HTTP", NULL, "http", NULL },
	{ "X-Forwarded-Proto: wss", NULL, "https", NULL },
	{ "X-Forwarded-Proto: on", NULL, NULL, NULL },
	{ "X-Forwarded-Proto: http,https", NULL, "https", NULL },
	{ "X-Forwarded-Proto:", NULL, NULL, NULL },
	{ "X-Forwarded-For: 192.0.2.1, 10.0.0.1\nX-Forwarded-Proto: https, http", "192.0.2.1 0", "https", NULL },
	{ "X-Forwarded-For: 192.0.2.1, 10.0.0.1\nX-Forwarded-Proto: https", "192.0.2.1 0", "https", NULL },
	{ "X-Forwarded-For: 1.1.1.1, 192.0.2.1\nX-Forwarded-Proto: http, https", "192.0.2.1 0", "https", NULL },
	{ "X-Forwarded-For: 192.0.2.1, 10.0.0.2, 10.0.0.1\nX-Forwarded-Proto: https, http", "192.0.2.1 0", "https", NULL },
	{ "X-Forwarded-For: rubbish\nX-Forwarded-Proto: https", NULL, "https", NULL },
	{ "X-Forwarded-Host: a.example", NULL, NULL, "a.example" },
	{ "X-Forwarded-Host: a.example, b.example:80", NULL, NULL, "b.example:80" },
	{ "X-Forwarded-Host: a b", NULL, NULL, NULL },
	{ "X-Forwarded-Host: http://a/", NULL, NULL, NULL },
	{ "X-Forwarded-For: 192.0.2.1, 10.0.0.1\nX-Forwarded-Host: a\nX-Forwarded-Host: b", "192.0.2.1 0", NULL, "a" },
	/* the two kinds are not mixed */
	{ "Forwarded: for=192.0.2.1;proto=https;host=a\nX-Forwarded-For: 192.0.2.2", "192.0.2.2 0", NULL, NULL },
	{ "X-Forwarded-Proto: http\nForwarded: for=192.0.2.1;proto=https", NULL, "http", NULL },
	/* not these names */
	{ "X_Forwarded_For: 192.0.2.1", NULL, NULL, NULL },
	{ "X-Forwarded-Port: 80\nX-Forwarded-Prefix: /x\nX-Real-IP: 192.0.2.1", NULL, NULL, NULL },
};

/* The head of a request with the fields of a case. */
static void
write_head(struct hb_buf *out, const char *fields)
{
	hb_buf_add_str(out, "GET / HTTP/1.1\r\nHost: here\r\n");
	for (; *fields != '\0'; fields++) {
		if (*fields == '\n')
			hb_buf_add_u8(out, '\r');
		hb_buf_add_u8(out, (uint8_t)*fields);
	}
	hb_buf_add_str(out, "\r\n\r\n");
}

START_TEST(fields_say_who_the_client_is)
{
	static const struct hb_http_limits limits = { 8192, 32768, 100, 65536, false };
	const struct said *c = &cases[_i];
	struct hb_trust *trust = hb_trust_new(entries, LENGTH(entries));
	struct hb_buf b = HB_BUF_INIT;
	struct hb_http_parser parser;
	struct hb_forwarded f;
	char client[80], host[80];
	size_t used;

	write_head(&b, c->fields);
	hb_http_parser_init(&parser, &limits);
	ck_assert_int_eq(hb_http_parse(&parser, b.data, b.len, &used), HB_HTTP_HEAD);
	hb_forwarded_read(&f, trust, &parser.request, b.data);
	snprintf(client, sizeof client, "%s %s", f.addr, f.port);
	ck_assert_msg(f.has_client == (c->client != NULL), "%s: client %s", c->fields, client);
	if (f.has_client)
		ck_assert_msg(strcmp(client, c->client) == 0, "%s: client %s", c->fields, client);
	ck_assert_msg(f.has_scheme == (c->scheme != NULL), "%s: scheme", c->fields);
	if (f.has_scheme)
		ck_assert_msg(strcmp(f.secure ? "https" : "http", c->scheme) == 0, "%s: scheme", c->fields);
	snprintf(host, sizeof host, "%.*s", (int)f.host.len, (const char *)b.data + f.host.off);
	ck_assert_msg((f.host.len > 0) == (c->host != NULL), "%s: host %s", c->fields, host);
	if (c->host != NULL)
		ck_assert_msg(strcmp(host, c->host) == 0, "%s: host %s", c->fields, host);
	if (f.has_client || f.has_scheme || f.host.len > 0)
		ck_assert(parser.request.forwarded);
	hb_http_parser_free(&parser);
	hb_buf_free(&b);
	hb_trust_free(trust);
}
END_TEST

START_TEST(request_without_such_fields_says_so)
{
	static const struct hb_http_limits limits = { 8192, 32768, 100, 65536, false };
	struct hb_http_parser parser;
	struct hb_buf b = HB_BUF_INIT;
	size_t used;

	write_head(&b, "X-Forwarded: a\nX-Forwarded-Port: 1\nVia: 1.1 a");
	hb_http_parser_init(&parser, &limits);
	ck_assert_int_eq(hb_http_parse(&parser, b.data, b.len, &used), HB_HTTP_HEAD);
	ck_assert(!parser.request.forwarded);
	hb_http_parser_free(&parser);
	hb_buf_free(&b);
}
END_TEST

/* As many elements as a header section holds, all of them trusted: the time is linear. */
START_TEST(chain_that_fills_the_header_is_walked)
{
	static const struct hb_http_limits limits = { 8192, 1 << 24, 100, 65536, false };
	struct hb_trust *trust = hb_trust_new(entries, LENGTH(entries));
	struct hb_buf fields = HB_BUF_INIT, b = HB_BUF_INIT;
	struct hb_http_parser parser;
	struct hb_forwarded f;
	size_t used;

	hb_buf_add_str(&fields, "X-Forwarded-For: 10.2.3.4");
	for (int i = 0; i < 200000; i++)
		hb_buf_add_str(&fields, ",::1");
	hb_buf_add_str(&fields, "\nX-Forwarded-Proto: http");
	for (int i = 0; i < 200000; i++)
		hb_buf_add_str(&fields, ",https");
	hb_buf_add_u8(&fields, '\0');
	write_head(&b, (const char *)fields.data);
	hb_http_parser_init(&parser, &limits);
	ck_assert_int_eq(hb_http_parse(&parser, b.data, b.len, &used), HB_HTTP_HEAD);
	hb_forwarded_read(&f, trust, &parser.request, b.data);
	ck_assert_str_eq(f.addr, "10.2.3.4");
	ck_assert(f.has_scheme && !f.secure);
	hb_http_parser_free(&parser);
	hb_buf_free(&fields);
	hb_buf_free(&b);
	hb_trust_free(trust);
}
END_TEST

START_TEST(mutations_of_the_cases_keep_the_promises)
{
	static const char spice[] = "\",;=:[]\\ _.-0159afx%\t";
	uint32_t random = 2463534242u;

	for (int i = 0; i < LENGTH(cases) * 200; i++) {
		const char *from = cases[i % LENGTH(cases)].fields;
		size_t len = strlen(from);
		uint8_t bytes[200];

		ck_assert_uint_le(len, sizeof bytes);
		memcpy(bytes, from, len);
		for (int n = 0; n < 3; n++) {
			random ^= random << 13, random ^= random >> 17, random ^= random << 5;
			bytes[random % len] = (uint8_t)spice[(random >> 16) % (sizeof spice - 1)];
		}
		LLVMFuzzerTestOneInput(bytes, len);
	}
}
END_TEST

struct membership {
	const char *entry, *address;
	bool in;
};

static const struct membership members[] = {
	{ "10.0.0.0/8", "10.255.0.1", true },
	{ "10.0.0.0/8", "11.0.0.1", false },
	{ "192.0.2.128/25", "192.0.2.128", true },
	{ "192.0.2.128/25", "192.0.2.127", false },
	{ "192.0.2.4/30", "192.0.2.7", true },
	{ "192.0.2.4/30", "192.0.2.8", false },
	{ "192.0.2.1", "192.0.2.1", true },
	{ "192.0.2.1", "192.0.2.2", false },
	{ "192.0.2.1/32", "192.0.2.1", true },
	{ "0.0.0.0/0", "255.1.2.3", true },
	{ "0.0.0.0/0", "2001:db8::1", false },
	{ "::/0", "2001:db8::1", true },
	{ "::/0", "192.0.2.1", true },
	{ "2001:db8::/33", "2001:db8:7fff::1", true },
	{ "2001:db8::/33", "2001:db8:8000::1", false },
	{ "::1", "::1", true },
	{ "::1", "::2", false },
	{ "192.0.2.1", "::ffff:192.0.2.1", true },
	{ "::ffff:192.0.2.0/120", "192.0.2.1", true },
	{ "unix:", "127.0.0.1", false },
};

START_TEST(network_has_its_addresses)
{
	const struct membership *m = &members[_i];
	const char *const list[] = { m->entry };
	struct hb_trust *trust = hb_trust_new(list, 1);
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	const struct sockaddr *peer = (const struct sockaddr *)&in6;

	if (inet_pton(AF_INET, m->address, &in.sin_addr) == 1)
		peer = (const struct sockaddr *)&in;
	else
		ck_assert_int_eq(inet_pton(AF_INET6, m->address, &in6.sin6_addr), 1);
	ck_assert_msg(hb_trust_peer(trust, peer) == m->in, "%s in %s", m->address, m->entry);
	hb_trust_free(trust);
}
END_TEST

START_TEST(unix_peer_is_trusted_where_it_is_listed)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const char *const with[] = { "127.0.0.1", "unix:" }, *const without[] = { "127.0.0.1" };
	struct hb_trust *a = hb_trust_new(with, 2), *b = hb_trust_new(without, 1), *none = hb_trust_new(NULL, 0);

	ck_assert(hb_trust_peer(a, (const struct sockaddr *)&un));
	ck_assert(!hb_trust_peer(b, (const struct sockaddr *)&un));
	ck_assert(!hb_trust_peer(none, (const struct sockaddr *)&un));
	hb_trust_free(a);
	hb_trust_free(b);
	hb_trust_free(none);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("http_forwarded");
	TCase *t = tcase_create("forwarded");

	tcase_add_loop_test(t, fields_say_who_the_client_is, 0, LENGTH(cases));
	tcase_add_test(t, request_without_such_fields_says_so);
	tcase_add_test(t, chain_that_fills_the_header_is_walked);
	tcase_add_test(t, mutations_of_the_cases_keep_the_promises);
	tcase_add_loop_test(t, network_has_its_addresses, 0, LENGTH(members));
	tcase_add_test(t, unix_peer_is_trusted_where_it_is_listed);
	suite_add_tcase(s, t);
	return s;
}
