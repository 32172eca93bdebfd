/* The parts of the WebSocket codec by themselves: UTF-8, masks, headers, close frames, compression. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "common/str.h"
#include "http/ws.h"
#include "http/ws_mask.h"
#include "unit.h"

static bool
is_utf8(const unsigned char *p, size_t n, size_t cut)
{
	struct hb_ws_utf8 u = { 0 };

	return hb_ws_utf8_add(&u, p, cut) && hb_ws_utf8_add(&u, p + cut, n - cut) && hb_ws_utf8_whole(&u);
}

/* A character, or what could be one: up to four bytes of v, the lead byte first. */
START_TEST(utf8_agrees_with_the_whole_string_check_for_all_beginnings)
{
	for (unsigned lead = 0; lead < 256; lead++)
		for (unsigned second = 0x70; second < 0xd0; second++) {
			unsigned char text[70];

			for (size_t len = 1; len <= 4; len++)
				for (size_t at = 0; at <= 33; at += 11) {
					unsigned char c[4] = { (unsigned char)lead, (unsigned char)second, 0x80, 0xbf };

					memset(text, 'x', sizeof(text));
					memcpy(text + at, c, len);
					if (is_utf8(text, sizeof(text), at + len / 2) != hb_str_is_utf8(text, sizeof(text)) ||
					    is_utf8(text, at + len, at + 1) != hb_str_is_utf8(text, at + len))
						ck_abort_msg("%02x %02x, %zu bytes at %zu", lead, second, len, at);
				}
		}
}
END_TEST

START_TEST(utf8_is_cut_in_front_of_a_character)
{
	static const struct {
		const char *text;
		size_t n, cut;
	} texts[] = {
		{ "abc", 3, 3 },
		{ "ab\xc3\xa9", 3, 2 },
		{ "ab\xc3\xa9", 4, 4 },
		{ "a\xe2\x82\xac", 2, 1 },
		{ "a\xe2\x82\xac", 3, 1 },
		{ "a\xe2\x82\xac", 4, 4 },
		{ "\xf0\x9f\x98\x80", 3, 0 },
		{ "\xf0\x9f\x98\x80", 4, 4 },
		{ "", 0, 0 },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		ck_assert_uint_eq(hb_ws_utf8_cut((const unsigned char *)texts[i].text, texts[i].n), texts[i].cut);
}
END_TEST

START_TEST(a_mask_is_the_same_however_the_bytes_are_cut_and_placed)
{
	static const unsigned char key[4] = { 0xa1, 0x02, 0xf3, 0x84 };
	unsigned char in[200], out[200];

	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (unsigned char)(i * 7);
	for (size_t len = 0; len < sizeof(in); len++)
		for (size_t cut = 0; cut <= len; cut += 1 + len / 9) {
			unsigned char mask[4];

			memcpy(mask, key, sizeof(key));
			memcpy(out, in, sizeof(in));
			hb_ws_unmask(out, in, cut, mask);
			hb_ws_unmask(out + cut, out + cut, len - cut, mask);
			for (size_t i = 0; i < sizeof(in); i++)
				ck_assert_uint_eq(out[i], i < len ? in[i] ^ key[i % 4] : in[i]);
		}
}
END_TEST

START_TEST(a_header_takes_the_shortest_form)
{
	static const struct {
		uint64_t len;
		size_t size;
		const char *bytes;
	} headers[] = {
		{ 0, 2, "\x81\x00" },
		{ 125, 2, "\x81\x7d" },
		{ 126, 4, "\x81\x7e\x00\x7e" },
		{ 65535, 4, "\x81\x7e\xff\xff" },
		{ 65536, 10, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00" },
	};
	unsigned char out[HB_WS_HEADER_MAX];

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		ck_assert_uint_eq(hb_ws_frame_header(out, HB_WS_TEXT, headers[i].len, false), headers[i].size);
		ck_assert_mem_eq(out, headers[i].bytes, headers[i].size);
	}
	hb_ws_frame_header(out, HB_WS_BINARY, 1, true);
	ck_assert_uint_eq(out[0], 0xc2);
}
END_TEST

START_TEST(a_close_frame_has_code_and_reason)
{
	unsigned char out[HB_WS_CLOSE_MAX];

	ck_assert_uint_eq(hb_ws_close_frame(out, 1001, "bye", 3), 7);
	ck_assert_mem_eq(out, "\x88\x05\x03\xe9" "bye", 7);
	ck_assert_uint_eq(hb_ws_close_frame(out, 1000, NULL, 0), 4);
	ck_assert_mem_eq(out, "\x88\x02\x03\xe8", 4);
	ck_assert_uint_eq(hb_ws_close_frame(out, HB_WS_NO_STATUS, "unsaid", 6), 2);
	ck_assert_mem_eq(out, "\x88\x00", 2);
}
END_TEST

START_TEST(a_long_reason_is_cut_in_front_of_a_character)
{
	unsigned char out[HB_WS_CLOSE_MAX];
	char reason[200];

	memset(reason, 'r', sizeof(reason));
	ck_assert_uint_eq(hb_ws_close_frame(out, 1000, reason, sizeof(reason)), 4 + 123);
	ck_assert_uint_eq(out[1], 125);
	memcpy(reason + 121, "\xe2\x82\xac", 3);
	ck_assert_uint_eq(hb_ws_close_frame(out, 1000, reason, sizeof(reason)), 4 + 121);
	ck_assert_uint_eq(out[1], 123);
}
END_TEST

/* Text that shrinks, of len bytes, different with each seed. */
static unsigned char *
prose(size_t len, unsigned seed)
{
	static const char *const words[] = { "{\"id\": ", "12, ", "\"name\": ", "\"Ada\"", "}, ", "null" };
	struct hb_buf b = HB_BUF_INIT;

	while (b.len < len) {
		seed = seed * 1103515245 + 12345;
		hb_buf_add_str(&b, words[(seed >> 16) % 6]);
	}
	return b.data;
}

/* Inflates by zlib directly, with a window of so many bits; aborts where that fails. */
static void
inflate_elsewhere(const unsigned char *p, size_t len, int bits, const unsigned char *expected, size_t expected_len)
{
	unsigned char *out = malloc(expected_len + 1);
	z_stream z = { 0 };

	ck_assert_int_eq(inflateInit2(&z, -bits), Z_OK);
	z.next_in = (unsigned char *)p;
	z.avail_in = (unsigned)len;
	z.next_out = out;
	z.avail_out = (unsigned)expected_len + 1;
	ck_assert_int_eq(inflate(&z, Z_SYNC_FLUSH), Z_OK);
	z.next_in = (unsigned char *)"\x00\x00\xff\xff";
	z.avail_in = 4;
	ck_assert_int_eq(inflate(&z, Z_SYNC_FLUSH), Z_OK);
	ck_assert_uint_eq(z.total_out, expected_len);
	ck_assert_mem_eq(out, expected, expected_len);
	inflateEnd(&z);
	free(out);
}

START_TEST(what_is_compressed_inflates_elsewhere)
{
	static const size_t lengths[] = { 64, 100, 1000, 32768, 65536, 300000 };
	struct hb_ws_shared *shared = hb_ws_shared_new(1);

	for (unsigned bits = 9; bits <= 15; bits++)
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			unsigned char *text = prose(lengths[i], bits + (unsigned)i);
			struct hb_buf out = HB_BUF_INIT;
			struct hb_ws ws;

			hb_ws_init(&ws, bits);
			hb_buf_add_str(&out, "before");
			ck_assert_int_eq(hb_ws_compress(shared, &ws, text, lengths[i], &out), 1);
			ck_assert_uint_lt(out.len, 6 + lengths[i]);
			ck_assert_mem_eq(out.data, "before", 6);
			inflate_elsewhere(out.data + 6, out.len - 6, (int)bits, text, lengths[i]);
			hb_buf_free(&out);
			free(text);
		}
	hb_ws_shared_free(shared);
}
END_TEST

START_TEST(what_would_hold_the_loop_for_long_is_not_compressed)
{
	struct hb_ws_shared *shared = hb_ws_shared_new(1);
	struct hb_buf out = HB_BUF_INIT;
	size_t most = (size_t)4 << 20;
	unsigned char *text = calloc(most + 1, 1);
	struct hb_ws ws;

	hb_ws_init(&ws, 15);
	ck_assert_int_eq(hb_ws_compress(shared, &ws, text, most, &out), 1);
	hb_buf_clear(&out);
	ck_assert_int_eq(hb_ws_compress(shared, &ws, text, most + 1, &out), 0);
	ck_assert_uint_eq(out.len, 0);
	hb_buf_free(&out);
	free(text);
	hb_ws_shared_free(shared);
}
END_TEST

START_TEST(what_gains_nothing_is_not_compressed)
{
	struct hb_ws_shared *shared = hb_ws_shared_new(1);
	struct hb_buf out = HB_BUF_INIT;
	unsigned char noise[5000];
	unsigned seed = 1;
	struct hb_ws ws;

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (unsigned char)((seed = seed * 1103515245 + 12345) >> 16);
	hb_ws_init(&ws, 15);
	hb_buf_add_str(&out, "before");
	ck_assert_int_eq(hb_ws_compress(shared, &ws, noise, sizeof(noise), &out), 0);
	memset(noise, 'a', 63);
	ck_assert_int_eq(hb_ws_compress(shared, &ws, noise, 63, &out), 0);
	hb_ws_init(&ws, 0);
	memset(noise, 'a', sizeof(noise));
	ck_assert_int_eq(hb_ws_compress(shared, &ws, noise, sizeof(noise), &out), 0);
	ck_assert_uint_eq(out.len, 6);
	hb_buf_free(&out);
	hb_ws_shared_free(shared);
}
END_TEST

START_TEST(a_whole_message_is_added_behind_what_is_there)
{
	struct hb_ws_shared *shared = hb_ws_shared_new(1);
	struct hb_buf out = HB_BUF_INIT;
	unsigned char *text = prose(1000, 3);
	struct hb_ws ws;

	hb_ws_init(&ws, 15);
	ck_assert_int_eq(hb_ws_add_message(shared, &ws, HB_WS_TEXT, (const unsigned char *)"hi", 2, &out), 0);
	ck_assert_int_eq(hb_ws_add_message(shared, &ws, HB_WS_BINARY, text, 1000, &out), 0);
	ck_assert_mem_eq(out.data, "\x81\x02hi\xc2\x7e", 6);
	ck_assert_uint_eq(out.len, 8u + hb_get_u16(out.data + 6));
	inflate_elsewhere(out.data + 8, out.len - 8, 15, text, 1000);
	hb_buf_free(&out);
	free(text);
	hb_ws_shared_free(shared);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("ws_parts");
	TCase *t = tcase_create("parts");

	tcase_add_test(t, utf8_agrees_with_the_whole_string_check_for_all_beginnings);
	tcase_add_test(t, utf8_is_cut_in_front_of_a_character);
	tcase_add_test(t, a_mask_is_the_same_however_the_bytes_are_cut_and_placed);
	tcase_add_test(t, a_header_takes_the_shortest_form);
	tcase_add_test(t, a_close_frame_has_code_and_reason);
	tcase_add_test(t, a_long_reason_is_cut_in_front_of_a_character);
	tcase_add_test(t, what_is_compressed_inflates_elsewhere);
	tcase_add_test(t, what_gains_nothing_is_not_compressed);
	tcase_add_test(t, what_would_hold_the_loop_for_long_is_not_compressed);
	tcase_add_test(t, a_whole_message_is_added_behind_what_is_there);
	suite_add_tcase(suite, t);
	return suite;
}
