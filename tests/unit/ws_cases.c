/* Reads tests/data/http/websocket.txt. */
#include "ws_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "http/parse.h"

struct reader {
	const char *file;
	int line;
	struct ws_cases *cases;
};

static _Noreturn void
malformed(const struct reader *r, const char *cause)
{
	fprintf(stderr, "%s:%d: %s\n", r->file, r->line, cause);
	exit(99);
}

/* "[COUNT*]HEX", blanks anywhere. */
static void
unhex(const struct reader *r, const char *s, struct hb_buf *out)
{
	const char *star = strchr(s, '*');
	unsigned long times = star != NULL ? strtoul(s, NULL, 10) : 1;
	struct hb_buf once = HB_BUF_INIT;

	for (s = star != NULL ? star + 1 : s; *s != '\0'; s++) {
		int high, low;

		if (*s == ' ')
			continue;
		high = hb_http_hex((unsigned char)s[0]);
		low = s[1] != '\0' ? hb_http_hex((unsigned char)s[1]) : -1;
		if (high < 0 || low < 0)
			malformed(r, "hexadecimal digits expected, in pairs");
		hb_buf_add_u8(&once, (uint8_t)(high << 4 | low));
		s++;
	}
	while (times-- > 0)
		hb_buf_add(out, once.data, once.len);
	hb_buf_free(&once);
}

static struct ws_case *
current(const struct reader *r)
{
	if (r->cases->count == 0)
		malformed(r, "a case starts with name:");
	return &r->cases->cases[r->cases->count - 1];
}

static void
start_case(struct reader *r, const char *name)
{
	struct ws_cases *all = r->cases;

	all->cases = hb_xrealloc(all->cases, (all->count + 1) * sizeof(*all->cases));
	all->cases[all->count] = (struct ws_case){ .name = hb_xstrdup(name), .line = r->line };
	all->count++;
}

/* "KEY DATA" */
static void
masked(const struct reader *r, char *text)
{
	struct hb_buf key = HB_BUF_INIT, *bytes = &current(r)->bytes;
	char *data = strchr(text, ' ');
	size_t at;

	if (data != NULL)
		*data++ = '\0';
	unhex(r, text, &key);
	if (key.len != 4)
		malformed(r, "masked: KEY DATA");
	hb_buf_add(bytes, key.data, key.len);
	at = bytes->len;
	unhex(r, data != NULL ? data : "", bytes);
	/* Byte by byte: the tests of the parser do not rely on its own way of masking. */
	for (size_t i = at; i < bytes->len; i++)
		bytes->data[i] ^= key.data[(i - at) % 4];
	hb_buf_free(&key);
}

static void
expect(const struct reader *r, const char *text)
{
	static const struct {
		const char *word;
		enum hb_ws_event_kind kind;
		bool text, code;
	} words[] = {
		{ "text", HB_WS_MESSAGE, true, false },
		{ "binary", HB_WS_MESSAGE, false, false },
		{ "ping", HB_WS_PING, false, false },
		{ "pong", HB_WS_PONG, false, false },
		{ "close", HB_WS_CLOSE, false, true },
		{ "error", HB_WS_ERROR, false, true },
	};
	struct ws_case *c = current(r);
	size_t n = strcspn(text, " ");
	const char *rest = text + n;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct hb_ws_event event = { .text = words[i].text };
		struct hb_buf data = HB_BUF_INIT;

		if (strlen(words[i].word) != n || strncmp(words[i].word, text, n) != 0)
			continue;
		if (words[i].code) {
			char *end;

			event.code = (uint16_t)strtoul(rest, &end, 10);
			rest = end;
		}
		unhex(r, rest, &data);
		event.data = data.data;
		event.len = data.len;
		ws_event_add(&c->events, words[i].kind, &event);
		c->fails = words[i].kind == HB_WS_ERROR;
		hb_buf_free(&data);
		return;
	}
	malformed(r, "expect: wants text, binary, ping, pong, close or error");
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
	else if (strcmp(line, "deflate") == 0)
		current(r)->deflate = strcmp(text, "yes") == 0;
	else if (strcmp(line, "send") == 0)
		unhex(r, text, &current(r)->bytes);
	else if (strcmp(line, "masked") == 0)
		masked(r, text);
	else if (strcmp(line, "expect") == 0)
		expect(r, text);
	else
		malformed(r, "unknown key");
}

struct ws_cases *
ws_cases_load(void)
{
	const char *dir = getenv("top_srcdir");
	char *file = hb_xasprintf("%s/tests/data/http/websocket.txt", dir != NULL ? dir : ".");
	struct reader r = { file, 0, hb_xcalloc(1, sizeof(struct ws_cases)) };
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
		r.line = r.cases->cases[i].line;
		if (r.cases->cases[i].rule == NULL || r.cases->cases[i].bytes.len == 0)
			malformed(&r, "a case has name, rule and send");
	}
	free(line);
	fclose(in);
	free(file);
	return r.cases;
}

void
ws_cases_free(struct ws_cases *cases)
{
	for (size_t i = 0; i < cases->count; i++) {
		struct ws_case *c = &cases->cases[i];

		free(c->name);
		free(c->rule);
		hb_buf_free(&c->bytes);
		hb_buf_free(&c->events);
	}
	free(cases->cases);
	free(cases);
}
