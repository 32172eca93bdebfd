/* A response's head and framing: see response.h. */
#include "worker/response.h"

#include <string.h>

#include "http/field.h"
#include "http/response.h"

void
hb_response_reset(struct hb_response *r)
{
	struct hb_buf head = r->head;

	hb_buf_clear(&head);
	*r = (struct hb_response){.head = head, .declared = -1};
}

static int
set_length(struct hb_response *r, const struct hb_py_field *f, struct hb_error *err)
{
	int64_t n = 0;

	if (f->value_len == 0 || f->value_len > 18)
		goto fail;
	for (size_t i = 0; i < f->value_len; i++) {
		if (f->value[i] < '0' || f->value[i] > '9')
			goto fail;
		n = n * 10 + (f->value[i] - '0');
	}
	if (r->declared != -1 && r->declared != n)
		return hb_error_set(err, HB_ERROR_VALUE, "two Content-Length headers that differ");
	r->declared = n;
	return 0;
fail:
	return hb_error_set(err, HB_ERROR_VALUE, "Content-Length is not a number: %.*s",
	    (int)(f->value_len < 40 ? f->value_len : 40), f->value);
}

/* Fields that the server answers for are not copied as they are. */
static bool
is_servers_own(struct hb_response *r, const struct hb_py_field *f, enum hb_http_field_id id)
{
	switch ((int)id) {
	case HB_HTTP_F_CONTENT_LENGTH:
		return true;
	case HB_HTTP_F_DATE:
		r->has_date = true;
		return false;
	case HB_HTTP_F_SERVER:
		r->has_server = true;
		return false;
	case HB_HTTP_F_CONNECTION:
		if (hb_http_equal((const unsigned char *)f->value, f->value_len, "close"))
			r->close_asked = true;
		else
			r->dropped = true;
		return true;
	case HB_HTTP_F_UPGRADE:
		if (r->status != 426)
			break;
		r->has_upgrade = true;
		return false;
	}
	if (!hb_http_hop_by_hop(f->name, f->name_len))
		return false;
	r->dropped = true;
	return true;
}

static int
check_field(const struct hb_py_field *f, struct hb_error *err)
{
	if (!hb_http_name_ok(f->name, f->name_len))
		return hb_error_set(err, HB_ERROR_VALUE, "not a header name: '%.*s'",
		    (int)(f->name_len < 80 ? f->name_len : 80), f->name);
	if (!hb_http_value_ok(f->value, f->value_len))
		return hb_error_set(err, HB_ERROR_VALUE, "control characters in the value of the header %.*s",
		    (int)(f->name_len < 80 ? f->name_len : 80), f->name);
	return 0;
}

static int
put_field(struct hb_buf *out, const struct hb_py_field *f, struct hb_error *err)
{
	unsigned char *p = hb_buf_reserve(out, f->name_len + f->value_len + 4);

	if (p == NULL)
		return hb_error_set(err, HB_ERROR_MEMORY, "no memory for the response's head");
	memcpy(p, f->name, f->name_len);
	p += f->name_len;
	*p++ = ':';
	*p++ = ' ';
	memcpy(p, f->value, f->value_len);
	p += f->value_len;
	*p++ = '\r';
	*p++ = '\n';
	out->len += f->name_len + f->value_len + 4;
	return 0;
}

static int
add_field(struct hb_response *r, const struct hb_py_field *f, struct hb_error *err)
{
	enum hb_http_field_id id;

	if (check_field(f, err) == -1)
		return -1;
	id = hb_http_field_lookup((const unsigned char *)f->name, f->name_len);
	if (id == HB_HTTP_F_CONTENT_LENGTH && set_length(r, f, err) == -1)
		return -1;
	if (is_servers_own(r, f, id))
		return 0;
	return put_field(&r->head, f, err);
}

static void
put_status_line(struct hb_buf *out, unsigned status, const char *reason, size_t reason_len)
{
	const unsigned char digits[4] = {(unsigned char)('0' + status / 100), (unsigned char)('0' + status / 10 % 10),
		(unsigned char)('0' + status % 10), ' '};

	if (reason_len == 0) {
		reason = hb_http_reason(status);
		reason_len = strlen(reason);
	}
	hb_buf_add(out, "HTTP/1.1 ", 9);
	hb_buf_add(out, digits, sizeof digits);
	hb_buf_add(out, reason, reason_len);
	hb_buf_add(out, "\r\n", 2);
}

int
hb_response_interim(const struct hb_py_head *head, struct hb_buf *out, struct hb_error *err)
{
	size_t before = out->len;

	put_status_line(out, head->status, head->reason, head->reason_len);
	for (size_t i = 0; i < head->count; i++)
		if (check_field(&head->fields[i], err) == -1 || put_field(out, &head->fields[i], err) == -1) {
			out->len = before;
			return -1;
		}
	hb_buf_add(out, "\r\n", 2);
	return out->failed ? hb_error_set(err, HB_ERROR_MEMORY, "no memory for the response's head") : 0;
}

int
hb_response_set_head(struct hb_response *r, const struct hb_py_head *head, struct hb_error *err)
{
	hb_response_reset(r);
	if (head->status < 200)
		return hb_error_set(err, HB_ERROR_VALUE, "the status of a response is 200 or above, not %u", head->status);
	if (!hb_http_value_ok(head->reason, head->reason_len))
		return hb_error_set(err, HB_ERROR_VALUE, "control characters in the reason of the status");
	r->status = head->status;
	put_status_line(&r->head, head->status, head->reason, head->reason_len);
	for (size_t i = 0; i < head->count; i++)
		if (add_field(r, &head->fields[i], err) == -1) {
			hb_response_reset(r);
			return -1;
		}
	if (r->head.failed) {
		hb_response_reset(r);
		return hb_error_set(err, HB_ERROR_MEMORY, "no memory for the response's head");
	}
	return 0;
}

static unsigned char *
put(unsigned char *p, const char *text, size_t n)
{
	memcpy(p, text, n);
	return p + n;
}

static unsigned char *
put_number(unsigned char *p, uint64_t v)
{
	unsigned char digits[20];
	size_t n = 0;

	do
		digits[n++] = (unsigned char)('0' + v % 10);
	while ((v /= 10) > 0);
	while (n > 0)
		*p++ = digits[--n];
	return p;
}

bool
hb_response_commit(struct hb_response *r, const struct hb_response_context *c, struct hb_buf *out)
{
	static const char date[] = "Date: ", server[] = "Server: hornbeam\r\n", length[] = "Content-Length: ",
	                  chunked[] = "Transfer-Encoding: chunked\r\n", close[] = "Connection: close\r\n",
	                  keep_alive[] = "Connection: keep-alive\r\n", upgrade[] = "Connection: upgrade\r\n";
	bool keep = c->keep && !r->close_asked;
	unsigned char *p;

	r->committed = true;
	r->bodyless = hb_http_bodyless(r->status, c->head_method);
	/* What answers HEAD may leave the length out, but must not give a wrong one. */
	if (r->declared == -1 && c->length >= 0 && !(r->bodyless && (c->length == 0 || !c->head_method)))
		r->declared = c->length;
	if (r->status == 204)
		r->declared = -1;
	if (r->status == 205) /* unlike 204 and 304 it is not empty by itself (RFC 9110 15.3.6) */
		r->declared = 0;
	if (r->declared == -1 && !r->bodyless) {
		r->chunked = c->minor > 0;
		keep = keep && r->chunked;
	}
	p = hb_buf_reserve(out, r->head.len + 200);
	if (p == NULL)
		return false;
	p = put(p, (const char *)r->head.data, r->head.len);
	if (!r->has_server)
		p = put(p, server, sizeof server - 1);
	if (!r->has_date) {
		p = put(p, date, sizeof date - 1);
		p = put(p, c->date, HB_HTTP_DATE_LEN);
		p = put(p, "\r\n", 2);
	}
	if (r->declared >= 0) {
		p = put(p, length, sizeof length - 1);
		p = put_number(p, (uint64_t)r->declared);
		p = put(p, "\r\n", 2);
	} else if (r->chunked)
		p = put(p, chunked, sizeof chunked - 1);
	if (r->has_upgrade) /* a 426 says what to upgrade to (RFC 9110 15.5.22, 7.8) */
		p = put(p, upgrade, sizeof upgrade - 1);
	if (!keep)
		p = put(p, close, sizeof close - 1);
	else if (c->minor == 0)
		p = put(p, keep_alive, sizeof keep_alive - 1);
	p = put(p, "\r\n", 2);
	out->len = (size_t)(p - out->data);
	return keep;
}
