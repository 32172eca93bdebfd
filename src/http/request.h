/*
 * A parsed request head.  Spans are offsets into the bytes that the parser
 * was given in the call that returned HB_HTTP_HEAD, counted from their first
 * byte, so that the buffer may move and grow as long as it keeps them.
 */
#ifndef HB_HTTP_REQUEST_H
#define HB_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/field.h"

struct hb_http_span {
	uint32_t off;
	uint32_t len;
};

enum hb_http_method {
	HB_HTTP_M_OTHER,
	HB_HTTP_M_GET,
	HB_HTTP_M_HEAD,
	HB_HTTP_M_POST,
	HB_HTTP_M_PUT,
	HB_HTTP_M_DELETE,
	HB_HTTP_M_CONNECT,
	HB_HTTP_M_OPTIONS,
	HB_HTTP_M_TRACE,
	HB_HTTP_M_PATCH
};

enum hb_http_form { HB_HTTP_ORIGIN, HB_HTTP_ABSOLUTE, HB_HTTP_AUTHORITY, HB_HTTP_ASTERISK };

enum hb_http_field_flag {
	/*
	 * The name holds "_".  CGI and WSGI write "-" as "_", so that such a
	 * field would pass for another one (X_Forwarded_For for
	 * X-Forwarded-For): whoever makes an environ of it leaves it out.
	 */
	HB_HTTP_FIELD_UNDERSCORE = 1
};

struct hb_http_field {
	uint32_t name;
	uint32_t value; /* without the white space around it; may be empty */
	uint32_t value_len;
	uint16_t name_len;
	uint8_t id;    /* enum hb_http_field_id */
	uint8_t flags; /* enum hb_http_field_flag */
};

struct hb_http_request {
	struct hb_http_span method;
	struct hb_http_span target; /* as received */
	/*
	 * The path, escapes not decoded but known to be well-formed and other than
	 * %00 (hb_http_path_decode cannot fail); at least "/" or, for the
	 * asterisk-form, "*".
	 */
	struct hb_http_span path;
	struct hb_http_span query; /* behind the "?" */
	/*
	 * HOST[:PORT]: of the absolute-form, else of the Host field; empty where neither
	 * has one.  Of the absolute-form it has replaced the Host field's value too.
	 */
	struct hb_http_span host;
	enum hb_http_method method_id;
	enum hb_http_form form;
	uint8_t minor; /* HTTP/1.minor: 0 or 1 */
	bool has_query;
	bool chunked;
	bool has_length; /* there is a Content-Length */
	bool keep_alive; /* the client would keep the connection */
	bool expect_continue;
	bool upgrade; /* Upgrade is there and Connection lists it */
	bool forwarded; /* there is a field that hb_forwarded_read() reads */
	uint64_t content_length;
	struct hb_http_field *fields; /* in the order received; of the parser */
	size_t fields_count;
};

/* Whether a body follows (which may still turn out empty when chunked). */
static inline bool
hb_http_has_body(const struct hb_http_request *r)
{
	return r->chunked || r->content_length > 0;
}

/* "GET /path", for logs: without the query, in which there may be secrets. */
#define HB_HTTP_REQUEST_TEXT 400
void hb_http_request_text(const struct hb_http_request *r, const unsigned char *data, char out[HB_HTTP_REQUEST_TEXT]);

/* The number of a method, or HB_HTTP_M_OTHER. */
enum hb_http_method hb_http_method_lookup(const unsigned char *p, size_t len);

/* Another host in the place of the Host field's, which every reader then finds. */
void hb_http_replace_host(struct hb_http_request *r, struct hb_http_span host);

/* The first field of that id, or NULL. */
static inline const struct hb_http_field *
hb_http_find(const struct hb_http_request *r, enum hb_http_field_id id)
{
	for (size_t i = 0; i < r->fields_count; i++)
		if (r->fields[i].id == id)
			return &r->fields[i];
	return NULL;
}

#endif
