/*
 * A connection and its one request at a time: from bytes to a request for an
 * application, from its response to bytes, then the next.
 */
#ifndef HB_WORKER_CONN_H
#define HB_WORKER_CONN_H

#include <event2/event_struct.h>
#include <sys/queue.h>

#include "http/parser.h"
#include "net/address.h"
#include "py/server.h"
#include "worker/body.h"
#include "worker/response.h"
#include "worker/timers.h"

struct hb_worker;
struct hb_worker_listener;

/* Bytes waiting for the peer beyond which the application waits too. */
enum { HB_CONN_OUT_HIGH = 256 * 1024 };

enum hb_conn_state {
	HB_CONN_IDLE,    /* no byte of a request yet */
	HB_CONN_HEAD,    /* in the middle of a head */
	HB_CONN_BODY,    /* in the middle of a body */
	HB_CONN_READY,   /* queued for the application, or running */
	HB_CONN_PAUSED,  /* the application waits for the peer to take what it wrote */
	HB_CONN_SENDING, /* the response is whole, and on its way */
	HB_CONN_LINGER,  /* all is sent; what still comes is thrown away until the peer closes */
	HB_CONN_DEAD
};

struct hb_conn {
	struct hb_worker *worker;
	struct hb_worker_listener *listener;
	int fd;
	enum hb_conn_state state;
	TAILQ_ENTRY(hb_conn) all;
	TAILQ_ENTRY(hb_conn) queued;
	struct hb_conn_queue *queue; /* the one that it is in, or NULL */
	struct hb_timer timer;
	struct event readable;
	struct event writable;
	bool reading; /* readable is added */
	bool writing; /* writable is added */

	/* Input: [start, pos) is the head once it is parsed, [pos, len) not looked at. */
	unsigned char *in;
	size_t cap;
	size_t start;
	size_t pos;
	size_t len;
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
	bool keep;     /* after this response */
	bool gone;     /* the peer takes nothing any more */
	bool cut;      /* the response is not whole and must not look so */
	bool refused;  /* there may be unread bytes: linger, so that the peer reads the answer */
	uint64_t requests;
	int64_t began; /* when the request's head was whole, microseconds; 0: it is not */

	struct hb_py_peer *peer;
	char remote_addr[HB_ADDRESS_TEXT];
	char remote_port[6];
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
void hb_conn_enqueue(struct hb_conn *c, struct hb_conn_queue *queue);
void hb_conn_dequeue(struct hb_conn *c);

/* Input (input.c). */
void hb_conn_readable(int fd, short what, void *arg);
/* Looks at the bytes at hand; a whole request goes to the queue of the ready. */
void hb_conn_parse(struct hb_conn *c);
void hb_conn_watch_input(struct hb_conn *c);
void hb_conn_ignore_input(struct hb_conn *c);
/* Whether the peer has sent something that has not been read: a request is on its way. */
bool hb_conn_has_input(const struct hb_conn *c);
void hb_conn_release_input(struct hb_conn *c);

/* Output (output.c). */
void hb_conn_writable(int fd, short what, void *arg);
void hb_conn_watch_output(struct hb_conn *c);
void hb_conn_ignore_output(struct hb_conn *c);
/* Sends what is pending.  Returns 0, with bytes left where the peer is slow, or -1: gone. */
int hb_conn_flush(struct hb_conn *c);
/* Sends, with p behind what is pending; *taken of the n bytes are sent. */
int hb_conn_send(struct hb_conn *c, const void *p, size_t n, size_t *taken);
/* The response is whole: queues it, or sends it where the application was slow. */
void hb_conn_finish(struct hb_conn *c);
/* Sends the responses that are queued. */
void hb_conn_flush_all(struct hb_worker *w);
/* Goes on after a response has been sent: with the next request, or to the end. */
void hb_conn_over(struct hb_conn *c);
/* Answers without an application; close: and ends the connection. */
void hb_conn_answer(struct hb_conn *c, unsigned status, const char *text, bool close);
void hb_conn_timeout(struct hb_conn *c, enum hb_timer_kind kind);

static inline size_t
hb_conn_pending(const struct hb_conn *c)
{
	return c->out.len - c->out_pos;
}

#endif
