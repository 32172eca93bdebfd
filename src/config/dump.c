/*
 * The configuration written out.  Both forms say the same in the same order,
 * and both load again: YAML in blocks for people, JSON for programs.
 */
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/keys.h"
#include "config/kinds.h"
#include "config/lists.h"

struct writer {
	enum hb_config_form form;
	struct hb_buf *out;
};

/* Whether any reader of YAML takes text for a string without quotes. */
static bool
is_plain(const char *text, size_t len)
{
	static const char *const words[] = {
	    "y", "n", "yes", "no", "on", "off", "true", "false", "null", NULL};
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";

	if (len == 0 || strspn(text, safe) != len || strchr("0123456789.-", text[0]) != NULL)
		return false;
	for (const char *const *word = words; *word != NULL; word++) {
		if (strcasecmp(text, *word) == 0)
			return false;
	}
	return true;
}

/* Decodes one character of well-formed UTF-8. */
static size_t
decode(const unsigned char *p, uint32_t *c)
{
	size_t n = *p < 0x80 ? 1 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;

	*c = n == 1 ? *p : *p & (0x7fU >> n);
	for (size_t i = 1; i < n; i++)
		*c = *c << 6 | (p[i] & 0x3f);
	return n;
}

/* With the escapes that JSON and YAML share, also for what either would read as a line's end. */
static void
put_quoted(struct writer *w, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	uint32_t c;

	hb_buf_add_u8(w->out, '"');
	while (*p != '\0') {
		size_t n = decode(p, &c);

		if (c == '"' || c == '\\')
			hb_buf_printf(w->out, "\\%c", (char)c);
		else if (c == '\n')
			hb_buf_add_str(w->out, "\\n");
		else if (c == '\t')
			hb_buf_add_str(w->out, "\\t");
		else if (c < 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
			 c == 0xfffe || c == 0xffff)
			hb_buf_printf(w->out, "\\u%04x", (unsigned)c);
		else
			hb_buf_add(w->out, p, n);
		p += n;
	}
	hb_buf_add_u8(w->out, '"');
}

static void
put_text(struct writer *w, const char *text)
{
	if (w->form == HB_CONFIG_YAML && is_plain(text, strlen(text)))
		hb_buf_add_str(w->out, text);
	else
		put_quoted(w, text);
}

static void
put_scalar(struct writer *w, const struct hb_config_key *key, const void *base)
{
	struct hb_buf text = HB_BUF_INIT;
	enum hb_config_shown shown = hb_config_value_show(key, base, &text);

	hb_buf_add_u8(&text, '\0');
	if (text.failed)
		w->out->failed = true;
	else if (shown == HB_SHOWN_NULL)
		hb_buf_add_str(w->out, "null");
	else if (shown == HB_SHOWN_NUMBER || (shown == HB_SHOWN_WORD && w->form == HB_CONFIG_YAML))
		hb_buf_add_str(w->out, (const char *)text.data);
	else
		put_text(w, (const char *)text.data);
	hb_buf_free(&text);
}

/* What stands in front of entry i of a list or map. */
static void
put_separator(struct writer *w, size_t i, const char *indent)
{
	if (w->form == HB_CONFIG_YAML)
		hb_buf_printf(w->out, "\n%s", indent);
	else if (i > 0)
		hb_buf_add_str(w->out, ", ");
}

/* Keys without a value are left out: an item's defaults depend on its other keys. */
static void
put_item(struct writer *w, const struct hb_config_key *keys, const void *item)
{
	const char *separator = "{";

	for (const struct hb_config_key *key = keys; key->path != NULL; key++) {
		struct hb_buf text = HB_BUF_INIT;

		if (hb_config_value_show(key, item, &text) != HB_SHOWN_NULL) {
			hb_buf_add_str(w->out, separator);
			put_text(w, key->path);
			hb_buf_add_str(w->out, ": ");
			put_scalar(w, key, item);
			separator = ", ";
		}
		hb_buf_free(&text);
	}
	hb_buf_add_u8(w->out, '}');
}

static void
put_entry(struct writer *w, const struct hb_config_key *key, const void *at, size_t i)
{
	char *const *strings;
	const struct hb_config_pair *pairs;
	const char *items;

	if (hb_config_kind_is_list(key->kind)) {
		memcpy(&strings, at, sizeof strings);
		put_text(w, strings[i]);
	} else if (hb_config_kind_is_map(key->kind)) {
		memcpy(&pairs, at, sizeof pairs);
		put_text(w, pairs[i].name);
		hb_buf_add_str(w->out, ": ");
		put_quoted(w, pairs[i].value);
	} else {
		memcpy(&items, at, sizeof items);
		put_item(w, key->items->keys, items + i * key->items->size);
	}
}

static void
put_value(
    struct writer *w, const struct hb_config_key *key, const struct hb_config *config, const char *indent)
{
	bool map = hb_config_kind_is_map(key->kind);
	size_t count;

	if (hb_config_kind_is_scalar(key->kind)) {
		hb_buf_add_u8(w->out, ' ');
		put_scalar(w, key, config);
		return;
	}
	memcpy(&count, (const char *)config + key->count, sizeof count);
	if (count == 0 || w->form == HB_CONFIG_JSON)
		hb_buf_add_str(w->out, map ? " {" : " [");
	for (size_t i = 0; i < count; i++) {
		put_separator(w, i, indent);
		if (!map && w->form == HB_CONFIG_YAML)
			hb_buf_add_str(w->out, "- ");
		put_entry(w, key, (const char *)config + key->offset, i);
	}
	if (count == 0 || w->form == HB_CONFIG_JSON)
		hb_buf_add_u8(w->out, map ? '}' : ']');
}

/* The length of a key's section, 0 if it has none. */
static size_t
section_length(const char *path)
{
	const char *dot = strchr(path, '.');

	return dot != NULL ? (size_t)(dot - path) : 0;
}

static bool
same_section(const struct hb_config_key *a, const struct hb_config_key *b)
{
	size_t n = section_length(a->path);

	return n == section_length(b->path) && strncmp(a->path, b->path, n) == 0;
}

/* A key with what opens its section if it is the first of one. */
static void
put_key(struct writer *w, const struct hb_config_key *key, bool first)
{
	const char *quote = w->form == HB_CONFIG_JSON ? "\"" : "";
	const char *indent = w->form == HB_CONFIG_JSON ? "  " : "";
	int n = (int)section_length(key->path);

	if (n > 0 && first)
		hb_buf_printf(w->out, "%s%s%.*s%s:%s\n", indent, quote, n, key->path, quote,
		    w->form == HB_CONFIG_JSON ? " {" : "");
	hb_buf_printf(w->out, "%s%s%s%s%s:", indent, n > 0 ? "  " : "", quote, key->path + (n > 0 ? n + 1 : 0), quote);
}

void
hb_config_dump(const struct hb_config *config, enum hb_config_form form, struct hb_buf *out)
{
	const bool json = form == HB_CONFIG_JSON;
	struct writer w = {form, out};

	hb_buf_add_str(out, json ? "{\n" : "");
	for (const struct hb_config_key *key = hb_config_keys; key->path != NULL; key++) {
		bool section = section_length(key->path) > 0, last = key[1].path == NULL;
		bool ends = section && (last || !same_section(key, key + 1));

		put_key(&w, key, key == hb_config_keys || !same_section(key - 1, key));
		put_value(&w, key, config, section ? "    " : "  ");
		if (json && ends)
			hb_buf_add_str(out, "\n  }");
		hb_buf_add_str(out, json && !last ? ",\n" : "\n");
	}
	hb_buf_add_str(out, json ? "}\n" : "");
}

static bool
same_value(const struct hb_config_key *key, const struct hb_config *a, const struct hb_config *b)
{
	struct hb_buf texts[2] = {HB_BUF_INIT, HB_BUF_INIT};
	struct writer w[2] = {{HB_CONFIG_JSON, &texts[0]}, {HB_CONFIG_JSON, &texts[1]}};
	bool same;

	put_value(&w[0], key, a, "");
	put_value(&w[1], key, b, "");
	same = texts[0].len == texts[1].len && memcmp(texts[0].data, texts[1].data, texts[0].len) == 0;
	hb_buf_free(&texts[0]);
	hb_buf_free(&texts[1]);
	return same;
}

const char *
hb_config_difference(const struct hb_config *a, const struct hb_config *b, size_t *row)
{
	while (hb_config_keys[*row].path != NULL) {
		const struct hb_config_key *key = &hb_config_keys[(*row)++];

		if (!same_value(key, a, b))
			return key->path;
	}
	return NULL;
}
