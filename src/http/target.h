/* Request targets and authorities (RFC 9112 3.2, RFC 3986), and the path for the application. */
#ifndef HB_HTTP_TARGET_H
#define HB_HTTP_TARGET_H

#include "http/parser.h"

/*
 * Takes the target of r (its method is set) apart.  secure: https://... is answered.
 * Returns 0 or -1 with *failure filled.
 */
int hb_http_target_parse(struct hb_http_request *r, const unsigned char *data, bool secure,
    struct hb_http_failure *failure);

/* Whether p is HOST[:PORT] (RFC 3986 3.2.2, without user information); an empty host only if so allowed. */
bool hb_http_is_authority(const unsigned char *p, size_t len, bool may_be_empty);

/*
 * Decodes the escapes of a path that the parser let pass into out, which has room for len bytes
 * (out may be path).  Returns the number of bytes; they may be any but NUL.  "%2F" becomes "/", as
 * PATH_INFO has it everywhere; nothing is done about "." and "..".
 */
size_t hb_http_path_decode(const unsigned char *path, size_t len, unsigned char *out);

#endif
