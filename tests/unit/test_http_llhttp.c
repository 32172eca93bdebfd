/*
 * The parser against llhttp 8.1 in its strict mode: whatever ours lets through, llhttp must let
 * through with the same framing, or refuse for a reason that is listed here or in requests.txt.
 * Ours may close where llhttp keeps the connection, not the other way around.
 * Besides the requests of the file, thousands of mutations of them.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_cases.h"
#include "http_run.h"
#include "unit.h"

#if __has_include(<llhttp.c>)

#include <llhttp.h>

#include <api.c>
#include <http.c>

#define MUTATIONS 500

static struct http_cases *cases;

struct oracle {
	llhttp_t parser;
	struct http_run run;
	enum llhttp_errno error;
};

static struct http_message *
message(llhttp_t *parser)
{
	struct http_run *run = &((struct oracle *)parser->data)->run;

	return run->count < HTTP_RUN_MESSAGES ? &run->messages[run->count] : NULL;
}

static int
on_url(llhttp_t *parser, const char *at, size_t len)
{
	if (message(parser) != NULL)
		hb_buf_add(&message(parser)->target, at, len);
	return 0;
}

static int
on_body(llhttp_t *parser, const char *at, size_t len)
{
	if (message(parser) != NULL)
		hb_buf_add(&message(parser)->body, at, len);
	return 0;
}

static int
on_message_complete(llhttp_t *parser)
{
	struct http_message *m = message(parser);

	if (m == NULL)
		return HPE_USER;
	hb_buf_add_str(&m->method, llhttp_method_name((llhttp_method_t)parser->method));
	m->keep_alive = llhttp_should_keep_alive(parser);
	((struct oracle *)parser->data)->run.count++;
	return 0;
}

static void
oracle_run(struct oracle *o, const unsigned char *p, size_t len)
{
	llhttp_settings_t settings;
	const char *at = (const char *)p, *end = at + len;

	memset(o, 0, sizeof(*o));
	llhttp_settings_init(&settings);
	settings.on_url = on_url;
	settings.on_body = on_body;
	settings.on_message_complete = on_message_complete;
	llhttp_init(&o->parser, HTTP_REQUEST, &settings);
	o->parser.data = o;
	o->error = llhttp_execute(&o->parser, at, (size_t)(end - at));
	while (o->error == HPE_PAUSED_UPGRADE) {
		at = llhttp_get_error_pos(&o->parser);
		llhttp_resume_after_upgrade(&o->parser);
		o->error = llhttp_execute(&o->parser, at, (size_t)(end - at));
	}
}

static bool
same(const struct hb_buf *a, const struct hb_buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* Of our messages, the first that llhttp does not have just so; their count where it has all. */
static size_t
first_difference(const struct http_run *ours, const struct oracle *o)
{
	for (size_t i = 0; i < ours->count; i++) {
		const struct http_message *a = &ours->messages[i], *b = &o->run.messages[i];

		if (i >= o->run.count || !same(&a->method, &b->method) || !same(&a->target, &b->target) ||
		    !same(&a->body, &b->body) || (a->keep_alive && !b->keep_alive))
			return i;
	}
	return ours->count;
}

static void
compare(const struct http_case *c)
{
	struct http_run ours;
	struct oracle oracle;
	bool differs;

	http_run(&ours, c->bytes.data, c->bytes.len, 0, &http_case_limits);
	oracle_run(&oracle, c->bytes.data, c->bytes.len);
	differs = first_difference(&ours, &oracle) < ours.count;
	if (differs)
		ck_assert_msg(c->llhttp != NULL, "line %d: %s: llhttp: %s %s", c->line, c->name,
		    llhttp_errno_name(oracle.error), llhttp_get_error_reason(&oracle.parser));
	else
		ck_assert_msg(c->llhttp == NULL, "line %d: %s: llhttp does the same", c->line, c->name);
	http_run_free(&ours);
	http_run_free(&oracle.run);
}

START_TEST(what_is_accepted_llhttp_frames_the_same)
{
	for (size_t i = 0; i < cases->count; i++)
		compare(&cases->cases[i]);
}
END_TEST

/* xorshift32: the same mutations in every run. */
static uint32_t
next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void
mutate(struct hb_buf *b, const struct hb_buf *from, uint32_t *random)
{
	static const char spice[] = "\r\n\r\n \t:;,\"\\0159afgxAZ-_+%/?*\x80\xff\x0b";
	size_t at = next_random(random) % from->len, n = 1 + next_random(random) % 8;
	unsigned char byte = (unsigned char)spice[next_random(random) % sizeof(spice)];

	if (n > from->len - at)
		n = from->len - at;
	hb_buf_clear(b);
	hb_buf_add(b, from->data, at);
	switch (next_random(random) % 4) {
	case 0: /* a byte more */
		hb_buf_add_u8(b, byte);
		hb_buf_add(b, from->data + at, from->len - at);
		break;
	case 1: /* another byte */
		hb_buf_add_u8(b, byte);
		hb_buf_add(b, from->data + at + 1, from->len - at - 1);
		break;
	case 2: /* some twice */
		hb_buf_add(b, from->data + at, n);
		hb_buf_add(b, from->data + at, from->len - at);
		break;
	default: /* some away */
		hb_buf_add(b, from->data + at + n, from->len - at - n);
		break;
	}
}

/* Whether llhttp refused by one of the narrower grammars that requests.txt has examples of. */
static bool
narrower(const struct oracle *o, const struct hb_buf *b)
{
	bool tab = memchr(b->data, '\t', b->len) != NULL, extension = memchr(b->data, ';', b->len) != NULL;

	switch (o->error) {
	case HPE_INVALID_METHOD:
		return true;
	case HPE_INVALID_CONTENT_LENGTH:
	case HPE_INVALID_TRANSFER_ENCODING:
		return tab;
	case HPE_INVALID_CHUNK_SIZE:
	case HPE_STRICT:
		return extension;
	default:
		return false;
	}
}

static void
compare_mutations(const struct http_case *c)
{
	uint32_t random = 2463534242u + (uint32_t)c->line;
	struct hb_buf once = HB_BUF_INIT, b = HB_BUF_INIT;

	for (int i = 0; i < MUTATIONS && c->bytes.len < 2000 && c->llhttp == NULL; i++) {
		struct http_run ours;
		struct oracle oracle;
		size_t at;

		mutate(&once, &c->bytes, &random);
		mutate(&b, i % 2 == 0 || once.len == 0 ? &c->bytes : &once, &random);
		http_run(&ours, b.data, b.len, 0, &http_case_limits);
		oracle_run(&oracle, b.data, b.len);
		at = first_difference(&ours, &oracle);
		if (at < ours.count && !(at == oracle.run.count && narrower(&oracle, &b))) {
			fprintf(stderr, "# %.*s\n", (int)b.len, (const char *)b.data);
			ck_abort_msg("line %d: %s, mutation %d: llhttp: %s %s", c->line, c->name, i,
			    llhttp_errno_name(oracle.error), llhttp_get_error_reason(&oracle.parser));
		}
		http_run_free(&ours);
		http_run_free(&oracle.run);
	}
	hb_buf_free(&once);
	hb_buf_free(&b);
}

START_TEST(what_is_accepted_of_mutations_llhttp_frames_the_same)
{
	for (size_t i = 0; i < cases->count; i++)
		compare_mutations(&cases->cases[i]);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("http_llhttp");
	TCase *t = tcase_create("llhttp");

	cases = http_cases_load();
	tcase_add_test(t, what_is_accepted_llhttp_frames_the_same);
	tcase_add_test(t, what_is_accepted_of_mutations_llhttp_frames_the_same);
	suite_add_tcase(suite, t);
	return suite;
}

#else

Suite *
unit_suite(void)
{
	puts("1..0 # SKIP the sources of llhttp are not installed (node-llhttp)");
	exit(0);
}

#endif
