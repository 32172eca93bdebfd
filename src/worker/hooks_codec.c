/* Terms of hooks: see hooks_codec.h. */
#include "worker/hooks_codec.h"

#include <stdlib.h>
#include <string.h>

#include "link/proto.h"
#include "term/term.h"

void
hb_hook_begin(struct hb_buf *b)
{
	b->failed = false;
	hb_buf_clear(b);
	if (hb_buf_reserve(b, HB_LINK_HEADER) == NULL)
		return;
	b->len = HB_LINK_HEADER;
	hb_term_put_version(b);
}

static void
put_span(struct hb_buf *b, const unsigned char *data, struct hb_http_span s)
{
	hb_term_put_binary(b, data + s.off, s.len);
}

static void
put_lower(struct hb_buf *b, const void *name, size_t len)
{
	hb_term_put_binary(b, name, len);
	if (b->failed)
		return;
	for (unsigned char *p = b->data + b->len - len; p < b->data + b->len; p++)
		if (hb_http_token[*p] != 0)
			*p = hb_http_token[*p];
}

static void
put_fields(struct hb_buf *b, const struct hb_hook_request *r)
{
	const struct hb_http_request *head = r->head;
	/* HTTP/1.0 needs no Host field; the hook is told the target's host all the same, as the application is. */
	bool host = head->host.len > 0 && hb_http_find(head, HB_HTTP_F_HOST) == NULL;

	hb_term_put_list(b, (uint32_t)(2 * (head->fields_count + host)));
	for (size_t i = 0; i < head->fields_count; i++) {
		const struct hb_http_field *f = &head->fields[i];

		if (f->id == HB_HTTP_F_OTHER)
			put_lower(b, r->data + f->name, f->name_len);
		else
			hb_term_put_binary(b, hb_http_names[f->id].text, hb_http_names[f->id].len);
		hb_term_put_binary(b, r->data + f->value, f->value_len);
	}
	if (host) {
		hb_term_put_str(b, "host");
		put_span(b, r->data, head->host);
	}
	if (head->fields_count + host > 0)
		hb_term_put_nil(b);
}

void
hb_hook_put_request(struct hb_buf *b, const struct hb_hook_request *r)
{
	const struct hb_http_request *head = r->head;

	hb_term_put_tuple(b, 10);
	put_span(b, r->data, head->method);
	hb_term_put_binary(b, r->path, r->path_len);
	put_span(b, r->data, head->query);
	hb_term_put_str(b, head->minor == 0 ? "1.0" : "1.1");
	hb_term_put_str(b, r->secure ? "https" : "http");
	hb_term_put_str(b, r->remote_addr);
	hb_term_put_int(b, atoi(r->remote_port));
	hb_term_put_str(b, r->mount == NULL ? "" : *r->mount == '\0' ? "/" : r->mount);
	put_fields(b, r);
	hb_term_put_binary(b, r->own != NULL ? r->own : (const unsigned char *)"", r->own_len);
}

size_t
hb_hook_first_line(const struct hb_buf *head)
{
	const unsigned char *lf = memchr(head->data, '\n', head->len);

	return lf != NULL ? (size_t)(lf - head->data) + 1 : head->len;
}

bool
hb_hook_next_line(const struct hb_buf *head, size_t *pos, struct hb_py_field *field)
{
	const unsigned char *line = head->data + *pos, *lf, *colon;

	if (*pos >= head->len)
		return false;
	lf = memchr(line, '\n', head->len - *pos);
	colon = memchr(line, ':', head->len - *pos);
	if (lf == NULL || colon == NULL || colon + 2 > lf - 1)
		return false;
	*field = (struct hb_py_field){
		.name = (const char *)line,
		.name_len = (size_t)(colon - line),
		.value = (const char *)colon + 2,
		.value_len = (size_t)(lf - 1 - (colon + 2)),
	};
	*pos = (size_t)(lf + 1 - head->data);
	return true;
}

void
hb_hook_put_response(struct hb_buf *b, unsigned status, const struct hb_buf *head, int64_t declared,
    const struct hb_buf *body)
{
	struct hb_py_field f;
	uint32_t count = declared >= 0;
	struct hb_buf number = HB_BUF_INIT;

	hb_term_put_uint(b, status);
	for (size_t pos = hb_hook_first_line(head); hb_hook_next_line(head, &pos, &f);)
		count++;
	hb_term_put_list(b, 2 * count);
	for (size_t pos = hb_hook_first_line(head); hb_hook_next_line(head, &pos, &f);) {
		put_lower(b, f.name, f.name_len);
		hb_term_put_binary(b, f.value, f.value_len);
	}
	if (declared >= 0) {
		hb_buf_printf(&number, "%lld", (long long)declared);
		hb_term_put_str(b, "content-length");
		hb_term_put_binary(b, number.data, number.len);
		b->failed = b->failed || number.failed;
		hb_buf_free(&number);
	}
	if (count > 0)
		hb_term_put_nil(b);
	if (body != NULL)
		hb_term_put_binary(b, body->len > 0 ? body->data : (const unsigned char *)"", body->len);
	else
		hb_term_put_nil(b);
}

void
hb_hook_put_python_error(struct hb_buf *b, const char *type, const char *text, size_t len)
{
	hb_term_put_version(b);
	hb_term_put_tuple(b, 3);
	hb_term_put_atom(b, "python_error");
	hb_term_put_str(b, type);
	hb_term_put_binary(b, text, len);
}

/* A binary: or the atom same, for which p is NULL. */
static int
read_text(struct hb_term_reader *r, struct hb_py_text *text, struct hb_error *err)
{
	struct hb_term_token t;

	if (hb_term_next(r, &t, err) == -1)
		return -1;
	*text = (struct hb_py_text){NULL, 0};
	if (t.type == HB_TERM_ATOM && t.len == 4 && memcmp(t.text, "same", 4) == 0)
		return 0;
	if (t.type != HB_TERM_BINARY)
		return hb_error_set(err, HB_ERROR_PROTOCOL, "a hook's reply has something else than a binary");
	*text = (struct hb_py_text){(const char *)t.text, t.len};
	return 0;
}

static int
read_status(struct hb_term_reader *r, unsigned *status, struct hb_error *err)
{
	struct hb_term_token t;

	if (hb_term_next(r, &t, err) == -1)
		return -1;
	*status = 0;
	if (t.type == HB_TERM_ATOM)
		return 0;
	if (t.type != HB_TERM_INT || t.i < 200 || t.i > 999)
		return hb_error_set(err, HB_ERROR_PROTOCOL, "a hook's reply has no status");
	*status = (unsigned)t.i;
	return 0;
}

/* A list of binaries. */
static int
read_texts(struct hb_term_reader *r, struct hb_py_text **texts, size_t *count, struct hb_error *err)
{
	uint32_t n;

	if (hb_term_want_list(r, &n, err) == -1)
		return -1;
	*texts = calloc((size_t)n + 1, sizeof **texts);
	if (*texts == NULL)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	for (*count = 0; *count < n; ++*count)
		if (read_text(r, &(*texts)[*count], err) == -1)
			return -1;
	return hb_term_want_close(r, err);
}

/* A list of names, each with its value behind it. */
static int
read_fields(struct hb_term_reader *r, struct hb_hook_reply *reply, struct hb_error *err)
{
	struct hb_py_text *texts = NULL;
	size_t count = 0;
	int rc = read_texts(r, &texts, &count, err);

	if (rc == 0 && count % 2 != 0)
		rc = hb_error_set(err, HB_ERROR_PROTOCOL, "a hook's reply has a name without a value");
	if (rc == 0) {
		reply->fields = calloc(count / 2 + 1, sizeof *reply->fields);
		if (reply->fields == NULL)
			rc = hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	}
	for (size_t i = 0; rc == 0 && i < count; i += 2)
		reply->fields[reply->fields_count++] = (struct hb_py_field){texts[i].p, texts[i + 1].p, texts[i].len,
		    texts[i + 1].len};
	free(texts);
	return rc;
}

static int
read_request(struct hb_term_reader *r, struct hb_hook_reply *reply, struct hb_error *err)
{
	if (read_text(r, &reply->method, err) == -1 || read_text(r, &reply->path, err) == -1 ||
	    read_text(r, &reply->query, err) == -1 || read_fields(r, reply, err) == -1 ||
	    read_texts(r, &reply->removed, &reply->removed_count, err) == -1 || read_text(r, &reply->own, err) == -1)
		return -1;
	if (reply->own.len == 0)
		reply->own.p = NULL;
	return read_texts(r, &reply->ignored, &reply->ignored_count, err);
}

static int
read_response(struct hb_term_reader *r, struct hb_hook_reply *reply, struct hb_error *err)
{
	if (read_status(r, &reply->status, err) == -1 || read_fields(r, reply, err) == -1 ||
	    read_texts(r, &reply->removed, &reply->removed_count, err) == -1 || read_text(r, &reply->body, err) == -1)
		return -1;
	return read_texts(r, &reply->ignored, &reply->ignored_count, err);
}

static int
read_answer(struct hb_term_reader *r, struct hb_hook_reply *reply, struct hb_error *err)
{
	if (read_status(r, &reply->status, err) == -1 || read_fields(r, reply, err) == -1 ||
	    read_text(r, &reply->body, err) == -1)
		return -1;
	if (reply->status == 0 || reply->body.p == NULL)
		return hb_error_set(err, HB_ERROR_PROTOCOL, "a hook's answer has no status or no body");
	return 0;
}

static int
read_failed(struct hb_term_reader *r, struct hb_hook_reply *reply, struct hb_error *err)
{
	return read_text(r, &reply->error, err);
}

static int
read_raised(struct hb_term_reader *r, struct hb_hook_reply *reply, struct hb_error *err)
{
	if (hb_term_skip(r, err) == -1)
		return -1;
	reply->raised.p = (const char *)r->p;
	if (hb_term_skip(r, err) == -1)
		return -1;
	reply->raised.len = (size_t)((const char *)r->p - reply->raised.p);
	return hb_term_skip(r, err);
}

static const struct {
	const char *name;
	uint32_t arity;
	enum hb_hook_outcome outcome;
	int (*read)(struct hb_term_reader *r, struct hb_hook_reply *reply, struct hb_error *err);
} shapes[] = {
	{"request", 8, HB_HOOK_REQUEST, read_request},
	{"response", 6, HB_HOOK_RESPONSE, read_response},
	{"answer", 4, HB_HOOK_ANSWER, read_answer},
	{"failed", 2, HB_HOOK_FAILED, read_failed},
	{"raised", 4, HB_HOOK_FAILED, read_raised},
};

int
hb_hook_reply_read(struct hb_hook_reply *reply, const unsigned char *payload, size_t len, struct hb_error *err)
{
	struct hb_term_reader r;
	struct hb_term_token t;
	char name[16];

	*reply = (struct hb_hook_reply){.outcome = HB_HOOK_CONTINUE};
	if (hb_term_open(&r, payload, len, err) == -1 || hb_term_next(&r, &t, err) == -1)
		return -1;
	if (t.type == HB_TERM_ATOM && t.len == 8 && memcmp(t.text, "continue", 8) == 0)
		return 0;
	if (t.type != HB_TERM_TUPLE || hb_term_want_atom(&r, name, sizeof name, err) == -1)
		return hb_error_set(err, HB_ERROR_PROTOCOL, "not a reply about a hook");
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
		if (strcmp(name, shapes[i].name) == 0 && t.count == shapes[i].arity) {
			reply->outcome = shapes[i].outcome;
			return shapes[i].read(&r, reply, err);
		}
	return hb_error_set(err, HB_ERROR_PROTOCOL, "not a reply about a hook: %s", name);
}

void
hb_hook_reply_free(struct hb_hook_reply *reply)
{
	free(reply->fields);
	free(reply->removed);
	free(reply->ignored);
	*reply = (struct hb_hook_reply){.outcome = HB_HOOK_CONTINUE};
}
