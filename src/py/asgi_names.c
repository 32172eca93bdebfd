/* The strings of ASGI: see asgi_names.h. */
#include "py/asgi_names.h"

#include <string.h>

int
hb_py_asgi_names_init(struct hb_py_asgi_names *n)
{
#define HB_PY_KEY(member, text) \
	n->member = PyUnicode_InternFromString(text); \
	if (n->member == NULL) \
		return -1;
	HB_PY_ASGI_KEYS(HB_PY_KEY)
#undef HB_PY_KEY
	n->empty_bytes = PyBytes_FromStringAndSize(NULL, 0);
	if (n->empty_bytes == NULL)
		return -1;
	for (size_t i = HB_HTTP_F_OTHER + 1; i < HB_HTTP_F_COUNT; i++) {
		n->fields[i] = PyBytes_FromStringAndSize(hb_http_names[i].text, (Py_ssize_t)hb_http_names[i].len);
		if (n->fields[i] == NULL)
			return -1;
	}
	return 0;
}

void
hb_py_asgi_names_clear(struct hb_py_asgi_names *n)
{
#define HB_PY_KEY(member, text) Py_CLEAR(n->member);
	HB_PY_ASGI_KEYS(HB_PY_KEY)
#undef HB_PY_KEY
	Py_CLEAR(n->empty_bytes);
	for (size_t i = 0; i < HB_HTTP_F_COUNT; i++)
		Py_CLEAR(n->fields[i]);
	for (size_t i = 0; i < HB_PY_OTHER_NAMES; i++)
		Py_CLEAR(n->others[i]);
}

PyObject *
hb_py_asgi_names_field(struct hb_py_asgi_names *n, const unsigned char *data, const struct hb_http_field *f)
{
	unsigned char low[HB_PY_NAME_MAX];
	uint32_t hash = 2166136261U;
	PyObject *name, **slot;

	if (f->id != HB_HTTP_F_OTHER)
		return Py_NewRef(n->fields[f->id]);
	if (f->name_len > sizeof low) {
		name = PyBytes_FromStringAndSize(NULL, f->name_len);
		for (size_t i = 0; name != NULL && i < f->name_len; i++)
			PyBytes_AS_STRING(name)[i] = (char)Py_TOLOWER(data[f->name + i]);
		return name;
	}
	for (size_t i = 0; i < f->name_len; i++) {
		low[i] = Py_TOLOWER(data[f->name + i]);
		hash = (hash ^ low[i]) * 16777619U;
	}
	slot = &n->others[(hash ^ hash >> 16) % HB_PY_OTHER_NAMES];
	if (*slot != NULL && PyBytes_GET_SIZE(*slot) == f->name_len &&
	    memcmp(PyBytes_AS_STRING(*slot), low, f->name_len) == 0)
		return Py_NewRef(*slot);
	name = PyBytes_FromStringAndSize((const char *)low, f->name_len);
	if (name != NULL && *slot == NULL)
		*slot = Py_NewRef(name);
	return name;
}
