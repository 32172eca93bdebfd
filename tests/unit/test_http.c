/*
 * The request parser against tests/data/http/requests.txt: each request whole, byte
 * by byte, and cut in two at every position must give the answers of the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz_http.h"
#include "http_cases.h"
#include "unit.h"

/* ck_assert_msg writes to a file each time that it holds. */
#define EXPECT(what, ...) \
	do { \
		if (!(what)) \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

static struct http_cases *cases;

/* A client's bytes, how many of them have arrived, and the parser that reads them. */
struct feed {
	const struct http_case *c;
	const struct hb_http_limits *limits;
	struct hb_http_parser parser;
	unsigned char *head; /* a copy of the head in memory of its size, so that ASan sees overreads */
	struct hb_buf body;
	size_t arrived, used;
};

static bool
span_is(const unsigned char *data, struct hb_http_span span, const char *text)
{
	return span.len == strlen(text) && memcmp(data + span.off, text, span.len) == 0;
}

static bool
has_field(const struct feed *f, const struct http_answer *a)
{
	const struct hb_http_request *r = &f->parser.request;

	for (size_t i = 0; i < r->fields_count; i++) {
		const struct hb_http_field *field = &r->fields[i];

		if (hb_http_equal(f->head + field->name, field->name_len, a->field))
			return field->value_len == a->value.len &&
			    (a->value.len == 0 || memcmp(f->head + field->value, a->value.data, a->value.len) == 0);
	}
	return false;
}

static void
check_head(const struct feed *f, const struct http_answer *a)
{
	const struct hb_http_request *r = &f->parser.request;

	EXPECT(a->status == 0 && !a->more, "accepted: %s (line %d)", f->c->name, f->c->line);
	EXPECT(span_is(f->head, r->method, a->method), "method of: %s", f->c->name);
	EXPECT(strcmp(a->target, "...") == 0 || span_is(f->head, r->target, a->target), "target of: %s", f->c->name);
	EXPECT(r->keep_alive == a->keep_alive, "keep-alive of: %s", f->c->name);
	if (a->host != NULL)
		EXPECT(span_is(f->head, r->host, a->host), "host of: %s", f->c->name);
	if (a->path != NULL)
		EXPECT(span_is(f->head, r->path, a->path), "path of: %s", f->c->name);
	if (a->query != NULL)
		EXPECT(r->has_query && span_is(f->head, r->query, a->query), "query of: %s", f->c->name);
	if (a->field != NULL)
		EXPECT(has_field(f, a), "field %s of: %s", a->field, f->c->name);
	for (size_t i = 0; i < r->fields_count; i++)
		if (r->fields[i].id == HB_HTTP_F_HOST && a->host != NULL)
			EXPECT(span_is(f->head,
					  (struct hb_http_span){ r->fields[i].value, r->fields[i].value_len },
					  a->host),
			    "Host field of: %s", f->c->name);
}

/* The len bytes at p in a block of memory of exactly that size. */
static unsigned char *
exact_copy(const unsigned char *p, size_t len)
{
	unsigned char *copy = malloc(len > 0 ? len : 1);

	EXPECT(copy != NULL, "out of memory");
	if (len > 0)
		memcpy(copy, p, len);
	return copy;
}

/* The next event.  Of long requests only the head is copied, or they would take their length squared. */
static enum hb_http_event
next_event(struct feed *f)
{
	size_t len = f->arrived - f->used, consumed;
	unsigned char *copy = f->c->bytes.len < 2000 ? exact_copy(f->c->bytes.data + f->used, len) : NULL;
	const unsigned char *data = copy != NULL ? copy : f->c->bytes.data + f->used;
	enum hb_http_event event = hb_http_parse(&f->parser, data, len, &consumed);

	EXPECT(consumed <= len, "consumed more than there is: %s", f->c->name);
	if (event == HB_HTTP_BODY) {
		EXPECT(f->parser.body.len > 0, "empty span: %s", f->c->name);
		EXPECT((size_t)f->parser.body.off + f->parser.body.len <= consumed, "span of: %s", f->c->name);
		hb_buf_add(&f->body, data + f->parser.body.off, f->parser.body.len);
	}
	if (event == HB_HTTP_HEAD) {
		free(f->head);
		f->head = exact_copy(data, consumed);
	}
	f->used += consumed;
	free(copy);
	return event;
}

/* Reads what has arrived; moves *answer on.  Returns whether the parser wants more. */
static bool
drain(struct feed *f, size_t *answer)
{
	for (;;) {
		const struct http_answer *a = &f->c->answers[*answer];

		switch (next_event(f)) {
		case HB_HTTP_MORE:
			return true;
		case HB_HTTP_HEAD:
			EXPECT(*answer < f->c->answers_count, "one request too many: %s", f->c->name);
			if (!a->more && a->status == 0)
				check_head(f, a);
			break;
		case HB_HTTP_BODY:
			break;
		case HB_HTTP_END:
			EXPECT(a->status == 0 && !a->more, "accepted: %s (line %d)", f->c->name,
			    f->c->line);
			EXPECT(f->body.len == a->body.len &&
				memcmp(f->body.data ? (void *)f->body.data : "",
				    a->body.data ? (void *)a->body.data : "", a->body.len) == 0,
			    "body of: %s", f->c->name);
			EXPECT(f->parser.body_bytes == f->body.len, "body_bytes of: %s", f->c->name);
			hb_buf_clear(&f->body);
			hb_http_parser_reset(&f->parser);
			(*answer)++;
			if (!a->keep_alive)
				return false; /* what is behind it is not looked at */
			if (f->used == f->arrived && *answer == f->c->answers_count)
				return true;
			break;
		case HB_HTTP_ERROR:
			EXPECT(f->parser.error.status == a->status && *answer < f->c->answers_count,
			    "line %d: %s: expected %u, got %u, %s", f->c->line, f->c->name, a->status,
			    f->parser.error.status, f->parser.error.cause);
			EXPECT(f->parser.error.rule != NULL, "rule of: %s", f->c->name);
			(*answer)++;
			return false;
		}
	}
}

/* Feeds the case in three parts, up to first, up to second, all; or byte by byte where first is 0. */
static void
run(const struct http_case *c, size_t first, size_t second)
{
	struct feed f = { .c = c, .limits = &http_case_limits };
	size_t answer = 0;
	bool more = true;

	hb_http_parser_init(&f.parser, f.limits);
	while (more && f.arrived < c->bytes.len) {
		if (first == 0)
			f.arrived++;
		else
			f.arrived = f.arrived < first ? first : f.arrived < second ? second : c->bytes.len;
		more = drain(&f, &answer);
	}
	if (more && answer < c->answers_count) {
		EXPECT(c->answers[answer].more, "line %d: %s: no answer", c->line, c->name);
		answer++;
	}
	EXPECT(answer == c->answers_count, "line %d: %s: answers are missing", c->line, c->name);
	hb_http_parser_free(&f.parser);
	hb_buf_free(&f.body);
	free(f.head);
}

static void
run_every_way(const struct http_case *c)
{
	size_t len = c->bytes.len;

	run(c, len, 0);
	run(c, 0, 0);
	/* Long requests are cut at fewer places: all of the first and last 60, and some between. */
	for (size_t at = 1; at < len; at++)
		if (len < 2000 || at < 60 || len - at < 60 || at % 2003 == 0)
			run(c, at, at + at % 7 < len ? at + at % 7 : at);
}

/* A process a test: with one for each request most of the time would go into fork. */
#define BATCH 25

START_TEST(each_request_gets_its_answer_however_it_arrives)
{
	for (size_t i = (size_t)_i * BATCH; i < cases->count && i < (size_t)(_i + 1) * BATCH; i++)
		run_every_way(&cases->cases[i]);
}
END_TEST

START_TEST(what_the_fuzz_target_checks_holds_of_each_request)
{
	for (size_t i = 0; i < cases->count; i++) {
		struct hb_buf *b = &cases->cases[i].bytes;

		LLVMFuzzerTestOneInput(b->data, b->len);
		/* And with single bytes changed. */
		for (size_t at = i % 5; at < b->len && b->len < 300; at += 5) {
			b->data[at] ^= (unsigned char)(1 << at % 8);
			LLVMFuzzerTestOneInput(b->data, b->len);
			b->data[at] ^= (unsigned char)(1 << at % 8);
		}
	}
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("http");
	TCase *t = tcase_create("requests");
	int n;

	cases = http_cases_load();
	n = (int)((cases->count + BATCH - 1) / BATCH);
	tcase_add_loop_test(t, each_request_gets_its_answer_however_it_arrives, 0, n);
	tcase_add_test(t, what_the_fuzz_target_checks_holds_of_each_request);
	suite_add_tcase(suite, t);
	return suite;
}
