/*
 * What a worker says to the companion about hooks, and what comes back: terms in
 * and out, no I/O.  erlang/src/hornbeam_hooks.erl is the other side.
 *
 *   request   {Method, Path, Query, Version, Scheme, Ip, Port, Mount, [Name, Value, ...], Own}
 *   on_request   request
 *   on_response  {request, Status, [Name, Value, ...], Body | []}
 *   on_error     {Error, request}   Error: a binary that holds the term
 *
 *   continue   nothing was changed
 *   {request, Method, Path, Query, [Name, Value, ...], [Removed, ...], Own, [Ignored, ...]}
 *   {response, Status, [Name, Value, ...], [Removed, ...], Body, [Ignored, ...]}
 *             the atom same for what was not changed; fields that were
 *   {answer, Status, [Name, Value, ...], Body}
 *   {failed, Error}
 *   {raised, Class, Reason, Stack}   by the link: the hook's process was killed
 */
#ifndef HB_WORKER_HOOKS_CODEC_H
#define HB_WORKER_HOOKS_CODEC_H

#include "common/buf.h"
#include "common/error.h"
#include "http/request.h"
#include "py/server.h"

enum { HB_HOOK_BODY_MOST = 64 * 1024 }; /* of a response, that its hook sees */

/* What a hook is told of a request. */
struct hb_hook_request {
	const struct hb_http_request *head;
	const unsigned char *data;
	const unsigned char *path; /* decoded */
	size_t path_len;
	const char *remote_addr;   /* "": a Unix socket */
	const char *remote_port;
	const char *mount;         /* NULL: none */
	bool secure;
	const unsigned char *own;  /* keys that on_request added, a term; NULL: none */
	size_t own_len;
};

enum hb_hook_outcome { HB_HOOK_CONTINUE, HB_HOOK_REQUEST, HB_HOOK_RESPONSE, HB_HOOK_ANSWER, HB_HOOK_FAILED };

/* Everything points into the payload. */
struct hb_hook_reply {
	enum hb_hook_outcome outcome;
	unsigned status;                 /* 0: the same */
	struct hb_py_text method, path, query, body; /* p NULL: the same */
	struct hb_py_text own;           /* p NULL: none */
	struct hb_py_text error;         /* of a failure: the term, 131 in front; p NULL: only raised */
	struct hb_py_text raised;        /* of a process that was killed: its reason, an element of a term */
	struct hb_py_field *fields;      /* set; names in lower case */
	size_t fields_count;
	struct hb_py_text *removed;
	size_t removed_count;
	struct hb_py_text *ignored;
	size_t ignored_count;
};

/* Begins a request to the companion: room for the frame's header, and the term's version. */
void hb_hook_begin(struct hb_buf *b);
/* Elements of a request's term, which the caller has begun. */
void hb_hook_put_request(struct hb_buf *b, const struct hb_hook_request *r);
/*
 * on_response's whole term but for the request, which comes first: the status,
 * the fields of head (the lines of a response behind the status line, as
 * hb_response keeps them), declared (-1: none) and the body (NULL: none).
 */
void hb_hook_put_response(struct hb_buf *b, unsigned status, const struct hb_buf *head, int64_t declared,
    const struct hb_buf *body);
/* {python_error, Type, Message}, with 131 in front. */
void hb_hook_put_python_error(struct hb_buf *b, const char *type, const char *text, size_t len);

/* The next line of a response's fields: *name and *value.  *pos starts behind the status line; false at the end. */
bool hb_hook_next_line(const struct hb_buf *head, size_t *pos, struct hb_py_field *field);
/* Where the fields begin. */
size_t hb_hook_first_line(const struct hb_buf *head);

/* -1 with err where it is none.  The reply is given back with hb_hook_reply_free either way. */
int hb_hook_reply_read(struct hb_hook_reply *reply, const unsigned char *payload, size_t len, struct hb_error *err)
    HB_WARN_UNUSED;
void hb_hook_reply_free(struct hb_hook_reply *reply);

#endif
