/* The strings of every environ: see names.h. */
#include "py/names.h"

#include <string.h>

static const char *const method_names[HB_PY_KNOWN_METHODS] = {
	[HB_HTTP_M_GET] = "GET",         [HB_HTTP_M_HEAD] = "HEAD", [HB_HTTP_M_POST] = "POST",
	[HB_HTTP_M_PUT] = "PUT",         [HB_HTTP_M_DELETE] = "DELETE",    [HB_HTTP_M_CONNECT] = "CONNECT",
	[HB_HTTP_M_OPTIONS] = "OPTIONS", [HB_HTTP_M_TRACE] = "TRACE",      [HB_HTTP_M_PATCH] = "PATCH",
};

/* "HTTP_" and the name in capitals, "-" as "_". */
static PyObject *
make_key(const char *name, size_t len)
{
	PyObject *key = PyUnicode_New((Py_ssize_t)len + 5, 127);
	Py_UCS1 *p;

	if (key == NULL)
		return NULL;
	p = PyUnicode_1BYTE_DATA(key);
	memcpy(p, "HTTP_", 5);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		p[5 + i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (Py_UCS1)(c - 32) : c;
	}
	PyUnicode_InternInPlace(&key);
	return key;
}

int
hb_py_names_init(struct hb_py_names *n)
{
#define HB_PY_KEY(member, text) \
	n->member = PyUnicode_InternFromString(text); \
	if (n->member == NULL) \
		return -1;
	HB_PY_KEYS(HB_PY_KEY)
#undef HB_PY_KEY
	for (size_t i = 0; i < HB_PY_KNOWN_METHODS; i++)
		if (method_names[i] != NULL) {
			n->methods[i] = PyUnicode_InternFromString(method_names[i]);
			if (n->methods[i] == NULL)
				return -1;
		}
	for (size_t i = HB_HTTP_F_OTHER + 1; i < HB_HTTP_F_COUNT; i++) {
		if (i == HB_HTTP_F_CONTENT_TYPE)
			n->fields[i] = Py_NewRef(n->content_type);
		else if (i == HB_HTTP_F_CONTENT_LENGTH)
			n->fields[i] = Py_NewRef(n->content_length);
		else
			n->fields[i] = make_key(hb_http_names[i].text, hb_http_names[i].len);
		if (n->fields[i] == NULL)
			return -1;
	}
	return 0;
}

void
hb_py_names_clear(struct hb_py_names *n)
{
#define HB_PY_KEY(member, text) Py_CLEAR(n->member);
	HB_PY_KEYS(HB_PY_KEY)
#undef HB_PY_KEY
	for (size_t i = 0; i < HB_PY_KNOWN_METHODS; i++)
		Py_CLEAR(n->methods[i]);
	for (size_t i = 0; i < HB_HTTP_F_COUNT; i++)
		Py_CLEAR(n->fields[i]);
	for (size_t i = 0; i < HB_PY_OTHER_NAMES; i++)
		Py_CLEAR(n->others[i].key);
}

PyObject *
hb_py_names_field(struct hb_py_names *n, const unsigned char *data, const struct hb_http_field *f)
{
	const char *name = (const char *)data + f->name;
	struct hb_py_other *o;
	uint32_t hash = 2166136261U;
	PyObject *key;

	if (f->id != HB_HTTP_F_OTHER)
		return Py_NewRef(n->fields[f->id]);
	if (f->name_len > HB_PY_NAME_MAX)
		return make_key(name, f->name_len);
	for (size_t i = 0; i < f->name_len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619U;
	o = &n->others[(hash ^ hash >> 16) % HB_PY_OTHER_NAMES];
	if (o->key != NULL && o->len == f->name_len && memcmp(o->name, name, o->len) == 0)
		return Py_NewRef(o->key);
	key = make_key(name, f->name_len);
	if (key != NULL && o->key == NULL) {
		o->key = Py_NewRef(key);
		o->len = (uint8_t)f->name_len;
		memcpy(o->name, name, f->name_len);
	}
	return key;
}
