/* What is held of a response until on_response has seen its head: see hooks.h. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "http/response.h"
#include "term/term.h"
#include "worker/hooks_state.h"
#include "worker/state.h"

static bool
is_bodyless(const struct hb_conn *c)
{
	return hb_http_bodyless(c->response.status, c->parser.request.method_id == HB_HTTP_M_HEAD);
}

bool
hb_hooks_holds(const struct hb_conn *c)
{
	const struct hb_hooks *h = c->worker->hooks;

	return h != NULL && h->on_response && (c->hook == NULL || !c->hook->approved);
}

bool
hb_hooks_wanted(const struct hb_conn *c)
{
	return c->hook != NULL && c->hook->wants && c->hook->call == NULL;
}

int
hb_hooks_want(struct hb_conn *c)
{
	struct hb_hook *hook = hb_hooks_get(c);

	if (hook == NULL || hook->refused || is_bodyless(c))
		return -1;
	if (hook->wants || hook->call != NULL)
		return 0;
	hook->wants = true;
	if (c->async)
		hb_hooks_ask(c);
	return 0;
}

/* Whether these bytes are the whole body, or a part of one that is given whole, and small. */
static bool
may_hold(const struct hb_conn *c, size_t n, bool more)
{
	const struct hb_buf *held = &c->hook->held;

	if (more)
		return n > 0 && n <= HB_HOOK_BODY_MOST && held->len == 0 && c->response.declared == (int64_t)n;
	return c->request.length >= 0 && c->request.length <= HB_HOOK_BODY_MOST &&
	    held->len + n <= (size_t)c->request.length;
}

ssize_t
hb_hooks_write(struct hb_conn *c, const void *p, size_t n, bool more)
{
	struct hb_hook *hook = hb_hooks_get(c);

	if (hook == NULL || hook->refused || is_bodyless(c))
		return -1;
	if (hook->wants || hook->call != NULL)
		return 0;
	if (!may_hold(c, n, more)) {
		if (hook->held.len == 0 || n == 0)
			return hb_hooks_want(c);
		return -1; /* the rest was never announced */
	}
	hb_buf_add(&hook->held, p, n);
	if (hook->held.failed)
		return -1;
	/* An asynchronous application may have more to do before it says that this was all. */
	if (more && c->async)
		hb_hooks_ask(c);
	return (ssize_t)n;
}

void
hb_hooks_put_response(struct hb_conn *c, struct hb_buf *b)
{
	const struct hb_hook *hook = c->hook;
	bool whole = !hook->wants && !is_bodyless(c);

	hb_term_put_tuple(b, 4);
	hb_hooks_put_request(c, b);
	hb_hook_put_response(b, c->response.status, &c->response.head, c->response.declared, whole ? &hook->held : NULL);
}

void
hb_hooks_begin_response(struct hb_conn *c)
{
	hb_hooks_put_response(c, hb_hooks_begin(c->worker));
}

int
hb_hooks_apply_response(struct hb_conn *c, const struct hb_hook_reply *reply, struct hb_error *err)
{
	struct hb_hook *hook = c->hook;

	hook->wants = false;
	if (reply->outcome == HB_HOOK_RESPONSE) {
		if ((reply->status != 0 || reply->fields_count > 0 || reply->removed_count > 0) &&
		    hb_hook_response_change(&c->response, reply, err) == -1)
			return -1;
		if (reply->body.p != NULL) {
			hb_buf_clear(&hook->held);
			hb_buf_add(&hook->held, reply->body.p, reply->body.len);
			c->response.declared = -1;
			c->request.length = (int64_t)reply->body.len;
		}
	}
	if (hook->held.failed)
		return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	hook->approved = true;
	return 0;
}

/* On a thread that can do nothing else meanwhile: the error goes to on_error once the application has let go. */
static int
refuse(struct hb_conn *c, const void *error, size_t len)
{
	struct hb_buf *b = &c->hook->error;

	c->hook->refused = true;
	hb_buf_clear(b);
	hb_buf_add(b, error, len);
	return -1;
}

static int
refuse_with(struct hb_conn *c, const char *tag, const char *reason)
{
	struct hb_buf *b = &c->hook->error;

	c->hook->refused = true;
	hb_buf_clear(b);
	hb_term_put_version(b);
	hb_term_put_tuple(b, 2);
	hb_term_put_atom(b, tag);
	hb_term_put_atom(b, reason);
	return -1;
}

/* A wait of a thread for one reply. */
struct wait {
	struct hb_conn *conn;
	int64_t until;
	bool done;
	int rc;
};

static int
take_reply(struct hb_conn *c, const unsigned char *payload, size_t len)
{
	struct hb_hook_reply reply;
	struct hb_error err;
	int rc = hb_hook_reply_read(&reply, payload, len, &err);

	if (rc == 0 && reply.outcome == HB_HOOK_FAILED && reply.error.p != NULL)
		rc = refuse(c, reply.error.p, reply.error.len);
	else if (rc == 0 && reply.outcome != HB_HOOK_CONTINUE && reply.outcome != HB_HOOK_RESPONSE)
		rc = refuse_with(c, "exit", "killed");
	else if (rc == -1 || hb_hooks_apply_response(c, &reply, &err) == -1) {
		hb_warn("hooks: on_response: %s", err.text);
		rc = refuse_with(c, "error", "bad_response");
	}
	hb_hook_reply_free(&reply);
	return rc;
}

static int
go_without(struct hb_conn *c, const struct hb_error *why, int64_t until)
{
	struct hb_error err;

	hb_warn("hooks: on_response: %s", why->text);
	if (hb_hooks_ended(why, until))
		return refuse_with(c, "timeout", "on_response");
	if (c->worker->hooks->pass)
		return hb_hooks_apply_response(c, &(struct hb_hook_reply){.outcome = HB_HOOK_CONTINUE}, &err);
	c->verdict = 503;
	c->verdict_text = "the service is not available";
	return -1;
}

static void
on_waited(void *arg, const unsigned char *payload, size_t len, const struct hb_error *err)
{
	struct wait *w = arg;

	w->done = true;
	w->rc = err == NULL ? take_reply(w->conn, payload, len) : go_without(w->conn, err, w->until);
}

/* A connection of its own, since the worker's belongs to the loop: write() is rare. */
int
hb_hooks_wait(struct hb_conn *c)
{
	struct hb_hooks *h = c->worker->hooks;
	const struct hb_hello hello = {"worker", "hooks", getuid(), getgid(), getpid()};
	struct event_base *base = event_base_new();
	struct hb_evlink *link = base != NULL ? hb_evlink_new(base, h->path, &hello) : NULL;
	int64_t deadline = hb_clock_ms() + h->timeout;
	struct wait wait = {.conn = c, .until = hb_hooks_until(deadline), .rc = -1};
	struct hb_buf request = HB_BUF_INIT;
	struct hb_evcall *call = NULL;
	struct hb_error err;

	hb_error_set(&err, HB_ERROR_MEMORY, "out of memory");
	hb_hook_begin(&request);
	hb_hooks_put_response(c, &request);
	if (link != NULL)
		call = hb_evlink_call(link, HB_OP_ON_RESPONSE, &request, deadline, on_waited, &wait, &err);
	if (call == NULL)
		wait.rc = go_without(c, &err, wait.until);
	else {
		hb_evcall_wait_until(call, wait.until);
		while (!wait.done && event_base_loop(base, EVLOOP_ONCE) == 0)
			;
	}
	hb_evlink_free(link);
	if (base != NULL)
		event_base_free(base);
	hb_buf_free(&request);
	return wait.rc;
}

void
hb_hooks_raised(struct hb_conn *c, const char *type, const char *text, size_t len)
{
	struct hb_hook *hook = hb_hooks_get(c);

	if (hook == NULL || hook->error.len > 0)
		return;
	hb_hook_put_python_error(&hook->error, type, text, len);
}
