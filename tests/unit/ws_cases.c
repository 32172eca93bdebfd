/* Reads tests/data/http/websocket.txt. */
#include "ws_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_file.h"
#include "common/str.h"
#include "http/parse.h"

/* "[COUNT*]HEX", blanks anywhere. */
static void
unhex(const struct case_file *r, const char *s, struct hb_buf *out)
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
			case_malformed(r, "hexadecimal digits expected, in pairs");
		hb_buf_add_u8(&once, (uint8_t)(high << 4 | low));
		s++;
	}
	while (times-- > 0)
		hb_buf_add(out, once.data, once.len);
	hb_buf_free(&once);
}

static struct ws_case *
current(const struct case_file *r)
{
	struct ws_cases *all = r->cases;

	if (all->count == 0)
		case_malformed(r, "a case starts with name:");
	return &all->cases[all->count - 1];
}

static void
start_case(struct case_file *r, const char *name)
{
	struct ws_cases *all = r->cases;

	all->cases = hb_xrealloc(all->cases, (all->count + 1) * sizeof(*all->cases));
	all->cases[all->count] = (struct ws_case){ .name = hb_xstrdup(name), .line = r->line };
	all->count++;
}

/* "KEY DATA" */
static void
masked(const struct case_file *r, char *text)
{
	struct hb_buf key = HB_BUF_INIT, *bytes = &current(r)->bytes;
	char *data = strchr(text, ' ');
	size_t at;

	if (data != NULL)
		*data++ = '\0';
	unhex(r, text, &key);
	if (key.len != 4)
		case_malformed(r, "masked: KEY DATA");
	hb_buf_add(bytes, key.data, key.len);
	at = bytes->len;
	unhex(r, data != NULL ? data : "", bytes);
	/* Byte by byte: the tests of the parser do not rely on its own way of masking. */
	for (size_t i = at; i < bytes->len; i++)
		bytes->data[i] ^= key.data[(i - at) % 4];
	hb_buf_free(&key);
}

static void
expect(const struct case_file *r, const char *text)
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
	case_malformed(r, "expect: wants text, binary, ping, pong, close or error");
}

static void
take(struct case_file *r, const char *key, char *text)
{
	if (strcmp(key, "name") == 0)
		start_case(r, text);
	else if (strcmp(key, "rule") == 0)
		current(r)->rule = hb_xstrdup(text);
	else if (strcmp(key, "deflate") == 0)
		current(r)->deflate = strcmp(text, "yes") == 0;
	else if (strcmp(key, "send") == 0)
		unhex(r, text, &current(r)->bytes);
	else if (strcmp(key, "masked") == 0)
		masked(r, text);
	else if (strcmp(key, "expect") == 0)
		expect(r, text);
	else
		case_malformed(r, "unknown key");
}

struct ws_cases *
ws_cases_load(void)
{
	struct ws_cases *all = hb_xcalloc(1, sizeof(*all));
	struct case_file r = case_file_read("websocket.txt", all, take);

	for (size_t i = 0; i < all->count; i++) {
		r.line = all->cases[i].line;
		if (all->cases[i].rule == NULL || all->cases[i].bytes.len == 0)
			case_malformed(&r, "a case has name, rule and send");
	}
	free(r.path);
	return all;
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
