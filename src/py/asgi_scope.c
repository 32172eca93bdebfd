/*
 * Scopes: a copy of the template of the listener and mount, then what differs
 * from request to request.  Nothing in a scope that an application could change is
 * in another one, too; tuples, strings and bytes are shared.
 */
#include "py/asgi_scope.h"

#include <stdlib.h>
#include <string.h>

enum { HTTP, WEBSOCKET, LIFESPAN };

static PyObject *
make_dict(PyObject *key_a, PyObject *a, PyObject *key_b, PyObject *b)
{
	PyObject *d = PyDict_New();

	if (d != NULL && (PyDict_SetItem(d, key_a, a) == -1 || (key_b != NULL && PyDict_SetItem(d, key_b, b) == -1)))
		Py_CLEAR(d);
	return d;
}

int
hb_py_asgi_scope_init(struct hb_py_asgi *asgi)
{
	struct hb_py_asgi_names *n = &asgi->names;

	asgi->version[HTTP] = make_dict(n->version, n->v3_0, n->spec_version, n->v2_4);
	asgi->version[WEBSOCKET] = make_dict(n->version, n->v3_0, n->spec_version, n->v2_4);
	asgi->version[LIFESPAN] = make_dict(n->version, n->v3_0, n->spec_version, n->v2_0);
	asgi->request_event = make_dict(n->type, n->http_request, n->body, n->empty_bytes);
	asgi->disconnect_event = make_dict(n->type, n->http_disconnect, NULL, NULL);
	if (asgi->version[HTTP] == NULL || asgi->version[WEBSOCKET] == NULL || asgi->version[LIFESPAN] == NULL ||
	    asgi->request_event == NULL || asgi->disconnect_event == NULL)
		return -1;
	return PyDict_SetItem(asgi->request_event, n->more_body, Py_False);
}

void
hb_py_asgi_scope_clear(struct hb_py_asgi *asgi)
{
	for (size_t i = 0; i < Py_ARRAY_LENGTH(asgi->version); i++)
		Py_CLEAR(asgi->version[i]);
	Py_CLEAR(asgi->request_event);
	Py_CLEAR(asgi->disconnect_event);
}

/* All the keys that any request has, so that setting one changes no layout. */
static PyObject *
make_template(struct hb_py_asgi_names *n, PyObject *server, PyObject *root_path, bool websocket)
{
	PyObject *d = PyDict_New();

	if (d == NULL)
		return NULL;
	if (PyDict_SetItem(d, n->type, websocket ? n->websocket : n->http) == -1 ||
	    PyDict_SetItem(d, n->asgi, Py_None) == -1 || PyDict_SetItem(d, n->http_version, n->v1_1) == -1 ||
	    PyDict_SetItem(d, n->server, server) == -1 || PyDict_SetItem(d, n->client, Py_None) == -1 ||
	    PyDict_SetItem(d, n->scheme, websocket ? n->ws : n->http) == -1 ||
	    PyDict_SetItem(d, n->root_path, root_path) == -1 || PyDict_SetItem(d, n->path, Py_None) == -1 ||
	    PyDict_SetItem(d, n->raw_path, Py_None) == -1 ||
	    PyDict_SetItem(d, n->query_string, n->empty_bytes) == -1 ||
	    PyDict_SetItem(d, n->headers, Py_None) == -1 || PyDict_SetItem(d, n->extensions, Py_None) == -1 ||
	    PyDict_SetItem(d, websocket ? n->subprotocols : n->method, Py_None) == -1)
		Py_CLEAR(d);
	return d;
}

int
hb_py_asgi_place_init(struct hb_py *py, struct hb_py_place *place, const struct hb_py_listener *listener,
    const char *root_path)
{
	struct hb_py_asgi_names *n = &py->asgi->names;
	PyObject *server = listener->path != NULL ? Py_BuildValue("(NO)", PyUnicode_DecodeFSDefault(listener->path), Py_None)
	                                          : Py_BuildValue("(si)", listener->name, atoi(listener->port));
	PyObject *root = PyUnicode_DecodeUTF8(root_path, (Py_ssize_t)strlen(root_path), "replace");

	if (server != NULL && root != NULL) {
		place->scopes[HTTP] = make_template(n, server, root, false);
		place->scopes[WEBSOCKET] = make_template(n, server, root, true);
	}
	Py_XDECREF(server);
	Py_XDECREF(root);
	return place->scopes[HTTP] != NULL && place->scopes[WEBSOCKET] != NULL ? 0 : -1;
}

void
hb_py_asgi_place_clear(struct hb_py_place *place)
{
	Py_CLEAR(place->scopes[HTTP]);
	Py_CLEAR(place->scopes[WEBSOCKET]);
}

/* Takes name and value. */
static int
append_field(PyObject *list, Py_ssize_t i, PyObject *name, PyObject *value)
{
	PyObject *pair = name != NULL && value != NULL ? PyTuple_New(2) : NULL;

	if (pair == NULL) {
		Py_XDECREF(name);
		Py_XDECREF(value);
		return -1;
	}
	PyTuple_SET_ITEM(pair, 0, name);
	PyTuple_SET_ITEM(pair, 1, value);
	PyList_SET_ITEM(list, i, pair);
	return 0;
}

static PyObject *
make_headers(struct hb_py_asgi_names *n, const struct hb_py_request *r)
{
	const struct hb_http_request *head = r->head;
	/* HTTP/1.0 needs no Host field; the application is told the target's host, or a proxy's, all the same. */
	bool host = head->minor == 0 && head->host.len > 0 && hb_http_find(head, HB_HTTP_F_HOST) == NULL;
	PyObject *list = PyList_New((Py_ssize_t)(head->fields_count + host));

	if (list == NULL)
		return NULL;
	for (size_t i = 0; i < head->fields_count; i++) {
		const struct hb_http_field *f = &head->fields[i];

		if (append_field(list, (Py_ssize_t)i, hb_py_asgi_names_field(n, r->data, f),
		        PyBytes_FromStringAndSize((const char *)r->data + f->value, f->value_len)) == -1)
			goto fail;
	}
	if (host && append_field(list, (Py_ssize_t)head->fields_count, Py_NewRef(n->fields[HB_HTTP_F_HOST]),
	        PyBytes_FromStringAndSize((const char *)r->data + head->host.off, head->host.len)) == -1)
		goto fail;
	return list;
fail:
	Py_DECREF(list);
	return NULL;
}

/* A tuple, the connection's own unless a proxy spoke for somebody else. */
static int
set_client(struct hb_py *py, PyObject *d, struct hb_py_request *r)
{
	struct hb_py_peer *peer;

	if (r->remote_addr[0] == '\0')
		return 0;
	if (r->forwarded)
		return hb_py_set(d, py->asgi->names.client, Py_BuildValue("(si)", r->remote_addr, atoi(r->remote_port)));
	peer = hb_py_peer_get(r);
	if (peer == NULL)
		return -1;
	if (peer->client == NULL)
		peer->client = Py_BuildValue("(si)", r->remote_addr, atoi(r->remote_port));
	if (peer->client == NULL)
		return -1;
	return PyDict_SetItem(d, py->asgi->names.client, peer->client);
}

static int
set_method(struct hb_py *py, PyObject *d, const struct hb_py_request *r)
{
	struct hb_py_asgi_names *n = &py->asgi->names;
	PyObject *method, *upper;

	if (r->head->method_id != HB_HTTP_M_OTHER)
		return PyDict_SetItem(d, n->method, py->names.methods[r->head->method_id]);
	method = PyUnicode_DecodeLatin1((const char *)r->data + r->head->method.off, r->head->method.len, NULL);
	upper = method != NULL ? PyObject_CallMethodNoArgs(method, n->upper) : NULL;
	Py_XDECREF(method);
	return hb_py_set(d, n->method, upper);
}

/* The path by the specification has the mount in front; see hb_py_app for who wants it without. */
static int
set_paths(struct hb_py *py, PyObject *d, const struct hb_py_request *r)
{
	struct hb_py_asgi_names *n = &py->asgi->names;
	const struct hb_http_request *head = r->head;
	size_t skip = r->app->mount_apart ? r->mount_len : 0;

	if (hb_py_set(d, n->path, PyUnicode_DecodeUTF8((const char *)r->path + skip, (Py_ssize_t)(r->path_len - skip),
	                        "replace")) == -1 ||
	    hb_py_set(d, n->raw_path, PyBytes_FromStringAndSize((const char *)r->data + head->path.off,
	                            head->path.len)) == -1)
		return -1;
	if (head->query.len == 0)
		return 0;
	return hb_py_set(d, n->query_string, PyBytes_FromStringAndSize((const char *)r->data + head->query.off,
	                                   head->query.len));
}

static PyObject *
make_extensions(struct hb_py *py, const struct hb_py_request *r)
{
	struct hb_py_asgi_names *n = &py->asgi->names;
	PyObject *inner = PyDict_New(), *d = NULL;

	if (inner != NULL)
		d = make_dict(r->websocket ? n->denial : n->early_hint, inner, NULL, NULL);
	Py_XDECREF(inner);
	if (d != NULL && r->own != NULL && hb_py_set(d, n->hornbeam, hb_py_own(py, r)) == -1)
		Py_CLEAR(d);
	return d;
}

static PyObject *
make_subprotocols(const struct hb_py_request *r)
{
	const char *p = r->subprotocols.p, *end = p + r->subprotocols.len;
	PyObject *list = PyList_New(0), *name;

	for (; list != NULL && p < end; p += strlen(p) + 1) {
		name = PyUnicode_DecodeLatin1(p, (Py_ssize_t)strlen(p), NULL);
		if (name == NULL || PyList_Append(list, name) == -1)
			Py_CLEAR(list);
		Py_XDECREF(name);
	}
	return list;
}

PyObject *
hb_py_asgi_scope(struct hb_py *py, struct hb_py_request *r)
{
	struct hb_py_asgi *asgi = py->asgi;
	struct hb_py_asgi_names *n = &asgi->names;
	PyObject *d = PyDict_Copy(r->place->scopes[r->websocket ? WEBSOCKET : HTTP]);

	if (d == NULL)
		return NULL;
	if (hb_py_set(d, n->asgi, PyDict_Copy(asgi->version[r->websocket ? WEBSOCKET : HTTP])) == -1 ||
	    (r->head->minor == 0 && PyDict_SetItem(d, n->http_version, n->v1_0) == -1) ||
	    (r->secure && PyDict_SetItem(d, n->scheme, r->websocket ? n->wss : n->https) == -1) ||
	    set_client(py, d, r) == -1 || set_paths(py, d, r) == -1 ||
	    hb_py_set(d, n->headers, make_headers(n, r)) == -1 ||
	    hb_py_set(d, n->extensions, make_extensions(py, r)) == -1)
		goto fail;
	if (r->websocket ? hb_py_set(d, n->subprotocols, make_subprotocols(r)) == -1 : set_method(py, d, r) == -1)
		goto fail;
	if (r->app->state != NULL && hb_py_set(d, n->state, PyDict_Copy(r->app->state)) == -1)
		goto fail;
	return d;
fail:
	Py_DECREF(d);
	return NULL;
}

PyObject *
hb_py_asgi_lifespan_scope(struct hb_py *py, PyObject *state)
{
	struct hb_py_asgi_names *n = &py->asgi->names;
	PyObject *d = make_dict(n->type, n->lifespan, n->state, state);

	if (d != NULL && hb_py_set(d, n->asgi, PyDict_Copy(py->asgi->version[LIFESPAN])) == -1)
		Py_CLEAR(d);
	return d;
}
