/* The frame codec: see frame.h. */
#include "link/frame.h"

#include <errno.h>
#include <string.h>

#include "term/term.h"

enum {
	HEAD_AFTER_LENGTH = HB_LINK_HEADER - 4,
	PATIENCE_MS = 100
};

void
hb_frame_header(unsigned char out[HB_LINK_HEADER], size_t total, uint8_t op, uint8_t flags, uint32_t id,
    uint32_t deadline)
{
	hb_put_u32(out, (uint32_t)(total - 4));
	out[4] = HB_LINK_VERSION;
	out[5] = op;
	out[6] = flags;
	out[7] = 0;
	hb_put_u32(out + 8, id);
	hb_put_u32(out + 12, deadline);
}

int
hb_frame_head(const unsigned char p[HB_LINK_HEADER], struct hb_frame *frame, struct hb_error *err)
{
	uint32_t length = hb_get_u32(p);

	if (length < HEAD_AFTER_LENGTH || length > HB_LINK_FRAME_MAX)
		return hb_error_set(err, HB_ERROR_PROTOCOL, "a frame of %lu bytes", (unsigned long)length);
	frame->version = p[4];
	frame->op = p[5];
	frame->flags = p[6];
	frame->id = hb_get_u32(p + 8);
	frame->deadline = hb_get_u32(p + 12);
	frame->payload = p + HB_LINK_HEADER;
	frame->len = length - HEAD_AFTER_LENGTH;
	return 0;
}

int64_t
hb_frame_parse(const unsigned char *p, size_t len, struct hb_frame *frame, size_t *need, struct hb_error *err)
{
	*need = HB_LINK_HEADER;
	if (len < HB_LINK_HEADER)
		return 0;
	if (hb_frame_head(p, frame, err) == -1)
		return -1;
	*need = HB_LINK_HEADER + frame->len;
	return len < *need ? 0 : (int64_t)*need;
}

uint32_t
hb_frame_deadline(int64_t clock_ms)
{
	uint32_t low = (uint32_t)clock_ms;

	return clock_ms != 0 && low == 0 ? 1 : low;
}

static const struct {
	const char *name;
	enum hb_error_kind kind;
} classes[] = {
    {"type", HB_ERROR_TYPE},
    {"value", HB_ERROR_VALUE},
    {"limit", HB_ERROR_LIMIT},
    {"version", HB_ERROR_VERSION},
    {"denied", HB_ERROR_PERMISSION},
    {"protocol", HB_ERROR_PROTOCOL},
    {"system", HB_ERROR_SYSTEM},
    {"timeout", HB_ERROR_TIMEOUT},
    {"connect", HB_ERROR_CONNECT},
    {"missing", HB_ERROR_MISSING},
    {"down", HB_ERROR_DOWN},
    {"config", HB_ERROR_CONFIG},
    {"config", HB_ERROR_BIND}, /* the reader finds the first */
    {"application", HB_ERROR_APPLICATION},
};

const char *
hb_frame_error_class(enum hb_error_kind kind)
{
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (classes[i].kind == kind)
			return classes[i].name;
	return "system";
}

void
hb_link_begin(struct hb_buf *request)
{
	hb_buf_clear(request);
	if (hb_buf_reserve(request, HB_LINK_HEADER) != NULL)
		request->len = HB_LINK_HEADER;
}

bool
hb_frame_can_cancel(enum hb_link_op op)
{
	return op == HB_OP_CALL || op == HB_OP_RPC_CALL;
}

int64_t
hb_frame_patience(enum hb_link_op op, int64_t deadline)
{
	return deadline != 0 && hb_frame_can_cancel(op) ? deadline + PATIENCE_MS : deadline;
}

void
hb_frame_cancel(struct hb_buf *out, uint32_t id)
{
	size_t start = out->len;

	if (hb_buf_reserve(out, HB_LINK_HEADER) == NULL)
		return;
	out->len += HB_LINK_HEADER;
	hb_term_put_version(out);
	hb_term_put_int(out, id);
	if (!out->failed)
		hb_frame_header(out->data + start, out->len - start, HB_OP_CANCEL, 0, 0, 0);
}

void
hb_frame_error(const void *payload, size_t len, struct hb_error *err)
{
	struct hb_term_reader reader;
	const unsigned char *text;
	char name[32];
	uint32_t arity;
	size_t n;

	if (hb_term_open(&reader, payload, len, err) == -1 || hb_term_want_tuple(&reader, &arity, err) == -1 ||
	    arity != 2 || hb_term_want_atom(&reader, name, sizeof name, err) == -1 ||
	    hb_term_want_binary(&reader, &text, &n, err) == -1) {
		hb_error_set(err, HB_ERROR_PROTOCOL, "an error that cannot be read");
		return;
	}
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (strcmp(name, classes[i].name) == 0) {
			hb_error_set(err, classes[i].kind, "%.*s", (int)n, (const char *)text);
			/* Whoever answered is connected: it is another node that cannot be reached. */
			if (err->kind == HB_ERROR_CONNECT)
				err->saved_errno = EHOSTUNREACH;
			return;
		}
	hb_error_set(err, HB_ERROR_REMOTE, "%s: %.*s", name, (int)n, (const char *)text);
}
