/* Heads that a hook has changed: see hooks_head.h. */
#include "worker/hooks_head.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
same_name(const char *name, size_t len, const void *other, size_t other_len)
{
	const unsigned char *p = other;

	if (len != other_len)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((char)(hb_http_token[p[i]] != 0 ? hb_http_token[p[i]] : p[i]) != name[i])
			return false;
	return true;
}

/* Whether the original's field gives way. */
static bool
is_replaced(const struct hb_hook_reply *reply, const void *name, size_t len)
{
	for (size_t i = 0; i < reply->fields_count; i++)
		if (same_name(reply->fields[i].name, reply->fields[i].name_len, name, len))
			return true;
	for (size_t i = 0; i < reply->removed_count; i++)
		if (same_name(reply->removed[i].p, reply->removed[i].len, name, len))
			return true;
	return false;
}

static struct hb_http_span
append(struct hb_buf *b, const void *p, size_t len)
{
	struct hb_http_span s = {(uint32_t)b->len, (uint32_t)len};

	hb_buf_add(b, p, len);
	return s;
}

/* What RFC 3986 3.3 lets stand in a path. */
static bool
stands_in_path(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("-._~!$&'()*+,;=:@/", c) != NULL);
}

static struct hb_http_span
append_escaped(struct hb_buf *b, const char *path, size_t len)
{
	struct hb_http_span s = {(uint32_t)b->len, 0};

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)path[i];

		if (stands_in_path(c))
			hb_buf_add_u8(b, c);
		else
			hb_buf_printf(b, "%%%02X", c);
	}
	s.len = (uint32_t)b->len - s.off;
	return s;
}

static void
change_target(struct hb_hook_head *head, const struct hb_hook_request *from, const struct hb_hook_reply *reply)
{
	struct hb_http_request *r = &head->request;
	struct hb_http_span path = r->path, query = r->query;
	uint32_t start;

	/* The original's bytes stand in front: nothing is read from what is being appended to. */
	start = (uint32_t)head->bytes.len;
	r->path = reply->path.p != NULL ? append_escaped(&head->bytes, reply->path.p, reply->path.len)
	                                : append(&head->bytes, from->data + path.off, path.len);
	r->has_query = reply->query.p != NULL ? reply->query.len > 0 : r->has_query;
	if (r->has_query) {
		hb_buf_add_u8(&head->bytes, '?');
		r->query = reply->query.p != NULL ? append(&head->bytes, reply->query.p, reply->query.len)
		                                  : append(&head->bytes, from->data + query.off, query.len);
	} else
		r->query.len = 0;
	r->target = (struct hb_http_span){start, (uint32_t)head->bytes.len - start};
	r->form = HB_HTTP_ORIGIN;
}

static void
add_field(struct hb_hook_head *head, const struct hb_py_field *f)
{
	struct hb_http_field *out = &head->request.fields[head->request.fields_count++];
	struct hb_http_span name = append(&head->bytes, f->name, f->name_len),
	                    value = append(&head->bytes, f->value, f->value_len);

	*out = (struct hb_http_field){
		.name = name.off,
		.name_len = (uint16_t)name.len,
		.value = value.off,
		.value_len = value.len,
		.id = (uint8_t)hb_http_field_lookup((const unsigned char *)f->name, f->name_len),
		.flags = memchr(f->name, '_', f->name_len) != NULL ? HB_HTTP_FIELD_UNDERSCORE : 0,
	};
}

static int
refuse(struct hb_error *err, const char *what)
{
	return hb_error_set(err, HB_ERROR_PROTOCOL, "a hook's reply has a bad %s", what);
}

/* The companion has checked the same: what comes from elsewhere is not believed. */
static int
check(const struct hb_hook_reply *reply, struct hb_error *err)
{
	if (reply->method.p != NULL && !hb_http_is_token((const unsigned char *)reply->method.p, reply->method.len))
		return refuse(err, "method");
	if (reply->path.p != NULL && (reply->path.len == 0 || reply->path.p[0] != '/' ||
	                                 memchr(reply->path.p, '\0', reply->path.len) != NULL))
		return refuse(err, "path");
	for (size_t i = 0; reply->query.p != NULL && i < reply->query.len; i++)
		if (reply->query.p[i] <= ' ' || reply->query.p[i] == 127)
			return refuse(err, "query");
	for (size_t i = 0; i < reply->fields_count; i++) {
		const struct hb_py_field *f = &reply->fields[i];

		if (f->name_len > UINT16_MAX || !hb_http_is_token((const unsigned char *)f->name, f->name_len) ||
		    !hb_http_is_value((const unsigned char *)f->value, f->value_len))
			return refuse(err, "header");
	}
	return 0;
}

static void
change_fields(struct hb_hook_head *head, const struct hb_hook_request *from, const struct hb_hook_reply *reply)
{
	struct hb_http_request *r = &head->request;

	for (size_t i = 0; i < from->head->fields_count; i++) {
		const struct hb_http_field *f = &from->head->fields[i];

		if (!is_replaced(reply, from->data + f->name, f->name_len))
			r->fields[r->fields_count++] = *f;
	}
	for (size_t i = 0; i < reply->fields_count; i++)
		add_field(head, &reply->fields[i]);
}

int
hb_hook_head_make(struct hb_hook_head *head, const struct hb_hook_request *from, size_t data_len,
    const struct hb_hook_reply *reply, struct hb_error *err)
{
	struct hb_http_request *r = &head->request;
	const void *path = reply->path.p != NULL ? (const void *)reply->path.p : from->path;

	*head = (struct hb_hook_head){.request = *from->head};
	r->fields = NULL;
	r->fields_count = 0;
	if (check(reply, err) == -1)
		return -1;
	r->fields = calloc(from->head->fields_count + reply->fields_count + 1, sizeof *r->fields);
	head->path_len = reply->path.p != NULL ? reply->path.len : from->path_len;
	head->path = malloc(head->path_len + 1);
	if (r->fields == NULL || head->path == NULL)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	memcpy(head->path, path, head->path_len);
	hb_buf_add(&head->bytes, from->data, data_len);
	if (reply->method.p != NULL) {
		r->method = append(&head->bytes, reply->method.p, reply->method.len);
		r->method_id = hb_http_method_lookup((const unsigned char *)reply->method.p, reply->method.len);
	}
	if (reply->path.p != NULL || reply->query.p != NULL)
		change_target(head, from, reply);
	change_fields(head, from, reply);
	return head->bytes.failed ? hb_error_set(err, HB_ERROR_MEMORY, "out of memory") : 0;
}

void
hb_hook_head_free(struct hb_hook_head *head)
{
	free(head->request.fields);
	free(head->path);
	hb_buf_free(&head->bytes);
	*head = (struct hb_hook_head){.bytes = HB_BUF_INIT};
}

/* "404 Not Found": what stands behind the status in the old head's first line. */
static void
set_reason(struct hb_py_head *head, const struct hb_buf *old, unsigned status)
{
	static const size_t reason_at = sizeof "HTTP/1.1 200 " - 1;
	size_t end = hb_hook_first_line(old);

	if (head->status != status || end < reason_at + 2)
		return;
	head->reason = (const char *)old->data + reason_at;
	head->reason_len = end - 2 - reason_at;
}

int
hb_hook_response_change(struct hb_response *response, const struct hb_hook_reply *reply, struct hb_error *err)
{
	struct hb_response before = *response;
	struct hb_py_head head = {.status = reply->status != 0 ? reply->status : before.status, .reason = ""};
	struct hb_py_field *fields, f;
	size_t count = reply->fields_count;
	int rc;

	for (size_t pos = hb_hook_first_line(&before.head); hb_hook_next_line(&before.head, &pos, &f);)
		count++;
	fields = calloc(count + 1, sizeof *fields);
	if (fields == NULL)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	for (size_t pos = hb_hook_first_line(&before.head); hb_hook_next_line(&before.head, &pos, &f);)
		if (!is_replaced(reply, f.name, f.name_len))
			fields[head.count++] = f;
	for (size_t i = 0; i < reply->fields_count; i++)
		fields[head.count++] = reply->fields[i];
	head.fields = fields;
	set_reason(&head, &before.head, before.status);
	*response = (struct hb_response){.head = HB_BUF_INIT};
	rc = hb_response_set_head(response, &head, err);
	free(fields);
	if (rc == -1) {
		hb_buf_free(&response->head);
		*response = before;
		return -1;
	}
	hb_buf_free(&before.head);
	response->declared = before.declared;
	response->close_asked = response->close_asked || before.close_asked;
	return 0;
}
