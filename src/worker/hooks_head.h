/*
 * Heads that a hook has changed: a request's for the application, a response's
 * for the client.  Bytes in, bytes out; the connection goes by the original request.
 */
#ifndef HB_WORKER_HOOKS_HEAD_H
#define HB_WORKER_HOOKS_HEAD_H

#include "worker/hooks_codec.h"
#include "worker/response.h"

/* A request's: spans count from bytes.data, where the original head comes first. */
struct hb_hook_head {
	struct hb_http_request request;
	struct hb_buf bytes;
	unsigned char *path; /* decoded */
	size_t path_len;
};

/*
 * Fills head in from the original's data, data_len bytes, and what reply sets and
 * removes; path is the original's, decoded.  -1 with err: no memory, or a reply
 * that the companion should not have sent.  hb_hook_head_free either way.
 */
int hb_hook_head_make(struct hb_hook_head *head, const struct hb_hook_request *from, size_t data_len,
    const struct hb_hook_reply *reply, struct hb_error *err) HB_WARN_UNUSED;
void hb_hook_head_free(struct hb_hook_head *head);

/* Changes a response's status and fields; its Content-Length and the rest of its framing stay. */
int hb_hook_response_change(struct hb_response *response, const struct hb_hook_reply *reply, struct hb_error *err)
    HB_WARN_UNUSED;

#endif
