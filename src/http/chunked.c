/* The chunked transfer coding (RFC 9112 7.1): sizes, extensions, data, trailers. */
#include "http/parse.h"

/* More hold the size of no chunk; zeros in front have no use. */
#define DIGITS_MAX 16

enum ext {
	EXT_BEFORE_SEMICOLON,
	EXT_BEFORE_NAME,
	EXT_NAME,
	EXT_AFTER_NAME,
	EXT_BEFORE_VALUE,
	EXT_VALUE,
	EXT_QUOTED,
	EXT_QUOTED_PAIR,
	EXT_AFTER_QUOTED
};

/*
 * The state of an extension after c, or -1:
 * *( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )   (RFC 9112 7.1.1)
 */
static int
ext_next(enum ext state, unsigned char c)
{
	bool blank = c == ' ' || c == '\t', token = hb_http_token[c] != 0;
	bool text = blank || (c > 0x20 && c != 0x7f);

	switch (state) {
	case EXT_BEFORE_SEMICOLON:
		return c == ';' ? EXT_BEFORE_NAME : blank ? EXT_BEFORE_SEMICOLON : -1;
	case EXT_BEFORE_NAME:
		return token ? EXT_NAME : blank ? EXT_BEFORE_NAME : -1;
	case EXT_NAME:
		if (token)
			return EXT_NAME;
		return blank ? EXT_AFTER_NAME : c == '=' ? EXT_BEFORE_VALUE : c == ';' ? EXT_BEFORE_NAME : -1;
	case EXT_AFTER_NAME:
		return blank ? EXT_AFTER_NAME : c == '=' ? EXT_BEFORE_VALUE : c == ';' ? EXT_BEFORE_NAME : -1;
	case EXT_BEFORE_VALUE:
		return token ? EXT_VALUE : c == '"' ? EXT_QUOTED : blank ? EXT_BEFORE_VALUE : -1;
	case EXT_VALUE:
		if (token)
			return EXT_VALUE;
		return c == ';' ? EXT_BEFORE_NAME : blank ? EXT_BEFORE_SEMICOLON : -1;
	case EXT_QUOTED:
		return c == '"' ? EXT_AFTER_QUOTED : c == '\\' ? EXT_QUOTED_PAIR : text ? EXT_QUOTED : -1;
	case EXT_QUOTED_PAIR:
		return text ? EXT_QUOTED : -1;
	case EXT_AFTER_QUOTED:
		return c == ';' ? EXT_BEFORE_NAME : blank ? EXT_BEFORE_SEMICOLON : -1;
	}
	return -1;
}

static bool
ext_may_end(enum ext state)
{
	return state == EXT_NAME || state == EXT_VALUE || state == EXT_AFTER_QUOTED;
}

/* One byte of the line in front of a chunk.  Returns MORE when the state has moved on, or ERROR. */
static enum hb_http_event
size_line(struct hb_http_parser *p, unsigned char c)
{
	int digit, next;

	if (p->state == HB_HTTP_S_CHUNK_SIZE) {
		digit = hb_http_hex(c);
		if (digit >= 0) {
			if (p->digits++ == DIGITS_MAX)
				return hb_http_fail(p, 400, "chunk size too long", "RFC 9112 7.1");
			p->left = p->left << 4 | (unsigned)digit;
			if (p->left > p->limits->body - p->body_bytes)
				return hb_http_fail(p, 413, "body too large", "RFC 9110 15.5.14");
			return HB_HTTP_MORE;
		}
		if (p->digits == 0)
			return hb_http_fail(p, 400, "chunk without a size", "RFC 9112 7.1");
		if (c != '\r') {
			p->ext = EXT_BEFORE_SEMICOLON;
			p->state = HB_HTTP_S_CHUNK_EXT;
		}
	} else if (c == '\r' && !ext_may_end((enum ext)p->ext)) {
		return hb_http_fail(p, 400, "malformed chunk extension", "RFC 9112 7.1.1");
	}
	if (c == '\r') {
		p->state = HB_HTTP_S_CHUNK_LF;
		return HB_HTTP_MORE;
	}
	next = ext_next((enum ext)p->ext, c);
	if (next < 0)
		return hb_http_fail(p, 400, "malformed chunk size or extension", "RFC 9112 7.1.1");
	if (p->overhead++ == p->limits->header)
		return hb_http_fail(p, 413, "chunk extensions too large", "RFC 9112 7.1.1");
	p->ext = (uint8_t)next;
	return HB_HTTP_MORE;
}

static enum hb_http_event
chunk_data(struct hb_http_parser *p, size_t at, size_t len, size_t *consumed)
{
	uint64_t n = p->left;

	if (n > len - at)
		n = len - at;
	if (n > UINT32_MAX - at)
		n = UINT32_MAX - at;
	p->body = (struct hb_http_span){ (uint32_t)at, (uint32_t)n };
	p->body_bytes += n;
	p->left -= n;
	if (p->left == 0)
		p->state = HB_HTTP_S_CHUNK_DATA_CR;
	*consumed = at + (size_t)n;
	return HB_HTTP_BODY;
}

/*
 * Trailers are checked and dropped, as RFC 9110 6.5.1 lets a recipient do; those
 * that would have framed or routed the message are refused.
 */
static int
trailer(struct hb_http_parser *p, const unsigned char *data, size_t len)
{
	struct hb_http_field field;

	if (p->trailers++ == p->limits->headers) {
		hb_http_fail(p, 431, "too many trailer fields", "RFC 6585 5");
		return -1;
	}
	if (hb_http_field_line(p, data, p->line, len, &field) != 0)
		return -1;
	if (field.id == HB_HTTP_F_CONTENT_LENGTH || field.id == HB_HTTP_F_TRANSFER_ENCODING ||
	    field.id == HB_HTTP_F_HOST) {
		hb_http_fail(p, 400, "framing or routing field in the trailer section", "RFC 9110 6.5.1");
		return -1;
	}
	return 0;
}

static enum hb_http_event
trailers(struct hb_http_parser *p, const unsigned char *data, size_t len, size_t at, size_t *consumed)
{
	p->line = (uint32_t)at;
	p->scan += (uint32_t)at;
	for (;;) {
		size_t lf, n;

		switch (hb_http_line(p, data, len, p->overhead, p->limits->header, &lf)) {
		case HB_HTTP_LINE_PART:
			/* What is not consumed comes again at 0. */
			*consumed = p->line;
			p->scan -= p->line;
			return HB_HTTP_MORE;
		case HB_HTTP_LINE_LONG:
			return hb_http_fail(p, 431, "trailer section too large", "RFC 6585 5");
		case HB_HTTP_LINE:
			break;
		}
		if (lf == p->line || data[lf - 1] != '\r')
			return hb_http_fail(p, 400, "bare LF in the trailer section", "RFC 9112 2.2");
		n = lf - 1 - p->line;
		if (n == 0) {
			p->state = HB_HTTP_S_END;
			*consumed = lf + 1;
			return HB_HTTP_END;
		}
		if (trailer(p, data, n) != 0)
			return HB_HTTP_ERROR;
		p->overhead += n + 2;
		p->line = p->scan = (uint32_t)(lf + 1);
	}
}

enum hb_http_event
hb_http_chunked(struct hb_http_parser *p, const unsigned char *data, size_t len, size_t *consumed)
{
	size_t i = 0;

	while (i < len && p->state != HB_HTTP_S_TRAILERS) {
		if (p->state == HB_HTTP_S_CHUNK_DATA)
			return chunk_data(p, i, len, consumed);
		if (p->state == HB_HTTP_S_CHUNK_LF) {
			if (data[i] != '\n')
				return hb_http_fail(p, 400, "bare CR behind a chunk size", "RFC 9112 7.1");
			p->state = p->left > 0 ? HB_HTTP_S_CHUNK_DATA : HB_HTTP_S_TRAILERS;
			if (p->left == 0) {
				p->overhead = 0;
				p->scan = 0;
			}
		} else if (p->state == HB_HTTP_S_CHUNK_DATA_CR) {
			if (data[i] != '\r')
				return hb_http_fail(p, 400, "chunk longer than its size", "RFC 9112 7.1");
			p->state = HB_HTTP_S_CHUNK_DATA_LF;
		} else if (p->state == HB_HTTP_S_CHUNK_DATA_LF) {
			if (data[i] != '\n')
				return hb_http_fail(p, 400, "bare CR behind a chunk", "RFC 9112 7.1");
			p->state = HB_HTTP_S_CHUNK_SIZE;
			p->digits = 0;
		} else if (size_line(p, data[i]) == HB_HTTP_ERROR) {
			return HB_HTTP_ERROR;
		}
		i++;
	}
	*consumed = i;
	if (p->state == HB_HTTP_S_TRAILERS)
		return trailers(p, data, len, i, consumed);
	return HB_HTTP_MORE;
}
