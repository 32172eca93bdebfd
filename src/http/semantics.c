/*
 * What the fields say about the message: framing (RFC 9112 6), Host (RFC 9112 3.2),
 * persistence (RFC 9112 9.3), expectations (RFC 9110 10.1.1), Upgrade (RFC 9110 7.8).
 */
#include "http/parse.h"

#include <stdio.h>

#include "http/target.h"

static int
fail(struct hb_http_parser *p, unsigned status, const char *cause, const char *rule)
{
	hb_http_fail(p, status, cause, rule);
	return -1;
}

static int
note_host(struct hb_http_parser *p, const unsigned char *value, const struct hb_http_field *field)
{
	if (p->seen & HB_HTTP_SEEN_HOST)
		return fail(p, 400, "more than one Host", "RFC 9112 3.2");
	if (!hb_http_is_authority(value, field->value_len, true))
		return fail(p, 400, "bad Host", "RFC 9112 3.2");
	p->seen |= HB_HTTP_SEEN_HOST;
	if (p->request.form != HB_HTTP_ABSOLUTE)
		p->request.host = (struct hb_http_span){ field->value, field->value_len };
	return 0;
}

static int
note_length(struct hb_http_parser *p, const unsigned char *value, size_t len)
{
	uint64_t n = 0;

	if (p->seen & HB_HTTP_SEEN_LENGTH)
		return fail(p, 400, "more than one Content-Length", "RFC 9112 6.3");
	p->seen |= HB_HTTP_SEEN_LENGTH;
	if (len == 0)
		return fail(p, 400, "Content-Length without a number", "RFC 9112 6.3");
	for (size_t i = 0; i < len; i++)
		if (value[i] < '0' || value[i] > '9')
			return fail(p, 400, "Content-Length is not a number", "RFC 9112 6.3");
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)(value[i] - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return fail(p, 413, "Content-Length beyond any limit", "RFC 9110 8.6");
		n = n * 10 + digit;
	}
	p->request.has_length = true;
	p->request.content_length = n;
	return 0;
}

static int
note_coding(struct hb_http_parser *p, const unsigned char *value, size_t len)
{
	size_t pos = 0, off, elen, chunked = 0, others = 0;
	bool last = false;

	if (p->seen & HB_HTTP_SEEN_CODING)
		return fail(p, 400, "more than one Transfer-Encoding", "RFC 9112 6.1");
	p->seen |= HB_HTTP_SEEN_CODING;
	if (p->request.minor == 0)
		return fail(p, 400, "Transfer-Encoding in HTTP/1.0", "RFC 9112 6.1");
	p->request.chunked = true;
	if (hb_http_equal(value, len, "chunked"))
		return 0;

	while (hb_http_list_next(value, len, &pos, &off, &elen)) {
		last = hb_http_equal(value + off, elen, "chunked");
		if (last)
			chunked++;
		else if (hb_http_is_token(value + off, elen))
			others++;
		else
			return fail(p, 400, "malformed Transfer-Encoding", "RFC 9112 6.1");
	}
	if (chunked != 1 || !last)
		return fail(p, 400, "Transfer-Encoding does not end in one chunked", "RFC 9112 6.3");
	if (others > 0)
		return fail(p, 501, "transfer coding besides chunked", "RFC 9112 6.1");
	return fail(p, 400, "empty element in Transfer-Encoding", "RFC 9112 6.1");
}

static void
note_connection(struct hb_http_parser *p, const unsigned char *value, size_t len)
{
	size_t pos = 0, off, elen;

	while (hb_http_list_next(value, len, &pos, &off, &elen)) {
		if (hb_http_equal(value + off, elen, "close"))
			p->seen |= HB_HTTP_SEEN_CLOSE;
		else if (hb_http_equal(value + off, elen, "keep-alive"))
			p->seen |= HB_HTTP_SEEN_KEEP_ALIVE;
		else if (hb_http_equal(value + off, elen, "upgrade"))
			p->seen |= HB_HTTP_SEEN_UPGRADE_OPTION;
	}
}

static void
note_expect(struct hb_http_parser *p, const unsigned char *value, size_t len)
{
	size_t pos = 0, off, elen;

	while (hb_http_list_next(value, len, &pos, &off, &elen))
		p->seen |= hb_http_equal(value + off, elen, "100-continue") ? HB_HTTP_SEEN_CONTINUE
		                                                             : HB_HTTP_SEEN_EXPECTATION;
}

int
hb_http_note(struct hb_http_parser *p, const unsigned char *data, const struct hb_http_field *field)
{
	const unsigned char *value = data + field->value;

	/* The other fields say nothing to the server: hence the default. */
	switch (field->id) {
	case HB_HTTP_F_HOST:
		return note_host(p, value, field);
	case HB_HTTP_F_CONTENT_LENGTH:
		return note_length(p, value, field->value_len);
	case HB_HTTP_F_TRANSFER_ENCODING:
		return note_coding(p, value, field->value_len);
	case HB_HTTP_F_CONNECTION:
		note_connection(p, value, field->value_len);
		return 0;
	case HB_HTTP_F_EXPECT:
		note_expect(p, value, field->value_len);
		return 0;
	case HB_HTTP_F_UPGRADE:
		p->seen |= HB_HTTP_SEEN_UPGRADE;
		return 0;
	case HB_HTTP_F_FORWARDED:
	case HB_HTTP_F_X_FORWARDED_FOR:
	case HB_HTTP_F_X_FORWARDED_HOST:
	case HB_HTTP_F_X_FORWARDED_PROTO:
		p->request.forwarded = true;
		return 0;
	default:
		return 0;
	}
}

void
hb_http_replace_host(struct hb_http_request *r, struct hb_http_span host)
{
	r->host = host;
	for (size_t i = 0; i < r->fields_count; i++)
		if (r->fields[i].id == HB_HTTP_F_HOST) {
			r->fields[i].value = host.off;
			r->fields[i].value_len = host.len;
		}
}

void
hb_http_request_text(const struct hb_http_request *r, const unsigned char *data, char out[HB_HTTP_REQUEST_TEXT])
{
	snprintf(out, HB_HTTP_REQUEST_TEXT, "%.*s %.*s", (int)r->method.len, (const char *)data + r->method.off,
	    (int)(r->path.len < 300 ? r->path.len : 300), (const char *)data + r->path.off);
}

int
hb_http_conclude(struct hb_http_parser *p)
{
	struct hb_http_request *r = &p->request;
	bool current = r->minor == 1;

	if (current && !(p->seen & HB_HTTP_SEEN_HOST))
		return fail(p, 400, "no Host", "RFC 9112 3.2");
	if (r->chunked && r->has_length)
		return fail(p, 400, "Content-Length with Transfer-Encoding", "RFC 9112 6.3");
	if (r->content_length > p->limits->body)
		return fail(p, 413, "body too large", "RFC 9110 15.5.14");
	if (p->seen & HB_HTTP_SEEN_EXPECTATION)
		return fail(p, 417, "expectation other than 100-continue", "RFC 9110 10.1.1");

	/* The authority of the absolute-form stands for the Host field (RFC 9112 3.2.2). */
	if (r->form == HB_HTTP_ABSOLUTE)
		hb_http_replace_host(r, r->host);
	r->keep_alive = !(p->seen & HB_HTTP_SEEN_CLOSE) && (current || (p->seen & HB_HTTP_SEEN_KEEP_ALIVE));
	r->upgrade = current && (p->seen & HB_HTTP_SEEN_UPGRADE) && (p->seen & HB_HTTP_SEEN_UPGRADE_OPTION);
	r->expect_continue = current && (p->seen & HB_HTTP_SEEN_CONTINUE) && hb_http_has_body(r);
	p->left = r->content_length;
	if (r->chunked)
		p->state = HB_HTTP_S_CHUNK_SIZE;
	else
		p->state = p->left > 0 ? HB_HTTP_S_LENGTH : HB_HTTP_S_END;
	return 0;
}
