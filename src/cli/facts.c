/* Facts of status replies: see facts.h. */
#include "cli/facts.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"

static bool
ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && strcmp(name + n - m, end) == 0;
}

static char *
duration(int64_t ms)
{
	int64_t s = ms / 1000;

	if (s < 60)
		return hb_xasprintf("%" PRId64 ".%03" PRId64 "s", s, ms % 1000);
	if (s < 3600)
		return hb_xasprintf("%" PRId64 "m %" PRId64 "s", s / 60, s % 60);
	if (s < 86400)
		return hb_xasprintf("%" PRId64 "h %" PRId64 "m", s / 3600, s / 60 % 60);
	return hb_xasprintf("%" PRId64 "d %" PRId64 "h", s / 86400, s / 3600 % 24);
}

static char *
size(int64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
	double v = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024)
		return hb_xasprintf("%" PRId64 " B", bytes);
	while (v >= 1024 && i + 1 < sizeof units / sizeof *units) {
		v /= 1024;
		i++;
	}
	return hb_xasprintf("%.1f %s", v, units[i]);
}

static char *
text_of(const char *name, const struct hb_term_token *t)
{
	switch (t->type) {
	case HB_TERM_INT:
		if (ends_with(name, "_ms"))
			return duration(t->i);
		if (ends_with(name, "bytes") || ends_with(name, "bytes_in") || ends_with(name, "bytes_out") ||
		    strncmp(name, "memory.", 7) == 0)
			return size(t->i);
		return hb_xasprintf("%" PRId64, t->i);
	case HB_TERM_FLOAT:
		return hb_xasprintf("%.3g", t->f);
	case HB_TERM_BINARY:
	case HB_TERM_BYTES:
	case HB_TERM_ATOM:
		if (t->len == 9 && memcmp(t->text, "undefined", 9) == 0)
			return hb_xstrdup("-");
		return hb_xstrndup((const char *)t->text, t->len);
	default:
		return hb_xstrdup("-");
	}
}

static void
add(struct cli_facts *facts, char *name, char *text)
{
	facts->v = hb_xrealloc(facts->v, (facts->n + 1) * sizeof *facts->v);
	facts->v[facts->n++] = (struct cli_fact){ name, text };
}

/* The rest of a tuple, list or map that was opened. */
static int
skip_rest(struct hb_term_reader *r, struct hb_error *err)
{
	struct hb_term_token t;
	unsigned depth = 1;

	while (depth > 0) {
		if (hb_term_next(r, &t, err) < 0)
			return -1;
		if (t.type == HB_TERM_CLOSE)
			depth--;
		else if (t.type == HB_TERM_TUPLE || t.type == HB_TERM_LIST || t.type == HB_TERM_MAP)
			depth++;
	}
	return 0;
}

/* The elements of a list with ", " between them; of a list of maps only their number. */
static int
read_list(struct hb_term_reader *r, uint32_t count, char **text, struct hb_error *err)
{
	char *all = hb_xstrdup(count == 0 ? "-" : "");
	struct hb_term_token t;

	for (uint32_t i = 0; i < count; i++) {
		char *one, *both;

		if (hb_term_next(r, &t, err) < 0)
			goto fail;
		if (t.type == HB_TERM_MAP || t.type == HB_TERM_LIST || t.type == HB_TERM_TUPLE) {
			if (skip_rest(r, err) != 0)
				goto fail;
			free(all);
			all = hb_xasprintf("%" PRIu32, count);
			continue;
		}
		one = text_of("", &t);
		both = hb_xasprintf("%s%s%s", all, i > 0 ? ", " : "", one);
		free(one);
		free(all);
		all = both;
	}
	if (hb_term_want_close(r, err) != 0)
		goto fail;
	*text = all;
	return 0;
fail:
	free(all);
	return -1;
}

static int read_pairs(struct cli_facts *facts, struct hb_term_reader *r, uint32_t pairs, const char *before,
    struct hb_error *err);

/* Takes the name. */
static int
read_value(struct cli_facts *facts, struct hb_term_reader *r, char *name, struct hb_error *err)
{
	struct hb_term_token t;
	char *text = NULL, *inner;
	int rc;

	if (hb_term_next(r, &t, err) < 0)
		goto fail;
	switch (t.type) {
	case HB_TERM_MAP:
		inner = hb_xasprintf("%s.", name);
		rc = read_pairs(facts, r, t.count, inner, err);
		free(inner);
		free(name);
		return rc;
	case HB_TERM_LIST:
		if (read_list(r, t.count, &text, err) != 0)
			goto fail;
		break;
	default:
		text = text_of(name, &t);
		break;
	}
	add(facts, name, text);
	return 0;
fail:
	free(name);
	return -1;
}

static int
read_pairs(struct cli_facts *facts, struct hb_term_reader *r, uint32_t pairs, const char *before,
    struct hb_error *err)
{
	for (uint32_t i = 0; i < pairs; i++) {
		struct hb_term_token t;

		if (hb_term_next(r, &t, err) < 0)
			return -1;
		if (t.type != HB_TERM_BINARY && t.type != HB_TERM_ATOM)
			return hb_error_set(err, HB_ERROR_PROTOCOL, "a status reply has a key that is no name");
		if (read_value(facts, r, hb_xasprintf("%s%.*s", before, (int)t.len, (const char *)t.text), err) != 0)
			return -1;
	}
	return hb_term_want_close(r, err);
}

int
cli_facts_read(struct cli_facts *facts, struct hb_term_reader *r, const char *before, struct hb_error *err)
{
	uint32_t pairs;

	if (hb_term_want_map(r, &pairs, err) != 0)
		return -1;
	return read_pairs(facts, r, pairs, before, err);
}

const char *
cli_facts_get(const struct cli_facts *facts, const char *name)
{
	for (size_t i = 0; i < facts->n; i++) {
		if (strcmp(facts->v[i].name, name) == 0)
			return facts->v[i].text;
	}
	return "-";
}

void
cli_facts_free(struct cli_facts *facts)
{
	for (size_t i = 0; i < facts->n; i++) {
		free(facts->v[i].name);
		free(facts->v[i].text);
	}
	free(facts->v);
	*facts = (struct cli_facts){ NULL, 0 };
}
