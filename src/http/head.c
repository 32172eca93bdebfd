/* The request line and the header section, line by line (RFC 9112 2, 3, 5). */
#include "http/parse.h"

#include <stdlib.h>
#include <string.h>

#include "http/target.h"

/* RFC 9112 2.2 asks for at least one; some clients send more behind a body. */
#define EMPTY_LINES_MAX 4
/* The longest in IANA's registry has 17 characters. */
#define METHOD_MAX 32
#define FIELDS_FIRST 16

enum hb_http_method
hb_http_method_lookup(const unsigned char *p, size_t len)
{
	static const struct {
		char name[8];
		uint8_t len, id;
	} methods[] = {
		{ "GET", 3, HB_HTTP_M_GET },
		{ "POST", 4, HB_HTTP_M_POST },
		{ "HEAD", 4, HB_HTTP_M_HEAD },
		{ "PUT", 3, HB_HTTP_M_PUT },
		{ "DELETE", 6, HB_HTTP_M_DELETE },
		{ "OPTIONS", 7, HB_HTTP_M_OPTIONS },
		{ "PATCH", 5, HB_HTTP_M_PATCH },
		{ "CONNECT", 7, HB_HTTP_M_CONNECT },
		{ "TRACE", 5, HB_HTTP_M_TRACE },
	};

	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (methods[i].len == len && memcmp(methods[i].name, p, len) == 0)
			return (enum hb_http_method)methods[i].id;
	return HB_HTTP_M_OTHER;
}

static int
parse_version(struct hb_http_parser *p, const unsigned char *v, size_t len)
{
	if (len != 8 || memcmp(v, "HTTP/", 5) != 0 || v[5] < '0' || v[5] > '9' || v[6] != '.' || v[7] < '0' ||
	    v[7] > '9') {
		hb_http_fail(p, 400, "malformed version in the request line", "RFC 9112 2.3");
		return -1;
	}
	if (v[5] != '1' || v[7] > '1') {
		hb_http_fail(p, 505, "HTTP version other than 1.0 and 1.1", "RFC 9110 15.6.6");
		return -1;
	}
	p->request.minor = (uint8_t)(v[7] - '0');
	return 0;
}

/* The request line of len bytes, without its CRLF, at p->line. */
static int
parse_request_line(struct hb_http_parser *p, const unsigned char *data, size_t len)
{
	struct hb_http_request *r = &p->request;
	const unsigned char *line = data + p->line, *end = line + len, *target, *version;

	target = memchr(line, ' ', len);
	version = target == NULL ? NULL : memchr(target + 1, ' ', (size_t)(end - target - 1));
	if (version == NULL || version == target + 1) {
		hb_http_fail(p, 400, "request line is not METHOD TARGET VERSION", "RFC 9112 3");
		return -1;
	}
	if (!hb_http_is_token(line, (size_t)(target - line))) {
		hb_http_fail(p, 400, "byte that a method cannot hold", "RFC 9112 3.1");
		return -1;
	}
	if (parse_version(p, version + 1, (size_t)(end - version - 1)) != 0)
		return -1;
	if (target - line > METHOD_MAX) {
		hb_http_fail(p, 501, "method too long", "RFC 9112 3");
		return -1;
	}
	r->method = (struct hb_http_span){ p->line, (uint32_t)(target - line) };
	r->method_id = hb_http_method_lookup(line, r->method.len);
	r->target.off = (uint32_t)(target + 1 - data);
	r->target.len = (uint32_t)(version - target - 1);
	if (hb_http_target_parse(r, data, p->limits->secure, &p->error) != 0) {
		p->state = HB_HTTP_S_ERROR;
		return -1;
	}
	return 0;
}

static struct hb_http_field *
new_field(struct hb_http_parser *p)
{
	size_t n = p->request.fields_count;

	if (n >= p->limits->headers) {
		hb_http_fail(p, 431, "too many fields in the header section", "RFC 6585 5");
		return NULL;
	}
	if (n == p->table_size) {
		size_t size = n == 0 ? FIELDS_FIRST : n * 2;
		struct hb_http_field *table = realloc(p->table, size * sizeof(*table));

		if (table == NULL) {
			hb_http_fail(p, 503, "out of memory", "RFC 9110 15.6.4");
			return NULL;
		}
		p->table = p->request.fields = table;
		p->table_size = size;
	}
	return &p->table[n];
}

static int
parse_field(struct hb_http_parser *p, const unsigned char *data, size_t len)
{
	struct hb_http_field *field = new_field(p);

	if (field == NULL || hb_http_field_line(p, data, p->line, len, field) != 0)
		return -1;
	p->request.fields_count++;
	return field->id == HB_HTTP_F_OTHER ? 0 : hb_http_note(p, data, field);
}

/* Skips empty lines and looks at the first byte of the request line.  Returns MORE while neither is there. */
static enum hb_http_event
start(struct hb_http_parser *p, const unsigned char *data, size_t len)
{
	while (p->line < len) {
		unsigned char c = data[p->line];

		if (c == '\r') {
			if (p->line + 1 == len)
				return HB_HTTP_MORE;
			if (data[p->line + 1] != '\n')
				return hb_http_fail(p, 400, "bare CR in front of a request line", "RFC 9112 2.2");
			if (p->empty_lines++ == EMPTY_LINES_MAX)
				return hb_http_fail(p, 400, "empty lines instead of a request", "RFC 9112 2.2");
			p->line += 2;
			continue;
		}
		if (hb_http_token[c] == 0)
			return hb_http_fail(p, 400, "does not start with a method", "RFC 9112 3");
		p->scan = p->section = p->line;
		p->state = HB_HTTP_S_REQUEST_LINE;
		return HB_HTTP_HEAD;
	}
	return HB_HTTP_MORE;
}

enum hb_http_event
hb_http_head(struct hb_http_parser *p, const unsigned char *data, size_t len, size_t *consumed)
{
	if (p->state == HB_HTTP_S_START) {
		enum hb_http_event event = start(p, data, len);

		if (p->state != HB_HTTP_S_REQUEST_LINE)
			return event;
	}
	for (;;) {
		bool first = p->state == HB_HTTP_S_REQUEST_LINE;
		size_t lf, limit = first ? p->limits->request_line : p->limits->header;

		switch (hb_http_line(p, data, len, p->line - p->section, limit, &lf)) {
		case HB_HTTP_LINE_PART:
			return HB_HTTP_MORE;
		case HB_HTTP_LINE_LONG:
			if (first)
				return hb_http_fail(p, 414, "request line too long", "RFC 9110 15.5.15");
			return hb_http_fail(p, 431, "header section too large", "RFC 6585 5");
		case HB_HTTP_LINE:
			break;
		}
		if (lf == p->line || data[lf - 1] != '\r')
			return hb_http_fail(p, 400, "bare LF in the head", "RFC 9112 2.2");
		if (first) {
			if (parse_request_line(p, data, lf - 1 - p->line) != 0)
				return HB_HTTP_ERROR;
			p->section = (uint32_t)(lf + 1);
			p->state = HB_HTTP_S_FIELDS;
		} else if (lf - 1 > p->line) {
			if (parse_field(p, data, lf - 1 - p->line) != 0)
				return HB_HTTP_ERROR;
		} else {
			if (hb_http_conclude(p) != 0)
				return HB_HTTP_ERROR;
			*consumed = lf + 1;
			return HB_HTTP_HEAD;
		}
		p->line = p->scan = (uint32_t)(lf + 1);
	}
}
