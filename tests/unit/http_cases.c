/* Reads tests/data/http/requests.txt. */
#include "http_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"

const struct hb_http_limits http_case_limits = {
	.request_line = 8192,
	.header = 32768,
	.headers = 100,
	.body = 65536,
};

struct reader {
	const char *file;
	int line;
	struct http_cases *cases;
};

static _Noreturn void
malformed(const struct reader *r, const char *cause)
{
	fprintf(stderr, "%s:%d: %s\n", r->file, r->line, cause);
	exit(99);
}

static int
hex(const struct reader *r, char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, c);

	if (c == '\0' || at == NULL)
		malformed(r, "\\x wants two lower-case hexadecimal digits");
	return (int)(at - digits);
}

static void
unescape(const struct reader *r, const char *s, struct hb_buf *out)
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
			malformed(r, "unknown escape");
		}
	}
}

static struct http_case *
current(const struct reader *r)
{
	if (r->cases->count == 0)
		malformed(r, "a case starts with name:");
	return &r->cases->cases[r->cases->count - 1];
}

static struct http_answer *
answer(const struct reader *r)
{
	struct http_case *c = current(r);

	if (c->answers_count == 0)
		malformed(r, "follows an expect:");
	return &c->answers[c->answers_count - 1];
}

static void
start_case(struct reader *r, const char *name)
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
expect(const struct reader *r, const char *text)
{
	struct http_case *c = current(r);
	struct http_answer *a;
	char method[64], target[512], connection[16];

	if (c->answers_count == HTTP_ANSWERS)
		malformed(r, "too many expect:");
	a = &c->answers[c->answers_count++];
	if (strcmp(text, "more") == 0) {
		a->more = true;
	} else if (sscanf(text, "ok %63s %511s %15s", method, target, connection) == 3) {
		a->method = hb_xstrdup(method);
		a->target = hb_xstrdup(target);
		a->keep_alive = strcmp(connection, "keep") == 0;
		if (!a->keep_alive && strcmp(connection, "close") != 0)
			malformed(r, "expect: ok METHOD TARGET keep|close");
	} else {
		a->status = (unsigned)strtoul(text, NULL, 10);
		if (a->status < 400 || a->status > 599)
			malformed(r, "expect: wants ok, more or a status");
	}
}

static void
repeat(const struct reader *r, const char *text)
{
	char *rest;
	unsigned long n = strtoul(text, &rest, 10);

	if (n == 0 || *rest != ' ')
		malformed(r, "repeat: COUNT BYTES");
	while (n-- > 0)
		unescape(r, rest + 1, &current(r)->bytes);
}

static void
read_line(struct reader *r, char *line)
{
	char *text = strchr(line, ':');

	if (line[0] == '\0' || line[0] == '#')
		return;
	if (text == NULL)
		malformed(r, "KEY: TEXT expected");
	*text++ = '\0';
	if (*text == ' ')
		text++;
	if (strcmp(line, "name") == 0)
		start_case(r, text);
	else if (strcmp(line, "rule") == 0)
		current(r)->rule = hb_xstrdup(text);
	else if (strcmp(line, "llhttp") == 0)
		current(r)->llhttp = hb_xstrdup(text);
	else if (strcmp(line, "send") == 0)
		unescape(r, text, &current(r)->bytes);
	else if (strcmp(line, "repeat") == 0)
		repeat(r, text);
	else if (strcmp(line, "expect") == 0)
		expect(r, text);
	else if (strcmp(line, "host") == 0)
		answer(r)->host = hb_xstrdup(text);
	else if (strcmp(line, "path") == 0)
		answer(r)->path = hb_xstrdup(text);
	else if (strcmp(line, "query") == 0)
		answer(r)->query = hb_xstrdup(text);
	else if (strcmp(line, "field") == 0) {
		char *value = strchr(text, '=');

		if (value == NULL)
			malformed(r, "field: NAME=VALUE");
		*value++ = '\0';
		answer(r)->field = hb_xstrdup(text);
		unescape(r, value, &answer(r)->value);
	} else if (strcmp(line, "body") == 0) {
		unescape(r, text, &answer(r)->body);
	} else {
		malformed(r, "unknown key");
	}
}

struct http_cases *
http_cases_load(void)
{
	const char *dir = getenv("top_srcdir");
	char *file = hb_xasprintf("%s/tests/data/http/requests.txt", dir != NULL ? dir : ".");
	struct reader r = { file, 0, hb_xcalloc(1, sizeof(struct http_cases)) };
	FILE *in = fopen(file, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (in == NULL) {
		perror(file);
		exit(99);
	}
	while ((n = getline(&line, &size, in)) > 0) {
		r.line++;
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		read_line(&r, line);
	}
	for (size_t i = 0; i < r.cases->count; i++) {
		struct http_case *c = &r.cases->cases[i];

		r.line = c->line;
		if (c->rule == NULL || c->bytes.len == 0 || c->answers_count == 0)
			malformed(&r, "a case has name, rule, send and expect");
	}
	free(line);
	fclose(in);
	free(file);
	return r.cases;
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
