/*
 * Accepting connections from the listeners that all workers share, so that
 * none waits for a worker that is busy and no worker holds much more than
 * another.
 */
#ifndef HB_WORKER_ACCEPT_H
#define HB_WORKER_ACCEPT_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

struct hb_worker;
struct hb_accept_peer;

struct hb_accept {
	bool open;    /* begun, and not stopped */
	bool on;      /* the listeners are watched */
	bool shared;  /* there are other workers */
	bool due;     /* somebody waits; shared only */
	bool faulty;  /* out of descriptors or memory, which has been logged */
	unsigned slices; /* left of the pause in which the others may take what there is */
	struct event again; /* after a pause */
	struct hb_accept_peer *peers; /* one for each slot of the other workers */
};

/* Sets the events of w->listeners up and begins. */
void hb_accept_start(struct hb_worker *w);
/* For good: the listeners are closed. */
void hb_accept_stop(struct hb_worker *w);
/* When all requests at hand have run: takes from those who wait, up to the first that brings a request. */
void hb_accept_due(struct hb_worker *w);
/* After a connection has ended: accepts again where the limit had stopped it. */
void hb_accept_check(struct hb_worker *w);

#endif
