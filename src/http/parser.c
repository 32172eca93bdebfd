/* The parser's life, lines and fields; the states of a body of known length. */
#include "http/parse.h"

#include <stdlib.h>
#include <string.h>

void
hb_http_parser_init(struct hb_http_parser *p, const struct hb_http_limits *limits)
{
	memset(p, 0, sizeof(*p));
	p->limits = limits;
}

void
hb_http_parser_reset(struct hb_http_parser *p)
{
	struct hb_http_field *table = p->table;
	size_t table_size = p->table_size;

	hb_http_parser_init(p, p->limits);
	p->table = table;
	p->table_size = table_size;
	p->request.fields = table;
}

void
hb_http_parser_free(struct hb_http_parser *p)
{
	free(p->table);
	hb_http_parser_init(p, p->limits);
}

enum hb_http_event
hb_http_fail(struct hb_http_parser *p, unsigned status, const char *cause, const char *rule)
{
	p->error = (struct hb_http_failure){ status, cause, rule };
	p->state = HB_HTTP_S_ERROR;
	return HB_HTTP_ERROR;
}

enum hb_http_line
hb_http_line(struct hb_http_parser *p, const unsigned char *data, size_t len, size_t before, size_t limit,
    size_t *lf)
{
	const unsigned char *found = p->scan < len ? memchr(data + p->scan, '\n', len - p->scan) : NULL;
	size_t end = found != NULL ? (size_t)(found - data) : len;

	if (before + (end - p->line) > limit + 1) /* the CR is not counted */
		return HB_HTTP_LINE_LONG;
	if (found == NULL) {
		p->scan = (uint32_t)len;
		return HB_HTTP_LINE_PART;
	}
	*lf = end;
	return HB_HTTP_LINE;
}

int
hb_http_field_line(struct hb_http_parser *p, const unsigned char *data, size_t at, size_t len,
    struct hb_http_field *field)
{
	const unsigned char *line = data + at;
	size_t name = 0, start, end = len;
	bool underscore = false;

	if (line[0] == ' ' || line[0] == '\t') {
		hb_http_fail(p, 400, "folded field or white space in front of a field", "RFC 9112 5.2");
		return -1;
	}
	while (name < len && hb_http_token[line[name]] != 0)
		underscore |= line[name++] == '_';
	if (name == len || line[name] != ':') {
		if (name == len)
			hb_http_fail(p, 400, "field without a colon", "RFC 9112 5");
		else if (line[name] == ' ' || line[name] == '\t')
			hb_http_fail(p, 400, "white space in or behind a field's name", "RFC 9112 5.1");
		else
			hb_http_fail(p, 400, "byte that a field's name cannot hold", "RFC 9110 5.1");
		return -1;
	}
	if (name == 0) {
		hb_http_fail(p, 400, "field without a name", "RFC 9112 5");
		return -1;
	}
	if (name > UINT16_MAX) {
		hb_http_fail(p, 431, "name of a field too long", "RFC 6585 5");
		return -1;
	}
	start = name + 1;
	while (start < end && (line[start] == ' ' || line[start] == '\t'))
		start++;
	while (end > start && (line[end - 1] == ' ' || line[end - 1] == '\t'))
		end--;
	if (!hb_http_is_value(line + start, end - start)) {
		hb_http_fail(p, 400, "control byte in a field's value", "RFC 9110 5.5");
		return -1;
	}
	field->name = (uint32_t)at;
	field->name_len = (uint16_t)name;
	field->value = (uint32_t)(at + start);
	field->value_len = (uint32_t)(end - start);
	field->id = (uint8_t)hb_http_field_lookup(line, name);
	field->flags = underscore ? HB_HTTP_FIELD_UNDERSCORE : 0;
	return 0;
}

static enum hb_http_event
body_of_length(struct hb_http_parser *p, size_t len, size_t *consumed)
{
	uint64_t n = p->left;

	if (len == 0)
		return HB_HTTP_MORE;
	if (n > len)
		n = len;
	if (n > UINT32_MAX)
		n = UINT32_MAX;
	p->body = (struct hb_http_span){ 0, (uint32_t)n };
	p->body_bytes += n;
	p->left -= n;
	if (p->left == 0)
		p->state = HB_HTTP_S_END;
	*consumed = (size_t)n;
	return HB_HTTP_BODY;
}

enum hb_http_event
hb_http_parse(struct hb_http_parser *p, const unsigned char *data, size_t len, size_t *consumed)
{
	*consumed = 0;
	switch (p->state) {
	case HB_HTTP_S_START:
	case HB_HTTP_S_REQUEST_LINE:
	case HB_HTTP_S_FIELDS:
		return hb_http_head(p, data, len, consumed);
	case HB_HTTP_S_LENGTH:
		return body_of_length(p, len, consumed);
	case HB_HTTP_S_CHUNK_SIZE:
	case HB_HTTP_S_CHUNK_EXT:
	case HB_HTTP_S_CHUNK_LF:
	case HB_HTTP_S_CHUNK_DATA:
	case HB_HTTP_S_CHUNK_DATA_CR:
	case HB_HTTP_S_CHUNK_DATA_LF:
	case HB_HTTP_S_TRAILERS:
		return hb_http_chunked(p, data, len, consumed);
	case HB_HTTP_S_END:
		return HB_HTTP_END;
	case HB_HTTP_S_ERROR:
		return HB_HTTP_ERROR;
	}
	return HB_HTTP_ERROR;
}
