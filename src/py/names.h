/* The strings of every environ, made once: keys, methods, and the names of header fields. */
#ifndef HB_PY_NAMES_H
#define HB_PY_NAMES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "http/request.h"

/* X(member, text) */
#define HB_PY_KEYS(X) \
	X(request_method, "REQUEST_METHOD") \
	X(script_name, "SCRIPT_NAME") \
	X(path_info, "PATH_INFO") \
	X(query_string, "QUERY_STRING") \
	X(request_uri, "REQUEST_URI") \
	X(raw_uri, "RAW_URI") \
	X(content_type, "CONTENT_TYPE") \
	X(content_length, "CONTENT_LENGTH") \
	X(server_name, "SERVER_NAME") \
	X(server_port, "SERVER_PORT") \
	X(server_protocol, "SERVER_PROTOCOL") \
	X(server_software, "SERVER_SOFTWARE") \
	X(remote_addr, "REMOTE_ADDR") \
	X(remote_port, "REMOTE_PORT") \
	X(wsgi_version, "wsgi.version") \
	X(wsgi_url_scheme, "wsgi.url_scheme") \
	X(wsgi_input, "wsgi.input") \
	X(wsgi_input_terminated, "wsgi.input_terminated") \
	X(wsgi_errors, "wsgi.errors") \
	X(wsgi_multithread, "wsgi.multithread") \
	X(wsgi_multiprocess, "wsgi.multiprocess") \
	X(wsgi_run_once, "wsgi.run_once") \
	X(wsgi_file_wrapper, "wsgi.file_wrapper") \
	X(http_1_0, "HTTP/1.0") \
	X(http_1_1, "HTTP/1.1") \
	X(https, "https") \
	X(close, "close") \
	X(read, "read") \
	X(hornbeam_request, "hornbeam.request") \
	X(empty, "")

enum { HB_PY_KNOWN_METHODS = HB_HTTP_M_PATCH + 1, HB_PY_OTHER_NAMES = 256, HB_PY_NAME_MAX = 64 };

struct hb_py_names {
#define HB_PY_KEY(member, text) PyObject *member;
	HB_PY_KEYS(HB_PY_KEY)
#undef HB_PY_KEY
	PyObject *methods[HB_PY_KNOWN_METHODS];
	PyObject *fields[HB_HTTP_F_COUNT];
	/* Fields without a number: the first so many names that came, so that a peer cannot fill memory. */
	struct hb_py_other {
		PyObject *key;
		uint8_t len;
		char name[HB_PY_NAME_MAX]; /* as it came */
	} others[HB_PY_OTHER_NAMES];
};

/* Returns 0, or -1 with a Python exception. */
int hb_py_names_init(struct hb_py_names *n);
void hb_py_names_clear(struct hb_py_names *n);
/* The environ's key of a field.  A new reference, or NULL with an exception. */
PyObject *hb_py_names_field(struct hb_py_names *n, const unsigned char *data, const struct hb_http_field *f);

#endif
