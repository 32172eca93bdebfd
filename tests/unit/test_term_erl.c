/* Terms in Erlang's syntax: what is shown and what is read. */
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "term/erl.h"
#include "term/term.h"
#include "term_sample.h"
#include "unit.h"

/* Shown like this; each text but the last four reads back and shows the same again. */
static const struct sample samples[] = {
	SAMPLE("w\2ok", "ok"),
	SAMPLE("w\0", "''"),
	SAMPLE("w\3and", "'and'"),
	SAMPLE("w\4a@_Z", "a@_Z"),
	SAMPLE("w\3A b", "'A b'"),
	SAMPLE("w\4'\\\nz", "'\\'\\\\\\nz'"),
	SAMPLE("w\2\xc3\xa9", "'\xc3\xa9'"),
	SAMPLE("a\7", "7"),
	SAMPLE("b\xff\xff\xff\xff", "-1"),
	SAMPLE("n\x09\1\0\0\0\0\0\0\0\0\1", "-18446744073709551616"),
	SAMPLE("F\x3f\xf0\0\0\0\0\0\0", "1.0"),
	SAMPLE("F\x44\x15\xaf\x1d\x78\xb5\x8c\x40", "1.0e20"),
	SAMPLE("F\x3e\x7a\xd7\xf2\x9a\xbc\xaf\x48", "1.0e-7"),
	SAMPLE("F\x80\0\0\0\0\0\0\0", "-0.0"),
	SAMPLE("m\0\0\0\0", "<<>>"),
	SAMPLE("m\0\0\0\2hi", "<<\"hi\">>"),
	SAMPLE("m\0\0\0\4a\"\\\t", "<<\"a\\\"\\\\\\t\">>"),
	SAMPLE("m\0\0\0\2\xc3\xa9", "<<\"\xc3\xa9\"/utf8>>"),
	SAMPLE("m\0\0\0\2\xc2\x9b", "<<\"\\x{9b}\"/utf8>>"),
	SAMPLE("m\0\0\0\2\xff\0", "<<255,0>>"),
	SAMPLE("M\0\0\0\2\10ab", "<<\"ab\">>"),
	SAMPLE("M\0\0\0\2\3\1\xa0", "<<1,5:3>>"),
	SAMPLE("j", "[]"),
	SAMPLE("l\0\0\0\2a\1jj", "[1,[]]"),
	SAMPLE("l\0\0\0\2a\1a\2a\3", "[1,2|3]"),
	SAMPLE("l\0\0\0\1jh\0", "[[]|{}]"),
	SAMPLE("h\2w\1ah\1a\1", "{a,{1}}"),
	SAMPLE("t\0\0\0\0", "#{}"),
	SAMPLE("t\0\0\0\2w\1aa\1h\0j", "#{a => 1,{} => []}"),
	SAMPLE("k\0\2\1\2", "[1,2]"),
	SAMPLE("k\0\2hi", "\"hi\""),
	SAMPLE("X\x77\3a@b\0\0\0\1\0\0\0\2\0\0\0\3", "#Pid<a@b.1.2>"),
	SAMPLE("Z\0\2\x77\1n\0\0\0\1\0\0\0\2\0\0\0\3", "#Ref<n.2.3>"),
	SAMPLE("Y\x77\1n\0\0\0\1\0\0\0\2", "#Port<n.1>"),
	SAMPLE("qw\1mw\1fa\2", "fun m:f/2"),
};
enum { READ_BACK = sizeof samples / sizeof *samples - 4 };

static void
show(const void *bytes, size_t len, struct hb_buf *text)
{
	struct hb_buf in = HB_BUF_INIT;
	struct hb_error err;

	hb_term_put_version(&in);
	hb_buf_add(&in, bytes, len);
	ck_assert_msg(hb_term_to_erl(in.data, in.len, text, &err) == 0, "%s", err.text);
	hb_buf_add_u8(text, '\0');
	hb_buf_free(&in);
}

START_TEST(terms_are_shown)
{
	struct hb_buf text = HB_BUF_INIT;

	show(samples[_i].bytes, samples[_i].len, &text);
	ck_assert_str_eq((char *)text.data, samples[_i].text);
	hb_buf_free(&text);
}
END_TEST

START_TEST(what_is_shown_is_read_back)
{
	struct hb_buf back = HB_BUF_INIT, text = HB_BUF_INIT;
	struct hb_error err;

	ck_assert_msg(hb_term_from_erl(samples[_i].text, strlen(samples[_i].text), &back, &err) == 0, "%s", err.text);
	show(back.data, back.len, &text);
	ck_assert_str_eq((char *)text.data, samples[_i].text);
	hb_buf_free(&back);
	hb_buf_free(&text);
}
END_TEST

/* What people write, and how the same is shown. */
static const struct {
	const char *written, *shown;
} written[] = {
	{" { a , % first\n 'b c' } . ", "{a,'b c'}"},
	{"\"a\\x41\\x{20ac}\\101\\^a\\s\"", "[97,65,8364,65,1,32]"},
	{"\"\"", "[]"},
	{"[$a, $\\n, -$a]", "[97,10,-97]"},
	{"16#ff", "255"},
	{"-2#101", "-5"},
	{"36#zZ", "1295"},
	{"1_000_000", "1000000"},
	{"+5", "5"},
	{"16#FFFFFFFFFFFFFFFFFF", "4722366482869645213695"},
	{"1.5E+2", "150.0"},
	{"<<\"ab\", 0, 1:4, 15:4>>", "<<97,98,0,31>>"},
	{"<<1:1, 0:7>>", "<<128>>"},
	{"<<-1>>", "<<255>>"},
	{"<< \"\xc3\xa9\" >>", "<<233>>"},
	{"[1|[]]", "[1]"},
	{"[a,b,c|d]", "[a,b,c|d]"},
	{"#{1=>2,1.0=>3}", "#{1 => 2,1.0 => 3}"},
	{"'\\'\\x{e9}'", "'\\'\xc3\xa9'"},
};

START_TEST(written_text_is_read)
{
	struct hb_buf back = HB_BUF_INIT, text = HB_BUF_INIT;
	struct hb_error err;

	ck_assert_msg(hb_term_from_erl(written[_i].written, strlen(written[_i].written), &back, &err) == 0, "%s: %s",
	    written[_i].written, err.text);
	show(back.data, back.len, &text);
	ck_assert_str_eq((char *)text.data, written[_i].shown);
	hb_buf_free(&back);
	hb_buf_free(&text);
}
END_TEST

static const struct {
	const char *text, *cause;
} refused[] = {
	{"", "column 1: a term is missing"},
	{"  % only a comment", "a term is missing"},
	{"{a", "column 3: '}' or ',' is needed"},
	{"{a,}", "column 4: no term starts like this"},
	{"[1|2", "column 5: ']', ',' or '|' is needed"},
	{"[1|[2]]", "a list as the tail"},
	{"[1|\"a\"]", "a list as the tail"},
	{"#{a}", "'=>' is needed"},
	{"#{a=>1,b=>2,a=>3}", "two keys that are the same"},
	{"X", "no term starts like this"},
	{"a b", "column 3: more text after the term"},
	{"'abc", "a closing quote is missing"},
	{"\"abc\\", "a backslash at the end"},
	{"\"\\x{d800}\"", "no Unicode character"},
	{"\"\\x{110000}\"", "no Unicode character"},
	{"\"\\x{41\"", "a broken \\x escape"},
	{"\"\\x4\"", "a broken \\x escape"},
	{"<<1", "'>>' or ','"},
	{"<<", "the end of a binary is missing"},
	{"<<1.5>>", "an integer of at most 64 bits"},
	{"<<1:0>>", "a size of 1 to 64 bits"},
	{"<<1:99999999999999>>", "a size of 1 to 64 bits"},
	{"<<\"\xe2\x82\xac\">>", "/utf8"},
	{"1.0e999", "a float beyond its range"},
	{"1.5e", "an exponent without digits"},
	{"37#1", "a base is from 2 to 36"},
	{"2#2", "not an integer in base 2"},
	{"16#", "an integer without digits"},
	{"-", "a number is missing"},
	{"\"\xff\"", "not UTF-8"},
};

START_TEST(wrong_text_is_refused_with_its_cause)
{
	struct hb_buf out = HB_BUF_INIT;
	struct hb_error err;

	hb_buf_add_str(&out, "kept");
	ck_assert_msg(hb_term_from_erl(refused[_i].text, strlen(refused[_i].text), &out, &err) == -1, "case %d", _i);
	ck_assert_msg(strstr(err.text, refused[_i].cause) != NULL, "case %d: %s", _i, err.text);
	ck_assert_uint_eq(out.len, 4);
	hb_buf_free(&out);
}
END_TEST

START_TEST(nesting_is_bounded)
{
	static const char *const opening[] = {"[", "{", "#{a=>"};

	for (size_t i = 0; i < sizeof opening / sizeof *opening; i++) {
		struct hb_buf text = HB_BUF_INIT, out = HB_BUF_INIT;
		struct hb_error err;

		for (int j = 0; j < 100000; j++)
			hb_buf_add_str(&text, opening[i]);
		ck_assert_int_eq(hb_term_from_erl((char *)text.data, text.len, &out, &err), -1);
		ck_assert_int_eq(err.kind, HB_ERROR_LIMIT);
		hb_buf_free(&text);
		hb_buf_free(&out);
	}
}
END_TEST

START_TEST(huge_integers_go_both_ways)
{
	struct hb_buf text = HB_BUF_INIT, again = HB_BUF_INIT, back = HB_BUF_INIT;
	struct hb_error err;

	hb_buf_add_str(&text, "16#");
	for (int i = 0; i < 200000; i++)
		hb_buf_add_u8(&text, 'A');
	ck_assert_int_eq(hb_term_from_erl((char *)text.data, text.len, &back, &err), 0);
	show(back.data, back.len, &again);
	ck_assert_uint_eq(again.len - 1, text.len);
	ck_assert_mem_eq(again.data, text.data, text.len);
	hb_buf_clear(&text);
	for (int i = 0; i < 5001; i++)
		hb_buf_add_u8(&text, '9');
	ck_assert_int_eq(hb_term_from_erl((char *)text.data, text.len, &back, &err), -1);
	hb_buf_free(&text);
	hb_buf_free(&again);
	hb_buf_free(&back);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("term_erl");
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, terms_are_shown, 0, sizeof samples / sizeof *samples);
	tcase_add_loop_test(t, what_is_shown_is_read_back, 0, READ_BACK);
	tcase_add_loop_test(t, written_text_is_read, 0, sizeof written / sizeof *written);
	tcase_add_loop_test(t, wrong_text_is_refused_with_its_cause, 0, sizeof refused / sizeof *refused);
	tcase_add_test(t, nesting_is_bounded);
	tcase_add_test(t, huge_integers_go_both_ways);
	suite_add_tcase(s, t);
	return s;
}
