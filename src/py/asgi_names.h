/* The strings of every ASGI scope and message, made once. */
#ifndef HB_PY_ASGI_NAMES_H
#define HB_PY_ASGI_NAMES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "py/names.h"

/* X(member, text) */
#define HB_PY_ASGI_KEYS(X) \
	X(type, "type") \
	X(asgi, "asgi") \
	X(version, "version") \
	X(spec_version, "spec_version") \
	X(http_version, "http_version") \
	X(method, "method") \
	X(scheme, "scheme") \
	X(path, "path") \
	X(raw_path, "raw_path") \
	X(query_string, "query_string") \
	X(root_path, "root_path") \
	X(headers, "headers") \
	X(client, "client") \
	X(server, "server") \
	X(state, "state") \
	X(extensions, "extensions") \
	X(subprotocols, "subprotocols") \
	X(body, "body") \
	X(more_body, "more_body") \
	X(status, "status") \
	X(links, "links") \
	X(subprotocol, "subprotocol") \
	X(text, "text") \
	X(bytes, "bytes") \
	X(code, "code") \
	X(reason, "reason") \
	X(message, "message") \
	X(http, "http") \
	X(https, "https") \
	X(ws, "ws") \
	X(wss, "wss") \
	X(websocket, "websocket") \
	X(lifespan, "lifespan") \
	X(v1_0, "1.0") \
	X(v1_1, "1.1") \
	X(v2_0, "2.0") \
	X(v2_4, "2.4") \
	X(v3_0, "3.0") \
	X(hornbeam, "hornbeam") \
	X(early_hint, "http.response.early_hint") \
	X(denial, "websocket.http.response") \
	X(http_request, "http.request") \
	X(http_disconnect, "http.disconnect") \
	X(websocket_connect, "websocket.connect") \
	X(websocket_receive, "websocket.receive") \
	X(websocket_disconnect, "websocket.disconnect") \
	X(lifespan_startup, "lifespan.startup") \
	X(lifespan_shutdown, "lifespan.shutdown") \
	X(cancel, "cancel") \
	X(done, "done") \
	X(set_result, "set_result") \
	X(throw_, "throw") \
	X(close, "close") \
	X(upper, "upper")

struct hb_py_asgi_names {
#define HB_PY_KEY(member, text) PyObject *member;
	HB_PY_ASGI_KEYS(HB_PY_KEY)
#undef HB_PY_KEY
	PyObject *empty_bytes;
	PyObject *fields[HB_HTTP_F_COUNT]; /* bytes, lower-case */
	/* Fields without a number: the first so many that came. */
	PyObject *others[HB_PY_OTHER_NAMES];
};

/* Returns 0, or -1 with an exception. */
int hb_py_asgi_names_init(struct hb_py_asgi_names *n);
void hb_py_asgi_names_clear(struct hb_py_asgi_names *n);
/* The lower-case name of a field as bytes.  A new reference, or NULL with an exception. */
PyObject *hb_py_asgi_names_field(struct hb_py_asgi_names *n, const unsigned char *data,
    const struct hb_http_field *f);

#endif
