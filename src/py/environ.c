/*
 * The environ: a copy of the template of the listener and mount, then what
 * differs from request to request.  The template has every constant key, so
 * that the copy has room for the usual ones.
 */
#include "py/environ.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/str.h"
#include "py/asgi_scope.h"

static PyObject *
latin1(const unsigned char *p, size_t n)
{
	return PyUnicode_DecodeLatin1((const char *)p, (Py_ssize_t)n, NULL);
}

int
hb_py_set(PyObject *d, PyObject *key, PyObject *value)
{
	int rc;

	if (value == NULL)
		return -1;
	rc = PyDict_SetItem(d, key, value);
	Py_DECREF(value);
	return rc;
}

static int
set_span(PyObject *d, PyObject *key, const unsigned char *data, struct hb_http_span s)
{
	return hb_py_set(d, key, latin1(data + s.off, s.len));
}

struct hb_py_place *
hb_py_place_new(struct hb_py *py, const struct hb_py_listener *listener, const char *script_name, struct hb_error *err)
{
	struct hb_py_names *n = &py->names;
	struct hb_py_place *place = hb_xcalloc(1, sizeof *place);
	PyObject *d = PyDict_New();

	place->environ = d;
	if (d == NULL || PyDict_SetItem(d, n->request_method, n->methods[HB_HTTP_M_GET]) == -1 ||
	    hb_py_set(d, n->script_name, latin1((const unsigned char *)script_name, strlen(script_name))) == -1 ||
	    PyDict_SetItem(d, n->path_info, n->empty) == -1 ||
	    PyDict_SetItem(d, n->query_string, n->empty) == -1 ||
	    PyDict_SetItem(d, n->request_uri, n->empty) == -1 ||
	    PyDict_SetItem(d, n->raw_uri, n->empty) == -1 ||
	    hb_py_set(d, n->server_name, PyUnicode_FromString(listener->name)) == -1 ||
	    hb_py_set(d, n->server_port, PyUnicode_FromString(listener->port)) == -1 ||
	    PyDict_SetItem(d, n->server_protocol, n->http_1_1) == -1 ||
	    hb_py_set(d, n->server_software, PyUnicode_FromString("hornbeam/" PACKAGE_VERSION)) == -1 ||
	    PyDict_SetItem(d, n->remote_addr, n->empty) == -1 ||
	    PyDict_SetItem(d, n->remote_port, n->empty) == -1 ||
	    hb_py_set(d, n->wsgi_version, Py_BuildValue("(ii)", 1, 0)) == -1 ||
	    hb_py_set(d, n->wsgi_url_scheme, PyUnicode_InternFromString("http")) == -1 ||
	    PyDict_SetItem(d, n->wsgi_input, Py_None) == -1 ||
	    PyDict_SetItem(d, n->wsgi_input_terminated, Py_True) == -1 ||
	    PyDict_SetItem(d, n->wsgi_errors, py->errors) == -1 ||
	    PyDict_SetItem(d, n->wsgi_multithread, py->multithread ? Py_True : Py_False) == -1 ||
	    PyDict_SetItem(d, n->wsgi_multiprocess, py->multiprocess ? Py_True : Py_False) == -1 ||
	    PyDict_SetItem(d, n->wsgi_run_once, Py_False) == -1 ||
	    PyDict_SetItem(d, n->wsgi_file_wrapper, (PyObject *)py->wrapper_type) == -1 ||
	    (py->asgi != NULL && hb_py_asgi_place_init(py, place, listener, script_name) == -1)) {
		PyErr_Clear();
		hb_py_place_free(py, place);
		hb_error_set(err, HB_ERROR_MEMORY, "worker: out of memory");
		return NULL;
	}
	return place;
}

void
hb_py_place_free(struct hb_py *py, struct hb_py_place *place)
{
	if (place == NULL)
		return;
	Py_XDECREF(place->environ);
	hb_py_asgi_place_clear(place);
	free(place);
}

struct hb_py_peer *
hb_py_peer_get(struct hb_py_request *r)
{
	if (*r->peer == NULL) {
		*r->peer = PyMem_Calloc(1, sizeof **r->peer);
		if (*r->peer == NULL)
			PyErr_NoMemory();
	}
	return *r->peer;
}

/* Strings of this request alone: a proxy may speak for another client with the next one. */
static int
set_client(struct hb_py *py, PyObject *d, const struct hb_py_request *r)
{
	if (hb_py_set(d, py->names.remote_addr, PyUnicode_FromString(r->remote_addr)) == -1)
		return -1;
	return hb_py_set(d, py->names.remote_port, PyUnicode_FromString(r->remote_port));
}

static int
set_peer(struct hb_py *py, PyObject *d, struct hb_py_request *r)
{
	struct hb_py_peer *peer;

	if (r->forwarded)
		return set_client(py, d, r);
	peer = hb_py_peer_get(r);
	if (peer == NULL)
		return -1;
	if (peer->addr == NULL)
		peer->addr = PyUnicode_FromString(r->remote_addr);
	if (peer->port == NULL)
		peer->port = PyUnicode_FromString(r->remote_port);
	if (peer->addr == NULL || peer->port == NULL || PyDict_SetItem(d, py->names.remote_addr, peer->addr) == -1)
		return -1;
	return PyDict_SetItem(d, py->names.remote_port, peer->port);
}

void
hb_py_peer_free(struct hb_py *py, struct hb_py_peer *peer)
{
	if (peer == NULL)
		return;
	Py_XDECREF(peer->addr);
	Py_XDECREF(peer->port);
	Py_XDECREF(peer->client);
	PyMem_Free(peer);
}

/* A repeated field: one value, as RFC 9110 5.3 has it, cookies as RFC 6265 would. */
static int
join(PyObject *d, PyObject *key, PyObject *old, PyObject *value, uint8_t id)
{
	PyObject *both = PyUnicode_FromFormat(id == HB_HTTP_F_COOKIE ? "%U; %U" : "%U, %U", old, value);

	return hb_py_set(d, key, both);
}

/* "Proxy" would become HTTP_PROXY, which programs take for their own setting (CVE-2016-5385). */
static bool
is_left_out(const unsigned char *data, const struct hb_http_field *f, bool chunked)
{
	if (f->flags & HB_HTTP_FIELD_UNDERSCORE)
		return true;
	if (f->id == HB_HTTP_F_TRANSFER_ENCODING)
		return chunked; /* the application gets the body without it */
	return f->id == HB_HTTP_F_OTHER && hb_http_equal(data + f->name, f->name_len, "proxy");
}

static int
set_fields(struct hb_py *py, PyObject *d, const struct hb_py_request *r)
{
	const struct hb_http_request *head = r->head;
	uint64_t seen[(HB_HTTP_F_COUNT + 63) / 64] = {0};
	PyObject *key = NULL, *value = NULL, *old;

	for (size_t i = 0; i < head->fields_count; i++) {
		const struct hb_http_field *f = &head->fields[i];
		uint64_t bit = (uint64_t)1 << (f->id & 63);
		bool again;

		if (is_left_out(r->data, f, head->chunked))
			continue;
		key = hb_py_names_field(&py->names, r->data, f);
		if (key == NULL)
			goto fail;
		value = latin1(r->data + f->value, f->value_len);
		if (value == NULL)
			goto fail;
		again = f->id == HB_HTTP_F_OTHER || seen[f->id >> 6] & bit;
		seen[f->id >> 6] |= bit;
		old = again ? PyDict_GetItemWithError(d, key) : NULL;
		if (old != NULL) {
			Py_INCREF(old);
			int rc = join(d, key, old, value, f->id);
			Py_DECREF(old);
			if (rc == -1)
				goto fail;
		} else if (PyErr_Occurred() || PyDict_SetItem(d, key, value) == -1)
			goto fail;
		Py_CLEAR(key);
		Py_CLEAR(value);
	}
	return 0;
fail:
	Py_XDECREF(key);
	Py_XDECREF(value);
	return -1;
}

PyObject *
hb_py_environ(struct hb_py *py, struct hb_py_request *r, PyObject *input)
{
	const struct hb_http_request *head = r->head;
	struct hb_py_names *n = &py->names;
	PyObject *d = PyDict_Copy(r->place->environ), *target = NULL;

	if (d == NULL)
		return NULL;
	if (head->method_id == HB_HTTP_M_OTHER) {
		if (set_span(d, n->request_method, r->data, head->method) == -1)
			goto fail;
	} else if (head->method_id != HB_HTTP_M_GET &&
	    PyDict_SetItem(d, n->request_method, n->methods[head->method_id]) == -1)
		goto fail;
	target = latin1(r->data + head->target.off, head->target.len);
	if (target == NULL || PyDict_SetItem(d, n->request_uri, target) == -1 ||
	    PyDict_SetItem(d, n->raw_uri, target) == -1)
		goto fail;
	/* Without escapes, query and mount the path is the target: one string for both. */
	if (r->mount_len == 0 && r->path == r->data + head->target.off && r->path_len == head->target.len) {
		if (PyDict_SetItem(d, n->path_info, target) == -1)
			goto fail;
	} else if (hb_py_set(d, n->path_info, latin1(r->path + r->mount_len, r->path_len - r->mount_len)) == -1)
		goto fail;
	if (head->query.len > 0 && set_span(d, n->query_string, r->data, head->query) == -1)
		goto fail;
	if (head->minor == 0 && PyDict_SetItem(d, n->server_protocol, n->http_1_0) == -1)
		goto fail;
	if (set_peer(py, d, r) == -1 || PyDict_SetItem(d, n->wsgi_input, input) == -1)
		goto fail;
	if (set_fields(py, d, r) == -1)
		goto fail;
	if (r->secure && PyDict_SetItem(d, n->wsgi_url_scheme, n->https) == -1)
		goto fail;
	/* HTTP/1.0 needs no Host field; the application is told the target's host, or a proxy's, all the same. */
	if (head->minor == 0 && head->host.len > 0 && hb_http_find(head, HB_HTTP_F_HOST) == NULL &&
	    set_span(d, n->fields[HB_HTTP_F_HOST], r->data, head->host) == -1)
		goto fail;
	/* The body of a chunked request is whole by now: its length is known. */
	if (head->chunked && hb_py_set(d, n->content_length, PyUnicode_FromFormat("%zu", r->body_len)) == -1)
		goto fail;
	if (r->own != NULL && hb_py_set(d, n->hornbeam_request, hb_py_own(py, r)) == -1)
		goto fail;
	Py_DECREF(target);
	return d;
fail:
	Py_XDECREF(target);
	Py_DECREF(d);
	return NULL;
}
