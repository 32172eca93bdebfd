/*
 * One connection of the blocking client: the calls in flight on it, what
 * goes out and what comes in.  Everything here is called with the lock of
 * the client held, and nothing here waits.
 */
#ifndef HB_LINK_CONN_H
#define HB_LINK_CONN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"
#include "link/frame.h"

/* A call in flight; it lives on its caller's stack. */
struct hb_call {
	uint32_t id;
	uint8_t op;
	const unsigned char *data; /* the whole frame */
	size_t len;
	size_t off;   /* how much of it went out */
	bool sent;    /* all of it went out, or is in the connection's tail */
	bool done;    /* result is there */
	bool waiting; /* its thread waits on cond */
	int result;
	struct hb_buf *reply;
	struct hb_error *err;
	pthread_cond_t cond; /* made when the call first waits */
	bool has_cond;
	struct hb_call *next, **at;
};

enum {
	HB_CONN_IN = 64 * 1024,
	HB_CONN_REPLY_MAX = 1024 * 1024 * 1024 /* all parts of a reply */
};

struct hb_conn {
	int fd;
	unsigned refs;
	bool reading;  /* a thread is in recv or poll for it, without the lock */
	bool lost;
	bool answered; /* something came in */
	struct hb_call *calls;
	struct hb_call *partial; /* the call whose frame is partly out; nobody else may send */
	struct hb_buf tail;      /* the rest of a frame whose caller gave up in its middle */
	size_t tail_off;
	struct hb_buf notes;     /* whole frames that nobody waits for; they go between two others */
	/* The frame that is coming in, when its payload did not end with the buffer. */
	struct hb_frame head;
	struct hb_call *into; /* NULL: nobody waits for it any more */
	size_t left;
	size_t have; /* bytes of an incomplete header at the start of in */
	unsigned char in[HB_CONN_IN];
};

struct hb_conn *hb_conn_new(int fd); /* takes fd; one reference; NULL: out of memory */
void hb_conn_free(struct hb_conn *conn);

/* Puts a new call on the connection. */
void hb_conn_add(struct hb_conn *conn, struct hb_call *call);
/* Takes a call off that gave up; a frame that is partly out moves to the tail. */
void hb_conn_remove(struct hb_conn *conn, struct hb_call *call);
/* Leaves the rest of the call's frame to the tail, so that its thread may go elsewhere for a while. */
void hb_conn_set_aside(struct hb_conn *conn, struct hb_call *call);

/* Tells the companion that the answer to the call, which is being given up, is not wanted. */
void hb_conn_cancel(struct hb_conn *conn, const struct hb_call *call);

/* Sends what goes without waiting, the tail first, and the call's frame unless NULL; -1: the other side is gone. */
int hb_conn_push(struct hb_conn *conn, struct hb_call *call) HB_WARN_UNUSED;
/* Whether the call has bytes to send and it is its turn. */
bool hb_conn_wants_write(const struct hb_conn *conn, const struct hb_call *call);

/* Takes n bytes that were received at in + have; finishes calls.  -1 with err: broken protocol. */
int hb_conn_absorb(struct hb_conn *conn, size_t n, struct hb_error *err) HB_WARN_UNUSED;
/* The end of the connection: every call that was sent fails with why; the others are left for another one. */
void hb_conn_lose(struct hb_conn *conn, const struct hb_error *why);
/* Sends from p: how much went, 0 when the socket is full, -1 when the other side is gone. */
ssize_t hb_conn_send(int fd, const unsigned char *p, size_t n) HB_WARN_UNUSED;
/* Wakes a waiting call to be the reader, or the sender, where there is none. */
void hb_conn_hand_over(struct hb_conn *conn);

#endif
