/* The external term format: every tag, truncations, hostile lengths. */
#include <stdlib.h>
#include <string.h>

#include "../fuzz/recode.h"
#include "common/buf.h"
#include "term/term.h"
#include "term_sample.h"
#include "unit.h"

#define NODE "\x77\x03" "a@b"
#define UNIQ "0123456789abcdef"

static const struct sample samples[] = {
	SAMPLE("a\xff", "255"),
	SAMPLE("b\xff\xff\xff\xfe", "-2"),
	SAMPLE("n\1\0\7", "7"),
	SAMPLE("n\0\1", "0"),
	SAMPLE("n\4\1\0\0\0\x80", "-2147483648"),
	SAMPLE("n\10\0\xff\xff\xff\xff\xff\xff\xff\x7f", "9223372036854775807"),
	SAMPLE("n\10\1\0\0\0\0\0\0\0\x80", "-9223372036854775808"),
	SAMPLE("n\10\0\0\0\0\0\0\0\0\x80", "big:0000000000000080"),
	SAMPLE("n\x0a\1\1\0\0\0\0\0\0\0\1\0", "-big:010000000000000001"),
	SAMPLE("o\0\0\0\1\0\5", "5"),
	SAMPLE("F\x3f\xf8\0\0\0\0\0\0", "f1.5"),
	SAMPLE("F\x80\0\0\0\0\0\0\0", "f-0"),
	SAMPLE("c2.50000000000000000000e+00\0\0\0\0\0", "f2.5"),
	SAMPLE("d\0\2ab", "'ab'"),
	SAMPLE("d\0\1\xe9", "'\xc3\xa9'"),
	SAMPLE("s\2\xe9z", "'\xc3\xa9z'"),
	SAMPLE("s\0", "''"),
	SAMPLE("v\0\2\xc3\xa9", "'\xc3\xa9'"),
	SAMPLE("w\3\xe2\x82\xac", "'\xe2\x82\xac'"),
	SAMPLE("h\2a\1a\2", "{2 1 2 )"),
	SAMPLE("i\0\0\0\1h\0", "{1 {0 ) )"),
	SAMPLE("j", "[0 )"),
	SAMPLE("k\0\2hi", "string:6869"),
	SAMPLE("l\0\0\0\2a\1a\2j", "[2 1 2 )"),
	SAMPLE("l\0\0\0\1a\1a\2", "[1 1 | 2 )"),
	SAMPLE("l\0\0\0\1jt\0\0\0\0", "[1 [0 ) | #{0 ) )"),
	SAMPLE("t\0\0\0\1w\1ka\1", "#{1 'k' 1 )"),
	SAMPLE("m\0\0\0\2hi", "\"hi\""),
	SAMPLE("m\0\0\0\0", "\"\""),
	SAMPLE("M\0\0\0\0\0", "bytes:"),
	SAMPLE("M\0\0\0\2\10\1\2", "bytes:0102"),
	SAMPLE("M\0\0\0\1\3\xa0", "bits:a0/3"),
	SAMPLE("g" NODE "\0\0\0\1\0\0\0\2\3", "pid:15"),
	SAMPLE("X" NODE "\0\0\0\1\0\0\0\2\0\0\0\3", "pid:18"),
	SAMPLE("gd\0\3a@b" "\0\0\0\1\0\0\0\2\3", "pid:16"),
	SAMPLE("f" NODE "\0\0\0\1\3", "port:11"),
	SAMPLE("Y" NODE "\0\0\0\1\0\0\0\3", "port:14"),
	SAMPLE("x" NODE "\0\0\0\0\0\0\0\1\0\0\0\3", "port:18"),
	SAMPLE("e" NODE "\0\0\0\1\3", "ref:11"),
	SAMPLE("r\0\2" NODE "\3\0\0\0\1\0\0\0\2", "ref:17"),
	SAMPLE("Z\0\3" NODE "\0\0\0\3\0\0\0\1\0\0\0\2\0\0\0\3", "ref:24"),
	SAMPLE("qw\1mw\1fa\2", "fun:9"),
	SAMPLE("p\0\0\0\x3e\1" UNIQ "\0\0\0\1\0\0\0\2w\1ma\1b\0\0\0\1X" NODE "\0\0\0\1\0\0\0\2\0\0\0\3h\1ja\7",
	    "fun:63"),
};

static const struct sample refused[] = {
	SAMPLE("", "the data ends early, at byte 1"),
	SAMPLE("Px", "compressed terms are not accepted"),
	SAMPLE("R\0", "unknown tag 82 at byte 1"),
	SAMPLE("E\0\0\0\0\0\0\0\0", "unknown tag 69 at byte 1"),
	SAMPLE("a\1a", "more data after the term, at byte 3"),
	SAMPLE("h\3a\1a\2", "the data ends early"),
	SAMPLE("h\xff" "aaaa", "a container of more elements than there are bytes"),
	SAMPLE("i\xff\xff\xff\xff" "jjjj", "a container of more elements than there are bytes"),
	SAMPLE("l\xff\xff\xff\xff" "jjjj", "a container of more elements than there are bytes"),
	SAMPLE("t\xff\xff\xff\xff" "jjjj", "a container of more elements than there are bytes"),
	SAMPLE("t\0\0\0\3jjjj", "a container of more elements than there are bytes"),
	SAMPLE("h\5h\5jjjjjjj", "a container of more elements than there are bytes"),
	SAMPLE("l\0\0\0\0a\1", "a list of no elements"),
	SAMPLE("l\0\0\0\1a\1k\0\1a", "a list as the tail of a list"),
	SAMPLE("m\xff\xff\xff\xff" "abc", "the data ends early"),
	SAMPLE("k\xff\xff" "abc", "the data ends early"),
	SAMPLE("o\xff\xff\xff\xff\0abc", "the data ends early"),
	SAMPLE("n\xff\0abc", "the data ends early"),
	SAMPLE("M\0\0\0\1\0a", "a bit string of a wrong length"),
	SAMPLE("M\0\0\0\1\x09" "a", "a bit string of a wrong length"),
	SAMPLE("M\0\0\0\0\3", "a bit string of a wrong length"),
	SAMPLE("F\x7f\xf8\0\0\0\0\0\0", "a float that is not finite"),
	SAMPLE("F\xff\xf0\0\0\0\0\0\0", "a float that is not finite"),
	SAMPLE("cinf\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "a float that is no number"),
	SAMPLE("c1e\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "a float that is no number"),
	SAMPLE("c1e999\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "a float that is no number"),
	SAMPLE("c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "a float that is no number"),
	SAMPLE("w\2\xc3\x28", "an atom that is not UTF-8"),
	SAMPLE("w\3\xed\xa0\x80", "an atom that is not UTF-8"),
	SAMPLE("Xa\1\0\0\0\1\0\0\0\2\0\0\0\3", "no atom where one belongs"),
	SAMPLE("r\0\0" NODE "\3", "a reference of a wrong length"),
	SAMPLE("Z\xff\xff" NODE "\0\0\0\3", "a reference of a wrong length"),
	SAMPLE("qw\1mw\1fb\0\0\0\1", "an export of a wrong arity"),
	SAMPLE("p\0\0\0\1\1" UNIQ "\0\0\0\1\0\0\0\0w\1ma\1a\1X" NODE "\0\0\0\1\0\0\0\2\0\0\0\3",
	    "a fun of a wrong size"),
	SAMPLE("p\0\0\0\1\1" UNIQ "\0\0\0\1\xff\xff\xff\xffw\1ma\1a\1X" NODE "\0\0\0\1\0\0\0\2\0\0\0\3",
	    "a container of more elements than there are bytes"),
};

static struct hb_buf
with_version(const struct sample *s)
{
	struct hb_buf b = HB_BUF_INIT;

	hb_term_put_version(&b);
	hb_buf_add(&b, s->bytes, s->len);
	return b;
}

START_TEST(every_tag_is_read)
{
	struct hb_buf in = with_version(&samples[_i]), out = HB_BUF_INIT;
	struct hb_error err;

	ck_assert_msg(describe(in.data, in.len, &out, &err) == 0, "sample %d: %s", _i, err.text);
	hb_buf_add_u8(&out, '\0');
	ck_assert_str_eq((char *)out.data, samples[_i].text);
	hb_buf_free(&in);
	hb_buf_free(&out);
}
END_TEST

START_TEST(what_is_read_and_written_again_reads_the_same)
{
	struct hb_buf in = with_version(&samples[_i]), out = HB_BUF_INIT, text = HB_BUF_INIT;
	struct hb_error err;

	ck_assert_int_eq(recode(in.data, in.len, &out, &err), 0);
	ck_assert_msg(describe(out.data, out.len, &text, &err) == 0, "sample %d: %s", _i, err.text);
	hb_buf_add_u8(&text, '\0');
	ck_assert_str_eq((char *)text.data, samples[_i].text);
	hb_buf_free(&in);
	hb_buf_free(&out);
	hb_buf_free(&text);
}
END_TEST

/* Each cut is read from an allocation of its own, so that a sanitizer sees a read past the end. */
START_TEST(every_truncation_is_refused)
{
	struct hb_buf in = with_version(&samples[_i]), out = HB_BUF_INIT;
	struct hb_error err;

	for (size_t len = 0; len < in.len; len++) {
		unsigned char *cut = malloc(len ? len : 1);

		memcpy(cut, in.data, len);
		ck_assert_msg(describe(cut, len, &out, &err) == -1, "sample %d, %zu bytes", _i, len);
		ck_assert_int_eq(err.kind, HB_ERROR_PROTOCOL);
		free(cut);
	}
	hb_buf_free(&in);
	hb_buf_free(&out);
}
END_TEST

START_TEST(malformed_terms_are_refused_with_their_cause)
{
	struct hb_buf in = with_version(&refused[_i]), out = HB_BUF_INIT;
	struct hb_error err;

	ck_assert_msg(describe(in.data, in.len, &out, &err) == -1, "case %d", _i);
	ck_assert_msg(strstr(err.text, refused[_i].text) != NULL, "case %d: %s", _i, err.text);
	hb_buf_free(&in);
	hb_buf_free(&out);
}
END_TEST

START_TEST(a_term_without_version_is_refused)
{
	struct hb_term_reader r;
	struct hb_error err;

	ck_assert_int_eq(hb_term_open(&r, "a\1", 2, &err), -1);
	ck_assert_str_eq(err.text, "malformed term: no version byte 131 at byte 0");
	ck_assert_int_eq(hb_term_open(&r, "", 0, &err), -1);
}
END_TEST

static int
nested(unsigned depth, struct hb_error *err)
{
	struct hb_buf in = HB_BUF_INIT, out = HB_BUF_INIT;
	int rc;

	hb_term_put_version(&in);
	for (unsigned i = 1; i < depth; i++)
		hb_term_put_tuple(&in, 1);
	hb_term_put_nil(&in);
	rc = recode(in.data, in.len, &out, err);
	if (rc == 0)
		ck_assert(out.len == in.len && memcmp(in.data, out.data, in.len) == 0);
	hb_buf_free(&in);
	hb_buf_free(&out);
	return rc;
}

START_TEST(nesting_is_bounded)
{
	struct hb_error err;

	ck_assert_int_eq(nested(HB_TERM_DEPTH_MAX, &err), 0);
	ck_assert_int_eq(nested(HB_TERM_DEPTH_MAX + 1, &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_LIMIT);
	ck_assert_int_eq(nested(100000, &err), -1);
}
END_TEST

START_TEST(the_number_of_terms_is_bounded)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_term_reader r;
	struct hb_term_token t;
	struct hb_error err;
	size_t many = (size_t)HB_TERM_COUNT_MAX + 1;

	hb_term_put_version(&in);
	hb_term_put_tuple(&in, (uint32_t)many);
	memset(hb_buf_reserve(&in, many), 'j', many);
	in.len += many;
	ck_assert_int_eq(hb_term_open(&r, in.data, in.len, &err), 0);
	ck_assert_int_eq(hb_term_next(&r, &t, &err), -1);
	ck_assert_int_eq(err.kind, HB_ERROR_LIMIT);
	hb_buf_free(&in);
}
END_TEST

START_TEST(integers_take_the_shortest_form)
{
	static const struct {
		int64_t v;
		size_t len;
	} cases[] = {{0, 2}, {255, 2}, {256, 5}, {-1, 5}, {INT32_MAX, 5}, {INT32_MIN, 5}, {(int64_t)INT32_MAX + 1, 7},
	    {(int64_t)INT32_MIN - 1, 7}, {INT64_MAX, 11}, {INT64_MIN, 11}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct hb_buf b = HB_BUF_INIT;
		struct hb_term_reader r;
		struct hb_error err;
		int64_t v;

		hb_term_put_version(&b);
		hb_term_put_int(&b, cases[i].v);
		ck_assert_uint_eq(b.len, cases[i].len + 1);
		ck_assert_int_eq(hb_term_open(&r, b.data, b.len, &err), 0);
		ck_assert_int_eq(hb_term_want_int(&r, &v, &err), 0);
		ck_assert_int_eq(v, cases[i].v);
		hb_buf_free(&b);
	}
}
END_TEST

START_TEST(long_atoms_and_tuples_and_bigs_take_the_long_tags)
{
	struct hb_buf b = HB_BUF_INIT, text = HB_BUF_INIT;
	unsigned char magnitude[300];
	struct hb_error err;

	memset(magnitude, 0xff, sizeof magnitude);
	hb_term_put_version(&b);
	hb_term_put_tuple(&b, 258);
	for (int i = 0; i < 255; i++)
		hb_buf_add_str(&text, "\xc3\xa9");
	hb_term_put_atom_n(&b, (char *)text.data, text.len);
	hb_term_put_big(&b, true, magnitude, sizeof magnitude);
	hb_term_put_uint(&b, UINT64_MAX);
	for (int i = 0; i < 255; i++)
		hb_term_put_bool(&b, i & 1);
	hb_buf_clear(&text);
	ck_assert_int_eq(describe(b.data, b.len, &text, &err), 0);
	ck_assert_int_eq(memcmp(text.data, "{258 '\xc3\xa9", 7), 0);
	hb_buf_add_u8(&text, '\0');
	ck_assert_ptr_nonnull(strstr((char *)text.data, " big:ffffffffffffffff 'false' 'true' "));
	hb_buf_free(&b);
	hb_buf_free(&text);
}
END_TEST

START_TEST(a_known_shape_is_read_by_the_want_functions)
{
	struct hb_buf b = HB_BUF_INIT;
	struct hb_term_reader r;
	struct hb_error err;
	const unsigned char *p;
	char name[8];
	uint32_t n;
	int64_t v;
	size_t len;

	hb_term_put_version(&b);
	hb_term_put_tuple(&b, 5);
	hb_term_put_atom(&b, "value");
	hb_term_put_bytes(&b, "ab", 2);
	hb_term_put_map(&b, 1);
	hb_term_put_str(&b, "k");
	hb_term_put_list(&b, 1);
	hb_term_put_int(&b, 4);
	hb_term_put_nil(&b);
	hb_term_put_list(&b, 0);
	hb_term_put_int(&b, 5);
	ck_assert_int_eq(hb_term_open(&r, b.data, b.len, &err), 0);
	ck_assert_int_eq(hb_term_want_tuple(&r, &n, &err), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(hb_term_want_atom(&r, name, sizeof name, &err), 0);
	ck_assert_str_eq(name, "value");
	ck_assert_int_eq(hb_term_want_binary(&r, &p, &len, &err), 0);
	ck_assert(len == 2 && memcmp(p, "ab", 2) == 0);
	ck_assert_int_eq(hb_term_skip(&r, &err), 0);
	ck_assert_int_eq(hb_term_want_list(&r, &n, &err), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(hb_term_want_close(&r, &err), 0);
	ck_assert_int_eq(hb_term_want_int(&r, &v, &err), 0);
	ck_assert_int_eq(hb_term_skip(&r, &err), -1);
	ck_assert_str_eq(err.text, "expected one more element, got the end of a container");
	hb_buf_free(&b);
}
END_TEST

START_TEST(stored_values_are_integers_or_whole_terms)
{
	struct hb_buf b = HB_BUF_INIT;

	hb_term_put_stored(&b, "a\5", 2);
	ck_assert_uint_eq(b.len, 2);
	hb_buf_clear(&b);
	hb_term_put_stored(&b, "j", 1);
	ck_assert_uint_eq(b.len, 7);
	ck_assert_mem_eq(b.data, "m\0\0\0\2\x83j", 7);
	hb_buf_free(&b);
}
END_TEST

START_TEST(another_shape_is_named)
{
	struct hb_term_reader r;
	struct hb_error err;
	uint32_t n;
	char name[3];

	ck_assert_int_eq(hb_term_open(&r, "\x83" "a\1", 3, &err), 0);
	ck_assert_int_eq(hb_term_want_map(&r, &n, &err), -1);
	ck_assert_str_eq(err.text, "expected a map, got an integer");
	ck_assert_int_eq(hb_term_open(&r, "\x83" "w\3abc", 6, &err), 0);
	ck_assert_int_eq(hb_term_want_atom(&r, name, sizeof name, &err), -1);
	ck_assert_str_eq(err.text, "an atom of 3 bytes, at most 2 expected");
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("term");
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, every_tag_is_read, 0, sizeof samples / sizeof *samples);
	tcase_add_loop_test(t, what_is_read_and_written_again_reads_the_same, 0, sizeof samples / sizeof *samples);
	tcase_add_loop_test(t, every_truncation_is_refused, 0, sizeof samples / sizeof *samples);
	tcase_add_loop_test(t, malformed_terms_are_refused_with_their_cause, 0, sizeof refused / sizeof *refused);
	tcase_add_test(t, a_term_without_version_is_refused);
	tcase_add_test(t, nesting_is_bounded);
	tcase_add_test(t, the_number_of_terms_is_bounded);
	tcase_add_test(t, integers_take_the_shortest_form);
	tcase_add_test(t, long_atoms_and_tuples_and_bigs_take_the_long_tags);
	tcase_add_test(t, a_known_shape_is_read_by_the_want_functions);
	tcase_add_test(t, stored_values_are_integers_or_whole_terms);
	tcase_add_test(t, another_shape_is_named);
	suite_add_tcase(s, t);
	return s;
}
