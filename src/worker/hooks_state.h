/* Between the files of the hooks. */
#ifndef HB_WORKER_HOOKS_STATE_H
#define HB_WORKER_HOOKS_STATE_H

#include "worker/hooks.h"
#include "worker/rate.h"

struct hb_hooks {
	struct hb_evlink *link;
	char *path;               /* of the companion's socket */
	bool on_request;
	bool on_response;
	bool on_error;
	bool pass;                /* without a companion */
	int64_t timeout;
	int fd;                   /* of link, known as the worker's own */
	struct hb_buf request;    /* the one that is being made */
	struct hb_rate lines;
};

/* The request's own, made if need be; NULL: out of memory. */
struct hb_hook *hb_hooks_get(struct hb_conn *c);
/* Until when a call that has this deadline is waited for: the companion says well before that a hook's time is up. */
int64_t hb_hooks_until(int64_t deadline);
/* Whether it has said so, rather than nothing. */
bool hb_hooks_ended(const struct hb_error *err, int64_t until);
/* A request to the companion, begun in place of the last one. */
struct hb_buf *hb_hooks_begin(struct hb_worker *w);
/* The request as the application sees it, without the keys that on_request has added. */
struct hb_hook_request hb_hooks_describe(const struct hb_conn *c);
void hb_hooks_put_request(struct hb_conn *c, struct hb_buf *b);
/* The whole request of on_response. */
void hb_hooks_begin_response(struct hb_conn *c);
void hb_hooks_put_response(struct hb_conn *c, struct hb_buf *b);
/* What on_response has changed. */
int hb_hooks_apply_response(struct hb_conn *c, const struct hb_hook_reply *reply, struct hb_error *err) HB_WARN_UNUSED;

#endif
