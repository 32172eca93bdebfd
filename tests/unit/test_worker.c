/* The parts of a worker that need no loop: timers, mounts, bodies, response heads, access lines. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "http/parser.h"
#include "unit.h"
#include "worker/access.h"
#include "worker/body.h"
#include "worker/rate.h"
#include "worker/response.h"
#include "worker/route.h"
#include "worker/timers.h"

START_TEST(timers_end_in_the_order_of_their_deadlines)
{
	struct hb_timers t;
	struct hb_timer a = {.kind = HB_TIMER_NONE}, b = {.kind = HB_TIMER_NONE}, c = {.kind = HB_TIMER_NONE};
	unsigned kind;

	hb_timers_init(&t, HB_TIMER_REQUEST + 1);
	t.waits[HB_TIMER_HEADER] = 100;
	t.waits[HB_TIMER_WRITE] = 30;
	ck_assert_int_eq(hb_timers_next(&t), -1);
	hb_timers_set(&t, &a, HB_TIMER_HEADER, 1000);
	hb_timers_set(&t, &b, HB_TIMER_HEADER, 1010);
	hb_timers_set(&t, &c, HB_TIMER_WRITE, 1020);
	ck_assert_int_eq(hb_timers_next(&t), 1050);
	ck_assert_ptr_null(hb_timers_pop(&t, 1049, &kind));
	ck_assert_ptr_eq(hb_timers_pop(&t, 1050, &kind), &c);
	ck_assert_int_eq(kind, HB_TIMER_WRITE);
	hb_timers_set(&t, &a, HB_TIMER_HEADER, 1060); /* anew: behind b */
	ck_assert_ptr_eq(hb_timers_pop(&t, 1110, &kind), &b);
	ck_assert_ptr_null(hb_timers_pop(&t, 1110, &kind));
	hb_timers_set(&t, &a, HB_TIMER_NONE, 1110);
	ck_assert_int_eq(hb_timers_next(&t), -1);
	hb_timers_free(&t);
}
END_TEST

static int
route(const char *path)
{
	static char mounts[][8] = {"/a/b", "/a", ""};
	struct hb_config_app apps[3] = {{.mount = mounts[0]}, {.mount = mounts[1]}, {.mount = mounts[2]}};

	return hb_route(apps, 3, (const unsigned char *)path, strlen(path));
}

START_TEST(the_longest_mount_wins_on_whole_segments)
{
	struct hb_config_app only = {.mount = (char[]){"/x"}};

	ck_assert_int_eq(route("/a/b"), 0);
	ck_assert_int_eq(route("/a/b/c"), 0);
	ck_assert_int_eq(route("/a/bc"), 1);
	ck_assert_int_eq(route("/a"), 1);
	ck_assert_int_eq(route("/a/"), 1);
	ck_assert_int_eq(route("/ab"), 2);
	ck_assert_int_eq(route("/"), 2);
	ck_assert_int_eq(route("*"), 2);
	ck_assert_int_eq(hb_route(&only, 1, (const unsigned char *)"/xy", 3), -1);
	ck_assert_int_eq(hb_route(&only, 1, (const unsigned char *)"/", 1), -1);
}
END_TEST

START_TEST(a_body_moves_to_a_file_beyond_its_limit_and_reads_the_same)
{
	struct hb_body b = HB_BODY_INIT;
	struct hb_error err;
	char piece[1000];

	for (int i = 0; i < 10; i++) {
		memset(piece, 'a' + i, sizeof piece);
		ck_assert_int_eq(hb_body_add(&b, piece, sizeof piece, 5000, &err), 0);
		ck_assert_int_eq(b.fd == -1, i < 5);
	}
	ck_assert_uint_eq(b.size, 10000);
	for (size_t i = 0; i < b.size; i++)
		ck_assert_int_eq(hb_body_bytes(&b, &err)[i], 'a' + (int)(i / 1000));
	hb_body_clear(&b);
	ck_assert_int_eq(b.fd, -1);
	ck_assert_uint_eq(b.size, 0);
	ck_assert_ptr_nonnull(hb_body_bytes(&b, &err));
}
END_TEST

START_TEST(a_body_without_room_says_where)
{
	struct hb_body b = HB_BODY_INIT;
	struct hb_error err;

	setenv("TMPDIR", "/nonexistent", 1);
	ck_assert_int_eq(hb_body_add(&b, "xy", 2, 1, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent"));
	hb_body_clear(&b);
	unsetenv("TMPDIR");
}
END_TEST

#define FIELD(n, v) {n, v, sizeof(n) - 1, sizeof(v) - 1}

static int
set_head(struct hb_response *r, unsigned status, const struct hb_py_field *fields, size_t count)
{
	struct hb_py_head head = {status, "Fine", 4, fields, count};
	struct hb_error err;

	memset(r, 0, sizeof *r);
	return hb_response_set_head(r, &head, &err);
}

/* The whole head of a response with these fields. */
static const char *
head_of(unsigned status, const struct hb_py_field *fields, size_t count, struct hb_response_context c, bool *keep)
{
	static char text[1000];
	struct hb_response r;
	struct hb_buf out = HB_BUF_INIT;

	c.date = "Sun, 06 Nov 1994 08:49:37 GMT";
	ck_assert_int_eq(set_head(&r, status, fields, count), 0);
	*keep = hb_response_commit(&r, &c, &out);
	ck_assert_uint_lt(out.len, sizeof text);
	memcpy(text, out.data, out.len);
	text[out.len] = '\0';
	hb_buf_free(&out);
	hb_buf_free(&r.head);
	return text;
}

START_TEST(a_response_says_how_its_body_ends)
{
	struct hb_py_field mine[] = {FIELD("X-Mine", "1"), FIELD("Content-Length", "5"), FIELD("Connection", "close")};
	struct hb_response_context known = {.minor = 1, .keep = true, .length = 3};
	struct hb_response_context unknown = {.minor = 1, .keep = true, .length = -1};
	struct hb_response_context old = {.minor = 0, .keep = true, .length = -1};
	bool keep;

	ck_assert_str_eq(head_of(200, NULL, 0, known, &keep), "HTTP/1.1 200 Fine\r\nServer: hornbeam\r\n"
	    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 3\r\n\r\n");
	ck_assert(keep);
	ck_assert_ptr_nonnull(strstr(head_of(200, mine, 1, unknown, &keep), "X-Mine: 1\r\n"));
	ck_assert_ptr_nonnull(strstr(head_of(200, mine, 1, unknown, &keep), "Transfer-Encoding: chunked\r\n\r\n"));
	ck_assert(keep);
	ck_assert_ptr_nonnull(strstr(head_of(200, mine, 2, unknown, &keep), "Content-Length: 5\r\n\r\n"));
	ck_assert_ptr_nonnull(strstr(head_of(200, mine, 3, unknown, &keep), "Connection: close\r\n\r\n"));
	ck_assert(!keep);
	ck_assert_ptr_null(strstr(head_of(200, NULL, 0, old, &keep), "chunked"));
	ck_assert(!keep);
	ck_assert_ptr_nonnull(strstr(head_of(200, mine, 2, old, &keep), "Connection: keep-alive\r\n"));
	ck_assert(keep);
	ck_assert_ptr_null(strstr(head_of(204, mine, 2, known, &keep), "Content-Length"));
	ck_assert(keep);
	ck_assert_ptr_null(strstr(head_of(304, NULL, 0, known, &keep), "Content-Length"));
	ck_assert_ptr_nonnull(strstr(head_of(304, mine, 2, known, &keep), "Content-Length: 5\r\n"));
	ck_assert_ptr_nonnull(strstr(head_of(205, NULL, 0, unknown, &keep), "Content-Length: 0\r\n\r\n"));
	ck_assert_ptr_nonnull(strstr(head_of(205, mine, 2, known, &keep), "Content-Length: 0\r\n\r\n"));
	ck_assert(keep);
	known.head_method = unknown.head_method = true;
	ck_assert_ptr_nonnull(strstr(head_of(200, NULL, 0, known, &keep), "Content-Length: 3\r\n"));
	ck_assert_ptr_null(strstr(head_of(200, NULL, 0, unknown, &keep), "chunked"));
	ck_assert(keep);
	known.length = 0;
	ck_assert_ptr_null(strstr(head_of(200, NULL, 0, known, &keep), "Content-Length"));
}
END_TEST

START_TEST(date_and_server_of_the_application_stand)
{
	struct hb_py_field mine[] = {FIELD("date", "then"), FIELD("SERVER", "mine"), FIELD("Keep-Alive", "x")};
	struct hb_response_context c = {.minor = 1, .keep = true, .length = 0};
	bool keep;

	ck_assert_str_eq(head_of(200, mine, 3, c, &keep),
	    "HTTP/1.1 200 Fine\r\ndate: then\r\nSERVER: mine\r\nContent-Length: 0\r\n\r\n");
}
END_TEST

START_TEST(a_head_that_would_split_a_response_is_refused)
{
	static const struct hb_py_field bad[] = {FIELD("X", "a\r\nb"), FIELD("X", "a\nb"), FIELD("X", "a\0b"),
	    FIELD("X\r\n", "a"), FIELD("", "a"), FIELD("X Y", "a"), FIELD("X:", "a"), FIELD("Content-Length", "1 "),
	    FIELD("Content-Length", ""), FIELD("Content-Length", "9999999999999999999")};
	static const struct hb_py_field two[] = {FIELD("Content-Length", "1"), FIELD("content-length", "2")};
	struct hb_response r;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		ck_assert_int_eq(set_head(&r, 200, &bad[i], 1), -1);
		ck_assert_uint_eq(r.status, 0);
		hb_buf_free(&r.head);
	}
	ck_assert_int_eq(set_head(&r, 200, two, 2), -1);
	hb_buf_free(&r.head);
	ck_assert_int_eq(set_head(&r, 199, NULL, 0), -1);
	hb_buf_free(&r.head);
}
END_TEST

static const char *
access_line(enum hb_access_format format, const char *request)
{
	static const struct hb_http_limits limits = {8192, 8192, 100, 0, false};
	static char text[2000];
	struct hb_http_parser p;
	struct hb_access_entry e = {.remote = "::1", .status = 200, .bytes = 12, .microseconds = 1500042};
	struct hb_buf out = HB_BUF_INIT;
	size_t used;

	memset(&p, 0, sizeof p);
	hb_http_parser_init(&p, &limits);
	if (request != NULL) {
		ck_assert_int_eq(hb_http_parse(&p, (const unsigned char *)request, strlen(request), &used), HB_HTTP_HEAD);
		e.head = &p.request;
		e.data = (const unsigned char *)request;
	}
	hb_access_format(&out, format, "STAMP", &e);
	ck_assert_uint_lt(out.len, sizeof text);
	memcpy(text, out.data, out.len);
	text[out.len] = '\0';
	hb_buf_free(&out);
	hb_http_parser_free(&p);
	return text;
}

START_TEST(access_lines_cannot_be_forged)
{
	const char *request = "GET /a?\\x HTTP/1.1\r\nHost: x\r\nUser-Agent: \"a\\\t\xff\"\r\n\r\n";

	ck_assert_str_eq(access_line(HB_ACCESS_COMMON, request), "::1 - - [STAMP] \"GET /a?\\\\x HTTP/1.1\" 200 12\n");
	ck_assert_str_eq(access_line(HB_ACCESS_COMBINED, request),
	    "::1 - - [STAMP] \"GET /a?\\\\x HTTP/1.1\" 200 12 \"-\" \"\\\"a\\\\\\x09\\xff\\\"\"\n");
	ck_assert_str_eq(access_line(HB_ACCESS_JSON, request),
	    "{\"time\":\"STAMP\",\"remote\":\"::1\",\"method\":\"GET\",\"target\":\"/a?\\\\x\",\"protocol\":\"HTTP/1.1\","
	    "\"status\":200,\"bytes\":12,\"duration\":1.500042,\"referer\":\"\",\"agent\":\"\\\"a\\\\\\u0009\\u00ff\\\"\"}\n");
	ck_assert_str_eq(access_line(HB_ACCESS_COMBINED, NULL), "::1 - - [STAMP] \"-\" 200 12 \"-\" \"-\"\n");
}
END_TEST

START_TEST(a_reader_that_hangs_costs_lines_not_time)
{
	struct hb_access a = {.fd = -1};
	struct hb_access_entry e = {.remote = "1.2.3.4", .status = 200};
	int fds[2];
	char sink[65536];

	ck_assert_int_eq(pipe(fds), 0);
	a.fd = fds[1];
	a.format = HB_ACCESS_COMBINED;
	for (int i = 0; i < 20000; i++) {
		hb_access_add(&a, &e, 1);
		hb_access_flush(&a);
	}
	ck_assert_uint_gt(a.dropped, 0);
	ck_assert_uint_lt(a.buf.len, 300000);
	ck_assert_int_gt(fcntl(fds[0], F_SETFL, O_NONBLOCK), -1);
	for (int i = 0; a.buf.len > 0 && i < 1000; i++) {
		while (read(fds[0], sink, sizeof sink) > 0)
			;
		hb_access_flush(&a);
	}
	ck_assert_uint_eq(a.buf.len, 0);
	ck_assert_uint_eq(a.reported, a.dropped);
	hb_access_close(&a);
	close(fds[0]);
}
END_TEST

START_TEST(log_lines_that_peers_cause_are_bounded)
{
	struct hb_rate rate = {0};
	int allowed = 0;

	for (int i = 0; i < 1000; i++)
		allowed += hb_rate_allows(&rate, 5000 + i / 2);
	ck_assert_int_eq(allowed, 10);
	ck_assert(hb_rate_allows(&rate, 6000));
	ck_assert_uint_eq(hb_rate_take(&rate), 990);
	ck_assert_uint_eq(hb_rate_take(&rate), 0);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("worker");
	TCase *t = tcase_create("parts");

	tcase_add_test(t, timers_end_in_the_order_of_their_deadlines);
	tcase_add_test(t, the_longest_mount_wins_on_whole_segments);
	tcase_add_test(t, a_body_moves_to_a_file_beyond_its_limit_and_reads_the_same);
	tcase_add_test(t, a_body_without_room_says_where);
	tcase_add_test(t, a_response_says_how_its_body_ends);
	tcase_add_test(t, date_and_server_of_the_application_stand);
	tcase_add_test(t, a_head_that_would_split_a_response_is_refused);
	tcase_add_test(t, access_lines_cannot_be_forged);
	tcase_add_test(t, a_reader_that_hangs_costs_lines_not_time);
	tcase_add_test(t, log_lines_that_peers_cause_are_bounded);
	suite_add_tcase(s, t);
	return s;
}
