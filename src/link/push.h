/*
 * The process's second connection to the companion, for what the companion
 * sends by itself: the messages of topics, and what it asks this process to
 * run.  Any thread subscribes and waits; whoever waits reads for everybody
 * when nobody else does (leader/follower), and an event loop watches a
 * descriptor.  A thread of its own, short-lived, opens the connection, with
 * the first subscription and again, with backoff, after each loss; all
 * subscriptions are then made again.  A child of fork(2) begins with none.
 *
 * Nothing here keeps a lock while it waits, and none of the functions that do
 * not say so waits at all.
 */
#ifndef HB_LINK_PUSH_H
#define HB_LINK_PUSH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "link/client.h"

enum {
	HB_PUSH_QUEUE = 1000,                   /* messages that a subscriber keeps, where nobody says otherwise */
	HB_PUSH_QUEUE_BYTES = 32 * 1024 * 1024, /* and their size; one message is kept whatever its size */
	HB_PUSH_TOPIC_MAX = 1024,
	HB_PUSH_NAME_MAX = 255
};

struct hb_push;
struct hb_subscriber;
struct hb_push_watch;

/* One for all subscribers that get it; never changed. */
struct hb_message {
	atomic_uint refs;
	uint8_t op;       /* HB_OP_MESSAGE, or what came for hb_push_listen */
	uint64_t serial;  /* of this process: no other message has it */
	uint64_t link;    /* the connection that it came over, of all that this process had */
	const char *topic; /* NULL where op is another */
	size_t topic_len;
	const unsigned char *body; /* a term with its 131 in front; for another op the frame's payload */
	size_t len;
	size_t size; /* of data */
	unsigned char data[];
};

void hb_message_unref(struct hb_message *message); /* NULL is fine */

/* Never connects.  queue: messages of each subscriber, 0 for HB_PUSH_QUEUE.  Returns owned. */
struct hb_push *hb_push_new(const struct hb_link_options *options, size_t queue);
/* Its subscribers and watches were freed before. */
void hb_push_free(struct hb_push *push);

/* A queue of messages.  arg is the owner's own. */
struct hb_subscriber *hb_subscriber_new(struct hb_push *push, void *arg);
/* Ends its subscriptions; no thread may be in a call with it. */
void hb_subscriber_free(struct hb_subscriber *s);
/* Ends its subscriptions, and every wait for it, now and later, with HB_PUSH_CLOSED; what it has is still taken. */
void hb_subscriber_close(struct hb_subscriber *s);
void *hb_subscriber_arg(const struct hb_subscriber *s);
/* False in a child of the process that made it: it can only be freed there. */
bool hb_subscriber_is_mine(struct hb_subscriber *s);

struct hb_subscriber_counts {
	uint64_t dropped; /* messages lost: the queue was full, or the companion had no room for this link */
	uint64_t gaps;    /* losses of the link while it was subscribed, or of the companion's links to other nodes */
	uint64_t cuts;    /* the former */
	size_t queued;
	size_t topics;
};
struct hb_subscriber_counts hb_subscriber_counts(struct hb_subscriber *s);

/*
 * topic is UTF-8 of 1 to HB_PUSH_TOPIC_MAX bytes.  Waits until the companion has
 * confirmed it, at most until the deadline (hb_clock_ms()'s scale).  Twice is
 * once.  On failure nothing is subscribed, and err says what, as hb_link_call does.
 */
int hb_push_subscribe(struct hb_subscriber *s, const char *topic, size_t len, int64_t deadline,
    struct hb_error *err) HB_WARN_UNUSED;
/* Messages that have come are still taken.  Whether it was subscribed. */
bool hb_push_unsubscribe(struct hb_subscriber *s, const char *topic, size_t len);
/* Undoes one hb_push_subscribe: what another one has subscribed stays so.  Whether that ended it. */
bool hb_push_take_back(struct hb_subscriber *s, const char *topic, size_t len);

enum hb_push_result {
	HB_PUSH_MESSAGE,
	HB_PUSH_NOTHING, /* the deadline has passed */
	HB_PUSH_CLOSED,
	HB_PUSH_FAILED   /* err: HB_ERROR_INTERRUPT, or this is a child of the process that it belongs to */
};
/*
 * Waits for a message, at most until the deadline (0: none; one in the past
 * reads what has come already).  A lost link ends no wait: it is made again,
 * and counts as a gap.  *message is owned by the caller.
 */
enum hb_push_result hb_push_next(struct hb_subscriber *s, int64_t deadline, struct hb_message **message,
    struct hb_error *err) HB_WARN_UNUSED;
/* What has been read already; owned; NULL: nothing. */
struct hb_message *hb_push_take(struct hb_subscriber *s);

/*
 * For an event loop, one a loop.  The descriptor, the same for good, is readable
 * when hb_push_read has something to do; that never waits, and afterwards
 * hb_push_woken gives the armed subscribers, one by one, that have something or
 * were closed, each once.
 */
struct hb_push_watch *hb_push_watch_new(struct hb_push *push, struct hb_error *err) HB_WARN_UNUSED;
void hb_push_watch_free(struct hb_push_watch *watch);
int hb_push_watch_fd(const struct hb_push_watch *watch);
void hb_push_read(struct hb_push_watch *watch);
struct hb_subscriber *hb_push_woken(struct hb_push_watch *watch); /* NULL: no more */
/*
 * The watch will give s.  False: there is something already, or s is closed, or
 * (*elsewhere) another watch has it.
 */
bool hb_push_arm(struct hb_subscriber *s, struct hb_push_watch *watch, bool *elsewhere);
void hb_push_disarm(struct hb_subscriber *s);

/*
 * For functions of this process that the companion calls.  provide says that
 * there is one of this name, or is no longer, and waits as hb_push_subscribe
 * does; it is said again after each loss.  What comes that is no message goes
 * to the subscriber of hb_push_listen (one; NULL: none) as an hb_message.
 * post sends a frame that hb_link_begin began, without an answer, and without
 * waiting: the rest of what does not go at once follows.  It goes over the
 * connection that it answers to, link of its message, or HB_ERROR_CONNECT:
 * another companion has other numbers for what it asked.
 */
int hb_push_provide(struct hb_push *push, const char *name, size_t len, bool there, int64_t deadline,
    struct hb_error *err) HB_WARN_UNUSED;
void hb_push_listen(struct hb_push *push, struct hb_subscriber *s);
int hb_push_post(struct hb_push *push, uint64_t link, enum hb_link_op op, struct hb_buf *request, struct hb_error *err)
    HB_WARN_UNUSED;

#endif
