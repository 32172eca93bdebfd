/* Reads tests/data/http/requests.txt. */
#include "http_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_file.h"
#include "common/str.h"

const struct hb_http_limits http_case_limits = {
	.request_line = 8192,
	.header = 32768,
	.headers = 100,
	.body = 65536,
};

static int
hex(const struct case_file *r, char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c);

	if (c == '\0' || at == NULL)
		case_malformed(r, "\\x wants two lower-case hexadecimal digits");
	return (int)(at - digits);
}

static void
unescape(const struct case_file *r, const char *s, struct hb_buf *out)
{
	for (; *s != '\0'; s++) {
		if (*s != '\\') {
			hb_buf_add_u8(out, (unsigned char)*s);
			continue;
		}
		switch (*++s) {
		case 'r':
			hb_buf_add_u8(out, '\r');
			break;
		case 'n':
			hb_buf_add_u8(out, '\n');
			break;
		case 't':
			hb_buf_add_u8(out, '\t');
			break;
		case '0':
			hb_buf_add_u8(out, 0);
			break;
		case '\\':
			hb_buf_add_u8(out, '\\');
			break;
		case 'x':
			hb_buf_add_u8(out, (unsigned char)(hex(r, s[1]) << 4 | hex(r, s[2])));
			s += 2;
			break;
		default:
			case_malformed(r, "unknown escape");
		}
	}
}

static struct http_case *
current(const struct case_file *r)
{
	struct http_cases *all = r->cases;

	if (all->count == 0)
		case_malformed(r, "a case starts with name:");
	return &all->cases[all->count - 1];
}

static struct http_answer *
answer(const struct case_file *r)
{
	struct http_case *c = current(r);

	if (c->answers_count == 0)
		case_malformed(r, "follows an expect:");
	return &c->answers[c->answers_count - 1];
}

static void
start_case(struct case_file *r, const char *name)
{
	struct http_cases *all = r->cases;

	all->cases = hb_xrealloc(all->cases, (all->count + 1) * sizeof(*all->cases));
	memset(&all->cases[all->count], 0, sizeof(*all->cases));
	all->cases[all->count].name = hb_xstrdup(name);
	all->cases[all->count].line = r->line;
	all->count++;
}

/* "ok METHOD TARGET keep|close", "more" or a status. */
static void
expect(const struct case_file *r, const char *text)
{
	struct http_case *c = current(r);
	struct http_answer *a;
	char method[64], target[512], connection[16];

	if (c->answers_count == HTTP_ANSWERS)
		case_malformed(r, "too many expect:");
	a = &c->answers[c->answers_count++];
	if (strcmp(text, "more") == 0) {
		a->more = true;
	} else if (sscanf(text, "ok %63s %511s %15s", method, target, connection) == 3) {
		a->method = hb_xstrdup(method);
		a->target = hb_xstrdup(target);
		a->keep_alive = strcmp(connection, "keep") == 0;
		if (!a->keep_alive && strcmp(connection, "close") != 0)
			case_malformed(r, "expect: ok METHOD TARGET keep|close");
	} else {
		a->status = (unsigned)strtoul(text, NULL, 10);
		if (a->status < 400 || a->status > 599)
			case_malformed(r, "expect: wants ok, more or a status");
	}
}

static void
repeat(const struct case_file *r, const char *text)
{
	char *rest;
	unsigned long n = strtoul(text, &rest, 10);

	if (n == 0 || *rest != ' ')
		case_malformed(r, "repeat: COUNT BYTES");
	while (n-- > 0)
		unescape(r, rest + 1, &current(r)->bytes);
}

static void
take(struct case_file *r, const char *key, char *text)
{
	if (strcmp(key, "name") == 0)
		start_case(r, text);
	else if (strcmp(key, "rule") == 0)
		current(r)->rule = hb_xstrdup(text);
	else if (strcmp(key, "llhttp") == 0)
		current(r)->llhttp = hb_xstrdup(text);
	else if (strcmp(key, "send") == 0)
		unescape(r, text, &current(r)->bytes);
	else if (strcmp(key, "repeat") == 0)
		repeat(r, text);
	else if (strcmp(key, "expect") == 0)
		expect(r, text);
	else if (strcmp(key, "host") == 0)
		answer(r)->host = hb_xstrdup(text);
	else if (strcmp(key, "path") == 0)
		answer(r)->path = hb_xstrdup(text);
	else if (strcmp(key, "query") == 0)
		answer(r)->query = hb_xstrdup(text);
	else if (strcmp(key, "field") == 0) {
		char *value = strchr(text, '=');

		if (value == NULL)
			case_malformed(r, "field: NAME=VALUE");
		*value++ = '\0';
		answer(r)->field = hb_xstrdup(text);
		unescape(r, value, &answer(r)->value);
	} else if (strcmp(key, "body") == 0) {
		unescape(r, text, &answer(r)->body);
	} else {
		case_malformed(r, "unknown key");
	}
}

struct http_cases *
http_cases_load(void)
{
	struct http_cases *all = hb_xcalloc(1, sizeof(*all));
	struct case_file r = case_file_read("requests.txt", all, take);

	for (size_t i = 0; i < all->count; i++) {
		struct http_case *c = &all->cases[i];

		r.line = c->line;
		if (c->rule == NULL || c->bytes.len == 0 || c->answers_count == 0)
			case_malformed(&r, "a case has name, rule, send and expect");
	}
	free(r.path);
	return all;
}

void
http_cases_free(struct http_cases *cases)
{
	for (size_t i = 0; i < cases->count; i++) {
		struct http_case *c = &cases->cases[i];

		for (size_t j = 0; j < c->answers_count; j++) {
			free(c->answers[j].method);
			free(c->answers[j].target);
			free(c->answers[j].host);
			free(c->answers[j].path);
			free(c->answers[j].query);
			free(c->answers[j].field);
			hb_buf_free(&c->answers[j].value);
			hb_buf_free(&c->answers[j].body);
		}
		free(c->name);
		free(c->rule);
		free(c->llhttp);
		hb_buf_free(&c->bytes);
	}
	free(cases->cases);
	free(cases);
}
