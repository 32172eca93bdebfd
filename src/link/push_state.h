/*
 * The files of the push connection among themselves: see push.h.  Everything
 * here is called with the lock held, and nothing here waits.
 */
#ifndef HB_LINK_PUSH_STATE_H
#define HB_LINK_PUSH_STATE_H

#include <sys/queue.h>

#include "link/dial.h"
#include "link/frame.h"
#include "link/push.h"
#include "link/sync.h"

enum { HB_PUSH_IN = 64 * 1024 };

/* A thread that waits; on its stack. */
struct hb_push_wait {
	struct hb_subscriber *subscriber; /* whose messages it waits for, or NULL */
	pthread_cond_t cond;
	bool leading; /* it is in poll, for everybody */
	bool ready;   /* it has to look again */
	/* For the reply to a request. */
	bool done;
	bool lost; /* the link was, before the reply */
	int result;
	struct hb_error *err;
	struct hb_push_waits *in; /* of a topic or a request */
	TAILQ_ENTRY(hb_push_wait) link;
	TAILQ_ENTRY(hb_push_wait) of_subscriber;
	TAILQ_ENTRY(hb_push_wait) of_reply;
};
TAILQ_HEAD(hb_push_waits, hb_push_wait);

/* A topic and the number of its subscribers, or the name of a function that is provided (1) or not (0). */
struct hb_topic {
	struct hb_topic *next; /* of its hash */
	uint32_t hash;
	uint8_t op;
	bool dirty;       /* in push->dirty: n has to be said */
	unsigned holders; /* who will look at it again */
	uint32_t n;
	LIST_HEAD(hb_members, hb_member) members;
	struct hb_push_waits waits; /* for the reply to what is to be said */
	TAILQ_ENTRY(hb_topic) link;
	bool losing;     /* in push->losing */
	uint64_t missed; /* by its subscribers, which the companion does not know of yet */
	TAILQ_ENTRY(hb_topic) of_losing;
	size_t len;
	char name[];
};

struct hb_member {
	uint64_t number;  /* of no other one, ever */
	unsigned asked;   /* calls that subscribed it, and have not taken that back */
	unsigned joining; /* calls that wait until it is confirmed; the last of them that fails ends it */
	bool confirmed;
	struct hb_subscriber *subscriber;
	struct hb_topic *topic;
	LIST_ENTRY(hb_member) of_topic;
	LIST_ENTRY(hb_member) of_subscriber;
};

/* A request whose reply has not come. */
struct hb_push_request {
	uint32_t id;
	uint8_t op;
	struct hb_push_waits waits;
	TAILQ_ENTRY(hb_push_request) link;
};

struct hb_subscriber {
	struct hb_push *push;
	void *arg;
	unsigned forks;
	bool closed;
	struct hb_push_watch *watch; /* where it is armed; NULL: it is not */
	bool woken;
	struct hb_subscriber_counts counts; /* queued and topics are always right */
	size_t bytes;
	struct hb_message **ring;
	size_t cap, first;
	struct hb_members members;
	struct hb_push_waits waits;
	TAILQ_ENTRY(hb_subscriber) link;
	TAILQ_ENTRY(hb_subscriber) of_watch; /* while woken */
};

struct hb_push_watch {
	struct hb_push *push;
	int poller; /* epoll, of the bell and the connection */
	int bell;
	TAILQ_HEAD(hb_subscribers, hb_subscriber) woken;
	LIST_ENTRY(hb_push_watch) link;
};

struct hb_push {
	enum hb_link_via via;
	char *path, *role, *name;
	int (*interrupted)(void *arg);
	void *arg;
	size_t queue;

	pthread_mutex_t lock; /* for all that follows */
	struct hb_sync sync;
	unsigned forks;
	struct hb_push_waits waits;
	struct hb_subscribers subscribers;
	LIST_HEAD(hb_push_watches, hb_push_watch) watches;
	struct hb_subscriber *listener;
	uint64_t serial;
	uint64_t last_member;

	/* push_topics.c */
	struct hb_topic **topics; /* by hash */
	size_t topics_cap, topics_count;
	TAILQ_HEAD(hb_topics, hb_topic) dirty;
	struct hb_topics losing;
	int64_t tell_at; /* not before: of what they miss */

	/* The dial. */
	struct hb_dial dial;
	pthread_cond_t changed; /* it ended, or is to end */
	bool dialling;          /* its thread lives */
	bool threadless;        /* there was none to be had */
	bool stopping;
	unsigned wanting;       /* threads that need the connection */
	unsigned failures;      /* of the dial, ever */
	int64_t retry_at, backoff;
	struct hb_error why;

	/* The connection. */
	int fd;
	uint64_t number; /* of the connection, the last one where there is none; 0: there was none */
	int bell;      /* rung for the thread that polls */
	bool polling;
	bool answered; /* something came in */
	bool full;     /* out waits for the socket */
	bool more;     /* in has more frames */
	struct hb_push_watch *reading; /* whose loop reads right now */
	uint32_t last_id;
	TAILQ_HEAD(hb_push_requests, hb_push_request) requests;
	struct hb_buf out;
	size_t out_off;
	struct hb_frame head; /* of into */
	struct hb_message *into;
	size_t left;
	size_t start, end;
	unsigned char in[HB_PUSH_IN];
};

/* push.c */
void hb_push_wake(struct hb_push *push, struct hb_push_wait *wait);
/* Opens the connection where something needs it. */
void hb_push_connect(struct hb_push *push);
/* Waits, this one, until the topic's number was confirmed; the caller is one of its holders. */
int hb_push_settle(struct hb_push *push, struct hb_topic *topic, int64_t deadline, struct hb_error *err);

/* push_io.c */
void hb_push_ring(int bell);
void hb_push_silence(int bell);
/* The descriptor of a new connection, which it takes. */
void hb_push_up(struct hb_push *push, int fd);
/* Forgets the connection, and says so; in_child: without ending it for the parent. */
void hb_push_drop(struct hb_push *push, bool in_child);
/* Sends and receives what goes without waiting; push->more where it stopped before the end. */
void hb_push_exchange(struct hb_push *push);
void hb_push_flush(struct hb_push *push);

/* push_topics.c */
struct hb_topic *hb_topic_find(struct hb_push *push, uint8_t op, const char *name, size_t len);
struct hb_topic *hb_topic_get(struct hb_push *push, uint8_t op, const char *name, size_t len);
/* Its number has changed. */
void hb_topic_changed(struct hb_push *push, struct hb_topic *topic);
/* Frees it where nobody needs it. */
void hb_topic_release(struct hb_push *push, struct hb_topic *topic);
/* The new connection knows of none; the lost one does not have to be told. */
void hb_topics_say_all(struct hb_push *push);
void hb_topics_lost(struct hb_push *push);
void hb_topics_forget(struct hb_push *push);
/* The next topic of push->losing, taken from it, with what is to be told; NULL: none. */
struct hb_topic *hb_topics_losing(struct hb_push *push, uint64_t *count);
void hb_topic_deliver(struct hb_push *push, struct hb_message *message);
void hb_topic_gap(struct hb_push *push, const char *name, size_t len, uint64_t count);
void hb_subscriber_deliver(struct hb_subscriber *s, struct hb_message *message);
void hb_subscriber_leave(struct hb_subscriber *s); /* all topics */
struct hb_message *hb_subscriber_pop(struct hb_subscriber *s);
void hb_subscriber_notify(struct hb_subscriber *s);

/* push_watch.c */
void hb_push_watch_connection(struct hb_push *push, int operation); /* of epoll_ctl, for all watches */
/* There are frames in the buffer that this thread leaves to others. */
void hb_push_ring_all(struct hb_push *push);
void hb_push_watch_forked(struct hb_push_watch *watch);

#endif
