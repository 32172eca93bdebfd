/*
 * extension-list = 1#( token *( ";" token [ "=" ( token / quoted-string ) ] ) ), where a quoted-string is a
 * token too once it is unquoted.  White space may stand around the delimiters.
 */
#include "http/ws_extensions.h"

#include "http/field.h"

/* zlib's raw deflate knows no window of 8 bits. */
#define BITS_MIN 9
#define BITS_MAX 15

/* Longer names and values are none that are known. */
#define WORD_MAX 32

struct word {
	unsigned char text[WORD_MAX];
	size_t len; /* may be more than fits */
};

struct cursor {
	const unsigned char *p;
	size_t at, len;
};

/* One offer of permessage-deflate as it is read. */
struct offer {
	bool known; /* it is permessage-deflate */
	bool good;  /* no parameter that declines it */
	bool server_takeover, client_takeover, server_bits, client_bits;
	unsigned bits;
};

static void
blanks(struct cursor *c)
{
	while (c->at < c->len && (c->p[c->at] == ' ' || c->p[c->at] == '\t'))
		c->at++;
}

/* Passes the delimiter, if it is there. */
static bool
delimiter(struct cursor *c, unsigned char d)
{
	blanks(c);
	if (c->at == c->len || c->p[c->at] != d)
		return false;
	c->at++;
	blanks(c);
	return true;
}

static void
add(struct word *w, unsigned char c)
{
	if (w->len < WORD_MAX)
		w->text[w->len] = c;
	w->len++;
}

static bool
token(struct cursor *c, struct word *w)
{
	w->len = 0;
	while (c->at < c->len && hb_http_token[c->p[c->at]] != 0)
		add(w, c->p[c->at++]);
	return w->len > 0;
}

static bool
quoted(struct cursor *c, struct word *w)
{
	w->len = 0;
	for (c->at++; c->at < c->len && c->p[c->at] != '"'; c->at++) {
		if (c->p[c->at] == '\\')
			c->at++;
		if (c->at == c->len || hb_http_token[c->p[c->at]] == 0)
			return false;
		add(w, c->p[c->at]);
	}
	return w->len > 0 && c->at++ < c->len;
}

static bool
is(const struct word *w, const char *text)
{
	return w->len <= WORD_MAX && hb_http_equal(w->text, w->len, text);
}

/* 8 to 15, without zeros in front (RFC 7692 7.1.2), or 0. */
static unsigned
window_bits(const struct word *w)
{
	if (w->len == 1 && (w->text[0] == '8' || w->text[0] == '9'))
		return w->text[0] - '0';
	if (w->len == 2 && w->text[0] == '1' && w->text[1] >= '0' && w->text[1] <= '5')
		return 10u + w->text[1] - '0';
	return 0;
}

/* Whether a parameter that may stand once does so now. */
static bool
once(bool *seen)
{
	bool first = !*seen;

	*seen = true;
	return first;
}

/* Whether the offer can still be met with this parameter; value is NULL where it has none. */
static bool
parameter(struct offer *o, const struct word *name, const struct word *value)
{
	if (is(name, "server_no_context_takeover"))
		return value == NULL && once(&o->server_takeover);
	if (is(name, "client_no_context_takeover"))
		return value == NULL && once(&o->client_takeover);
	/* Whatever window the client takes, ours has room for it: it need not be named in the answer. */
	if (is(name, "client_max_window_bits"))
		return (value == NULL || window_bits(value) != 0) && once(&o->client_bits);
	if (!is(name, "server_max_window_bits") || value == NULL || !once(&o->server_bits))
		return false;
	o->bits = window_bits(value);
	return o->bits >= BITS_MIN;
}

/* An extension with its parameters; false where it does not follow the grammar. */
static bool
extension(struct cursor *c, struct offer *o)
{
	struct word name, value;

	*o = (struct offer){ .good = true, .bits = BITS_MAX };
	if (!token(c, &name))
		return false;
	o->known = is(&name, "permessage-deflate");
	while (delimiter(c, ';')) {
		bool has_value;

		if (!token(c, &name))
			return false;
		has_value = delimiter(c, '=');
		if (has_value && c->at < c->len && c->p[c->at] == '"') {
			if (!quoted(c, &value))
				return false;
		} else if (has_value && !token(c, &value)) {
			return false;
		}
		if (!parameter(o, &name, has_value ? &value : NULL))
			o->good = false;
	}
	return true;
}

int
hb_ws_extensions(const unsigned char *p, size_t len, struct hb_ws_deflate *deflate)
{
	struct cursor c = { p, 0, len };
	struct offer o;

	blanks(&c);
	while (c.at < c.len) {
		/* A list may have empty elements. */
		if (delimiter(&c, ','))
			continue;
		if (!extension(&c, &o))
			return -1;
		if (o.known && o.good && !deflate->agreed)
			*deflate = (struct hb_ws_deflate){ true, o.server_bits, o.bits };
		if (c.at < c.len && c.p[c.at] != ',')
			return -1;
	}
	return 0;
}
