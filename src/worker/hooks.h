/*
 * Hooks of a request, which run in the companion: before it is routed
 * (on_request), before its response begins (on_response), and where something
 * failed (on_error).  The loop waits for none of them; others go on meanwhile.
 *
 * on_response sees the head before a byte of it is sent, so what the
 * application writes is held until then: the whole body where it is small and
 * all at hand, else nothing, and the application waits as it would for a slow
 * peer.
 *
 * All on the loop's thread but where it says so.
 */
#ifndef HB_WORKER_HOOKS_H
#define HB_WORKER_HOOKS_H

#include <stdbool.h>

#include "link/evented.h"
#include "worker/hooks_head.h"

struct hb_conn;
struct hb_worker;

/* Of a connection's request, where hooks are configured. */
struct hb_hook {
	struct hb_evcall *call; /* under way */
	enum hb_link_op asked;
	int64_t until;          /* when the companion is taken for hung, milliseconds */
	bool changed;           /* the application's head is another than the client's */
	struct hb_hook_head head;
	unsigned char *own;     /* keys that on_request added, a term */
	size_t own_len;
	bool approved;          /* on_response has been asked; the response may go */
	bool wants;             /* on_response is to be asked before any part of the body; the application waits */
	bool over;              /* the application's part is done: the response ends with what is held */
	bool refused;           /* on_response failed while a thread waited for it */
	struct hb_buf held;     /* of the body */
	struct hb_buf error;    /* the term for on_error */
	struct hb_buf answer;   /* a reply with an answer, for when the application lets go */
};

/* Where hooks are configured: w->hooks, NULL otherwise. */
void hb_hooks_start(struct hb_worker *w);
void hb_hooks_stop(struct hb_worker *w);
/* Before the loop waits: what hooks are asked goes out. */
void hb_hooks_flush(struct hb_worker *w);
/* In the child of a fork. */
void hb_hooks_forked(struct hb_worker *w);

/*
 * The head is whole and c->app known.  True: it is the hook's, or was answered
 * for; hb_conn_begin() follows where the request goes on.
 */
bool hb_hooks_request(struct hb_conn *c);

/* The application's response; on a thread of the pool, too. */

/* Whether on_response is to see the head before it goes. */
bool hb_hooks_holds(const struct hb_conn *c);
/* Holds n bytes of the body: returns how many were taken, as hb_py_server.write does. */
ssize_t hb_hooks_write(struct hb_conn *c, const void *p, size_t n, bool more);
/* The body will not be held: 0, or -1 where there is none. */
int hb_hooks_want(struct hb_conn *c);
/* Whether the application waits for on_response. */
bool hb_hooks_wanted(const struct hb_conn *c);
/* Asks and waits, for write() of WSGI: 0, and the response is approved, or -1. */
int hb_hooks_wait(struct hb_conn *c);
/* The exception that the application has raised; a second one changes nothing. */
void hb_hooks_raised(struct hb_conn *c, const char *type, const char *text, size_t len);

/* Asks on_response, since the application waits for that. */
void hb_hooks_ask(struct hb_conn *c);
/* The application is done.  True: the end of its response waits for the hook. */
bool hb_hooks_finish(struct hb_conn *c);
/* The application failed and nothing was sent.  True: on_error is asked and its answer will follow. */
bool hb_hooks_error(struct hb_conn *c);
/* The application failed, too late for another answer: on_error is told. */
void hb_hooks_tell(struct hb_conn *c);
/* The application has let go: gives the answer that waited for it.  False: there is none. */
bool hb_hooks_answer(struct hb_conn *c);
/* Whether a hook runs. */
bool hb_hooks_asked(const struct hb_conn *c);
/* Nobody waits for a hook any more. */
void hb_hooks_cancel(struct hb_conn *c);
/* In HB_CONN_HOOK: the client has gone. */
void hb_hooks_lose(struct hb_conn *c);
/* Gives back what belongs to the request. */
void hb_hooks_forget(struct hb_conn *c);

#endif
