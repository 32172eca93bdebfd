/* The man page and the sample, held against the table of keys. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/units.h"
#include "unit.h"

/* A file of the source tree; returns owned. */
static char *
source_file(const char *name)
{
	const char *top = getenv("top_srcdir");
	char *path = hb_xasprintf("%s/%s", top != NULL ? top : ".", name), *text;
	FILE *f = fopen(path, "r");
	size_t n;

	ck_assert_msg(f != NULL, "%s", path);
	text = hb_xmalloc(1 << 20);
	n = fread(text, 1, (1 << 20) - 1, f);
	text[n] = '\0';
	fclose(f);
	free(path);
	return text;
}

/* The text of a key's entry in the man page, up to the next entry; returns owned. */
static char *
man_entry(const char *page, const char *path)
{
	char *start = hb_xasprintf("\n.It Ic %s : ", path);
	const char *entry = strstr(page, start), *end;

	ck_assert_msg(entry != NULL, "hornbeam.yaml(5) has no entry for %s", path);
	ck_assert_msg(strstr(entry + 1, start) == NULL, "hornbeam.yaml(5) has two entries for %s", path);
	free(start);
	end = strstr(entry + 1, "\n.It Ic ");
	if (end == NULL)
		end = strstr(entry + 1, "\n.Sh ");
	ck_assert_ptr_nonnull(end);
	return hb_xstrndup(entry, (size_t)(end - entry) + 1);
}

/* What the entry must say about the default. */
static char *
default_sentence(const struct hb_config_key *key)
{
	if (key->required)
		return hb_xstrdup("\nRequired.\n");
	if (key->fallback == NULL)
		return hb_xstrdup("\nDefault: none.\n");
	if (key->fallback[0] == '"')
		return hb_xstrdup("\nDefault:\n.Li \\(dq-\\(dq .\n");
	/* the page names the usual place, whatever this tree is configured for */
	if (strcmp(key->fallback, HB_RUNDIR "/control.sock") == 0)
		return hb_xstrdup("\nDefault:\n.Li /run/hornbeam/control.sock .\n");
	if (strcmp(key->fallback, HB_STATEDIR "/cookie") == 0)
		return hb_xstrdup("\nDefault:\n.Li /var/lib/hornbeam/cookie .\n");
	return hb_xasprintf("\nDefault:\n.Li %s .\n", key->fallback);
}

/* What it must say about the range; NULL: nothing. */
static char *
range_sentence(const struct hb_config_key *key)
{
	char low[HB_UNITS_TEXT], high[HB_UNITS_TEXT];

	if (key->kind == HB_KIND_DURATION) {
		hb_units_show_duration(key->min, low);
		hb_units_show_duration(key->max, high);
	} else if (key->kind == HB_KIND_SIZE) {
		hb_units_show_size((uint64_t)key->min, low);
		hb_units_show_size((uint64_t)key->max, high);
	} else if (key->kind == HB_KIND_INT || key->kind == HB_KIND_WORKERS) {
		snprintf(low, sizeof low, "%" PRId64, key->min);
		snprintf(high, sizeof high, "%" PRId64, key->max);
	} else {
		return NULL;
	}
	/* 2^53 is no limit that anybody needs to know */
	if (key->max >= (int64_t)1 << 53)
		return NULL;
	return hb_xasprintf("\nFrom %s to %s.\n", low, high);
}

static void
check_man(const char *page, const struct hb_config_key *keys)
{
	for (const struct hb_config_key *key = keys; key->path != NULL; key++) {
		char *entry = man_entry(page, key->path), *wanted = default_sentence(key);

		/* the entry of a list ends behind those of its items' keys */
		if (key->items != NULL) {
			char *pair = hb_xasprintf("\n.El\n.Pp%s", wanted);

			check_man(page, key->items->keys);
			ck_assert_msg(strstr(page, pair) != NULL, "%s has another default than%s", key->path, wanted);
			free(pair);
		} else {
			ck_assert_msg(strstr(entry, wanted) != NULL, "%s has another default than%s", key->path, wanted);
		}
		free(wanted);
		wanted = range_sentence(key);
		ck_assert_msg(wanted == NULL || strstr(entry, wanted) != NULL, "%s has another range than%s", key->path,
		    wanted);
		free(wanted);
		for (size_t i = 0; key->names != NULL && key->names[i] != NULL; i++) {
			char *line = hb_xstrndup(entry + 1, strcspn(entry + 1, "\n"));

			ck_assert_msg(strstr(line, key->names[i]) != NULL, "%s does not name %s", key->path, key->names[i]);
			free(line);
		}
		free(entry);
	}
}

static size_t
count(const struct hb_config_key *keys)
{
	size_t n = 0;

	for (; keys->path != NULL; keys++)
		n += 1 + (keys->items != NULL ? count(keys->items->keys) : 0);
	return n;
}

START_TEST(man_page_has_every_key_with_its_default_and_range)
{
	char *page = source_file("man/hornbeam.yaml.5");
	size_t entries = 0;

	check_man(page, hb_config_keys);
	for (const char *p = page; (p = strstr(p, "\n.It Ic ")) != NULL; p++)
		entries++;
	ck_assert_uint_eq(entries, count(hb_config_keys));
	free(page);
}
END_TEST

START_TEST(man_page_example_loads)
{
	char *page = source_file("man/hornbeam.yaml.5"), *start, *end;
	struct hb_error err = { .text = "" };
	struct hb_config *c;

	start = strstr(page, "\n.Sh EXAMPLES\n");
	ck_assert_ptr_nonnull(start);
	start = strstr(start, "-offset indent\n");
	ck_assert_ptr_nonnull(start);
	start = strchr(start, '\n') + 1;
	end = strstr(start, ".Ed\n");
	ck_assert_ptr_nonnull(end);
	c = hb_config_parse(start, (size_t)(end - start), "example", &err);
	ck_assert_msg(c != NULL, "%s", err.text);
	hb_config_free(c);
	free(page);
}
END_TEST

/* The sample with the comment signs in front of keys and entries taken away. */
static void
uncomment(char *text)
{
	char *out = text;

	for (char *line = text; *line != '\0';) {
		size_t n = strcspn(line, "\n");
		bool more = line[n] == '\n';
		char *from = line;

		if (*from == '#' && from[1] != ' ')
			from++, n--;
		else if (strncmp(from, "#  ", 3) == 0)
			from++, n--;
		memmove(out, from, n + more);
		out += n + more;
		line = from + n + more;
	}
	*out = '\0';
}

START_TEST(sample_loads_as_it_is)
{
	char *text = source_file("etc/hornbeam.yaml");
	struct hb_error err = { .text = "" };
	struct hb_config *c = hb_config_parse(text, strlen(text), "hornbeam.yaml", &err);

	ck_assert_msg(c != NULL, "%s", err.text);
	ck_assert_str_eq(c->user, "hornbeam");
	ck_assert_str_eq(c->control.group, "hornbeam");
	hb_config_free(c);
	free(text);
}
END_TEST

static void
assert_mentioned(const char *text, const struct hb_config_key *keys)
{
	for (const struct hb_config_key *key = keys; key->path != NULL; key++) {
		const char *leaf = strrchr(key->path, '.') != NULL ? strrchr(key->path, '.') + 1 : key->path;
		char *mention = hb_xasprintf("%s:", leaf);

		ck_assert_msg(strstr(text, mention) != NULL, "the sample does not mention %s", key->path);
		free(mention);
		if (key->items != NULL)
			assert_mentioned(text, key->items->keys);
	}
}

START_TEST(sample_mentions_every_key_with_its_default)
{
	char *text = source_file("etc/hornbeam.yaml"), *apps;
	struct hb_config_source source = { .file = NULL };
	struct hb_buf defaults = HB_BUF_INIT, shown = HB_BUF_INIT;
	struct hb_error err = { .text = "" };
	struct hb_config *c, *d;

	assert_mentioned(text, hb_config_keys);
	/* the list of applications has its entries in comments */
	apps = strstr(text, "apps: []");
	ck_assert_ptr_nonnull(apps);
	memcpy(apps, "apps:   ", 8);
	uncomment(text);
	c = hb_config_parse(text, strlen(text), "uncommented", &err);
	ck_assert_msg(c != NULL, "%s\n%s", err.text, text);
	ck_assert_uint_eq(c->apps_count, 1);
	ck_assert_uint_eq(c->listen_count, 3);
	/* but for what it shows on purpose, it is the default */
	d = hb_config_load(&source, &err);
	hb_config_dump(d, HB_CONFIG_YAML, &defaults);
	hb_config_dump(c, HB_CONFIG_YAML, &shown);
	hb_buf_add_u8(&defaults, '\0');
	hb_buf_add_u8(&shown, '\0');
	for (char *line = strtok((char *)shown.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (strstr(line, "hornbeam") != NULL || strstr(line, "address:") != NULL || strstr(line, "mount:") != NULL)
			continue;
		if (strcmp(line, "apps:") == 0)
			continue;
		ck_assert_msg(strstr((const char *)defaults.data, line) != NULL, "the sample's default is another: %s", line);
	}
	hb_config_free(c);
	hb_config_free(d);
	hb_buf_free(&defaults);
	hb_buf_free(&shown);
	free(text);
}
END_TEST

START_TEST(table_is_consistent)
{
	for (const struct hb_config_key *key = hb_config_keys; key->path != NULL; key++) {
		char *name = hb_config_key_variable(key);

		ck_assert_ptr_nonnull(key->about);
		ck_assert_ptr_eq(hb_config_key_find(hb_config_keys, key->path), key);
		ck_assert_int_eq(strncmp(name, "HORNBEAM_", 9), 0);
		for (const struct hb_config_key *other = hb_config_keys; other != key; other++) {
			char *twin = hb_config_key_variable(other);

			ck_assert_str_ne(name, twin);
			free(twin);
		}
		free(name);
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *s = suite_create("config_docs");
	TCase *t = tcase_create("docs");

	tcase_add_test(t, man_page_has_every_key_with_its_default_and_range);
	tcase_add_test(t, man_page_example_loads);
	tcase_add_test(t, sample_loads_as_it_is);
	tcase_add_test(t, sample_mentions_every_key_with_its_default);
	tcase_add_test(t, table_is_consistent);
	suite_add_tcase(s, t);
	return s;
}
