/* What hooks are told and what comes back: terms, and the heads that follow from them. */
#include <stdlib.h>
#include <string.h>

#include "http/parser.h"
#include "term/term.h"
#include "unit.h"
#include "worker/hooks_codec.h"
#include "worker/hooks_head.h"

static struct hb_http_parser parser;
static const struct hb_http_limits limits = {8192, 32768, 100, 1 << 20, false};
static const char text[] = "GET /a%20b?q=1 HTTP/1.1\r\nHost: h\r\nX-Two: 1\r\nuser-agent: u\r\nx-two: 2\r\n\r\n";

/* The text as a hook is told of it. */
static struct hb_hook_request
parsed(void)
{
	struct hb_hook_request r = {.data = (const unsigned char *)text, .path = (const unsigned char *)"/a b", .path_len = 4};
	size_t used;

	r.remote_addr = "::1";
	r.remote_port = "80";
	hb_http_parser_init(&parser, &limits);
	ck_assert_int_eq(hb_http_parse(&parser, r.data, sizeof text - 1, &used), HB_HTTP_HEAD);
	r.head = &parser.request;
	return r;
}

static bool
is(struct hb_py_text t, const char *s)
{
	return t.p != NULL && t.len == strlen(s) && memcmp(t.p, s, t.len) == 0;
}

static bool
span_is(const struct hb_hook_head *head, struct hb_http_span s, const char *expected)
{
	return s.len == strlen(expected) && memcmp(head->bytes.data + s.off, expected, s.len) == 0;
}

static void
want_text(struct hb_term_reader *r, const char *expected)
{
	const unsigned char *p;
	struct hb_error err;
	size_t len;

	ck_assert_int_eq(hb_term_want_binary(r, &p, &len, &err), 0);
	ck_assert(is((struct hb_py_text){(const char *)p, len}, expected));
}

START_TEST(a_request_is_a_tuple_of_binaries)
{
	struct hb_hook_request told = parsed();
	struct hb_buf b = HB_BUF_INIT;
	struct hb_term_reader r;
	struct hb_error err;
	uint32_t n;
	int64_t port;

	told.mount = "";
	told.own = (const unsigned char *)"own";
	told.own_len = 3;
	hb_term_put_version(&b);
	hb_hook_put_request(&b, &told);
	ck_assert_int_eq(hb_term_open(&r, b.data, b.len, &err), 0);
	ck_assert_int_eq(hb_term_want_tuple(&r, &n, &err), 0);
	ck_assert_uint_eq(n, 10);
	want_text(&r, "GET");
	want_text(&r, "/a b");
	want_text(&r, "q=1");
	want_text(&r, "1.1");
	want_text(&r, "http");
	want_text(&r, "::1");
	ck_assert_int_eq(hb_term_want_int(&r, &port, &err), 0);
	ck_assert_int_eq(port, 80);
	want_text(&r, "/");
	ck_assert_int_eq(hb_term_want_list(&r, &n, &err), 0);
	ck_assert_uint_eq(n, 8);
	for (const char *const *p = (const char *const[]){"host", "h", "x-two", "1", "user-agent", "u", "x-two", "2", NULL};
	     *p != NULL; p++)
		want_text(&r, *p);
	ck_assert_int_eq(hb_term_want_close(&r, &err), 0);
	want_text(&r, "own");
	hb_buf_free(&b);
	hb_http_parser_free(&parser);
}
END_TEST

static void
put_texts(struct hb_buf *b, const char *const *texts)
{
	uint32_t n = 0;

	while (texts[n] != NULL)
		n++;
	hb_term_put_list(b, n);
	for (uint32_t i = 0; i < n; i++)
		hb_term_put_str(b, texts[i]);
	if (n > 0)
		hb_term_put_nil(b);
}

static void
put_same_or(struct hb_buf *b, const char *t)
{
	if (t != NULL)
		hb_term_put_str(b, t);
	else
		hb_term_put_atom(b, "same");
}

/* {request, Method, Path, Query, Fields, Removed, Own, []}, NULL for same. */
static void
put_request(struct hb_buf *b, const char *method, const char *path, const char *query, const char *const *fields,
    const char *const *removed)
{
	hb_term_put_version(b);
	hb_term_put_tuple(b, 8);
	hb_term_put_atom(b, "request");
	put_same_or(b, method);
	put_same_or(b, path);
	put_same_or(b, query);
	put_texts(b, fields);
	put_texts(b, removed);
	hb_term_put_str(b, "");
	hb_term_put_nil(b);
}

START_TEST(a_changed_head_has_the_old_one_in_front)
{
	static const char *const fields[] = {"x-two", "3", "x_new", "n", NULL}, *const removed[] = {"user-agent", NULL};
	struct hb_hook_request from = parsed();
	struct hb_hook_reply reply;
	struct hb_hook_head head;
	struct hb_buf b = HB_BUF_INIT;
	struct hb_error err;

	put_request(&b, "PUT", "/\xc3\xa9 %", "z", fields, removed);
	ck_assert_int_eq(hb_hook_reply_read(&reply, b.data, b.len, &err), 0);
	ck_assert_int_eq(reply.outcome, HB_HOOK_REQUEST);
	ck_assert_int_eq(hb_hook_head_make(&head, &from, sizeof text - 1, &reply, &err), 0);
	ck_assert_int_eq(memcmp(head.bytes.data, text, sizeof text - 1), 0);
	ck_assert(span_is(&head, head.request.method, "PUT"));
	ck_assert_int_eq(head.request.method_id, HB_HTTP_M_PUT);
	ck_assert(span_is(&head, head.request.target, "/%C3%A9%20%25?z"));
	ck_assert(span_is(&head, head.request.path, "/%C3%A9%20%25"));
	ck_assert(span_is(&head, head.request.query, "z"));
	ck_assert_uint_eq(head.path_len, 5);
	ck_assert_int_eq(memcmp(head.path, "/\xc3\xa9 %", 5), 0);
	ck_assert_uint_eq(head.request.fields_count, 3);
	ck_assert_int_eq(head.request.fields[0].id, HB_HTTP_F_HOST);
	ck_assert(span_is(&head, (struct hb_http_span){head.request.fields[1].value, head.request.fields[1].value_len}, "3"));
	ck_assert_int_eq(head.request.fields[2].flags, HB_HTTP_FIELD_UNDERSCORE);
	ck_assert_uint_eq(from.head->fields_count, 4);
	hb_hook_head_free(&head);
	hb_hook_reply_free(&reply);
	hb_buf_free(&b);
	hb_http_parser_free(&parser);
}
END_TEST

START_TEST(a_head_that_cannot_be_is_refused)
{
	static const char *const none[] = {NULL}, *const name[] = {"a b", "1", NULL}, *const value[] = {"a", "1\r\nb: 2", NULL};
	static const struct {
		const char *method, *path, *query;
		const char *const *fields;
	} bad[] = {{"A B", NULL, NULL, none}, {"", NULL, NULL, none}, {NULL, "a", NULL, none}, {NULL, "", NULL, none},
		{NULL, NULL, "a b", none}, {NULL, NULL, "a\r\n", none}, {NULL, NULL, NULL, name}, {NULL, NULL, NULL, value}};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct hb_hook_request from = parsed();
		struct hb_hook_reply reply;
		struct hb_hook_head head;
		struct hb_buf b = HB_BUF_INIT;
		struct hb_error err;

		put_request(&b, bad[i].method, bad[i].path, bad[i].query, bad[i].fields, none);
		ck_assert_int_eq(hb_hook_reply_read(&reply, b.data, b.len, &err), 0);
		ck_assert_int_eq(hb_hook_head_make(&head, &from, sizeof text - 1, &reply, &err), -1);
		hb_hook_head_free(&head);
		hb_hook_reply_free(&reply);
		hb_buf_free(&b);
		hb_http_parser_free(&parser);
	}
}
END_TEST

static void
set_head(struct hb_response *r)
{
	static const struct hb_py_field fields[] = {{"X-A", "1", 3, 1}, {"Set-Cookie", "c=1", 10, 3},
		{"Content-Length", "5", 14, 1}, {"Empty", "", 5, 0}, {"Connection", "close", 10, 5}};
	const struct hb_py_head head = {200, "Fine", 4, fields, 5};
	struct hb_error err;

	*r = (struct hb_response){.head = HB_BUF_INIT};
	ck_assert_int_eq(hb_response_set_head(r, &head, &err), 0);
}

START_TEST(a_response_is_its_status_fields_and_body)
{
	struct hb_response response;
	struct hb_buf b = HB_BUF_INIT, body = HB_BUF_INIT;
	struct hb_term_reader r;
	struct hb_error err;
	int64_t status;
	uint32_t n;

	set_head(&response);
	hb_buf_add_str(&body, "hello");
	hb_term_put_version(&b);
	hb_term_put_tuple(&b, 3);
	hb_hook_put_response(&b, 200, &response.head, response.declared, &body);
	ck_assert_int_eq(hb_term_open(&r, b.data, b.len, &err), 0);
	ck_assert_int_eq(hb_term_want_tuple(&r, &n, &err), 0);
	ck_assert_int_eq(hb_term_want_int(&r, &status, &err), 0);
	ck_assert_int_eq(status, 200);
	ck_assert_int_eq(hb_term_want_list(&r, &n, &err), 0);
	ck_assert_uint_eq(n, 8);
	for (const char *const *p =
	         (const char *const[]){"x-a", "1", "set-cookie", "c=1", "empty", "", "content-length", "5", NULL};
	     *p != NULL; p++)
		want_text(&r, *p);
	ck_assert_int_eq(hb_term_want_close(&r, &err), 0);
	want_text(&r, "hello");
	hb_buf_free(&response.head);
	hb_buf_free(&body);
	hb_buf_free(&b);
}
END_TEST

START_TEST(a_changed_response_keeps_its_framing_and_its_reason)
{
	struct hb_py_field set[] = {{"x-b", "2", 3, 1}};
	struct hb_py_text removed[] = {{"x-a", 3}};
	struct hb_hook_reply reply = {.outcome = HB_HOOK_RESPONSE, .fields = set, .fields_count = 1, .removed = removed,
	    .removed_count = 1};
	struct hb_response response;
	struct hb_error err;

	set_head(&response);
	ck_assert_int_eq(hb_hook_response_change(&response, &reply, &err), 0);
	hb_buf_add_u8(&response.head, '\0');
	ck_assert_str_eq((const char *)response.head.data, "HTTP/1.1 200 Fine\r\nSet-Cookie: c=1\r\nEmpty: \r\nx-b: 2\r\n");
	ck_assert_int_eq(response.declared, 5);
	ck_assert(response.close_asked);
	response.head.len--;
	reply.status = 404;
	ck_assert_int_eq(hb_hook_response_change(&response, &reply, &err), 0);
	ck_assert_int_eq(memcmp(response.head.data, "HTTP/1.1 404 Not Found\r\n", 24), 0);
	set[0].value = "\n";
	ck_assert_int_eq(hb_hook_response_change(&response, &reply, &err), -1);
	ck_assert_uint_eq(response.status, 404);
	hb_buf_free(&response.head);
}
END_TEST

START_TEST(replies_are_read_or_refused)
{
	struct hb_hook_reply reply;
	struct hb_error err;
	struct hb_buf b = HB_BUF_INIT;

	hb_term_put_version(&b);
	hb_term_put_atom(&b, "continue");
	ck_assert_int_eq(hb_hook_reply_read(&reply, b.data, b.len, &err), 0);
	ck_assert_int_eq(reply.outcome, HB_HOOK_CONTINUE);
	hb_buf_clear(&b);
	hb_term_put_version(&b);
	hb_term_put_tuple(&b, 4);
	hb_term_put_atom(&b, "raised");
	hb_term_put_atom(&b, "exit");
	hb_term_put_tuple(&b, 1);
	hb_term_put_atom(&b, "x");
	hb_term_put_str(&b, "");
	ck_assert_int_eq(hb_hook_reply_read(&reply, b.data, b.len, &err), 0);
	ck_assert_int_eq(reply.outcome, HB_HOOK_FAILED);
	ck_assert_ptr_null(reply.error.p);
	ck_assert_uint_eq(reply.raised.len, b.len - (size_t)((const unsigned char *)reply.raised.p - b.data) - 5);
	hb_hook_reply_free(&reply);
	for (size_t n = 0; n < b.len; n++) {
		ck_assert_int_eq(hb_hook_reply_read(&reply, b.data, n, &err), -1);
		hb_hook_reply_free(&reply);
	}
	hb_buf_free(&b);
}
END_TEST

START_TEST(a_reply_cut_anywhere_is_refused)
{
	static const char *const fields[] = {"a", "b", NULL}, *const odd[] = {"a", NULL};
	struct hb_hook_reply reply;
	struct hb_error err;
	struct hb_buf b = HB_BUF_INIT;

	put_request(&b, "A", "/", "q", fields, odd);
	for (size_t n = 0; n < b.len; n++) {
		ck_assert_int_eq(hb_hook_reply_read(&reply, b.data, n, &err), -1);
		hb_hook_reply_free(&reply);
	}
	hb_buf_clear(&b);
	put_request(&b, "A", "/", "q", odd, odd); /* a name without a value */
	ck_assert_int_eq(hb_hook_reply_read(&reply, b.data, b.len, &err), -1);
	hb_hook_reply_free(&reply);
	hb_buf_free(&b);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("worker_hooks");
	TCase *t = tcase_create("hooks");

	tcase_add_test(t, a_request_is_a_tuple_of_binaries);
	tcase_add_test(t, a_changed_head_has_the_old_one_in_front);
	tcase_add_test(t, a_head_that_cannot_be_is_refused);
	tcase_add_test(t, a_response_is_its_status_fields_and_body);
	tcase_add_test(t, a_changed_response_keeps_its_framing_and_its_reason);
	tcase_add_test(t, replies_are_read_or_refused);
	tcase_add_test(t, a_reply_cut_anywhere_is_refused);
	suite_add_tcase(s, t);
	return s;
}
