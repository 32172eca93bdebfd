/* Forwarded and X-Forwarded-: see forwarded.h. */
#include "http/forwarded.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "http/target.h"

enum kind {
	ADDRESS,
	UNKNOWN, /* "unknown", or a name that hides it (RFC 7239 6.2, 6.3); or nothing was said */
	BAD
};

/* One element of a list: what one proxy says of who asked it. */
struct hop {
	enum kind kind;
	struct in6_addr ip;
	unsigned port; /* 0: not said */
	bool has_scheme;
	bool secure;
	struct hb_http_span host;
};

/* The walk over all elements, from the left. */
struct walk {
	const struct hb_trust *trust;
	struct hop client;   /* as it seems up to here */
	struct hop next;     /* the one to the right of it, where there is one */
	size_t behind;       /* how many there are to the right of it */
	bool any;
};

static void
walk_add(struct walk *w, const struct hop *hop)
{
	bool trusted = hop->kind == ADDRESS && hb_trust_ip(w->trust, &hop->ip);

	if (!w->any || !trusted) {
		w->client = *hop;
		w->behind = 0;
		w->any = true;
	} else if (w->behind++ == 0)
		w->next = *hop;
}

/* The client's address; of one that is not known, that of the proxy which it asked. */
static void
tell_client(struct hb_forwarded *f, const struct walk *w)
{
	const struct hop *hop = &w->client;

	if (hop->kind == UNKNOWN && w->behind > 0)
		hop = &w->next;
	if (!w->any || hop->kind != ADDRESS)
		return;
	if (IN6_IS_ADDR_V4MAPPED(&hop->ip))
		inet_ntop(AF_INET, &hop->ip.s6_addr[12], f->addr, sizeof f->addr);
	else
		inet_ntop(AF_INET6, &hop->ip, f->addr, sizeof f->addr);
	snprintf(f->port, sizeof f->port, "%u", hop->port & 0xffff);
	f->has_client = true;
}

/* "_" 1*( ALPHA / DIGIT / "." / "_" / "-" ) */
static bool
is_obfuscated(const unsigned char *p, size_t len)
{
	if (len < 2 || p[0] != '_')
		return false;
	for (size_t i = 1; i < len; i++)
		if (!(p[i] >= '0' && p[i] <= '9') && !(p[i] >= 'A' && p[i] <= 'Z') && !(p[i] >= 'a' && p[i] <= 'z') &&
		    p[i] != '.' && p[i] != '_' && p[i] != '-')
			return false;
	return true;
}

static bool
read_port(const unsigned char *p, size_t len, struct hop *hop)
{
	if (is_obfuscated(p, len))
		return true;
	if (len == 0 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return false;
		hop->port = hop->port * 10 + (unsigned)(p[i] - '0');
	}
	return hop->port <= 65535;
}

/*
 * A node: an address, one in brackets, "unknown" or a name that hides it, each
 * with a port or without (RFC 7239 6).  bare: an IPv6 address may lack its brackets.
 */
static void
read_node(struct hop *hop, const unsigned char *p, size_t len, bool bare)
{
	const unsigned char *end = p + len, *colon = memchr(p, ':', len), *start = p;
	size_t n;

	hop->kind = ADDRESS;
	if (bare && colon != NULL && memchr(colon + 1, ':', (size_t)(end - colon - 1)) != NULL && p[0] != '[') {
		if (!hb_trust_parse(p, len, &hop->ip))
			hop->kind = BAD;
		return;
	}
	if (len > 0 && p[0] == '[') {
		const unsigned char *close = memchr(p, ']', len);

		if (close == NULL || memchr(p, ':', (size_t)(close - p)) == NULL) {
			hop->kind = BAD;
			return;
		}
		start++;
		n = (size_t)(close - start);
		colon = close + 1 < end ? close + 1 : NULL;
	} else
		n = (size_t)((colon != NULL ? colon : end) - start);
	if (colon != NULL && (*colon != ':' || !read_port(colon + 1, (size_t)(end - colon - 1), hop)))
		hop->kind = BAD;
	else if (start == p && (hb_http_equal(p, n, "unknown") || is_obfuscated(p, n)))
		hop->kind = UNKNOWN;
	else if (!hb_trust_parse(start, n, &hop->ip))
		hop->kind = BAD;
}

/* Other schemes are none of HTTP's. */
static void
read_scheme(const unsigned char *p, size_t len, bool *has_scheme, bool *secure)
{
	bool plain = hb_http_equal(p, len, "http") || hb_http_equal(p, len, "ws");

	*secure = hb_http_equal(p, len, "https") || hb_http_equal(p, len, "wss");
	*has_scheme = plain || *secure;
}

/* A value of Forwarded: a token or a quoted string, without its quotes and escapes. */
struct value {
	const unsigned char *p;
	size_t len;
	bool escapes; /* p is a copy */
	unsigned char copy[128];
};

static bool
is_blank(unsigned char c)
{
	return c == ' ' || c == '\t';
}

/* Takes a quoted string, whose opening quote is at *p, off the text; only short ones may have escapes. */
static bool
read_quoted(const unsigned char **p, const unsigned char *end, struct value *v)
{
	const unsigned char *q = *p + 1;
	size_t n = 0;

	v->p = q;
	for (; q < end && *q != '"'; q++) {
		if (*q == '\\') {
			v->escapes = true;
			if (++q == end)
				return false;
		}
		if (n < sizeof v->copy)
			v->copy[n] = *q;
		n++;
	}
	if (q == end || (v->escapes && n > sizeof v->copy))
		return false;
	if (v->escapes)
		v->p = v->copy;
	v->len = n;
	*p = q + 1;
	return true;
}

static size_t
token_length(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *q = p;

	while (q < end && hb_http_token[*q] != 0)
		q++;
	return (size_t)(q - p);
}

enum { SEEN_FOR = 1, SEEN_BY = 2, SEEN_HOST = 4, SEEN_PROTO = 8 };

/* name=value of an element; each at most once (RFC 7239 4). */
static bool
read_parameter(struct hop *hop, unsigned *seen, const unsigned char *name, size_t name_len,
    const struct value *v, const unsigned char *data)
{
	struct hop by = {.kind = UNKNOWN};
	unsigned bit;

	if (hb_http_equal(name, name_len, "for"))
		bit = SEEN_FOR;
	else if (hb_http_equal(name, name_len, "by"))
		bit = SEEN_BY;
	else if (hb_http_equal(name, name_len, "host"))
		bit = SEEN_HOST;
	else if (hb_http_equal(name, name_len, "proto"))
		bit = SEEN_PROTO;
	else
		return true; /* an extension (RFC 7239 5.5) */
	if (*seen & bit)
		return false;
	*seen |= bit;
	switch (bit) {
	case SEEN_FOR:
		read_node(hop, v->p, v->len, false);
		return hop->kind != BAD;
	case SEEN_BY:
		read_node(&by, v->p, v->len, false);
		return by.kind != BAD;
	case SEEN_HOST:
		/* a host needs no escapes; one that has them could not be a span */
		if (v->escapes || !hb_http_is_authority(v->p, v->len, false))
			return false;
		hop->host = (struct hb_http_span){(uint32_t)(v->p - data), (uint32_t)v->len};
		return true;
	default:
		read_scheme(v->p, v->len, &hop->has_scheme, &hop->secure);
		return hb_http_is_token(v->p, v->len);
	}
}

/*
 * Takes an element, with the comma behind it, off the text: parameters with
 * semicolons between them.  White space around these is no part of the
 * grammar, but so usual that it is let pass.
 */
static bool
read_element(struct hop *hop, const unsigned char **p, const unsigned char *end, const unsigned char *data,
    bool *empty)
{
	const unsigned char *q = *p;
	unsigned seen = 0;

	*hop = (struct hop){.kind = UNKNOWN};
	*empty = true;
	for (;; q++) {
		struct value v = {.p = NULL};
		const unsigned char *name;
		size_t name_len;

		while (q < end && is_blank(*q))
			q++;
		name = q;
		name_len = token_length(q, end);
		q += name_len;
		if (name_len > 0) {
			*empty = false;
			if (q == end || *q++ != '=')
				return false;
			v.p = q;
			v.len = token_length(q, end);
			if (q < end && *q == '"') {
				if (!read_quoted(&q, end, &v))
					return false;
			} else if (v.len == 0)
				return false;
			else
				q += v.len;
			if (!read_parameter(hop, &seen, name, name_len, &v, data))
				return false;
		}
		while (q < end && is_blank(*q))
			q++;
		if (q == end || *q == ',') {
			*p = q == end ? q : q + 1;
			return true;
		}
		if (*q != ';')
			return false;
		*empty = false;
	}
}

static void
read_forwarded(struct hb_forwarded *f, struct walk *w, const struct hb_http_request *r, const unsigned char *data)
{
	static const struct hop bad = {.kind = BAD};

	for (size_t i = 0; i < r->fields_count; i++) {
		const struct hb_http_field *field = &r->fields[i];
		const unsigned char *p = data + field->value, *end = p + field->value_len;

		while (field->id == HB_HTTP_F_FORWARDED && p < end) {
			struct hop hop;
			bool empty;

			if (!read_element(&hop, &p, end, data, &empty)) {
				walk_add(w, &bad); /* of the rest of this field nothing can be told */
				break;
			}
			if (!empty)
				walk_add(w, &hop);
		}
	}
	if (!w->any || w->client.kind == BAD)
		return;
	tell_client(f, w);
	f->has_scheme = w->client.has_scheme;
	f->secure = w->client.secure;
	f->host = w->client.host;
}

/* Goes through the elements of all fields of an id; returns false at the end. */
struct list {
	const struct hb_http_request *r;
	const unsigned char *data;
	enum hb_http_field_id id;
	size_t field, pos;
};

static bool
list_next(struct list *l, struct hb_http_span *span)
{
	for (; l->field < l->r->fields_count; l->field++, l->pos = 0) {
		const struct hb_http_field *field = &l->r->fields[l->field];
		size_t off, len;

		if (field->id != l->id || !hb_http_list_next(l->data + field->value, field->value_len, &l->pos, &off, &len))
			continue;
		*span = (struct hb_http_span){field->value + (uint32_t)off, (uint32_t)len};
		return true;
	}
	return false;
}

/* The element that the proxy wrote which names the client: as many from the end, or the first. */
static bool
list_at(const struct list *all, size_t from_end, struct hb_http_span *span)
{
	struct list l = *all;
	size_t n = 0;

	while (list_next(&l, span))
		n++;
	l = *all;
	for (size_t i = n > from_end ? n - from_end : n > 0; i > 0; i--)
		(void)list_next(&l, span);
	return n > 0;
}

static void
read_x_forwarded(struct hb_forwarded *f, struct walk *w, const struct hb_http_request *r,
    const unsigned char *data)
{
	struct list l = {.r = r, .data = data, .id = HB_HTTP_F_X_FORWARDED_FOR};
	struct hb_http_span span;
	size_t behind = 0;

	while (list_next(&l, &span)) {
		struct hop hop = {.kind = UNKNOWN};

		read_node(&hop, data + span.off, span.len, true);
		walk_add(w, &hop);
	}
	if (w->any && w->client.kind != BAD) {
		behind = w->behind;
		tell_client(f, w);
	}
	l = (struct list){.r = r, .data = data, .id = HB_HTTP_F_X_FORWARDED_PROTO};
	if (list_at(&l, behind, &span))
		read_scheme(data + span.off, span.len, &f->has_scheme, &f->secure);
	l.id = HB_HTTP_F_X_FORWARDED_HOST;
	if (list_at(&l, behind, &span) && hb_http_is_authority(data + span.off, span.len, false))
		f->host = span;
}

void
hb_forwarded_read(struct hb_forwarded *f, const struct hb_trust *trust, const struct hb_http_request *r,
    const unsigned char *data)
{
	struct walk w = {.trust = trust};

	*f = (struct hb_forwarded){.addr = ""};
	if (hb_http_find(r, HB_HTTP_F_X_FORWARDED_FOR) != NULL || hb_http_find(r, HB_HTTP_F_X_FORWARDED_PROTO) != NULL ||
	    hb_http_find(r, HB_HTTP_F_X_FORWARDED_HOST) != NULL)
		read_x_forwarded(f, &w, r, data);
	else
		read_forwarded(f, &w, r, data);
}
