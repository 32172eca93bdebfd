/* Calls of hooks and what follows from their replies: see hooks.h. */
#include "worker/hooks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/str.h"
#include "term/term.h"
#include "worker/hooks_state.h"
#include "worker/respond.h"
#include "worker/state.h"

/* So long the companion may take to say that a hook's time is up, and so early the loop's own timer may come. */
enum { PATIENCE_MS = 1000, EARLY_MS = 20 };

int64_t
hb_hooks_until(int64_t deadline)
{
	return deadline + PATIENCE_MS;
}

bool
hb_hooks_ended(const struct hb_error *err, int64_t until)
{
	return err->kind == HB_ERROR_TIMEOUT && hb_clock_ms() + EARLY_MS < until;
}

static const char *
name_of(enum hb_link_op op)
{
	return op == HB_OP_ON_REQUEST ? "on_request" : op == HB_OP_ON_RESPONSE ? "on_response" : "on_error";
}

/* The link's descriptor is the server's own: no connection may get its number while it is open. */
static void
own_descriptor(void *arg, int fd)
{
	struct hb_worker *w = arg;

	if (fd == -1)
		hb_own_drop(&w->own, w->hooks->fd);
	else
		hb_own_add(&w->own, fd);
	w->hooks->fd = fd;
}

void
hb_hooks_start(struct hb_worker *w)
{
	const struct hb_config *config = w->config;
	struct hb_hello hello = {"worker", "hooks", getuid(), getgid(), getpid()};
	struct hb_hooks *h;
	char *path;

	if (config->hooks.on_error == NULL)
		w->server.raised = NULL;
	if (config->hooks.on_request == NULL && config->hooks.on_response == NULL && config->hooks.on_error == NULL)
		return;
	path = hb_xasprintf("%s.link", config->control.socket);
	h = w->hooks = hb_xcalloc(1, sizeof *h);
	*h = (struct hb_hooks){
		.on_request = config->hooks.on_request != NULL,
		.on_response = config->hooks.on_response != NULL,
		.on_error = config->hooks.on_error != NULL,
		.pass = config->hooks.when_down == HB_WHEN_DOWN_PASS,
		.timeout = config->hooks.timeout,
		.path = path,
		.link = hb_evlink_new(w->base, path, &hello),
		.fd = -1,
	};
	hb_evlink_on_descriptor(h->link, own_descriptor, w);
	hb_evlink_batch(h->link);
}

void
hb_hooks_flush(struct hb_worker *w)
{
	hb_evlink_flush(w->hooks->link);
}

void
hb_hooks_stop(struct hb_worker *w)
{
	if (w->hooks == NULL)
		return;
	hb_evlink_free(w->hooks->link);
	free(w->hooks->path);
	hb_buf_free(&w->hooks->request);
	free(w->hooks);
	w->hooks = NULL;
}

void
hb_hooks_forked(struct hb_worker *w)
{
	if (w->hooks != NULL)
		hb_evlink_forked(w->hooks->link);
}

struct hb_hook *
hb_hooks_get(struct hb_conn *c)
{
	if (c->hook == NULL)
		c->hook = calloc(1, sizeof *c->hook);
	return c->hook;
}

void
hb_hooks_forget(struct hb_conn *c)
{
	struct hb_hook *hook = c->hook;

	if (hook == NULL)
		return;
	hb_hooks_cancel(c);
	hb_hook_head_free(&hook->head);
	free(hook->own);
	hb_buf_free(&hook->held);
	hb_buf_free(&hook->error);
	hb_buf_free(&hook->answer);
	free(hook);
	c->hook = NULL;
}

bool
hb_hooks_asked(const struct hb_conn *c)
{
	return c->hook != NULL && c->hook->call != NULL;
}

void
hb_hooks_cancel(struct hb_conn *c)
{
	if (c->hook == NULL)
		return;
	hb_evcall_abandon(c->hook->call);
	c->hook->call = NULL;
	c->hook->wants = false;
}

/* Inside finish and fail of WSGI the call is still there, but the request is not the application's any more. */
static bool
has_application(const struct hb_conn *c)
{
	return c->request.call != NULL && !(c->hook != NULL && c->hook->over);
}

void
hb_hooks_lose(struct hb_conn *c)
{
	hb_hooks_cancel(c);
	if (has_application(c))
		hb_conn_abandon(c);
	else
		hb_conn_kill(c);
}

struct hb_buf *
hb_hooks_begin(struct hb_worker *w)
{
	hb_hook_begin(&w->hooks->request);
	return &w->hooks->request;
}

void
hb_hooks_put_request(struct hb_conn *c, struct hb_buf *b)
{
	const struct hb_hook *hook = c->hook;
	const struct hb_config *config = c->worker->config;
	struct hb_hook_request told;

	told = hb_hooks_describe(c);
	told.own = hook != NULL ? hook->own : NULL;
	told.own_len = hook != NULL ? hook->own_len : 0;
	told.mount = c->app != -1 ? config->apps[c->app].mount : NULL;
	hb_hook_put_request(b, &told);
}

struct hb_hook_request
hb_hooks_describe(const struct hb_conn *c)
{
	const struct hb_hook *hook = c->hook;
	bool changed = hook != NULL && hook->changed;
	struct hb_hook_request told = {
		.head = changed ? &hook->head.request : &c->parser.request,
		.data = changed ? hook->head.bytes.data : c->in + c->start,
		.path_len = c->path_len,
		.remote_addr = c->request.remote_addr,
		.remote_port = c->request.remote_port,
		.secure = c->request.secure,
	};

	told.path = c->path != NULL ? c->path : told.data + told.head->path.off;
	return told;
}

static void
log_line(struct hb_conn *c, enum hb_link_op op, const char *what, const char *why)
{
	struct hb_hooks *h = c->worker->hooks;
	char text[HB_CONN_REQUEST_TEXT];
	uint64_t kept_back;

	if (!hb_rate_allows(&h->lines, c->worker->now))
		return;
	kept_back = hb_rate_take(&h->lines);
	hb_conn_request_text(c, text);
	hb_warn("hooks: %s: %s %s: %s%s", text, name_of(op), what, why,
	    kept_back > 0 ? "; more of the kind were not logged" : "");
}

static void on_done(void *arg, const unsigned char *payload, size_t len, const struct hb_error *err);

/* Sends what was begun. */
static int
ask(struct hb_conn *c, enum hb_link_op op, struct hb_error *err)
{
	struct hb_hooks *h = c->worker->hooks;
	struct hb_hook *hook = c->hook;
	int64_t deadline = hb_clock_ms() + h->timeout;

	hook->asked = op;
	hook->until = hb_hooks_until(deadline);
	hook->call = hb_evlink_call(h->link, op, &h->request, deadline, on_done, c, err);
	if (hook->call == NULL)
		return -1;
	hb_evcall_wait_until(hook->call, hook->until);
	return 0;
}

/* The connection has nothing to do until the hook is done but to see whether its client is there. */
static void
wait_in_state(struct hb_conn *c)
{
	hb_conn_set_state(c, HB_CONN_HOOK);
	if (!c->eof)
		hb_conn_watch_input(c);
}

/* The application, where it still has the request, is to let go of it. */
static void
make_let_go(struct hb_conn *c)
{
	if (c->async)
		hb_conn_note(c, HB_PY_GONE | HB_PY_WRITABLE);
	else
		hb_conn_ready(c);
}

/* The server's own answer. */
static void
settle(struct hb_conn *c, unsigned status, const char *text)
{
	if (!has_application(c)) {
		hb_count(&c->worker->counters->errors, 1);
		hb_conn_answer(c, status, text, false);
	} else {
		hb_conn_overrule(c, status, text);
		make_let_go(c);
	}
}

static int
give_answer(struct hb_conn *c, const struct hb_hook_reply *reply, struct hb_error *err)
{
	const struct hb_py_head head = {
		.status = reply->status,
		.reason = "",
		.fields = reply->fields,
		.count = reply->fields_count,
	};

	return hb_conn_answer_as(c, &head, reply->body.p, reply->body.len, false, err);
}

/* A hook's answer: at once, or kept until the application has let go. */
static void
take_answer(struct hb_conn *c, const struct hb_hook_reply *reply, const unsigned char *payload, size_t len)
{
	struct hb_error err;

	if (has_application(c)) {
		hb_buf_clear(&c->hook->answer);
		hb_buf_add(&c->hook->answer, payload, len);
		hb_conn_overrule(c, 500, "Internal Server Error");
		make_let_go(c);
	} else if (give_answer(c, reply, &err) == -1) {
		log_line(c, c->hook->asked, "gave an answer that cannot be sent", err.text);
		settle(c, 500, "Internal Server Error");
	}
}

bool
hb_hooks_answer(struct hb_conn *c)
{
	struct hb_hook_reply reply;
	struct hb_error err;
	bool given = false;

	if (c->hook == NULL || c->hook->answer.len == 0 || c->hook->answer.failed)
		return false;
	if (hb_hook_reply_read(&reply, c->hook->answer.data, c->hook->answer.len, &err) == 0)
		given = give_answer(c, &reply, &err) == 0;
	hb_hook_reply_free(&reply);
	return given;
}

/* {Error, Request} */
static void
begin_error(struct hb_conn *c, const void *error, size_t len)
{
	struct hb_buf *b = hb_hooks_begin(c->worker);

	hb_term_put_tuple(b, 2);
	hb_term_put_binary(b, error, len);
	hb_hooks_put_request(c, b);
}

/* Something failed, nothing was sent: on_error's answer, or 500. */
static void
fail(struct hb_conn *c, const void *error, size_t len)
{
	struct hb_error err;

	if (c->worker->hooks->on_error && c->hook->asked != HB_OP_ON_ERROR) {
		begin_error(c, error, len);
		if (ask(c, HB_OP_ON_ERROR, &err) == 0)
			return;
		log_line(c, HB_OP_ON_ERROR, "was not asked", err.text);
	}
	settle(c, 500, "Internal Server Error");
}

/* Takes what is to be the hook's Error. */
static void
fail_taking(struct hb_conn *c, struct hb_buf *term)
{
	if (term->failed)
		settle(c, 500, "Internal Server Error");
	else
		fail(c, term->data, term->len);
	hb_buf_free(term);
}

/* {Tag, Reason}, Reason an atom. */
static void
fail_with(struct hb_conn *c, const char *tag, const char *reason)
{
	struct hb_buf term = HB_BUF_INIT;

	hb_term_put_version(&term);
	hb_term_put_tuple(&term, 2);
	hb_term_put_atom(&term, tag);
	hb_term_put_atom(&term, reason);
	fail_taking(c, &term);
}

/* {exit, Reason}, Reason an element of a reply. */
static void
fail_killed(struct hb_conn *c, struct hb_py_text reason)
{
	struct hb_buf term = HB_BUF_INIT;

	log_line(c, c->hook->asked, "failed", "its process was ended from outside");
	hb_term_put_version(&term);
	hb_term_put_tuple(&term, 2);
	hb_term_put_atom(&term, "exit");
	hb_buf_add(&term, reason.p, reason.len);
	fail_taking(c, &term);
}

static void
approve(struct hb_conn *c, const struct hb_hook_reply *reply)
{
	struct hb_hook *hook = c->hook;
	struct hb_error err;

	if (hb_hooks_apply_response(c, reply, &err) == -1) {
		log_line(c, HB_OP_ON_RESPONSE, "made a response that cannot be sent", err.text);
		fail_with(c, "error", "bad_response");
		return;
	}
	hb_respond_release(c, hook->held.data, hook->held.len, hook->over);
}

/* No companion, no service, unless it is configured otherwise. */
static void
go_without(struct hb_conn *c, const struct hb_error *err)
{
	enum hb_link_op op = c->hook->asked;
	bool pass = c->worker->hooks->pass;

	log_line(c, op, pass ? "was left out" : "could not be asked", err->text);
	if (op == HB_OP_ON_ERROR)
		settle(c, 500, "Internal Server Error");
	else if (!pass)
		settle(c, 503, "the service is not available");
	else if (op == HB_OP_ON_REQUEST)
		hb_conn_begin(c);
	else
		approve(c, &(struct hb_hook_reply){.outcome = HB_HOOK_CONTINUE});
}

static void
log_ignored(struct hb_conn *c, const struct hb_hook_reply *reply)
{
	char names[200] = "";
	size_t n = 0;

	if (reply->ignored_count == 0)
		return;
	for (size_t i = 0; i < reply->ignored_count && n + 2 < sizeof names; i++)
		n += (size_t)snprintf(names + n, sizeof names - n, "%s%.*s", i > 0 ? ", " : "",
		    (int)(reply->ignored[i].len < 60 ? reply->ignored[i].len : 60), reply->ignored[i].p);
	log_line(c, c->hook->asked, "changed what cannot be changed", names);
}

/* The application's head is to be another one. */
static int
change_request(struct hb_conn *c, const struct hb_hook_reply *reply, struct hb_error *err)
{
	const struct hb_hook_request from = hb_hooks_describe(c);
	struct hb_hook *hook = c->hook;

	if (reply->own.p != NULL) {
		hook->own = malloc(reply->own.len);
		if (hook->own == NULL)
			return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
		memcpy(hook->own, reply->own.p, reply->own.len);
		hook->own_len = reply->own.len;
	}
	if (reply->method.p == NULL && reply->path.p == NULL && reply->query.p == NULL && reply->fields_count == 0 &&
	    reply->removed_count == 0)
		return 0;
	if (hb_hook_head_make(&hook->head, &from, c->body_at - c->start, reply, err) == -1)
		return -1;
	hook->changed = true;
	free(c->path);
	c->path = hook->head.path;
	c->path_len = hook->head.path_len;
	hook->head.path = NULL;
	return 0;
}

static void
on_request_done(struct hb_conn *c, const struct hb_hook_reply *reply)
{
	struct hb_error err;

	log_ignored(c, reply);
	if (reply->outcome == HB_HOOK_REQUEST && change_request(c, reply, &err) == -1) {
		log_line(c, HB_OP_ON_REQUEST, "made a request that cannot be", err.text);
		fail_with(c, "error", "bad_request");
	} else
		hb_conn_begin(c);
}

static void
act(struct hb_conn *c, const struct hb_hook_reply *reply, const unsigned char *payload, size_t len)
{
	enum hb_link_op op = c->hook->asked;

	if (reply->outcome == HB_HOOK_FAILED && reply->error.p != NULL)
		fail(c, reply->error.p, reply->error.len);
	else if (reply->outcome == HB_HOOK_FAILED)
		fail_killed(c, reply->raised);
	else if (reply->outcome == HB_HOOK_ANSWER && op != HB_OP_ON_RESPONSE)
		take_answer(c, reply, payload, len);
	else if (op == HB_OP_ON_REQUEST && reply->outcome != HB_HOOK_RESPONSE)
		on_request_done(c, reply);
	else if (op == HB_OP_ON_RESPONSE && reply->outcome != HB_HOOK_REQUEST && reply->outcome != HB_HOOK_ANSWER) {
		log_ignored(c, reply);
		approve(c, reply);
	} else {
		log_line(c, op, "failed", "the companion's reply is of another hook");
		settle(c, 500, "Internal Server Error");
	}
}

static void
on_done(void *arg, const unsigned char *payload, size_t len, const struct hb_error *err)
{
	struct hb_conn *c = arg;
	struct hb_hook_reply reply = {.outcome = HB_HOOK_CONTINUE};
	struct hb_error bad;

	hb_worker_wake(c->worker);
	c->hook->call = NULL;
	if (err != NULL && hb_hooks_ended(err, c->hook->until)) {
		log_line(c, c->hook->asked, "was ended", "hooks.timeout is over");
		fail_with(c, "timeout", name_of(c->hook->asked));
	} else if (err != NULL)
		go_without(c, err);
	else if (hb_hook_reply_read(&reply, payload, len, &bad) == -1) {
		log_line(c, c->hook->asked, "failed", bad.text);
		settle(c, 500, "Internal Server Error");
	} else
		act(c, &reply, payload, len);
	hb_hook_reply_free(&reply);
}

bool
hb_hooks_request(struct hb_conn *c)
{
	struct hb_hooks *h = c->worker->hooks;
	struct hb_error err;

	if (!h->on_request)
		return false;
	if (hb_hooks_get(c) == NULL) {
		hb_conn_answer(c, 503, "out of memory", true);
		return true;
	}
	hb_hooks_put_request(c, hb_hooks_begin(c->worker));
	if (ask(c, HB_OP_ON_REQUEST, &err) == 0) {
		wait_in_state(c);
		return true;
	}
	log_line(c, HB_OP_ON_REQUEST, h->pass ? "was left out" : "could not be asked", err.text);
	if (h->pass)
		return false;
	settle(c, 503, "the service is not available");
	return true;
}

void
hb_hooks_ask(struct hb_conn *c)
{
	struct hb_error err;

	hb_hooks_begin_response(c);
	if (!c->async || c->hook->over)
		wait_in_state(c);
	if (ask(c, HB_OP_ON_RESPONSE, &err) == -1)
		go_without(c, &err);
}

bool
hb_hooks_finish(struct hb_conn *c)
{
	struct hb_hook *hook;

	if (c->gone || c->response.committed || !hb_hooks_holds(c))
		return false;
	hook = hb_hooks_get(c);
	if (hook == NULL) {
		hb_conn_answer(c, 503, "out of memory", true);
		return true;
	}
	hook->over = true;
	if (hook->refused) {
		wait_in_state(c);
		fail(c, hook->error.data, hook->error.len);
	} else if (hook->call != NULL)
		wait_in_state(c);
	else
		hb_hooks_ask(c);
	return true;
}

bool
hb_hooks_error(struct hb_conn *c)
{
	struct hb_hooks *h = c->worker->hooks;
	struct hb_error err;

	if (h == NULL || !h->on_error || c->hook == NULL || c->hook->error.len == 0 || c->hook->error.failed)
		return false;
	c->hook->over = true;
	begin_error(c, c->hook->error.data, c->hook->error.len);
	if (ask(c, HB_OP_ON_ERROR, &err) == -1) {
		log_line(c, HB_OP_ON_ERROR, "could not be asked", err.text);
		return false;
	}
	wait_in_state(c);
	return true;
}

static void
ignore(void *arg, const unsigned char *payload, size_t len, const struct hb_error *err)
{
}

void
hb_hooks_tell(struct hb_conn *c)
{
	struct hb_hooks *h = c->worker->hooks;
	struct hb_error err;

	if (h == NULL || !h->on_error || c->hook == NULL || c->hook->error.len == 0 || c->hook->error.failed)
		return;
	begin_error(c, c->hook->error.data, c->hook->error.len);
	if (hb_evlink_call(h->link, HB_OP_ON_ERROR, &h->request, hb_clock_ms() + h->timeout, ignore, NULL, &err) == NULL)
		log_line(c, HB_OP_ON_ERROR, "could not be asked", err.text);
}
