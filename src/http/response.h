/* What a response's head and framing are made of; pure functions. */
#ifndef HB_HTTP_RESPONSE_H
#define HB_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* The reason phrase of a status (RFC 9110 15), "" for an unknown one. */
const char *hb_http_reason(unsigned status);
/* Whether a response of that status to that method has no body whatever its fields say (RFC 9112 6.3). */
bool hb_http_bodyless(unsigned status, bool head_method);

/* An IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7), made anew when the second changes. */
#define HB_HTTP_DATE_LEN 29
struct hb_http_date {
	time_t second;
	char text[HB_HTTP_DATE_LEN + 1];
};
#define HB_HTTP_DATE_INIT { -1, "" }
const char *hb_http_date(struct hb_http_date *date, time_t now);

/* Whether a name is a token, and a value fit to be sent: no CR, LF, NUL or other control but HTAB. */
bool hb_http_name_ok(const char *p, size_t len);
bool hb_http_value_ok(const char *p, size_t len);
/* Whether the field belongs to the connection, not to the application (PEP 3333; RFC 9110 7.6.1). */
bool hb_http_hop_by_hop(const char *name, size_t len);

/* The line in front of a chunk of n > 0 bytes, "1a\r\n", into out.  Returns its length. */
#define HB_HTTP_CHUNK_LINE 18
size_t hb_http_chunk_line(char out[HB_HTTP_CHUNK_LINE], uint64_t n);
#define HB_HTTP_CHUNK_CRLF "\r\n"     /* behind each chunk */
#define HB_HTTP_CHUNK_LAST "0\r\n\r\n" /* the end of the body */

#endif
