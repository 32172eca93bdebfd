/* Durations, sizes and numbers as text; the kinds of values that no key has yet. */
#include <stdlib.h>

#include "config/kinds.h"
#include "config/units.h"
#include "unit.h"

START_TEST(durations_are_milliseconds)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = { { "0", 0 }, { "0s", 0 }, { "1ms", 1 }, { "500ms", 500 }, { "30s", 30000 }, { "5m", 300000 },
		{ "1h", 3600000 }, { "007s", 7000 } };
	static const char *const bad[] = { "", "s", "15", "-1s", "+1s", "1.5s", "1 s", " 1s", "1S", "1d", "1ss", "1s ",
		"9223372036854775807h", "99999999999999999999ms" };
	int64_t ms;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		ck_assert(hb_units_duration(good[i].text, &ms));
		ck_assert_int_eq(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(!hb_units_duration(bad[i], &ms), "%s", bad[i]);
}
END_TEST

START_TEST(sizes_are_powers_of_1024)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = { { "0", 0 }, { "512", 512 }, { "8K", 8192 }, { "64M", 64 << 20 }, { "1G", 1 << 30 },
		{ "9223372036854775799", 9223372036854775799U } };
	static const char *const bad[] = { "", "K", "8k", "8KB", "8KiB", "-8", "0x10", "1.5K", "8589934592G",
		"9223372036854775808" };
	uint64_t bytes;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		ck_assert(hb_units_size(good[i].text, &bytes));
		ck_assert_uint_eq(bytes, good[i].bytes);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		ck_assert_msg(!hb_units_size(bad[i], &bytes), "%s", bad[i]);
}
END_TEST

START_TEST(shown_units_are_exact_and_short)
{
	static const struct {
		uint64_t value;
		const char *size, *duration;
	} shown[] = { { 0, "0", "0" }, { 1, "1", "1ms" }, { 1000, "1000", "1s" }, { 1024, "1K", "1024ms" },
		{ 60000, "60000", "1m" }, { 1 << 30, "1G", "1073741824ms" }, { 3600000, "3600000", "1h" },
		{ (5 << 20) + 1024, "5121K", "5243904ms" } };
	char text[HB_UNITS_TEXT];

	for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
		hb_units_show_size(shown[i].value, text);
		ck_assert_str_eq(text, shown[i].size);
		hb_units_show_duration((int64_t)shown[i].value, text);
		ck_assert_str_eq(text, shown[i].duration);
	}
}
END_TEST

START_TEST(booleans_are_true_or_false)
{
	const struct hb_config_key key = { "x", "false", .kind = HB_KIND_BOOL, .size = sizeof(bool) };
	struct hb_error err;
	struct hb_config_reader r = { .name = "f", .key = "x", .err = &err };
	struct hb_yaml_node *node = hb_yaml_scalar("true");
	struct hb_buf out = HB_BUF_INIT;
	bool value = false;

	ck_assert_int_eq(hb_config_value_set(&r, &key, node, &value), 0);
	ck_assert(value);
	ck_assert_int_eq(hb_config_value_show(&key, &value, &out), HB_SHOWN_NUMBER);
	ck_assert_mem_eq(out.data, "true", 4);
	hb_yaml_free(node);
	node = hb_yaml_scalar("yes");
	ck_assert_int_eq(hb_config_value_set(&r, &key, node, &value), -1);
	ck_assert_str_eq(err.text, "f: x: expected true or false, found \"yes\"");
	ck_assert(value);
	hb_yaml_free(node);
	hb_buf_free(&out);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("config_units");
	TCase *t = tcase_create("units");

	tcase_add_test(t, durations_are_milliseconds);
	tcase_add_test(t, sizes_are_powers_of_1024);
	tcase_add_test(t, shown_units_are_exact_and_short);
	tcase_add_test(t, booleans_are_true_or_false);
	suite_add_tcase(s, t);
	return s;
}
