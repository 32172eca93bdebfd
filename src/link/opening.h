/*
 * Opening a link, step by step and without waiting: straight to the
 * companion, or by way of the master, who hands a connected descriptor over.
 * Whoever uses it waits as the last step said, in its own way, and keeps the
 * deadline.
 */
#ifndef HB_LINK_OPENING_H
#define HB_LINK_OPENING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "common/buf.h"
#include "link/client.h"
#include "link/hello.h"

enum hb_opening_step {
	HB_OPENING_FAILED = -1, /* err says why */
	HB_OPENING_DONE,        /* fd is the link, non-blocking or not */
	HB_OPENING_READ,        /* go on when fd is readable */
	HB_OPENING_PAUSE        /* the backlog is full, which no poll tells: go on in HB_OPENING_PAUSE_MS */
};

enum { HB_OPENING_PAUSE_MS = 10, HB_OPENING_REPLY_MAX = 2048 };

struct hb_opening {
	enum hb_link_via via;
	struct sockaddr_un addr;
	int fd;    /* of the link at last */
	int spent; /* the control socket, when it has handed a link over */
	int passed;
	bool connected; /* and the request is out */
	struct hb_buf request;
	size_t have, need;
	unsigned char in[HB_OPENING_REPLY_MAX]; /* a hello's reply, or an error's text */
};

/*
 * Opens a socket; hb_opening_end follows, whatever comes.  hello is needed
 * for HB_LINK_DIRECT alone; deadline is what the master is told of it.
 */
int hb_opening_begin(struct hb_opening *o, enum hb_link_via via, const char *path, const struct hb_hello *hello,
    int64_t deadline, struct hb_error *err) HB_WARN_UNUSED;
enum hb_opening_step hb_opening_go_on(struct hb_opening *o, struct hb_error *err) HB_WARN_UNUSED;
/* Closes the descriptors, but for fd where the caller has taken it and set it to -1. */
void hb_opening_end(struct hb_opening *o);

#endif
