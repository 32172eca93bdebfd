/*
 * A connection and its one request at a time: from bytes to a request for an
 * application, from its response to bytes, then the next.  While a request
 * is the application's (RUNNING, PAUSED) an asynchronous one goes on reading
 * and writing; a WSGI one has the connection to itself.
 */
#ifndef HB_WORKER_CONN_H
#define HB_WORKER_CONN_H

#include <event2/event_struct.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "http/forwarded.h"
#include "http/parser.h"
#include "net/address.h"
#include "py/server.h"
#include "worker/body.h"
#include "worker/jobs.h"
#include "worker/response.h"
#include "worker/timers.h"

struct hb_worker;
struct hb_pool_thread;
struct hb_worker_listener;
struct hb_websocket;
struct hb_hook;
struct hb_hook_reply;

/* Bytes waiting for the peer beyond which the application waits too. */
enum { HB_CONN_OUT_HIGH = 256 * 1024 };
/* So much of a body that nobody wants is read for the sake of the connection. */
enum { HB_CONN_SKIP_MOST = 1 << 20 };

enum hb_conn_state {
	HB_CONN_IDLE,    /* no byte of a request yet */
	HB_CONN_HEAD,    /* in the middle of a head */
	HB_CONN_HOOK,    /* a hook has the request, or its response, and nobody else has */
	HB_CONN_BODY,    /* in the middle of a body that a WSGI application will get whole */
	HB_CONN_READY,   /* queued for the application */
	HB_CONN_RUNNING, /* the application has it */
	HB_CONN_PAUSED,  /* WSGI: the application waits for the peer to take what it wrote */
	HB_CONN_SENDING, /* the response is whole, and on its way */
	HB_CONN_SKIP,    /* the response is out; the rest of the request's body is thrown away */
	HB_CONN_LINGER,  /* all is sent; what still comes is thrown away until the peer closes */
	HB_CONN_DEAD
};

/* Whose the answer to a request in the pool is: settled once. */
enum hb_conn_claim { HB_CONN_UNCLAIMED, HB_CONN_ANSWERED, HB_CONN_OVERDUE };

/* What the application said to a thread, for the loop to act upon. */
enum hb_conn_end { HB_CONN_OPEN, HB_CONN_FINISHED, HB_CONN_FAILED };

struct hb_conn {
	struct hb_worker *worker;
	struct hb_worker_listener *listener;
	int fd;
	enum hb_conn_state state;
	TAILQ_ENTRY(hb_conn) all;
	TAILQ_ENTRY(hb_conn) queued;
	struct hb_conn_queue *queue; /* the one that it is in, or NULL */
	TAILQ_ENTRY(hb_conn) noted;
	unsigned events; /* enum hb_py_event, for the application; not 0: in the worker's list of the noted */
	struct hb_timer timer;
	struct event readable;
	struct event writable;
	bool reading; /* readable is added */
	bool writing; /* writable is added */

	/* Input: [start, body_at) is the head once it is parsed, [pos, len) not looked at. */
	unsigned char *in;
	size_t cap;
	size_t start;
	size_t body_at;
	size_t pos;
	size_t len;
	uint64_t skip_end; /* of the body: skipped to there at most */
	struct hb_http_parser parser;
	struct hb_body body;
	unsigned char *path; /* decoded, where it differs from the bytes received */
	size_t path_len;     /* decoded */

	/* Output: [out_pos, out.len) is to be sent. */
	struct hb_buf out;
	size_t out_pos;
	struct hb_response response;
	struct hb_py_request request;
	int app;       /* the index of the application */
	bool async;    /* it is an ASGI application */
	bool whole;    /* the parser has seen the end of the request */
	bool go_on;    /* the client waits for 100 Continue, which is due when the application reads */
	bool wants;    /* the application waits for more of the body, or for a message */
	bool stuck;    /* the application waits for the peer to take what it wrote */
	bool eof;      /* the peer has closed its side */
	bool keep;     /* after this response */
	bool gone;     /* the peer takes nothing any more */
	bool cut;      /* the response is not whole and must not look so */
	bool refused;  /* there may be unread bytes: linger, so that the peer reads the answer */
	unsigned verdict;         /* the status to answer with when the application lets go; 0: its own answer */
	const char *verdict_text;
	uint64_t requests;
	int64_t began; /* when the request's head was whole, microseconds; 0: it is not */

	struct hb_websocket *websocket; /* of a handshake and what follows, or NULL */
	struct hb_hook *hook; /* of a request with hooks, or NULL */
	/* In the pool: see pool.h.  Written by the loop. */
	bool pooled;   /* a thread has the request, or it waits for one */
	bool doomed;   /* to be killed when it comes back */
	struct hb_job job;
	_Atomic int claim; /* enum hb_conn_claim; both sides */
	/* Written by the thread, read by the loop when the request is back. */
	struct hb_pool_thread *thread;
	enum hb_conn_end ended;
	bool paused;        /* it waits for the peer, else it is over */
	bool streamed;      /* parts of the response have been sent */
	uint64_t uncounted; /* bytes sent */

	struct hb_py_peer *peer;
	char remote_addr[HB_ADDRESS_TEXT];
	char remote_port[6];
	bool trusted; /* to say for which client it speaks */
	struct hb_forwarded client; /* what it said of the request's */
};

TAILQ_HEAD(hb_conn_list, hb_conn);
TAILQ_HEAD(hb_conn_queue, hb_conn);

/* Takes fd. */
void hb_conn_new(struct hb_worker_listener *listener, int fd, const struct hb_address *peer);
/* Ends it now; freed at the end of the pass. */
void hb_conn_kill(struct hb_conn *c);
void hb_conn_free(struct hb_conn *c);
/* The one setter of the state: the timer follows. */
void hb_conn_set_state(struct hb_conn *c, enum hb_conn_state state);
/* Sets the timer anew: there was progress, or another one waits now. */
void hb_conn_touch(struct hb_conn *c);
/* The peer has gone while the request is the application's, which is told, and has the time of a request to let go. */
void hb_conn_lose(struct hb_conn *c);
/* A WSGI response that is paused goes nowhere any more. */
void hb_conn_abandon(struct hb_conn *c);
/* Ends the application's request with this answer where nothing was sent, else by cutting the connection. */
void hb_conn_overrule(struct hb_conn *c, unsigned status, const char *text);
/* The application will be told of events. */
void hb_conn_note(struct hb_conn *c, unsigned events);
/* Those noted until now, which are not noted any more. */
unsigned hb_conn_take_events(struct hb_conn *c);
/* A request for an application: on this thread, or in the pool. */
void hb_conn_ready(struct hb_conn *c);
/* "METHOD TARGET" for the log. */
#define HB_CONN_REQUEST_TEXT HB_HTTP_REQUEST_TEXT
void hb_conn_request_text(const struct hb_conn *c, char out[HB_CONN_REQUEST_TEXT]);
void hb_conn_enqueue(struct hb_conn *c, struct hb_conn_queue *queue);
void hb_conn_dequeue(struct hb_conn *c);

/* Who asks (client.c): the peer; or, once there is a head, the client that a trusted peer speaks for. */
void hb_conn_client_reset(struct hb_conn *c);
void hb_conn_client_read(struct hb_conn *c);

/* Input (input.c). */
void hb_conn_readable(int fd, short what, void *arg);
/* Looks at the bytes at hand; a whole request goes to the queue of the ready. */
void hb_conn_parse(struct hb_conn *c);
void hb_conn_watch_input(struct hb_conn *c);
void hb_conn_ignore_input(struct hb_conn *c);
/* Once a hook has seen the head: chooses the application, and goes on with the body. */
void hb_conn_begin(struct hb_conn *c);
/* Whether the peer has sent something that has not been read: a request is on its way. */
bool hb_conn_has_input(const struct hb_conn *c);
/* Whether the request allows for another one behind its response, as far as is known when that begins. */
bool hb_conn_may_keep(const struct hb_conn *c);
/* Counts and logs what the parser or a limit refused. */
void hb_conn_log_refusal(struct hb_conn *c, unsigned status, const char *cause, const char *rule);
/* Whether what nobody has read of a body is worth reading for the sake of the connection. */
bool hb_conn_skips_body(struct hb_conn *c);
/* What has come of a body since, for hb_py_server.read. */
int hb_conn_read(struct hb_conn *c, struct hb_py_part *parts, int most, bool *last);

/* The input's buffer (buffer.c). */

/* Gives it back where it is empty. */
void hb_conn_release_input(struct hb_conn *c);
/* Gives it back but for the head: what follows is read into another place. */
void hb_conn_keep_head_only(struct hb_conn *c);
/* Room behind len: by moving the request to the front, else by growing (the parser's limits bound that). */
int hb_conn_make_room(struct hb_conn *c, size_t least);
/* Takes the bytes of a body that were looked at out; the head stays. */
void hb_conn_compact(struct hb_conn *c);
/* The request's bytes have moved: py finds them through the request. */
void hb_conn_point(struct hb_conn *c);

/* Output (output.c). */
void hb_conn_writable(int fd, short what, void *arg);
void hb_conn_watch_output(struct hb_conn *c);
void hb_conn_ignore_output(struct hb_conn *c);
/* Sends what is pending.  Returns 0, with bytes left where the peer is slow, or -1: gone. */
int hb_conn_flush(struct hb_conn *c);
/* The same where more follows at once: the last segment waits for it. */
int hb_conn_flush_more(struct hb_conn *c);
/* Sends, with p behind what is pending; *taken of the n bytes are sent. */
int hb_conn_send(struct hb_conn *c, const void *p, size_t n, size_t *taken);
/* Counts n bytes as sent. */
void hb_conn_count_sent(struct hb_conn *c, size_t n);
/* The response is whole: queues it, or sends it where the application was slow. */
void hb_conn_finish(struct hb_conn *c);
/* Sends the responses that are queued. */
void hb_conn_flush_all(struct hb_worker *w);
/* Bytes are pending that should go out soon: with others at the end of the pass. */
void hb_conn_send_soon(struct hb_conn *c);
/* Goes on after a response has been sent: with the next request, or to the end. */
void hb_conn_over(struct hb_conn *c);
/* The request is over and all of it was read: ready for the next one. */
void hb_conn_next(struct hb_conn *c);
/* All is sent, and the connection ends; what still comes is read, so that it does not reset what was sent. */
void hb_conn_linger(struct hb_conn *c);
/* Answers without an application; close: and ends the connection. */
void hb_conn_answer(struct hb_conn *c, unsigned status, const char *text, bool close);
/* The same with further fields, and the connection ends. */
void hb_conn_answer_with(struct hb_conn *c, unsigned status, const char *text, const struct hb_py_field *fields,
    size_t count);
/* The whole response is at hand, and nobody else's: -1 with err, and nothing has happened, where the head cannot be sent. */
int hb_conn_answer_as(struct hb_conn *c, const struct hb_py_head *head, const void *body, size_t n, bool close,
    struct hb_error *err) HB_WARN_UNUSED;
void hb_conn_timeout(struct hb_conn *c, unsigned kind);

/* Whether the answer has become the claimant's. */
static inline bool
hb_conn_claim(struct hb_conn *c, enum hb_conn_claim by)
{
	int none = HB_CONN_UNCLAIMED;

	return atomic_compare_exchange_strong(&c->claim, &none, by);
}

static inline size_t
hb_conn_pending(const struct hb_conn *c)
{
	return c->out.len - c->out_pos;
}

#endif
