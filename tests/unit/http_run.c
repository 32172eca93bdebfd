/* Runs the parser over bytes and checks what its header promises on the way. */
#include "http_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/target.h"

#define PROMISE(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "http_run: broken promise: %s\n", #what); \
			abort(); \
		} \
	} while (0)

static bool
inside(struct hb_http_span span, size_t len)
{
	return span.off <= len && span.len <= len - span.off;
}

static bool
decodes(const unsigned char *path, size_t len)
{
	unsigned char *out = malloc(len);
	size_t n = hb_http_path_decode(path, len, out);
	bool good = n > 0 && n <= len && memchr(out, '\0', n) == NULL;

	free(out);
	return good;
}

/* What must be true of every head that is let through, whatever came. */
static void
check_head(const struct hb_http_request *r, const unsigned char *p, size_t len, const struct hb_http_limits *limits)
{
	size_t hosts = 0, lengths = 0, codings = 0;

	PROMISE(inside(r->method, len) && r->method.len > 0);
	PROMISE(inside(r->target, len) && r->target.len > 0 && r->target.len <= limits->request_line);
	PROMISE(inside(r->path, len) && r->path.len > 0 && (p[r->path.off] == '/' || r->form == HB_HTTP_ASTERISK));
	PROMISE(decodes(p + r->path.off, r->path.len));
	PROMISE(inside(r->query, len) && inside(r->host, len));
	PROMISE(hb_http_is_token(p + r->method.off, r->method.len));
	PROMISE(r->fields_count <= limits->headers);
	for (size_t i = 0; i < r->fields_count; i++) {
		const struct hb_http_field *f = &r->fields[i];

		PROMISE(inside((struct hb_http_span){ f->name, f->name_len }, len));
		PROMISE(inside((struct hb_http_span){ f->value, f->value_len }, len));
		PROMISE(hb_http_is_token(p + f->name, f->name_len));
		PROMISE(f->value_len == 0 || memchr(p + f->value, '\n', f->value_len) == NULL);
		PROMISE(f->value_len == 0 || memchr(p + f->value, '\r', f->value_len) == NULL);
		PROMISE(f->value_len == 0 || memchr(p + f->value, '\0', f->value_len) == NULL);
		hosts += f->id == HB_HTTP_F_HOST;
		lengths += f->id == HB_HTTP_F_CONTENT_LENGTH;
		codings += f->id == HB_HTTP_F_TRANSFER_ENCODING;
	}
	PROMISE(hosts + (r->minor == 0) >= 1 && hosts <= 1);
	PROMISE(lengths + codings <= 1);
	PROMISE(r->chunked == (codings == 1) && r->has_length == (lengths == 1));
	PROMISE(!r->chunked || r->minor == 1);
	PROMISE(r->content_length <= limits->body);
}

static void
take_head(struct http_run *run, const struct hb_http_parser *parser, const unsigned char *p, size_t used)
{
	const struct hb_http_request *r = &parser->request;
	struct http_message *m = &run->messages[run->count];

	check_head(r, p, used, parser->limits);
	hb_buf_clear(&m->method);
	hb_buf_clear(&m->target);
	hb_buf_clear(&m->body);
	hb_buf_add(&m->method, p + r->method.off, r->method.len);
	hb_buf_add(&m->target, p + r->target.off, r->target.len);
	m->keep_alive = r->keep_alive;
	run->head_fields += r->fields_count;
}

/* Returns false at the end of all. */
static bool
take_end(struct http_run *run, struct hb_http_parser *parser)
{
	const struct http_message *m = &run->messages[run->count];
	bool chunked = parser->request.chunked;

	PROMISE(m->body.len == parser->body_bytes);
	PROMISE(chunked || m->body.len == parser->request.content_length);
	PROMISE(m->body.len <= parser->limits->body);
	run->count++;
	hb_http_parser_reset(parser);
	return m->keep_alive && run->count < HTTP_RUN_MESSAGES;
}

void
http_run(struct http_run *run, const unsigned char *p, size_t len, size_t step,
    const struct hb_http_limits *limits)
{
	struct hb_http_parser parser;
	size_t arrived = 0, used = 0, consumed;
	bool going = true;

	memset(run, 0, sizeof(*run));
	hb_http_parser_init(&parser, limits);
	while (going && arrived < len) {
		enum hb_http_event event;

		arrived = step == 0 || len - arrived < step ? len : arrived + step;
		do {
			event = hb_http_parse(&parser, p + used, arrived - used, &consumed);
			PROMISE(consumed <= arrived - used);
			switch (event) {
			case HB_HTTP_HEAD:
				take_head(run, &parser, p + used, consumed);
				break;
			case HB_HTTP_BODY:
				PROMISE(parser.body.len > 0 && inside(parser.body, consumed));
				hb_buf_add(&run->messages[run->count].body, p + used + parser.body.off,
				    parser.body.len);
				break;
			case HB_HTTP_END:
				going = take_end(run, &parser);
				break;
			case HB_HTTP_ERROR:
				PROMISE(parser.error.status >= 400 && parser.error.cause != NULL);
				run->status = parser.error.status;
				run->cause = parser.error.cause;
				going = false;
				break;
			case HB_HTTP_MORE:
				break;
			}
			used += consumed;
		} while (going && event != HB_HTTP_MORE);
	}
	hb_http_parser_free(&parser);
}

void
http_run_free(struct http_run *run)
{
	for (size_t i = 0; i < HTTP_RUN_MESSAGES; i++) {
		hb_buf_free(&run->messages[i].method);
		hb_buf_free(&run->messages[i].target);
		hb_buf_free(&run->messages[i].body);
	}
}

static bool
same(const struct hb_buf *a, const struct hb_buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

bool
http_run_equal(const struct http_run *a, const struct http_run *b)
{
	if (a->count != b->count || a->status != b->status || a->head_fields != b->head_fields)
		return false;
	if (a->status != 0 && strcmp(a->cause, b->cause) != 0)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same(&a->messages[i].method, &b->messages[i].method) ||
		    !same(&a->messages[i].target, &b->messages[i].target) ||
		    !same(&a->messages[i].body, &b->messages[i].body) ||
		    a->messages[i].keep_alive != b->messages[i].keep_alive)
			return false;
	return true;
}
