/*
 * The WebSocket parser against tests/data/http/websocket.txt: each case whole, byte by byte, and
 * cut in two at every position must give the events of the file.
 */
#include <stdio.h>
#include <string.h>

#include "fuzz_ws.h"
#include "unit.h"
#include "ws_cases.h"

/* A process a test: with one for each case most of the time would go into fork. */
#define BATCH 25
#define WINDOW 15

static struct ws_cases *cases;

static void
run(const struct ws_case *c, struct ws_cut cut)
{
	struct ws_run got;

	ws_run(&got, c->bytes.data, c->bytes.len, cut, c->deflate ? WINDOW : 0, WS_CASE_LIMIT);
	if (!ws_events_equal(&got.events, &c->events))
		ck_abort_msg("line %d: %s (cut at %zu, steps of %zu): other events, last cause: %s", c->line,
		    c->name, cut.first, cut.step, got.cause != NULL ? got.cause : "none");
	if (c->fails && strcmp(got.rule, c->rule) != 0)
		ck_abort_msg("line %d: %s: by %s", c->line, c->name, got.rule);
	ws_run_free(&got);
}

static void
run_every_way(const struct ws_case *c)
{
	size_t len = c->bytes.len;

	run(c, (struct ws_cut){ 0 });
	run(c, (struct ws_cut){ .step = 1 });
	/* Long ones are cut at fewer places: all of the first and last 60, and some between. */
	for (size_t at = 1; at < len; at++)
		if (len < 2000 || at < 60 || len - at < 60 || at % 2003 == 0)
			run(c, (struct ws_cut){ .first = at, .second = at + at % 7 < len ? at + at % 7 : at });
}

START_TEST(each_case_gives_its_events_however_it_arrives)
{
	for (size_t i = (size_t)_i * BATCH; i < cases->count && i < (size_t)(_i + 1) * BATCH; i++)
		run_every_way(&cases->cases[i]);
}
END_TEST

static void
fuzz(const struct ws_case *c, size_t changed)
{
	struct hb_buf input = HB_BUF_INIT;

	hb_buf_add_u8(&input, c->deflate ? FUZZ_WS_DEFLATE : FUZZ_WS_PLAIN);
	hb_buf_add(&input, c->bytes.data, c->bytes.len);
	if (changed > 0)
		input.data[changed] ^= (unsigned char)(1 << changed % 8);
	LLVMFuzzerTestOneInput(input.data, input.len);
	hb_buf_free(&input);
}

START_TEST(what_the_fuzz_target_checks_holds_of_each_case)
{
	for (size_t i = 0; i < cases->count; i++) {
		const struct ws_case *c = &cases->cases[i];

		fuzz(c, 0);
		for (size_t at = 1 + i % 5; at <= c->bytes.len && c->bytes.len < 300; at += 5)
			fuzz(c, at);
	}
}
END_TEST

/* A client's frame with a mask of zeros. */
static size_t
client_frame(unsigned char *out, enum hb_ws_opcode opcode, const void *data, size_t len)
{
	size_t n = hb_ws_frame_header(out, opcode, len, false);

	out[1] |= 0x80;
	memset(out + n, 0, 4);
	memcpy(out + n + 4, data, len);
	return n + 4 + len;
}

struct fixture {
	struct hb_ws_shared *shared;
	struct hb_ws ws;
	struct hb_ws_event event;
	unsigned char bytes[70000];
	size_t used;
};

static void
begin(struct fixture *f, unsigned bits, size_t max_message)
{
	f->shared = hb_ws_shared_new(max_message);
	hb_ws_init(&f->ws, bits);
}

static void
finish(struct fixture *f)
{
	hb_ws_free(&f->ws);
	hb_ws_shared_free(f->shared);
}

START_TEST(a_whole_frame_is_given_in_place)
{
	static struct fixture f;
	size_t n;

	begin(&f, 0, 65536);
	n = client_frame(f.bytes, HB_WS_TEXT, "hello", 5);
	ck_assert_int_eq(hb_ws_parse(&f.ws, f.shared, f.bytes, n, &f.used, &f.event), HB_WS_MESSAGE);
	ck_assert_ptr_eq(f.event.data, f.bytes + 6);
	ck_assert(!f.event.gathered);
	finish(&f);
}
END_TEST

START_TEST(a_gathered_message_can_be_taken)
{
	static struct fixture f;
	static unsigned char text[1000];
	struct hb_buf taken;
	size_t n;

	begin(&f, 0, 65536);
	memset(text, 'a', sizeof(text));
	n = client_frame(f.bytes, HB_WS_TEXT, text, sizeof(text));
	ck_assert_int_eq(hb_ws_parse(&f.ws, f.shared, f.bytes, 100, &f.used, &f.event), HB_WS_MORE);
	ck_assert_uint_eq(f.used, 100);
	ck_assert(hb_ws_begun(&f.ws));
	ck_assert_int_eq(hb_ws_parse(&f.ws, f.shared, f.bytes + 100, n - 100, &f.used, &f.event), HB_WS_MESSAGE);
	ck_assert(f.event.gathered);
	ck_assert_int_eq(hb_ws_take(f.shared, &f.event, &taken), 0);
	ck_assert_ptr_eq(taken.data, f.event.data);
	ck_assert_int_eq(hb_ws_parse(&f.ws, f.shared, f.bytes, 0, &f.used, &f.event), HB_WS_MORE);
	ck_assert_uint_eq(taken.len, sizeof(text));
	ck_assert_mem_eq(taken.data, text, sizeof(text));
	hb_buf_free(&taken);
	finish(&f);
}
END_TEST

START_TEST(a_message_in_place_can_be_taken_too)
{
	static struct fixture f;
	struct hb_buf taken;
	size_t n;

	begin(&f, 0, 65536);
	n = client_frame(f.bytes, HB_WS_BINARY, "\x01\x02", 2);
	ck_assert_int_eq(hb_ws_parse(&f.ws, f.shared, f.bytes, n, &f.used, &f.event), HB_WS_MESSAGE);
	ck_assert_int_eq(hb_ws_take(f.shared, &f.event, &taken), 0);
	memset(f.bytes, 0, n);
	ck_assert_uint_eq(taken.len, 2);
	ck_assert_mem_eq(taken.data, "\x01\x02", 2);
	hb_buf_free(&taken);
	finish(&f);
}
END_TEST

START_TEST(a_large_announced_length_takes_no_memory)
{
	static struct fixture f;

	begin(&f, 0, (size_t)1 << 40);
	memcpy(f.bytes, "\x82\xff\x00\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00", 14);
	memset(f.bytes + 14, 1, 3000);
	ck_assert_int_eq(hb_ws_parse(&f.ws, f.shared, f.bytes, 3014, &f.used, &f.event), HB_WS_MORE);
	ck_assert_uint_eq(f.ws.message.len, 3000);
	ck_assert_uint_lt(f.ws.message.cap, 6001);
	finish(&f);
}
END_TEST

START_TEST(a_connection_between_messages_holds_nothing)
{
	static struct fixture f;
	size_t n;

	ck_assert_uint_le(sizeof(struct hb_ws), 128);
	begin(&f, WINDOW, 65536);
	for (size_t i = 0; i < cases->count; i++) {
		const struct ws_case *c = &cases->cases[i];
		size_t at = 0;

		hb_ws_init(&f.ws, c->deflate ? WINDOW : 0);
		while (hb_ws_parse(&f.ws, f.shared, c->bytes.data + at, c->bytes.len - at, &n, &f.event) != HB_WS_MORE)
			at += n;
		if (!hb_ws_begun(&f.ws))
			ck_assert_ptr_null(f.ws.message.data);
		hb_ws_free(&f.ws);
	}
	finish(&f);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("ws");
	TCase *t = tcase_create("frames");
	int n;

	cases = ws_cases_load();
	n = (int)((cases->count + BATCH - 1) / BATCH);
	tcase_add_loop_test(t, each_case_gives_its_events_however_it_arrives, 0, n);
	tcase_add_test(t, what_the_fuzz_target_checks_holds_of_each_case);
	tcase_add_test(t, a_whole_frame_is_given_in_place);
	tcase_add_test(t, a_gathered_message_can_be_taken);
	tcase_add_test(t, a_message_in_place_can_be_taken_too);
	tcase_add_test(t, a_large_announced_length_takes_no_memory);
	tcase_add_test(t, a_connection_between_messages_holds_nothing);
	suite_add_tcase(suite, t);
	return suite;
}
