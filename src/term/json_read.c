/* JSON to terms: see json.h. */
#include "term/json.h"

#include <jansson.h>
#include <string.h>

#include "term/base64.h"
#include "term/keys.h"
#include "term/number.h"
#include "term/term.h"

enum { SAFE_DIGITS = 18 }; /* any integer of so many fits 64 bits */

struct reader {
	struct hb_buf *out;
	struct hb_error *err;
	unsigned depth;
};

static int read_value(struct reader *r, json_t *v);

static int
fail(struct reader *r, const char *what, const char *tag)
{
	return hb_error_set(r->err, HB_ERROR_VALUE, "{\"%s\": ...}: %s", tag, what);
}

static int
enter(struct reader *r)
{
	if (r->depth == HB_TERM_DEPTH_MAX)
		return hb_error_set(r->err, HB_ERROR_LIMIT, "nested more than %d deep", HB_TERM_DEPTH_MAX);
	r->depth++;
	return 0;
}

static int
read_elements(struct reader *r, json_t *array, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++)
		if (read_value(r, json_array_get(array, i)) == -1)
			return -1;
	return 0;
}

static int
read_list(struct reader *r, json_t *array)
{
	size_t n = json_array_size(array);

	if (enter(r) == -1)
		return -1;
	hb_term_put_list(r->out, (uint32_t)n);
	if (read_elements(r, array, 0, n) == -1)
		return -1;
	if (n > 0)
		hb_term_put_nil(r->out);
	r->depth--;
	return 0;
}

static int
read_object(struct reader *r, json_t *object)
{
	const char *key;
	json_t *v;

	if (enter(r) == -1)
		return -1;
	hb_term_put_map(r->out, (uint32_t)json_object_size(object));
	json_object_foreach (object, key, v) {
		hb_term_put_str(r->out, key);
		if (read_value(r, v) == -1)
			return -1;
	}
	r->depth--;
	return 0;
}

static int
read_atom(struct reader *r, json_t *v, const char *tag)
{
	const char *text = json_string_value(v);
	size_t len = json_string_length(v), characters = 0;

	if (text == NULL)
		return fail(r, "a string is needed", tag);
	for (size_t i = 0; i < len; i++)
		characters += (text[i] & 0xc0) != 0x80;
	if (characters > HB_TERM_ATOM_MAX)
		return fail(r, "an atom has at most 255 characters", tag);
	hb_term_put_atom_n(r->out, text, len);
	return 0;
}

static int
read_tuple(struct reader *r, json_t *v, const char *tag)
{
	if (!json_is_array(v))
		return fail(r, "an array is needed", tag);
	if (enter(r) == -1)
		return -1;
	hb_term_put_tuple(r->out, (uint32_t)json_array_size(v));
	if (read_elements(r, v, 0, json_array_size(v)) == -1)
		return -1;
	r->depth--;
	return 0;
}

static int
read_int(struct reader *r, json_t *v, const char *tag)
{
	const char *text = json_string_value(v);
	bool negative = text != NULL && text[0] == '-', hex;

	if (text == NULL)
		return fail(r, "a string is needed", tag);
	text += negative;
	hex = text[0] == '0' && text[1] == 'x';
	text += hex ? 2 : 0;
	if (hb_number_read(r->out, negative, text, strlen(text), hex ? 16 : 10, r->err) == 0)
		return 0;
	return fail(r, "decimal digits, or 0x and hexadecimal digits for a long one, are needed", tag);
}

static void
open_kind(struct reader *r, const char *kind, size_t len)
{
	hb_term_put_tuple(r->out, 3);
	hb_term_put_atom(r->out, "$py");
	hb_term_put_atom_n(r->out, kind, len);
}

static int
read_float(struct reader *r, json_t *v, const char *tag)
{
	const char *text = json_string_value(v);

	if (text == NULL || (strcmp(text, "nan") != 0 && strcmp(text, "inf") != 0 && strcmp(text, "-inf") != 0))
		return fail(r, "one of \"nan\", \"inf\" and \"-inf\" is needed", tag);
	if (enter(r) == -1)
		return -1;
	open_kind(r, "float", 5);
	hb_term_put_atom(r->out, text);
	r->depth--;
	return 0;
}

static int
read_kind(struct reader *r, json_t *v, const char *tag)
{
	json_t *kind = json_array_get(v, 0);

	if (json_array_size(v) != 2 || !json_is_string(kind) || json_string_length(kind) > HB_TERM_ATOM_MAX)
		return fail(r, "[kind, payload] is needed", tag);
	if (enter(r) == -1)
		return -1;
	open_kind(r, json_string_value(kind), json_string_length(kind));
	if (read_value(r, json_array_get(v, 1)) == -1)
		return -1;
	r->depth--;
	return 0;
}

static int
read_base64(struct reader *r, json_t *v, const char *tag, struct hb_buf *data)
{
	if (!json_is_string(v) || hb_base64_decode(data, json_string_value(v), json_string_length(v)) == -1)
		return fail(r, "a string in base64 is needed", tag);
	return 0;
}

static int
read_bytes(struct reader *r, json_t *v, const char *tag)
{
	struct hb_buf data = HB_BUF_INIT;
	int rc = read_base64(r, v, tag, &data);

	if (rc == 0 && strcmp(tag, "$bytes") == 0)
		hb_term_put_bytes(r->out, data.data, data.len);
	else if (rc == 0)
		hb_term_put_binary(r->out, data.data, data.len);
	hb_buf_free(&data);
	return rc;
}

static int
read_pair(struct reader *r, json_t *pair, const char *tag, struct hb_keys *keys)
{
	size_t start = r->out->len;

	if (json_array_size(pair) != 2)
		return fail(r, "an array of [key, value] is needed", tag);
	if (read_value(r, json_array_get(pair, 0)) == -1)
		return -1;
	hb_keys_add(keys, start, r->out->len);
	return read_value(r, json_array_get(pair, 1));
}

static int
read_map(struct reader *r, json_t *v, const char *tag)
{
	struct hb_keys keys = HB_KEYS_INIT;
	int rc = 0;

	if (!json_is_array(v))
		return fail(r, "an array of [key, value] is needed", tag);
	if (enter(r) == -1)
		return -1;
	hb_term_put_map(r->out, (uint32_t)json_array_size(v));
	for (size_t i = 0; rc == 0 && i < json_array_size(v); i++)
		rc = read_pair(r, json_array_get(v, i), tag, &keys);
	if (!hb_keys_differ(&keys, r->out) && rc == 0)
		rc = fail(r, "two keys are the same", tag);
	r->depth--;
	return rc;
}

static int
read_improper(struct reader *r, json_t *v, const char *tag)
{
	size_t n = json_array_size(v);

	if (n < 2 || json_is_array(json_array_get(v, n - 1)))
		return fail(r, "an array of elements and a tail that is no list is needed", tag);
	if (enter(r) == -1)
		return -1;
	hb_term_put_list(r->out, (uint32_t)n - 1);
	if (read_elements(r, v, 0, n) == -1)
		return -1;
	r->depth--;
	return 0;
}

/* A term in its external encoding, of the one type that the tag names. */
static int
read_raw(struct reader *r, json_t *v, const char *tag)
{
	static const struct {
		const char *tag;
		enum hb_term_type type;
	} types[] = {{"$bits", HB_TERM_BITS}, {"$pid", HB_TERM_PID}, {"$port", HB_TERM_PORT}, {"$ref", HB_TERM_REF},
	    {"$fun", HB_TERM_FUN}};
	struct hb_buf data = HB_BUF_INIT;
	struct hb_term_reader reader;
	struct hb_term_token t;
	struct hb_error err;
	int rc = -1;

	hb_term_put_version(&data);
	if (read_base64(r, v, tag, &data) == -1)
		goto done;
	rc = data.failed || hb_term_open(&reader, data.data, data.len, &err) == -1 ||
	    hb_term_next(&reader, &t, &err) != 1 || reader.p != reader.end;
	for (size_t i = 0; rc == 0 && i < sizeof types / sizeof *types; i++)
		if (strcmp(tag, types[i].tag) == 0 && t.type != types[i].type)
			rc = 1;
	if (rc == 0)
		hb_buf_add(r->out, data.data + 1, data.len - 1);
	else
		rc = fail(r, "not the external encoding of such a term", tag);
done:
	hb_buf_free(&data);
	return rc;
}

static const struct tag {
	const char *name;
	int (*read)(struct reader *r, json_t *v, const char *tag);
} tags[] = {
    {"$atom", read_atom},
    {"$tuple", read_tuple},
    {"$int", read_int},
    {"$float", read_float},
    {"$bytes", read_bytes},
    {"$binary", read_bytes},
    {"$map", read_map},
    {"$py", read_kind},
    {"$improper", read_improper},
    {"$bits", read_raw},
    {"$pid", read_raw},
    {"$port", read_raw},
    {"$ref", read_raw},
    {"$fun", read_raw},
};

static int
read_tagged(struct reader *r, const char *name, json_t *v)
{
	for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
		if (strcmp(name, tags[i].name) == 0)
			return tags[i].read(r, v, name);
	return fail(r, "no tag of the JSON form; such a map is written {\"$map\": [[key, value]]}", name);
}

static int
read_value(struct reader *r, json_t *v)
{
	const char *key;

	switch (json_typeof(v)) {
	case JSON_OBJECT:
		key = json_object_iter_key(json_object_iter(v));
		if (json_object_size(v) == 1 && key[0] == '$')
			return read_tagged(r, key, json_object_iter_value(json_object_iter(v)));
		return read_object(r, v);
	case JSON_ARRAY:
		return read_list(r, v);
	case JSON_STRING:
		hb_term_put_binary(r->out, json_string_value(v), json_string_length(v));
		return 0;
	case JSON_INTEGER:
		hb_term_put_int(r->out, json_integer_value(v));
		return 0;
	case JSON_REAL:
		hb_term_put_float(r->out, json_real_value(v));
		return 0;
	case JSON_TRUE:
	case JSON_FALSE:
		hb_term_put_bool(r->out, json_is_true(v));
		return 0;
	case JSON_NULL:
		hb_term_put_atom(r->out, "undefined");
		return 0;
	}
	return -1;
}

static size_t
number_length(const char *p, const char *end)
{
	const char *q = p;

	while (q < end && *q != '\0' && strchr("0123456789+-.eE", *q) != NULL)
		q++;
	return (size_t)(q - p);
}

static bool
is_long_integer(const char *p, size_t len)
{
	size_t sign = *p == '-';

	if (len - sign <= SAFE_DIGITS || p[sign] == '0')
		return false;
	for (size_t i = sign; i < len; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	return true;
}

/* jansson refuses integers beyond 64 bits: those get their tag before it sees them. */
static void
tag_long_integers(const char *p, size_t len, struct hb_buf *out)
{
	const char *end = p + len;
	bool string = false;

	while (p < end) {
		size_t n = string ? 0 : number_length(p, end);

		if (n > 0 && is_long_integer(p, n)) {
			hb_buf_printf(out, "{\"$int\":\"%.*s\"}", (int)n, p);
			p += n;
			continue;
		}
		if (n == 0)
			n = string && *p == '\\' && p + 1 < end ? 2 : 1;
		if (*p == '"')
			string = !string;
		hb_buf_add(out, p, n);
		p += n;
	}
}

int
hb_term_from_json(const char *text, size_t len, struct hb_buf *out, struct hb_error *err)
{
	struct reader r = {out, err, 0};
	struct hb_buf tagged = HB_BUF_INIT;
	size_t start = out->len;
	json_error_t cause;
	json_t *v = NULL;
	int rc = -1;

	tag_long_integers(text, len, &tagged);
	if (!tagged.failed && len > 0)
		v = json_loadb((const char *)tagged.data, tagged.len,
		    JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &cause);
	if (tagged.failed)
		hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	else if (len == 0)
		hb_error_set(err, HB_ERROR_VALUE, "not JSON: no text");
	else if (v == NULL)
		hb_error_set(err, HB_ERROR_VALUE, "not JSON: line %d, column %d: %s", cause.line, cause.column, cause.text);
	else
		rc = read_value(&r, v);
	if (rc == 0 && out->failed)
		rc = hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (rc == -1 && !out->failed)
		out->len = start;
	json_decref(v);
	hb_buf_free(&tagged);
	return rc;
}
