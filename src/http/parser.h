/*
 * A strict incremental HTTP/1.1 request parser (RFC 9110, RFC 9112): bytes in,
 * events out.  It holds no bytes: the caller keeps what was not consumed and
 * gives it again with more behind it; what was looked at is not looked at
 * again, so that the whole is linear however the bytes arrive.
 *
 *	for (;;) {
 *		enum hb_http_event e = hb_http_parse(p, data, len, &used);
 *		... use p->request and the body's span in data ...
 *		data += used; len -= used;
 *	}
 *
 * A request gives HEAD, any number of BODY, END; then the parser must be reset
 * before the next one, which may be in the buffer already.  After HEAD it is
 * called again even with no bytes at hand: END of a request without a body
 * needs none.  To pause a body, do not call.
 *
 * Refused beyond the letter of the RFCs, each to leave no room for a second
 * reading of a message: bare LF and bare CR anywhere, obsolete folding,
 * repeated Content-Length or Transfer-Encoding, both together, any transfer
 * coding besides one `chunked`, bytes in the target that are not visible ASCII
 * or one of "#<> (what WHATWG's URL has escaped in a query), malformed escapes
 * and %00 in the path, minor versions above 1.
 */
#ifndef HB_HTTP_PARSER_H
#define HB_HTTP_PARSER_H

#include "http/request.h"

/* Of a connection or a listener; borrowed by its parsers.  Sizes below 4 GiB, but for body. */
struct hb_http_limits {
	size_t request_line; /* bytes of the request line */
	size_t header;       /* bytes of the header section; also of trailers, and of all chunk extensions */
	size_t headers;      /* number of fields, in the header section and in trailers */
	uint64_t body;       /* bytes of the body, chunk framing not counted */
	bool secure;         /* the connection is TLS: https://... is answered, else 421 */
};

enum hb_http_event {
	HB_HTTP_MORE,  /* needs more bytes behind those not consumed */
	HB_HTTP_HEAD,  /* p->request is filled; its spans count from the data of this call */
	HB_HTTP_BODY,  /* p->body is a span of the data of this call: body bytes, without chunk framing */
	HB_HTTP_END,   /* the message is over; stays so until reset */
	HB_HTTP_ERROR  /* p->error: answer with its status and close; stays so until reset */
};

struct hb_http_failure {
	unsigned status;   /* 400, 413, 414, 417, 421, 431, 501, 503 (no memory), 505 */
	const char *cause; /* for the log and the client: "bare LF in the head" */
	const char *rule;  /* "RFC 9112 2.2" */
};

enum hb_http_state {
	HB_HTTP_S_START, /* nothing but empty lines so far */
	HB_HTTP_S_REQUEST_LINE,
	HB_HTTP_S_FIELDS,
	HB_HTTP_S_LENGTH, /* body of a known length */
	HB_HTTP_S_CHUNK_SIZE,
	HB_HTTP_S_CHUNK_EXT,
	HB_HTTP_S_CHUNK_LF,
	HB_HTTP_S_CHUNK_DATA,
	HB_HTTP_S_CHUNK_DATA_CR,
	HB_HTTP_S_CHUNK_DATA_LF,
	HB_HTTP_S_TRAILERS,
	HB_HTTP_S_END,
	HB_HTTP_S_ERROR
};

struct hb_http_parser {
	/* For the caller to read. */
	struct hb_http_request request; /* after an error: what was parsed so far; spans not reliable */
	struct hb_http_span body;
	struct hb_http_failure error;
	uint64_t body_bytes; /* given out in BODY events so far */

	/* The parser's own. */
	const struct hb_http_limits *limits;
	enum hb_http_state state;
	uint8_t ext;          /* where in a chunk extension */
	uint8_t empty_lines;  /* before the request line */
	uint8_t digits;       /* of the chunk size */
	uint32_t scan;        /* up to here there is no LF */
	uint32_t line;        /* where the current line starts */
	uint32_t section;     /* where the request line, then the header section starts */
	uint32_t seen;        /* enum hb_http_seen: what the fields said */
	uint64_t left;        /* of the body or of the chunk */
	size_t overhead;      /* bytes of chunk extensions, then of the trailer section */
	size_t trailers;      /* number of trailer fields */
	struct hb_http_field *table;
	size_t table_size;
};

/* limits are borrowed.  A parser that is zeroed and initialised owns no memory yet. */
void hb_http_parser_init(struct hb_http_parser *p, const struct hb_http_limits *limits);
/* For the next request; keeps the table of fields. */
void hb_http_parser_reset(struct hb_http_parser *p);
/* Gives the table of fields back (an idle connection needs none) and resets. */
void hb_http_parser_free(struct hb_http_parser *p);

/*
 * Looks at the len bytes at data; *consumed (at most len) are done with.  While a head is
 * incomplete nothing is consumed.
 */
enum hb_http_event hb_http_parse(struct hb_http_parser *p, const unsigned char *data, size_t len,
    size_t *consumed);

/* Whether a request has begun: tells the keep-alive time-out from the header time-out. */
static inline bool
hb_http_begun(const struct hb_http_parser *p)
{
	return p->state != HB_HTTP_S_START;
}

#endif
