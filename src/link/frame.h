/*
 * The frame codec that both clients and the master's control socket use:
 * bytes in, frames out; no I/O.
 */
#ifndef HB_LINK_FRAME_H
#define HB_LINK_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "link/proto.h"

struct hb_frame {
	uint8_t version, op, flags;
	uint32_t id, deadline;
	const unsigned char *payload; /* into the input */
	size_t len;
};

/* Writes the header of a frame whose whole length (header included) is total. */
void hb_frame_header(unsigned char out[HB_LINK_HEADER], size_t total, uint8_t op, uint8_t flags, uint32_t id,
    uint32_t deadline);
/* Reads a header; the payload's bytes may not be there yet.  -1 with err for a malformed one. */
int hb_frame_head(const unsigned char p[HB_LINK_HEADER], struct hb_frame *frame, struct hb_error *err) HB_WARN_UNUSED;
/*
 * Looks for one whole frame at p.  Returns its length with frame filled in, 0
 * if more bytes are needed (*need says how many the frame has in all, or
 * HB_LINK_HEADER while that is unknown), -1 with err for a malformed one.
 */
int64_t hb_frame_parse(const unsigned char *p, size_t len, struct hb_frame *frame, size_t *need,
    struct hb_error *err) HB_WARN_UNUSED;
/* The deadline field for a point on hb_clock_ms()'s scale (0: none). */
uint32_t hb_frame_deadline(int64_t clock_ms);
/*
 * A request is built in place: hb_link_begin leaves room for the header in an
 * empty buffer, the caller appends one term (with its 131), and the client's
 * call fills the header in and sends the buffer as it is.
 */
void hb_link_begin(struct hb_buf *request);
/* Whether the companion has a process for the operation, which should not run on for nobody. */
bool hb_frame_can_cancel(enum hb_link_op op);
/*
 * Until when a client waits for the answer (0: for ever).  Where something runs for the call, that is
 * a moment beyond the deadline, in which the companion says what has not answered.
 */
int64_t hb_frame_patience(enum hb_link_op op, int64_t deadline);
/* Appends the whole frame that cancels the request of that id. */
void hb_frame_cancel(struct hb_buf *out, uint32_t id);
/*
 * Reads an error reply's payload {Class, Text} into err: its kind and text.
 * saved_errno is EHOSTUNREACH where the peer could not connect to another node.
 */
void hb_frame_error(const void *payload, size_t len, struct hb_error *err);
/* The class that tells this kind. */
const char *hb_frame_error_class(enum hb_error_kind kind);

#endif
