/*
 * The parts of src/http below the parser: names, lists, values, authorities, path
 * escapes; what responses are made of; and the parser's own life.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "http/parser.h"
#include "http/response.h"
#include "http/target.h"
#include "unit.h"

static const unsigned char *
u(const char *s)
{
	return (const unsigned char *)s;
}

START_TEST(every_known_name_is_found_in_any_case_of_letters)
{
	for (int id = 1; id < HB_HTTP_F_COUNT; id++) {
		const struct hb_http_name *name = &hb_http_names[id];
		char upper[64];

		ck_assert_uint_eq(strlen(name->text), name->len);
		for (size_t i = 0; i <= name->len; i++)
			upper[i] = name->text[i] >= 'a' && name->text[i] <= 'z' ? (char)(name->text[i] - 32)
										: name->text[i];
		ck_assert_int_eq(hb_http_field_lookup(u(name->text), name->len), id);
		ck_assert_int_eq(hb_http_field_lookup(u(upper), name->len), id);
	}
}
END_TEST

START_TEST(a_name_that_is_almost_known_is_not_found)
{
	for (int id = 1; id < HB_HTTP_F_COUNT; id++) {
		const struct hb_http_name *name = &hb_http_names[id];
		char other[64];

		memcpy(other, name->text, name->len + 1);
		for (size_t i = 0; i < name->len; i++) {
			other[i] ^= 1;
			ck_assert_int_ne(hb_http_field_lookup(u(other), name->len), id);
			other[i] ^= 1;
		}
		ck_assert_int_ne(hb_http_field_lookup(u(name->text), name->len - 1), id);
	}
	ck_assert_int_eq(hb_http_field_lookup(u(""), 0), HB_HTTP_F_OTHER);
	ck_assert_int_eq(hb_http_field_lookup(u("content_length"), 14), HB_HTTP_F_OTHER);
}
END_TEST

START_TEST(a_control_byte_in_a_value_is_found_wherever_it_stands)
{
	unsigned char value[40];

	for (unsigned c = 0; c < 256; c++)
		for (size_t len = 1; len <= sizeof(value); len += 13)
			for (size_t at = 0; at < len; at++) {
				memset(value, 0xe9, sizeof(value));
				value[at] = (unsigned char)c;
				ck_assert_int_eq(hb_http_is_value(value, len),
				    (c >= 0x20 && c != 0x7f) || c == '\t');
			}
	ck_assert(hb_http_is_value(u("\t \t \t \t \t \t \t"), 13));
	ck_assert(hb_http_is_value(NULL, 0));
}
END_TEST

START_TEST(a_list_gives_its_elements_without_white_space_and_empty_ones)
{
	const char *list = " , a\t,,b c , \t,d";
	size_t pos = 0, off, len;

	ck_assert(hb_http_list_next(u(list), strlen(list), &pos, &off, &len));
	ck_assert(len == 1 && list[off] == 'a');
	ck_assert(hb_http_list_next(u(list), strlen(list), &pos, &off, &len));
	ck_assert(len == 3 && memcmp(list + off, "b c", 3) == 0);
	ck_assert(hb_http_list_next(u(list), strlen(list), &pos, &off, &len));
	ck_assert(len == 1 && list[off] == 'd');
	ck_assert(!hb_http_list_next(u(list), strlen(list), &pos, &off, &len));
	pos = 0;
	ck_assert(!hb_http_list_next(u(", ,\t,"), 5, &pos, &off, &len));
}
END_TEST

START_TEST(an_authority_may_be_empty_only_where_it_is_allowed)
{
	ck_assert(hb_http_is_authority(u(""), 0, true));
	ck_assert(!hb_http_is_authority(u(""), 0, false));
	ck_assert(!hb_http_is_authority(u(":80"), 3, true));
	ck_assert(hb_http_is_authority(u("[::ffff:1.2.3.4]:65535"), 22, false));
	ck_assert(!hb_http_is_authority(u("[]"), 2, true));
	ck_assert(!hb_http_is_authority(u("[::1\0]"), 6, false));
}
END_TEST

START_TEST(a_path_is_decoded_in_place)
{
	unsigned char path[] = "/a%20b%2Fc%c3%A9+%25%32%30";
	size_t n = hb_http_path_decode(path, strlen((char *)path), path);

	ck_assert_uint_eq(n, 12);
	ck_assert_mem_eq(path, "/a b/c\xc3\xa9+%20", 12);
}
END_TEST

START_TEST(statuses_have_their_reasons)
{
	ck_assert_str_eq(hb_http_reason(100), "Continue");
	ck_assert_str_eq(hb_http_reason(200), "OK");
	ck_assert_str_eq(hb_http_reason(413), "Content Too Large");
	ck_assert_str_eq(hb_http_reason(511), "Network Authentication Required");
	ck_assert_str_eq(hb_http_reason(299), "");
	ck_assert_str_eq(hb_http_reason(0), "");
	ck_assert_str_eq(hb_http_reason(999), "");
}
END_TEST

START_TEST(responses_without_a_body_are_known)
{
	ck_assert(hb_http_bodyless(200, true));
	ck_assert(hb_http_bodyless(100, false));
	ck_assert(hb_http_bodyless(204, false));
	ck_assert(hb_http_bodyless(304, false));
	ck_assert(!hb_http_bodyless(200, false));
	ck_assert(hb_http_bodyless(205, false));
}
END_TEST

START_TEST(a_date_is_an_imf_fixdate)
{
	struct hb_http_date date = HB_HTTP_DATE_INIT;

	ck_assert_str_eq(hb_http_date(&date, 784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
	ck_assert_str_eq(hb_http_date(&date, 0), "Thu, 01 Jan 1970 00:00:00 GMT");
	ck_assert_str_eq(hb_http_date(&date, 1709208000), "Thu, 29 Feb 2024 12:00:00 GMT");
	ck_assert_str_eq(hb_http_date(&date, 4102444799), "Thu, 31 Dec 2099 23:59:59 GMT");
}
END_TEST

START_TEST(a_date_is_made_once_a_second)
{
	struct hb_http_date date = HB_HTTP_DATE_INIT;

	hb_http_date(&date, 784111777);
	date.text[0] = 'X';
	ck_assert_str_eq(hb_http_date(&date, 784111777), "Xun, 06 Nov 1994 08:49:37 GMT");
	ck_assert_str_eq(hb_http_date(&date, 784111778), "Sun, 06 Nov 1994 08:49:38 GMT");
}
END_TEST

START_TEST(a_response_field_cannot_split_the_response)
{
	ck_assert(hb_http_name_ok("X-Name", 6));
	ck_assert(!hb_http_name_ok("", 0));
	ck_assert(!hb_http_name_ok("X Name", 6));
	ck_assert(!hb_http_name_ok("X:", 2));
	ck_assert(!hb_http_name_ok("X\r\n", 3));
	ck_assert(hb_http_value_ok("a\tb \xff", 5));
	ck_assert(!hb_http_value_ok("a\r\nSet-Cookie: b", 16));
	ck_assert(!hb_http_value_ok("a\nb", 3));
	ck_assert(!hb_http_value_ok("a\0b", 3));
}
END_TEST

START_TEST(fields_of_the_connection_are_known)
{
	static const char *const hop[] = { "Connection", "keep-alive", "Proxy-Authenticate", "Proxy-Authorization",
		"TE", "Trailer", "Transfer-Encoding", "upgrade" };

	for (size_t i = 0; i < sizeof(hop) / sizeof(hop[0]); i++)
		ck_assert_msg(hb_http_hop_by_hop(hop[i], strlen(hop[i])), "%s", hop[i]);
	ck_assert(!hb_http_hop_by_hop("Content-Length", 14));
	ck_assert(!hb_http_hop_by_hop("Date", 4));
}
END_TEST

START_TEST(a_chunk_line_is_the_size_in_hexadecimal)
{
	static const uint64_t sizes[] = { 1, 15, 16, 255, 4096, 65535, UINT32_MAX, UINT64_MAX };
	char out[HB_HTTP_CHUNK_LINE], expected[32];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t n = hb_http_chunk_line(out, sizes[i]);

		snprintf(expected, sizeof(expected), "%llx\r\n", (unsigned long long)sizes[i]);
		ck_assert_uint_eq(n, strlen(expected));
		ck_assert_mem_eq(out, expected, n);
	}
}
END_TEST

static const struct hb_http_limits limits = { 8192, 32768, 100, 1000, false };

/* Parses one head and returns the bytes that were consumed. */
static size_t
parse_head(struct hb_http_parser *p, const char *head)
{
	size_t consumed;

	ck_assert_int_eq(hb_http_parse(p, u(head), strlen(head), &consumed), HB_HTTP_HEAD);
	return consumed;
}

START_TEST(fields_carry_their_numbers_and_a_mark_for_underscores)
{
	const char *head = "GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 1\r\nuser-AGENT: b\r\n\r\n";
	struct hb_http_parser p;

	hb_http_parser_init(&p, &limits);
	parse_head(&p, head);
	ck_assert_uint_eq(p.request.fields_count, 3);
	ck_assert_uint_eq(p.request.fields[0].id, HB_HTTP_F_HOST);
	ck_assert_uint_eq(p.request.fields[0].flags, 0);
	ck_assert_uint_eq(p.request.fields[1].id, HB_HTTP_F_OTHER);
	ck_assert_uint_eq(p.request.fields[1].flags, HB_HTTP_FIELD_UNDERSCORE);
	ck_assert_uint_eq(p.request.fields[2].id, HB_HTTP_F_USER_AGENT);
	ck_assert_ptr_eq(hb_http_find(&p.request, HB_HTTP_F_USER_AGENT), &p.request.fields[2]);
	ck_assert_ptr_null(hb_http_find(&p.request, HB_HTTP_F_COOKIE));
	hb_http_parser_free(&p);
}
END_TEST

START_TEST(expectations_and_upgrades_are_only_for_those_who_can_have_them)
{
	static const struct {
		const char *head;
		bool expect, upgrade;
	} rows[] = {
		{ "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", true, false },
		{ "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", true,
		    false },
		{ "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n", false, false },
		{ "POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", false, false },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Upgrade\r\nUpgrade: websocket\r\n\r\n", false, true },
		{ "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", false, false },
		{ "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n", false, false },
		{ "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", false, false },
	};
	struct hb_http_parser p;

	hb_http_parser_init(&p, &limits);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		parse_head(&p, rows[i].head);
		ck_assert_msg(p.request.expect_continue == rows[i].expect, "row %zu", i);
		ck_assert_msg(p.request.upgrade == rows[i].upgrade, "row %zu", i);
		hb_http_parser_reset(&p);
	}
	hb_http_parser_free(&p);
}
END_TEST

START_TEST(an_https_uri_is_answered_over_tls)
{
	struct hb_http_limits secure = limits;
	struct hb_http_parser p;

	secure.secure = true;
	hb_http_parser_init(&p, &secure);
	parse_head(&p, "GET https://b.example/ HTTP/1.1\r\nHost: a\r\n\r\n");
	ck_assert_int_eq(p.request.form, HB_HTTP_ABSOLUTE);
	hb_http_parser_free(&p);
}
END_TEST

START_TEST(the_parser_says_whether_a_request_has_begun)
{
	struct hb_http_parser p;
	size_t consumed;

	hb_http_parser_init(&p, &limits);
	ck_assert(!hb_http_begun(&p));
	ck_assert_int_eq(hb_http_parse(&p, u("\r\n"), 2, &consumed), HB_HTTP_MORE);
	ck_assert(!hb_http_begun(&p));
	ck_assert_int_eq(hb_http_parse(&p, u("\r\nG"), 3, &consumed), HB_HTTP_MORE);
	ck_assert(hb_http_begun(&p));
	hb_http_parser_free(&p);
	ck_assert(!hb_http_begun(&p));
}
END_TEST

START_TEST(bytes_that_were_looked_at_are_not_looked_at_again)
{
	struct hb_http_parser p;
	unsigned char head[200] = "GET / HTTP/1.1\r\nHost: a\r\nX-A: ";
	size_t consumed, start = strlen((char *)head);

	memset(head + start, 'x', sizeof(head) - start);
	hb_http_parser_init(&p, &limits);
	for (size_t len = 1; len <= sizeof(head); len++) {
		ck_assert_int_eq(hb_http_parse(&p, head, len, &consumed), HB_HTTP_MORE);
		ck_assert_uint_eq(consumed, 0);
		if (len > start)
			ck_assert_uint_eq(p.scan, len);
	}
	/* An LF where the parser has been already is not found any more. */
	head[start + 10] = '\n';
	ck_assert_int_eq(hb_http_parse(&p, head, sizeof(head), &consumed), HB_HTTP_MORE);
	hb_http_parser_free(&p);
}
END_TEST

START_TEST(an_error_and_an_end_stay_until_reset)
{
	struct hb_http_parser p;
	size_t consumed;

	hb_http_parser_init(&p, &limits);
	ck_assert_int_eq(hb_http_parse(&p, u("\n"), 1, &consumed), HB_HTTP_ERROR);
	ck_assert_int_eq(hb_http_parse(&p, u("GET / HTTP/1.0\r\n\r\n"), 18, &consumed), HB_HTTP_ERROR);
	ck_assert_uint_eq(consumed, 0);
	hb_http_parser_reset(&p);
	ck_assert_uint_eq(parse_head(&p, "GET / HTTP/1.0\r\n\r\n"), 18);
	ck_assert_int_eq(hb_http_parse(&p, u(""), 0, &consumed), HB_HTTP_END);
	ck_assert_int_eq(hb_http_parse(&p, u("GET"), 3, &consumed), HB_HTTP_END);
	ck_assert_uint_eq(consumed, 0);
	hb_http_parser_free(&p);
}
END_TEST

START_TEST(more_fields_than_the_first_table_holds_are_kept)
{
	struct hb_http_parser p;
	struct hb_buf b = HB_BUF_INIT;

	hb_http_parser_init(&p, &limits);
	for (int round = 0; round < 2; round++) {
		hb_buf_clear(&b);
		hb_buf_add_str(&b, "GET / HTTP/1.1\r\nHost: a\r\n");
		for (int i = 0; i < 99; i++)
			hb_buf_printf(&b, "X-%d: %d\r\n", i, i);
		hb_buf_add_str(&b, "\r\n");
		hb_buf_add_u8(&b, 0);
		ck_assert_uint_eq(parse_head(&p, (const char *)b.data), b.len - 1);
		ck_assert_uint_eq(p.request.fields_count, 100);
		ck_assert_mem_eq(b.data + p.request.fields[99].name, "X-98", 4);
		ck_assert_mem_eq(b.data + p.request.fields[99].value, "98", 2);
		hb_http_parser_reset(&p);
	}
	hb_buf_free(&b);
	hb_http_parser_free(&p);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("http_parts");
	TCase *t = tcase_create("parts");

	tcase_add_test(t, every_known_name_is_found_in_any_case_of_letters);
	tcase_add_test(t, a_name_that_is_almost_known_is_not_found);
	tcase_add_test(t, a_control_byte_in_a_value_is_found_wherever_it_stands);
	tcase_add_test(t, a_list_gives_its_elements_without_white_space_and_empty_ones);
	tcase_add_test(t, an_authority_may_be_empty_only_where_it_is_allowed);
	tcase_add_test(t, a_path_is_decoded_in_place);
	tcase_add_test(t, statuses_have_their_reasons);
	tcase_add_test(t, responses_without_a_body_are_known);
	tcase_add_test(t, a_date_is_an_imf_fixdate);
	tcase_add_test(t, a_date_is_made_once_a_second);
	tcase_add_test(t, a_response_field_cannot_split_the_response);
	tcase_add_test(t, fields_of_the_connection_are_known);
	tcase_add_test(t, a_chunk_line_is_the_size_in_hexadecimal);
	tcase_add_test(t, fields_carry_their_numbers_and_a_mark_for_underscores);
	tcase_add_test(t, expectations_and_upgrades_are_only_for_those_who_can_have_them);
	tcase_add_test(t, an_https_uri_is_answered_over_tls);
	tcase_add_test(t, the_parser_says_whether_a_request_has_begun);
	tcase_add_test(t, bytes_that_were_looked_at_are_not_looked_at_again);
	tcase_add_test(t, an_error_and_an_end_stay_until_reset);
	tcase_add_test(t, more_fields_than_the_first_table_holds_are_kept);
	suite_add_tcase(suite, t);
	return suite;
}
