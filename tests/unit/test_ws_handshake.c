/* The opening handshake: requests from tables, each parsed and judged. */
#include <string.h>

#include "common/buf.h"
#include "http/ws_handshake.h"
#include "unit.h"

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define GET "GET /chat HTTP/1.1\r\nHost: server.example.com\r\n"
#define ASKED GET UPGRADE KEY V13
#define DEFLATE "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

struct shake {
	struct hb_http_parser parser;
	struct hb_ws_offer offer;
	enum hb_ws_request result;
	const unsigned char *data;
};

/* head is without its last line. */
static void
shake(struct shake *s, struct hb_buf *b, const char *head, bool compression)
{
	static const struct hb_http_limits limits = { 8192, 32768, 100, 65536, false };
	size_t used;

	hb_buf_clear(b);
	hb_buf_add_str(b, head);
	hb_buf_add_str(b, "\r\n");
	memset(s, 0, sizeof(*s));
	hb_http_parser_init(&s->parser, &limits);
	s->data = b->data;
	if (hb_http_parse(&s->parser, b->data, b->len, &used) != HB_HTTP_HEAD)
		ck_abort_msg("%s: %s", s->parser.error.cause, head);
	s->result = hb_ws_handshake(&s->parser.request, b->data, compression, &s->offer);
}

static void
unshake(struct shake *s)
{
	hb_http_parser_free(&s->parser);
}

START_TEST(the_example_of_the_rfc_is_answered_as_there)
{
	struct hb_buf b = HB_BUF_INIT;
	struct shake s;

	shake(&s, &b, ASKED, true);
	ck_assert_int_eq(s.result, HB_WS_VALID);
	ck_assert_str_eq(s.offer.accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	ck_assert_str_eq(s.offer.extensions, "");
	ck_assert_uint_eq(s.offer.deflate_bits, 0);
	unshake(&s);
	hb_buf_free(&b);
}
END_TEST

/* status 0: valid, 1: not asked for. */
static const struct {
	const char *head;
	unsigned status;
	const char *rule;
} requests[] = {
	{ GET "upgrade: WebSocket\r\nconnection: keep-alive, UPGRADE\r\n" KEY V13, 0, NULL },
	{ GET "Upgrade: h2c, websocket\r\nConnection: upgrade\r\n" KEY V13, 0, NULL },
	{ GET "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" KEY V13, 0, NULL },
	{ ASKED "Origin: http://example.com\r\nCookie: a=b\r\n", 0, NULL },
	{ ASKED "Content-Length: 0\r\n", 0, NULL },
	{ GET, 1, NULL },
	{ GET KEY V13, 1, NULL },
	{ GET "Upgrade: websocket\r\n" KEY V13, 1, NULL },
	{ GET "Connection: Upgrade\r\n" KEY V13, 1, NULL },
	{ GET "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY V13, 1, NULL },
	{ GET "Upgrade: websockets\r\nConnection: Upgrade\r\n" KEY V13, 1, NULL },
	{ "GET / HTTP/1.0\r\nHost: a\r\n" UPGRADE KEY V13, 1, NULL },
	{ "POST / HTTP/1.1\r\nHost: a\r\n" UPGRADE KEY V13, 400, "RFC 6455 4.2.1" },
	{ "HEAD / HTTP/1.1\r\nHost: a\r\n" UPGRADE KEY V13, 400, "RFC 6455 4.2.1" },
	{ ASKED "Content-Length: 5\r\n", 400, "RFC 6455 4.2.1" },
	{ ASKED "Transfer-Encoding: chunked\r\n", 400, "RFC 6455 4.2.1" },
	{ GET UPGRADE V13, 400, "RFC 6455 4.2.1" },
	{ GET UPGRADE KEY KEY V13, 400, "RFC 6455 4.2.1" },
	{ GET UPGRADE V13 "Sec-WebSocket-Key:\r\n", 400, "RFC 6455 4.2.1" },
	{ GET UPGRADE V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n", 400, "RFC 6455 4.2.1" },
	{ GET UPGRADE V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==A\r\n", 400, "RFC 6455 4.2.1" },
	{ GET UPGRADE V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA\r\n", 400, "RFC 6455 4.2.1" },
	{ GET UPGRADE V13 "Sec-WebSocket-Key: dGhlIHNhbXBs ZSBub25jZQ==\r\n", 400, "RFC 6455 4.2.1" },
	{ GET UPGRADE V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ-==\r\n", 400, "RFC 6455 4.2.1" },
	{ GET UPGRADE KEY, 400, "RFC 6455 4.2.1" },
	{ GET UPGRADE KEY V13 V13, 400, "RFC 6455 4.2.1" },
	{ GET UPGRADE KEY "Sec-WebSocket-Version: 8\r\n", 426, "RFC 6455 4.4" },
	{ GET UPGRADE KEY "Sec-WebSocket-Version: 013\r\n", 426, "RFC 6455 4.4" },
	{ GET UPGRADE KEY "Sec-WebSocket-Version: 13, 8\r\n", 426, "RFC 6455 4.4" },
	{ GET UPGRADE KEY "Sec-WebSocket-Version:\r\n", 426, "RFC 6455 4.4" },
	{ ASKED "Sec-WebSocket-Protocol: chat, super/chat\r\n", 400, "RFC 6455 4.2.1" },
	{ ASKED "Sec-WebSocket-Protocol: two words\r\n", 400, "RFC 6455 4.2.1" },
	{ ASKED "Sec-WebSocket-Protocol: ,chat,,\r\n", 0, NULL },
	{ ASKED "Sec-WebSocket-Extensions: \"quoted\"\r\n", 400, "RFC 6455 9.1" },
};

START_TEST(requests_are_judged)
{
	struct hb_buf b = HB_BUF_INIT;

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		enum hb_ws_request expected = requests[i].status == 0 ? HB_WS_VALID :
		    requests[i].status == 1			      ? HB_WS_NOT_ASKED :
									HB_WS_INVALID;
		struct shake s;

		shake(&s, &b, requests[i].head, true);
		if (s.result != expected)
			ck_abort_msg("%d: %s", s.result, requests[i].head);
		if (expected == HB_WS_INVALID) {
			ck_assert_uint_eq(s.offer.failure.status, requests[i].status);
			ck_assert_str_eq(s.offer.failure.rule, requests[i].rule);
			ck_assert_ptr_nonnull(s.offer.failure.cause);
		}
		unshake(&s);
	}
	hb_buf_free(&b);
}
END_TEST

/* The answer's value; "": declined; NULL: malformed. */
static const struct {
	const char *offer;
	const char *answer;
	unsigned bits;
} offers[] = {
	{ "permessage-deflate", DEFLATE, 15 },
	{ "Permessage-Deflate", DEFLATE, 15 },
	{ "permessage-deflate; client_max_window_bits", DEFLATE, 15 },
	{ "permessage-deflate; client_max_window_bits=8", DEFLATE, 15 },
	{ "permessage-deflate;client_max_window_bits=15", DEFLATE, 15 },
	{ "permessage-deflate; client_max_window_bits=\"10\"", DEFLATE, 15 },
	{ "permessage-deflate; client_no_context_takeover; server_no_context_takeover", DEFLATE, 15 },
	{ "permessage-deflate; server_max_window_bits=9", DEFLATE "; server_max_window_bits=9", 9 },
	{ "permessage-deflate; server_max_window_bits=10", DEFLATE "; server_max_window_bits=10", 10 },
	{ "permessage-deflate ; server_max_window_bits = \"1\\2\"", DEFLATE "; server_max_window_bits=12", 12 },
	{ "permessage-deflate; server_max_window_bits=15", DEFLATE "; server_max_window_bits=15", 15 },
	/* A window of 8 bits is declined, and the next offer taken. */
	{ "permessage-deflate; server_max_window_bits=8", "", 0 },
	{ "permessage-deflate; server_max_window_bits=8, permessage-deflate", DEFLATE, 15 },
	{ "permessage-deflate; server_max_window_bits=11, permessage-deflate", DEFLATE "; server_max_window_bits=11",
	    11 },
	{ "x-webkit-deflate-frame, foo; bar=baz; \"", NULL, 0 },
	{ "x-webkit-deflate-frame, foo; bar=baz; qux=\"x\", permessage-deflate", DEFLATE, 15 },
	{ "permessage-bzip2", "", 0 },
	{ "foo;permessage-deflate", "", 0 },
	/* Parameters that decline the offer (RFC 7692 7.1). */
	{ "permessage-deflate; unknown", "", 0 },
	{ "permessage-deflate; unknown=1", "", 0 },
	{ "permessage-deflate; server_max_window_bits", "", 0 },
	{ "permessage-deflate; server_max_window_bits=7", "", 0 },
	{ "permessage-deflate; server_max_window_bits=16", "", 0 },
	{ "permessage-deflate; server_max_window_bits=09", "", 0 },
	{ "permessage-deflate; server_max_window_bits=100", "", 0 },
	{ "permessage-deflate; client_max_window_bits=7", "", 0 },
	{ "permessage-deflate; client_max_window_bits=x", "", 0 },
	{ "permessage-deflate; client_no_context_takeover=1", "", 0 },
	{ "permessage-deflate; server_no_context_takeover=true", "", 0 },
	{ "permessage-deflate; client_max_window_bits; client_max_window_bits", "", 0 },
	{ "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", "", 0 },
	{ "permessage-deflate; server_no_context_takeover; server_no_context_takeover", "", 0 },
	{ "permessage-deflate; client_no_context_takeover; client_no_context_takeover", "", 0 },
	{ "permessage-deflate; an_unknown_parameter_with_a_name_that_is_longer_than_any=1", "", 0 },
	{ "an-extension-with-a-name-that-is-longer-than-any-other, permessage-deflate", DEFLATE, 15 },
	{ "", "", 0 },
	{ " , ,, permessage-deflate ,", DEFLATE, 15 },
	/* Not the grammar of RFC 6455 9.1. */
	{ ";", NULL, 0 },
	{ "permessage-deflate;", NULL, 0 },
	{ "permessage-deflate; =1", NULL, 0 },
	{ "permessage-deflate; a=", NULL, 0 },
	{ "permessage-deflate; a=\"\"", NULL, 0 },
	{ "permessage-deflate; a=\"b", NULL, 0 },
	{ "permessage-deflate; a=\"b\\\"", NULL, 0 },
	{ "permessage-deflate; a=\"b\\", NULL, 0 },
	{ "permessage-deflate; a=\"b c\"", NULL, 0 },
	{ "permessage-deflate; a=\"b\"c", NULL, 0 },
	{ "permessage-deflate; a=b=c", NULL, 0 },
	{ "permessage deflate", NULL, 0 },
	{ "permessage-deflate, =", NULL, 0 },
	{ "permessage-deflate, a@b", NULL, 0 },
};

START_TEST(extensions_are_agreed_on)
{
	struct hb_buf head = HB_BUF_INIT, b = HB_BUF_INIT;

	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
		struct shake s;

		hb_buf_clear(&head);
		hb_buf_printf(&head, ASKED "Sec-WebSocket-Extensions: %s\r\n", offers[i].offer);
		hb_buf_add_u8(&head, 0);
		shake(&s, &b, (const char *)head.data, true);
		if (s.result != (offers[i].answer != NULL ? HB_WS_VALID : HB_WS_INVALID))
			ck_abort_msg("%d: %s", s.result, offers[i].offer);
		if (offers[i].answer != NULL)
			ck_assert_msg(strcmp(s.offer.extensions, offers[i].answer) == 0 &&
				s.offer.deflate_bits == offers[i].bits,
			    "%s: %s", offers[i].offer, s.offer.extensions);
		unshake(&s);
	}
	hb_buf_free(&head);
	hb_buf_free(&b);
}
END_TEST

START_TEST(the_first_good_offer_of_several_fields_is_taken)
{
	struct hb_buf b = HB_BUF_INIT;
	struct shake s;

	shake(&s, &b,
	    ASKED "Sec-WebSocket-Extensions: foo\r\n"
		  "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n"
		  "Sec-WebSocket-Extensions: permessage-deflate\r\n",
	    true);
	ck_assert_uint_eq(s.offer.deflate_bits, 12);
	unshake(&s);
	hb_buf_free(&b);
}
END_TEST

START_TEST(compression_that_is_off_is_not_agreed_on)
{
	struct hb_buf b = HB_BUF_INIT;
	struct shake s;

	shake(&s, &b, ASKED "Sec-WebSocket-Extensions: permessage-deflate\r\n", false);
	ck_assert_int_eq(s.result, HB_WS_VALID);
	ck_assert_str_eq(s.offer.extensions, "");
	ck_assert_uint_eq(s.offer.deflate_bits, 0);
	unshake(&s);
	hb_buf_free(&b);
}
END_TEST

START_TEST(subprotocols_come_in_the_order_of_the_client)
{
	static const char *const expected[] = { "chat", "v2.api", "MQTT" };
	struct hb_buf b = HB_BUF_INIT;
	struct hb_ws_protocols at = { 0 };
	struct hb_http_span span;
	struct shake s;

	shake(&s, &b,
	    GET "Sec-WebSocket-Protocol: chat ,\t v2.api\r\n" UPGRADE KEY V13 "Sec-WebSocket-Protocol: MQTT\r\n",
	    true);
	for (size_t i = 0; i < 3; i++) {
		ck_assert(hb_ws_protocol_next(&s.parser.request, s.data, &at, &span));
		ck_assert_uint_eq(span.len, strlen(expected[i]));
		ck_assert_mem_eq(s.data + span.off, expected[i], span.len);
	}
	ck_assert(!hb_ws_protocol_next(&s.parser.request, s.data, &at, &span));
	ck_assert(hb_ws_protocol_offered(&s.parser.request, s.data, "v2.api", 6));
	ck_assert(!hb_ws_protocol_offered(&s.parser.request, s.data, "mqtt", 4));
	ck_assert(!hb_ws_protocol_offered(&s.parser.request, s.data, "cha", 3));
	unshake(&s);
	hb_buf_free(&b);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("ws_handshake");
	TCase *t = tcase_create("handshake");

	tcase_add_test(t, the_example_of_the_rfc_is_answered_as_there);
	tcase_add_test(t, requests_are_judged);
	tcase_add_test(t, extensions_are_agreed_on);
	tcase_add_test(t, the_first_good_offer_of_several_fields_is_taken);
	tcase_add_test(t, compression_that_is_off_is_not_agreed_on);
	tcase_add_test(t, subprotocols_come_in_the_order_of_the_client);
	suite_add_tcase(suite, t);
	return suite;
}
