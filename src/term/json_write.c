/*
 * Terms as JSON: see json.h.  A first pass finds for each container, in the
 * order of their opening, which form it takes; the second one writes.
 */
#include "term/json.h"

#include <inttypes.h>
#include <string.h>

#include "common/str.h"
#include "term/base64.h"
#include "term/number.h"
#include "term/term.h"

enum shape { SHAPE_ARRAY, SHAPE_IMPROPER, SHAPE_TUPLE, SHAPE_KIND, SHAPE_FLOAT, SHAPE_OBJECT, SHAPE_PAIRS };

static bool
text_is(const struct hb_term_token *t, const char *name)
{
	return t->type == HB_TERM_ATOM && t->len == strlen(name) && memcmp(t->text, name, t->len) == 0;
}

static bool
is_container(const struct hb_term_token *t)
{
	return t->type == HB_TERM_TUPLE || t->type == HB_TERM_LIST || t->type == HB_TERM_MAP;
}

/* The first pass. */
struct scan {
	struct hb_buf *shapes;
	struct {
		size_t at; /* in shapes */
		uint32_t i;
		uint32_t count;
	} open[HB_TERM_DEPTH_MAX + 1];
};

static bool
is_special_float(const struct hb_term_token *t)
{
	return text_is(t, "nan") || text_is(t, "inf") || text_is(t, "-inf");
}

/* Element i of the innermost container, whose form it may decide. */
static void
scan_element(struct scan *s, unsigned depth, const struct hb_term_token *t)
{
	unsigned char *shape = &s->shapes->data[s->open[depth].at];
	uint32_t i = s->open[depth].i++, count = s->open[depth].count;

	if (*shape == SHAPE_OBJECT && i % 2 == 0) {
		if (t->type != HB_TERM_BINARY || !hb_str_is_utf8(t->text, t->len) ||
		    memchr(t->text, '\0', t->len) != NULL || (count == 1 && t->len > 0 && t->text[0] == '$'))
			*shape = SHAPE_PAIRS;
	} else if (*shape == SHAPE_KIND || *shape == SHAPE_FLOAT) {
		if (i == 0 && !text_is(t, "$py"))
			*shape = SHAPE_TUPLE;
		else if (i == 1)
			*shape = t->type != HB_TERM_ATOM ? SHAPE_TUPLE : text_is(t, "float") ? SHAPE_FLOAT : SHAPE_KIND;
		else if (i == 2 && *shape == SHAPE_FLOAT && !is_special_float(t))
			*shape = SHAPE_KIND;
	}
}

static int
scan(const void *p, size_t len, struct hb_buf *shapes, struct hb_error *err)
{
	struct scan s = {.shapes = shapes};
	struct hb_term_reader r;
	struct hb_term_token t;
	unsigned depth = 0;
	int rc;

	if (hb_term_open(&r, p, len, err) == -1)
		return -1;
	while ((rc = hb_term_next(&r, &t, err)) == 1) {
		if (t.type == HB_TERM_CLOSE) {
			depth--;
			continue;
		}
		if (t.type == HB_TERM_TAIL) {
			shapes->data[s.open[depth].at] = SHAPE_IMPROPER;
			continue;
		}
		if (depth > 0)
			scan_element(&s, depth, &t);
		if (!is_container(&t))
			continue;
		depth++;
		s.open[depth].at = shapes->len;
		s.open[depth].i = 0;
		s.open[depth].count = t.count;
		hb_buf_add_u8(shapes, t.type == HB_TERM_MAP ? SHAPE_OBJECT : t.type == HB_TERM_LIST ? SHAPE_ARRAY :
		    t.count == 3 ? SHAPE_KIND : SHAPE_TUPLE);
		if (shapes->failed)
			return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	}
	return rc;
}

/* The second pass. */
struct writer {
	struct hb_buf *out;
	const unsigned char *shape; /* of the next container */
	unsigned depth;
	bool compact, key;
	struct {
		uint8_t shape;
		uint32_t i;
	} open[HB_TERM_DEPTH_MAX + 1];
};

static void
put_escaped(struct hb_buf *out, unsigned c)
{
	switch (c) {
	case '"':
	case '\\':
		hb_buf_add_u8(out, '\\');
		hb_buf_add_u8(out, (uint8_t)c);
		break;
	case '\n':
		hb_buf_add_str(out, "\\n");
		break;
	case '\r':
		hb_buf_add_str(out, "\\r");
		break;
	case '\t':
		hb_buf_add_str(out, "\\t");
		break;
	default:
		hb_buf_printf(out, "\\u%04x", c);
	}
}

/* UTF-8 text; every control character is escaped, so that a terminal is safe from it. */
static void
put_string(struct hb_buf *out, const unsigned char *p, size_t len)
{
	size_t start = 0;

	hb_buf_add_u8(out, '"');
	for (size_t i = 0; i < len; i++) {
		bool c1 = p[i] == 0xc2 && i + 1 < len && p[i + 1] < 0xa0;

		if (!c1 && p[i] >= 0x20 && p[i] != '"' && p[i] != '\\' && p[i] != 0x7f)
			continue;
		hb_buf_add(out, p + start, i - start);
		put_escaped(out, c1 ? p[++i] : p[i]);
		start = i + 1;
	}
	hb_buf_add(out, p + start, len - start);
	hb_buf_add_u8(out, '"');
}

static void
put_tag(struct writer *w, const char *tag)
{
	hb_buf_printf(w->out, w->compact ? "{\"$%s\":" : "{\"$%s\": ", tag);
}

static void
put_base64(struct writer *w, const char *tag, const struct hb_term_token *t)
{
	put_tag(w, tag);
	hb_buf_add_u8(w->out, '"');
	hb_base64_encode(w->out, t->text, t->len);
	hb_buf_add_str(w->out, "\"}");
}

static void
put_bits(struct writer *w, const struct hb_term_token *t)
{
	struct hb_buf raw = HB_BUF_INIT;

	hb_term_put_bits(&raw, t->text, t->len, t->bits);
	put_base64(w, "bits", &(struct hb_term_token){.text = raw.data, .len = raw.len});
	w->out->failed |= raw.failed;
	hb_buf_free(&raw);
}

static void
put_atom(struct writer *w, const struct hb_term_token *t)
{
	if (text_is(t, "undefined")) {
		hb_buf_add_str(w->out, "null");
	} else if (text_is(t, "true") || text_is(t, "false")) {
		hb_buf_add(w->out, t->text, t->len);
	} else {
		put_tag(w, "atom");
		put_string(w->out, t->text, t->len);
		hb_buf_add_u8(w->out, '}');
	}
}

static void
put_big(struct writer *w, const struct hb_term_token *t)
{
	put_tag(w, "int");
	hb_buf_add_u8(w->out, '"');
	hb_number_put_big(w->out, t->negative, t->text, t->len, "0x");
	hb_buf_add_str(w->out, "\"}");
}

/* A list of small integers. */
static void
put_charlist(struct writer *w, const struct hb_term_token *t)
{
	hb_buf_add_u8(w->out, '[');
	for (size_t i = 0; i < t->len; i++)
		hb_buf_printf(w->out, "%s%u", i == 0 ? "" : w->compact ? "," : ", ", t->text[i]);
	hb_buf_add_u8(w->out, ']');
}

static void
open_container(struct writer *w)
{
	static const char *const tags[] = {
	    [SHAPE_IMPROPER] = "improper", [SHAPE_TUPLE] = "tuple", [SHAPE_KIND] = "py", [SHAPE_PAIRS] = "map"};
	uint8_t shape = *w->shape++;

	w->depth++;
	w->open[w->depth].shape = shape;
	w->open[w->depth].i = 0;
	if (shape == SHAPE_FLOAT) {
		put_tag(w, "float");
		return;
	}
	if (shape != SHAPE_ARRAY && shape != SHAPE_OBJECT)
		put_tag(w, tags[shape]);
	hb_buf_add_u8(w->out, shape == SHAPE_OBJECT ? '{' : '[');
}

static void
close_container(struct writer *w)
{
	static const char *const ends[] = {[SHAPE_ARRAY] = "]", [SHAPE_IMPROPER] = "]}", [SHAPE_TUPLE] = "]}",
	    [SHAPE_KIND] = "]}", [SHAPE_FLOAT] = "}", [SHAPE_OBJECT] = "}", [SHAPE_PAIRS] = "]}"};
	uint8_t shape = w->open[w->depth].shape;

	if (shape == SHAPE_PAIRS && w->open[w->depth].i > 0)
		hb_buf_add_u8(w->out, ']');
	hb_buf_add_str(w->out, ends[shape]);
	w->depth--;
}

/* What stands between the last element and the next; false when the next is left out. */
static bool
separate(struct writer *w, const struct hb_term_token *t)
{
	const char *comma = w->compact ? "," : ", ";
	uint8_t shape = w->open[w->depth].shape;
	uint32_t i = w->open[w->depth].i++;

	switch (shape) {
	case SHAPE_OBJECT:
		hb_buf_add_str(w->out, i == 0 ? "" : i % 2 == 0 ? comma : w->compact ? ":" : ": ");
		return true;
	case SHAPE_PAIRS:
		if (i % 2 == 1)
			hb_buf_add_str(w->out, comma);
		else
			hb_buf_printf(w->out, "%s%s[", i == 0 ? "" : "]", i == 0 ? "" : comma);
		return true;
	case SHAPE_KIND:
	case SHAPE_FLOAT:
		/* the atoms '$py' and Kind: the first goes without saying, the second is a string */
		if (i == 0 || (i == 1 && shape == SHAPE_FLOAT))
			return false;
		if (i == 2 && shape == SHAPE_KIND) {
			hb_buf_add_str(w->out, comma);
			return true;
		}
		put_string(w->out, t->text, t->len);
		return false;
	default:
		hb_buf_add_str(w->out, i == 0 ? "" : comma);
		return true;
	}
}

static void
write_element(struct writer *w, const struct hb_term_token *t)
{
	switch (t->type) {
	case HB_TERM_END:
	case HB_TERM_TAIL:
	case HB_TERM_CLOSE:
		break;
	case HB_TERM_ATOM:
		put_atom(w, t);
		break;
	case HB_TERM_INT:
		hb_buf_printf(w->out, "%" PRId64, t->i);
		break;
	case HB_TERM_BIG:
		put_big(w, t);
		break;
	case HB_TERM_FLOAT:
		hb_number_put_float(w->out, t->f);
		break;
	case HB_TERM_BINARY:
		if (hb_str_is_utf8(t->text, t->len))
			put_string(w->out, t->text, t->len);
		else
			put_base64(w, "binary", t);
		break;
	case HB_TERM_BYTES:
		put_base64(w, "bytes", t);
		break;
	case HB_TERM_BITS:
		put_bits(w, t);
		break;
	case HB_TERM_STRING:
		put_charlist(w, t);
		break;
	case HB_TERM_TUPLE:
	case HB_TERM_LIST:
	case HB_TERM_MAP:
		open_container(w);
		break;
	case HB_TERM_PID:
		put_base64(w, "pid", t);
		break;
	case HB_TERM_PORT:
		put_base64(w, "port", t);
		break;
	case HB_TERM_REF:
		put_base64(w, "ref", t);
		break;
	case HB_TERM_FUN:
		put_base64(w, "fun", t);
		break;
	}
}

static int
write_all(struct writer *w, const void *p, size_t len, struct hb_error *err)
{
	struct hb_term_reader r;
	struct hb_term_token t;
	int rc;

	if (hb_term_open(&r, p, len, err) == -1)
		return -1;
	while ((rc = hb_term_next(&r, &t, err)) == 1) {
		if (t.type == HB_TERM_CLOSE)
			close_container(w);
		else if (t.type != HB_TERM_TAIL && (w->depth == 0 || separate(w, &t)))
			write_element(w, &t);
	}
	return rc;
}

int
hb_term_to_json(const void *p, size_t len, bool compact, struct hb_buf *out, struct hb_error *err)
{
	struct hb_buf shapes = HB_BUF_INIT;
	struct writer w = {.out = out, .compact = compact};
	size_t start = out->len;
	int rc;

	rc = scan(p, len, &shapes, err);
	w.shape = shapes.data;
	if (rc == 0)
		rc = write_all(&w, p, len, err);
	hb_buf_free(&shapes);
	if (rc == 0 && out->failed)
		rc = hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (rc == -1 && !out->failed)
		out->len = start;
	return rc;
}
