/* The JSON form of terms: what it shows and what it reads. */
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "term/json.h"
#include "term/term.h"
#include "term_sample.h"
#include "unit.h"

#define KEY(k) "m\0\0\0\1" k

/* These read back to the very bytes. */
static const struct sample samples[] = {
	SAMPLE("w\x09undefined", "null"),
	SAMPLE("w\4true", "true"),
	SAMPLE("w\5false", "false"),
	SAMPLE("w\3nil", "{\"$atom\": \"nil\"}"),
	SAMPLE("w\4no\"n", "{\"$atom\": \"no\\\"n\"}"),
	SAMPLE("a\7", "7"),
	SAMPLE("n\10\1\0\0\0\0\0\0\0\x80", "-9223372036854775808"),
	SAMPLE("n\10\0\0\0\0\0\0\0\0\x80", "{\"$int\": \"9223372036854775808\"}"),
	SAMPLE("n\x09\1\0\0\0\0\0\0\0\0\1", "{\"$int\": \"-18446744073709551616\"}"),
	SAMPLE("n\x0f\0\x79\xdf\xe2\xf1\x24\xa0\x17\xb1\xfc\xe7\xfb\x5f\xb0\x60\x02", "{\"$int\": \"12345678901234567890123456789012345\"}"),
	SAMPLE("F\x3f\xf0\0\0\0\0\0\0", "1.0"),
	SAMPLE("F\x80\0\0\0\0\0\0\0", "-0.0"),
	SAMPLE("F\x3f\xb9\x99\x99\x99\x99\x99\x9a", "0.1"),
	SAMPLE("F\x7f\xef\xff\xff\xff\xff\xff\xff", "1.7976931348623157e308"),
	SAMPLE("F\0\0\0\0\0\0\0\1", "4.94065645841247e-324"),
	SAMPLE("m\0\0\0\2hi", "\"hi\""),
	SAMPLE("m\0\0\0\7\"\\\n\0\x7f\xc2\x9b", "\"\\\"\\\\\\n\\u0000\\u007f\\u009b\""),
	SAMPLE("m\0\0\0\2\xc3\xa9", "\"\xc3\xa9\""),
	SAMPLE("m\0\0\0\1\xff", "{\"$binary\": \"/w==\"}"),
	SAMPLE("M\0\0\0\0\0", "{\"$bytes\": \"\"}"),
	SAMPLE("M\0\0\0\3\10abc", "{\"$bytes\": \"YWJj\"}"),
	SAMPLE("M\0\0\0\1\3\xa0", "{\"$bits\": \"TQAAAAEDoA==\"}"),
	SAMPLE("j", "[]"),
	SAMPLE("l\0\0\0\2a\1ja\2", "{\"$improper\": [1, [], 2]}"),
	SAMPLE("l\0\0\0\2a\1jj", "[1, []]"),
	SAMPLE("h\0", "{\"$tuple\": []}"),
	SAMPLE("h\2a\1h\1a\2", "{\"$tuple\": [1, {\"$tuple\": [2]}]}"),
	SAMPLE("t\0\0\0\0", "{}"),
	SAMPLE("t\0\0\0\2" KEY("a") "a\1" KEY("b") "t\0\0\0\1" KEY("c") "j", "{\"a\": 1, \"b\": {\"c\": []}}"),
	SAMPLE("t\0\0\0\1a\1t\0\0\0\1" KEY("c") "j", "{\"$map\": [[1, {\"c\": []}]]}"),
	SAMPLE("t\0\0\0\2t\0\0\0\1ja\1a\2" KEY("c") "j", "{\"$map\": [[{\"$map\": [[[], 1]]}, 2], [\"c\", []]]}"),
	SAMPLE("t\0\0\0\1" KEY("$") "a\1", "{\"$map\": [[\"$\", 1]]}"),
	SAMPLE("t\0\0\0\1" KEY("\0") "a\1", "{\"$map\": [[\"\\u0000\", 1]]}"),
	SAMPLE("t\0\0\0\2" KEY("$") "a\1" KEY("a") "a\1", "{\"$\": 1, \"a\": 1}"),
	SAMPLE("t\0\0\0\1M\0\0\0\1\10aa\1", "{\"$map\": [[{\"$bytes\": \"YQ==\"}, 1]]}"),
	SAMPLE("h\3w\3$pyw\3setl\0\0\0\1a\1j", "{\"$py\": [\"set\", [1]]}"),
	SAMPLE("h\3w\3$pyw\5floatw\3nan", "{\"$float\": \"nan\"}"),
	SAMPLE("h\3w\3$pyw\5floatw\4-inf", "{\"$float\": \"-inf\"}"),
	SAMPLE("h\3w\3$pyw\5floatw\2no", "{\"$py\": [\"float\", {\"$atom\": \"no\"}]}"),
	SAMPLE("h\3w\3$pya\1a\1", "{\"$tuple\": [{\"$atom\": \"$py\"}, 1, 1]}"),
	SAMPLE("h\2w\3$pyw\3set", "{\"$tuple\": [{\"$atom\": \"$py\"}, {\"$atom\": \"set\"}]}"),
	SAMPLE("qw\1mw\1fa\2", "{\"$fun\": \"cXcBbXcBZmEC\"}"),
	SAMPLE("X\x77\1n\0\0\0\1\0\0\0\2\0\0\0\3", "{\"$pid\": \"WHcBbgAAAAEAAAACAAAAAw==\"}"),
	SAMPLE("Z\0\1\x77\1n\0\0\0\1\0\0\0\2", "{\"$ref\": \"WgABdwFuAAAAAQAAAAI=\"}"),
	SAMPLE("x\x77\1n\0\0\0\0\0\0\0\1\0\0\0\2", "{\"$port\": \"eHcBbgAAAAAAAAABAAAAAg==\"}"),
};

START_TEST(terms_are_shown_and_read_back)
{
	struct hb_buf in = HB_BUF_INIT, text = HB_BUF_INIT, back = HB_BUF_INIT;
	struct hb_error err;

	hb_term_put_version(&in);
	hb_buf_add(&in, samples[_i].bytes, samples[_i].len);
	ck_assert_msg(hb_term_to_json(in.data, in.len, false, &text, &err) == 0, "sample %d: %s", _i, err.text);
	hb_buf_add_u8(&text, '\0');
	ck_assert_str_eq((char *)text.data, samples[_i].text);
	ck_assert_msg(hb_term_from_json((char *)text.data, text.len - 1, &back, &err) == 0, "sample %d: %s", _i, err.text);
	ck_assert_uint_eq(back.len, samples[_i].len);
	ck_assert_mem_eq(back.data, samples[_i].bytes, back.len);
	hb_buf_free(&in);
	hb_buf_free(&text);
	hb_buf_free(&back);
}
END_TEST

START_TEST(compact_text_has_no_spaces)
{
	static const char term[] = "\x83t\0\0\0\2" KEY("a") "h\2a\1k\0\2\1\2" KEY("b") "t\0\0\0\1a\1a\2";
	struct hb_buf text = HB_BUF_INIT;
	struct hb_error err;

	ck_assert_int_eq(hb_term_to_json(term, sizeof term - 1, true, &text, &err), 0);
	hb_buf_add_u8(&text, '\0');
	ck_assert_str_eq((char *)text.data, "{\"a\":{\"$tuple\":[1,[1,2]]},\"b\":{\"$map\":[[1,2]]}}");
	hb_buf_free(&text);
}
END_TEST

/* What people write, and the term it makes. */
static const struct sample written[] = {
	SAMPLE("t\0\0\0\1" KEY("k") "l\0\0\0\3a\1F\x40\x04\0\0\0\0\0\0w\x09undefinedj", " {\"k\" : [1,25e-1,null]}\n"),
	SAMPLE("n\x0a\1\0\0\0\0\0\0\0\0\0\1", "-4722366482869645213696"),
	SAMPLE("l\0\0\0\2n\x09\0\0\0\0\0\0\0\0\0\1m\0\0\0\x16\"18446744073709551616\"j",
	    "[18446744073709551616,\"\\\"18446744073709551616\\\"\"]"),
	SAMPLE("n\10\0\0\0\x64\xa7\xb3\xb6\xe0\x0d", "1000000000000000000"),
	SAMPLE("a\5", "{\"$int\":\"5\"}"),
	SAMPLE("n\x08\0\0\0\0\0\0\0\0\x80", "{\"$int\":\"0x8000000000000000\"}"),
	SAMPLE("F\x40\x59\0\0\0\0\0\0", "1e2"),
};

START_TEST(written_text_is_read)
{
	struct hb_buf out = HB_BUF_INIT;
	struct hb_error err;

	ck_assert_msg(hb_term_from_json(written[_i].text, strlen(written[_i].text), &out, &err) == 0, "%d: %s", _i,
	    err.text);
	ck_assert_uint_eq(out.len, written[_i].len);
	ck_assert_mem_eq(out.data, written[_i].bytes, out.len);
	hb_buf_free(&out);
}
END_TEST

static const struct {
	const char *json, *cause;
} refused[] = {
	{"", "not JSON: no text"},
	{" ", "not JSON: line 1"},
	{"{\"a\": 1", "not JSON: line 1"},
	{"[1,\n2,]", "not JSON: line 2, column 3"},
	{"{\"a\": 1, \"a\": 2}", "duplicate object key"},
	{"\"\\ud800\"", "not JSON"},
	{"1e999", "not JSON"},
	{"{\"$foo\": 1}", "{\"$foo\": ...}: no tag of the JSON form"},
	{"{\"$tuple\": 1}", "an array is needed"},
	{"{\"$atom\": 1}", "a string is needed"},
	{"{\"$int\": \"1x\"}", "decimal digits"},
	{"{\"$int\": \"\"}", "decimal digits"},
	{"{\"$int\": \"-0x\"}", "decimal digits"},
	{"{\"$float\": \"1\"}", "one of \"nan\""},
	{"{\"$bytes\": \"YQ\"}", "in base64"},
	{"{\"$bytes\": \"YR==\"}", "in base64"},
	{"{\"$bytes\": \"Y===\"}", "in base64"},
	{"{\"$map\": {}}", "[key, value]"},
	{"{\"$map\": [[1]]}", "[key, value]"},
	{"{\"$map\": [[1, 2], [2, 2], [1, 3]]}", "two keys are the same"},
	{"{\"$py\": [1, 2]}", "[kind, payload]"},
	{"{\"$improper\": [1, [2]]}", "a tail that is no list"},
	{"{\"$improper\": [1]}", "a tail that is no list"},
	{"{\"$pid\": \"cXcBbXcBZmEC\"}", "not the external encoding"},
	{"{\"$fun\": \"cXcBbXcBZmECAA==\"}", "not the external encoding"},
	{"{\"$bits\": \"TQAAAAEIoA==\"}", "not the external encoding"},
};

START_TEST(wrong_text_is_refused_with_its_cause)
{
	struct hb_buf out = HB_BUF_INIT;
	struct hb_error err;

	hb_buf_add_str(&out, "kept");
	ck_assert_int_eq(hb_term_from_json(refused[_i].json, strlen(refused[_i].json), &out, &err), -1);
	ck_assert_msg(strstr(err.text, refused[_i].cause) != NULL, "case %d: %s", _i, err.text);
	ck_assert_uint_eq(out.len, 4);
	hb_buf_free(&out);
}
END_TEST

START_TEST(deep_text_is_refused)
{
	static const size_t depths[] = {HB_TERM_DEPTH_MAX, HB_TERM_DEPTH_MAX + 1, 2000, 100000};

	for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
		struct hb_buf text = HB_BUF_INIT, out = HB_BUF_INIT;
		struct hb_error err;

		for (size_t j = 0; j < depths[i]; j++)
			hb_buf_add_u8(&text, '[');
		for (size_t j = 0; j < depths[i]; j++)
			hb_buf_add_u8(&text, ']');
		ck_assert_int_eq(hb_term_from_json((char *)text.data, text.len, &out, &err), i == 0 ? 0 : -1);
		hb_buf_free(&text);
		hb_buf_free(&out);
	}
}
END_TEST

START_TEST(huge_integers_go_both_ways)
{
	static const size_t sizes[] = {9, 2048, 2049, 100000};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		struct hb_buf in = HB_BUF_INIT, text = HB_BUF_INIT, back = HB_BUF_INIT;
		unsigned char *magnitude = malloc(sizes[i]);
		struct hb_error err;

		for (size_t j = 0; j < sizes[i]; j++)
			magnitude[j] = (unsigned char)(j * 37 + 1);
		magnitude[sizes[i] - 1] |= 0x80;
		hb_term_put_version(&in);
		hb_term_put_big(&in, true, magnitude, sizes[i]);
		ck_assert_int_eq(hb_term_to_json(in.data, in.len, true, &text, &err), 0);
		ck_assert_int_eq(hb_term_from_json((char *)text.data, text.len, &back, &err), 0);
		ck_assert_uint_eq(back.len, in.len - 1);
		ck_assert_mem_eq(back.data, in.data + 1, back.len);
		hb_buf_free(&in);
		hb_buf_free(&text);
		hb_buf_free(&back);
		free(magnitude);
	}
}
END_TEST

START_TEST(a_malformed_term_leaves_no_text)
{
	struct hb_buf text = HB_BUF_INIT;
	struct hb_error err;

	ck_assert_int_eq(hb_term_to_json("\x83h\2a\1", 5, true, &text, &err), -1);
	ck_assert_int_eq(hb_term_to_json("\x83h\1a\1z", 6, true, &text, &err), -1);
	ck_assert_uint_eq(text.len, 0);
	hb_buf_free(&text);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("term_json");
	TCase *t = tcase_create("all");

	tcase_add_loop_test(t, terms_are_shown_and_read_back, 0, sizeof samples / sizeof *samples);
	tcase_add_test(t, compact_text_has_no_spaces);
	tcase_add_loop_test(t, written_text_is_read, 0, sizeof written / sizeof *written);
	tcase_add_loop_test(t, wrong_text_is_refused_with_its_cause, 0, sizeof refused / sizeof *refused);
	tcase_add_test(t, deep_text_is_refused);
	tcase_add_test(t, huge_integers_go_both_ways);
	tcase_add_test(t, a_malformed_term_leaves_no_text);
	suite_add_tcase(s, t);
	return s;
}
