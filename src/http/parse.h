/* Between the files of the parser; not for callers. */
#ifndef HB_HTTP_PARSE_H
#define HB_HTTP_PARSE_H

#include "http/parser.h"

enum hb_http_seen {
	HB_HTTP_SEEN_HOST = 1 << 0,
	HB_HTTP_SEEN_LENGTH = 1 << 1,
	HB_HTTP_SEEN_CODING = 1 << 2,
	HB_HTTP_SEEN_CLOSE = 1 << 3,
	HB_HTTP_SEEN_KEEP_ALIVE = 1 << 4,
	HB_HTTP_SEEN_UPGRADE = 1 << 5,
	HB_HTTP_SEEN_UPGRADE_OPTION = 1 << 6,
	HB_HTTP_SEEN_CONTINUE = 1 << 7,
	HB_HTTP_SEEN_EXPECTATION = 1 << 8 /* one that is not known */
};

enum hb_http_event hb_http_fail(struct hb_http_parser *p, unsigned status, const char *cause, const char *rule);

enum hb_http_line { HB_HTTP_LINE, HB_HTTP_LINE_PART, HB_HTTP_LINE_LONG };
/*
 * Finds the end of the line at p->line.  before: bytes that count to the limit besides; *lf: where the
 * LF is.  The answer does not depend on how many bytes came at once.
 */
enum hb_http_line hb_http_line(struct hb_http_parser *p, const unsigned char *data, size_t len, size_t before,
    size_t limit, size_t *lf);

/*
 * Takes a field line, without its CRLF, apart (RFC 9112 5); at is where in data it starts.
 * Returns 0 or -1 with p->error filled.
 */
int hb_http_field_line(struct hb_http_parser *p, const unsigned char *data, size_t at, size_t len,
    struct hb_http_field *field);

/* The states up to HB_HTTP_HEAD, and those of a chunked body. */
enum hb_http_event hb_http_head(struct hb_http_parser *p, const unsigned char *data, size_t len, size_t *consumed);
enum hb_http_event hb_http_chunked(struct hb_http_parser *p, const unsigned char *data, size_t len,
    size_t *consumed);
/* What a field of the head says about the message (semantics.c); 0 or -1 with p->error filled. */
int hb_http_note(struct hb_http_parser *p, const unsigned char *data, const struct hb_http_field *field);
/* Draws the conclusions when the head is complete. */
int hb_http_conclude(struct hb_http_parser *p);

/* The value of a hexadecimal digit, or -1. */
static inline int
hb_http_hex(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
