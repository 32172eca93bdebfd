/* Errors of the configuration with their place: see reader.h. */
#include "config/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN = 60 };

int
hb_config_fail(const struct hb_config_reader *r, unsigned line, const char *fmt, ...)
{
	char cause[512];
	char at[16] = "";
	/* "--set KEY" has said the key already */
	bool said = strncmp(r->name, "--set ", 6) == 0 && strcmp(r->name + 6, r->key) == 0;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cause, sizeof cause, fmt, ap);
	va_end(ap);
	if (r->lines && line > 0)
		snprintf(at, sizeof at, ":%u", line);
	hb_error_set(r->err, HB_ERROR_CONFIG, "%s%s: %s%s%s", r->name, at, said ? "" : r->key,
	    said || r->key[0] == '\0' ? "" : ": ", cause);
	/* names and values are the user's, and a message is one line */
	for (char *p = r->err->text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	}
	return -1;
}

const char *
hb_config_quote(const char *text, char out[HB_CONFIG_QUOTED])
{
	size_t n = strnlen(text, SHOWN + 1), len = 0;
	bool cut = n > SHOWN;

	if (cut) {
		/* not within a character */
		for (n = SHOWN; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
			n--;
	}
	out[len++] = '"';
	for (size_t i = 0; i < n; i++)
		out[len++] = text[i];
	snprintf(out + len, HB_CONFIG_QUOTED - len, "%s\"", cut ? "..." : "");
	return out;
}

int
hb_config_expected(const struct hb_config_reader *r, const struct hb_yaml_node *node, const char *what)
{
	char quoted[HB_CONFIG_QUOTED];
	const char *found = "nothing";

	if (node->kind == HB_YAML_LIST)
		found = "a list";
	else if (node->kind == HB_YAML_MAP)
		found = "a mapping";
	else if (!hb_yaml_is_null(node))
		found = hb_config_quote(node->text, quoted);
	return hb_config_fail(r, node->line, "expected %s, found %s", what, found);
}
