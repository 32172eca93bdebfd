/* Checks the opening handshake in the order of RFC 6455 4.2.1, and makes what the answer needs. */
#include "http/ws_handshake.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

#include "http/ws_extensions.h"

/* 16 bytes in base64 (RFC 6455 4.1). */
#define KEY_LEN 24
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

#define ANSWER "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

static enum hb_ws_request
refuse(struct hb_ws_offer *offer, unsigned status, const char *cause, const char *rule)
{
	offer->failure = (struct hb_http_failure){ status, cause, rule };
	return HB_WS_INVALID;
}

/* Whether an Upgrade field lists websocket. */
static bool
asks(const struct hb_http_request *r, const unsigned char *data)
{
	/* Not in HTTP/1.0, nor where Connection does not list it (RFC 9110 7.8). */
	if (!r->upgrade)
		return false;
	for (size_t i = 0; i < r->fields_count; i++) {
		const struct hb_http_field *f = &r->fields[i];
		size_t pos = 0, off, len;

		while (f->id == HB_HTTP_F_UPGRADE &&
		    hb_http_list_next(data + f->value, f->value_len, &pos, &off, &len))
			if (hb_http_equal(data + f->value + off, len, "websocket"))
				return true;
	}
	return false;
}

/* The field, if there is just one of that id. */
static const struct hb_http_field *
only(const struct hb_http_request *r, enum hb_http_field_id id)
{
	const struct hb_http_field *found = NULL;

	for (size_t i = 0; i < r->fields_count; i++) {
		if (r->fields[i].id != id)
			continue;
		if (found != NULL)
			return NULL;
		found = &r->fields[i];
	}
	return found;
}

static bool
is_base64(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
}

static bool
is_key(const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < KEY_LEN - 2; i++)
		if (len != KEY_LEN || !is_base64(p[i]))
			return false;
	return memcmp(p + KEY_LEN - 2, "==", 2) == 0;
}

/* RFC 6455 4.2.2, 5.4. */
static bool
make_accept(const unsigned char *key, char accept[HB_WS_ACCEPT_LEN + 1])
{
	unsigned char text[KEY_LEN + sizeof(GUID) - 1], digest[SHA_DIGEST_LENGTH];

	memcpy(text, key, KEY_LEN);
	memcpy(text + KEY_LEN, GUID, sizeof(GUID) - 1);
	return SHA1(text, sizeof(text), digest) != NULL &&
	    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest)) == HB_WS_ACCEPT_LEN;
}

static bool
protocols_are_tokens(const struct hb_http_request *r, const unsigned char *data)
{
	struct hb_ws_protocols at = { 0 };
	struct hb_http_span protocol;

	while (hb_ws_protocol_next(r, data, &at, &protocol))
		if (!hb_http_is_token(data + protocol.off, protocol.len))
			return false;
	return true;
}

static enum hb_ws_request
agree(const struct hb_http_request *r, const unsigned char *data, bool compression, struct hb_ws_offer *offer)
{
	struct hb_ws_deflate deflate = { 0 };

	for (size_t i = 0; i < r->fields_count; i++) {
		const struct hb_http_field *f = &r->fields[i];

		if (f->id == HB_HTTP_F_SEC_WEBSOCKET_EXTENSIONS &&
		    hb_ws_extensions(data + f->value, f->value_len, &deflate) != 0)
			return refuse(offer, 400, "malformed Sec-WebSocket-Extensions", "RFC 6455 9.1");
	}
	if (!compression || !deflate.agreed)
		return HB_WS_VALID;
	offer->deflate_bits = deflate.bits;
	if (deflate.bits_asked)
		snprintf(offer->extensions, sizeof(offer->extensions), ANSWER "; server_max_window_bits=%u",
		    deflate.bits);
	else
		memcpy(offer->extensions, ANSWER, sizeof(ANSWER));
	return HB_WS_VALID;
}

enum hb_ws_request
hb_ws_handshake(const struct hb_http_request *r, const unsigned char *data, bool compression,
    struct hb_ws_offer *offer)
{
	const struct hb_http_field *key = only(r, HB_HTTP_F_SEC_WEBSOCKET_KEY);
	const struct hb_http_field *version = only(r, HB_HTTP_F_SEC_WEBSOCKET_VERSION);

	memset(offer, 0, sizeof(*offer));
	if (!asks(r, data))
		return HB_WS_NOT_ASKED;
	if (r->method_id != HB_HTTP_M_GET)
		return refuse(offer, 400, "WebSocket handshake that is no GET", "RFC 6455 4.2.1");
	/* Frames follow the head; a body would be a second reading of them. */
	if (hb_http_has_body(r))
		return refuse(offer, 400, "WebSocket handshake with a body", "RFC 6455 4.2.1");
	if (version == NULL)
		return refuse(offer, 400, "no Sec-WebSocket-Version, or several", "RFC 6455 4.2.1");
	if (!hb_http_equal(data + version->value, version->value_len, "13"))
		return refuse(offer, 426, "Sec-WebSocket-Version other than 13", "RFC 6455 4.4");
	if (key == NULL)
		return refuse(offer, 400, "no Sec-WebSocket-Key, or several", "RFC 6455 4.2.1");
	if (!is_key(data + key->value, key->value_len))
		return refuse(offer, 400, "Sec-WebSocket-Key that is not 16 bytes in base64", "RFC 6455 4.2.1");
	if (!protocols_are_tokens(r, data))
		return refuse(offer, 400, "malformed Sec-WebSocket-Protocol", "RFC 6455 4.2.1");
	if (!make_accept(data + key->value, offer->accept))
		return refuse(offer, 503, "no memory for the handshake", "RFC 6455 4.2.2");
	return agree(r, data, compression, offer);
}

bool
hb_ws_protocol_next(const struct hb_http_request *r, const unsigned char *data, struct hb_ws_protocols *at,
    struct hb_http_span *protocol)
{
	for (; at->field < r->fields_count; at->field++, at->pos = 0) {
		const struct hb_http_field *f = &r->fields[at->field];
		size_t off, len;

		if (f->id != HB_HTTP_F_SEC_WEBSOCKET_PROTOCOL ||
		    !hb_http_list_next(data + f->value, f->value_len, &at->pos, &off, &len))
			continue;
		*protocol = (struct hb_http_span){ f->value + (uint32_t)off, (uint32_t)len };
		return true;
	}
	return false;
}

bool
hb_ws_protocol_offered(const struct hb_http_request *r, const unsigned char *data, const char *name, size_t len)
{
	struct hb_ws_protocols at = { 0 };
	struct hb_http_span protocol;

	while (hb_ws_protocol_next(r, data, &at, &protocol))
		if (protocol.len == len && memcmp(data + protocol.off, name, len) == 0)
			return true;
	return false;
}
