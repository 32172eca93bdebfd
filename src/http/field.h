/*
 * Header fields: the known names with their numbers, so that a caller has
 * what it needs of each ready in an array, and the characters of a token.
 */
#ifndef HB_HTTP_FIELD_H
#define HB_HTTP_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * X(number, name, and of the name: first, at 3/4 of its length, last character).
 * The characters make the slot in a perfect hash at compile time; a collision is a
 * warning of the compiler (-Woverride-init): then HB_HTTP_HASH wants another factor.
 */
#define HB_HTTP_FIELDS(X) \
	X(ACCEPT, "accept", 'a', 'p', 't') \
	X(ACCEPT_CHARSET, "accept-charset", 'a', 'r', 't') \
	X(ACCEPT_ENCODING, "accept-encoding", 'a', 'd', 'g') \
	X(ACCEPT_LANGUAGE, "accept-language", 'a', 'u', 'e') \
	X(ACCESS_CONTROL_REQUEST_HEADERS, "access-control-request-headers", 'a', '-', 's') \
	X(ACCESS_CONTROL_REQUEST_METHOD, "access-control-request-method", 'a', 't', 'd') \
	X(AUTHORIZATION, "authorization", 'a', 't', 'n') \
	X(CACHE_CONTROL, "cache-control", 'c', 't', 'l') \
	X(CONNECTION, "connection", 'c', 'i', 'n') \
	X(CONTENT_ENCODING, "content-encoding", 'c', 'd', 'g') \
	X(CONTENT_LANGUAGE, "content-language", 'c', 'u', 'e') \
	X(CONTENT_LENGTH, "content-length", 'c', 'n', 'h') \
	X(CONTENT_TYPE, "content-type", 'c', 'y', 'e') \
	X(COOKIE, "cookie", 'c', 'i', 'e') \
	X(DATE, "date", 'd', 'e', 'e') \
	X(DNT, "dnt", 'd', 't', 't') \
	X(ETAG, "etag", 'e', 'g', 'g') \
	X(EXPECT, "expect", 'e', 'c', 't') \
	X(FORWARDED, "forwarded", 'f', 'd', 'd') \
	X(FROM, "from", 'f', 'm', 'm') \
	X(HOST, "host", 'h', 't', 't') \
	X(IDEMPOTENCY_KEY, "idempotency-key", 'i', '-', 'y') \
	X(IF_MATCH, "if-match", 'i', 'c', 'h') \
	X(IF_MODIFIED_SINCE, "if-modified-since", 'i', 's', 'e') \
	X(IF_NONE_MATCH, "if-none-match", 'i', 'a', 'h') \
	X(IF_RANGE, "if-range", 'i', 'g', 'e') \
	X(IF_UNMODIFIED_SINCE, "if-unmodified-since", 'i', 's', 'e') \
	X(KEEP_ALIVE, "keep-alive", 'k', 'i', 'e') \
	X(LAST_EVENT_ID, "last-event-id", 'l', 't', 'd') \
	X(LOCATION, "location", 'l', 'o', 'n') \
	X(MAX_FORWARDS, "max-forwards", 'm', 'r', 's') \
	X(ORIGIN, "origin", 'o', 'i', 'n') \
	X(PRAGMA, "pragma", 'p', 'm', 'a') \
	X(PREFER, "prefer", 'p', 'e', 'r') \
	X(PRIORITY, "priority", 'p', 't', 'y') \
	X(PROXY_AUTHENTICATE, "proxy-authenticate", 'p', 'i', 'e') \
	X(PROXY_AUTHORIZATION, "proxy-authorization", 'p', 'a', 'n') \
	X(PROXY_CONNECTION, "proxy-connection", 'p', 't', 'n') \
	X(RANGE, "range", 'r', 'g', 'e') \
	X(REFERER, "referer", 'r', 'e', 'r') \
	X(SEC_CH_UA, "sec-ch-ua", 's', '-', 'a') \
	X(SEC_CH_UA_MOBILE, "sec-ch-ua-mobile", 's', 'b', 'e') \
	X(SEC_CH_UA_PLATFORM, "sec-ch-ua-platform", 's', 't', 'm') \
	X(SEC_FETCH_DEST, "sec-fetch-dest", 's', 'd', 't') \
	X(SEC_FETCH_MODE, "sec-fetch-mode", 's', 'm', 'e') \
	X(SEC_FETCH_SITE, "sec-fetch-site", 's', 's', 'e') \
	X(SEC_FETCH_USER, "sec-fetch-user", 's', 'u', 'r') \
	X(SEC_WEBSOCKET_EXTENSIONS, "sec-websocket-extensions", 's', 'n', 's') \
	X(SEC_WEBSOCKET_KEY, "sec-websocket-key", 's', 't', 'y') \
	X(SEC_WEBSOCKET_PROTOCOL, "sec-websocket-protocol", 's', 'o', 'l') \
	X(SEC_WEBSOCKET_VERSION, "sec-websocket-version", 's', 'e', 'n') \
	X(SERVER, "server", 's', 'e', 'r') \
	X(SET_COOKIE, "set-cookie", 's', 'k', 'e') \
	X(TE, "te", 't', 'e', 'e') \
	X(TRACEPARENT, "traceparent", 't', 'e', 't') \
	X(TRACESTATE, "tracestate", 't', 'a', 'e') \
	X(TRAILER, "trailer", 't', 'e', 'r') \
	X(TRANSFER_ENCODING, "transfer-encoding", 't', 'o', 'g') \
	X(UPGRADE, "upgrade", 'u', 'd', 'e') \
	X(UPGRADE_INSECURE_REQUESTS, "upgrade-insecure-requests", 'u', 'e', 's') \
	X(USER_AGENT, "user-agent", 'u', 'e', 't') \
	X(VIA, "via", 'v', 'a', 'a') \
	X(X_AMZN_TRACE_ID, "x-amzn-trace-id", 'x', 'e', 'd') \
	X(X_CORRELATION_ID, "x-correlation-id", 'x', 'n', 'd') \
	X(X_CSRF_TOKEN, "x-csrf-token", 'x', 'k', 'n') \
	X(X_FORWARDED_FOR, "x-forwarded-for", 'x', '-', 'r') \
	X(X_FORWARDED_HOST, "x-forwarded-host", 'x', 'h', 't') \
	X(X_FORWARDED_PORT, "x-forwarded-port", 'x', 'p', 't') \
	X(X_FORWARDED_PREFIX, "x-forwarded-prefix", 'x', 'r', 'x') \
	X(X_FORWARDED_PROTO, "x-forwarded-proto", 'x', 'p', 'o') \
	X(X_REAL_IP, "x-real-ip", 'x', '-', 'p') \
	X(X_REQUEST_ID, "x-request-id", 'x', '-', 'd') \
	X(X_REQUESTED_WITH, "x-requested-with", 'x', 'w', 'h')

enum hb_http_field_id {
	HB_HTTP_F_OTHER,
#define HB_HTTP_FIELD_ID(id, name, a, b, c) HB_HTTP_F_##id,
	HB_HTTP_FIELDS(HB_HTTP_FIELD_ID)
#undef HB_HTTP_FIELD_ID
	HB_HTTP_F_COUNT
};

struct hb_http_name {
	const char *text; /* lower-case; NULL for HB_HTTP_F_OTHER */
	size_t len;
};

extern const struct hb_http_name hb_http_names[HB_HTTP_F_COUNT];

/* For a byte that a token may hold itself in lower case, else 0. */
extern const unsigned char hb_http_token[256];

/* The number of a name in any case of letters, or HB_HTTP_F_OTHER. */
enum hb_http_field_id hb_http_field_lookup(const unsigned char *name, size_t len);
/* Whether the bytes are a token (RFC 9110 5.6.2), thus a field name or a method. */
bool hb_http_is_token(const unsigned char *p, size_t len);
/* Whether the bytes may stand in a field value: no control bytes other than HTAB (RFC 9110 5.5). */
bool hb_http_is_value(const unsigned char *p, size_t len);
/* Whether p is the lower-case word, in any case of letters. */
bool hb_http_equal(const unsigned char *p, size_t len, const char *word);
/*
 * The next element of a comma-separated list (RFC 9110 5.6.1), without the white space around it; empty
 * ones are skipped.  *pos starts at 0.  False at the end.  Quoted strings are not looked into.
 */
bool hb_http_list_next(const unsigned char *p, size_t len, size_t *pos, size_t *off, size_t *elen);

#endif
