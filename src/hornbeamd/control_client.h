/*
 * One peer of the control socket: frames in, one at a time, and replies out.
 * Requests are answered by a function of the caller's, so that nothing here
 * knows what they mean.
 */
#ifndef HB_HORNBEAMD_CONTROL_CLIENT_H
#define HB_HORNBEAMD_CONTROL_CLIENT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/buf.h"
#include "common/error.h"
#include "link/frame.h"

struct event_base;
struct hb_control_client;

enum { HB_CONTROL_REQUEST_MAX = 64 * 1024 };

struct hb_control_calls {
	/*
	 * Answers the request with hb_control_client_reply or _error, now or
	 * later.  The payload is gone when it returns.
	 */
	void (*request)(struct hb_control_client *client, const struct hb_frame *frame, void *arg);
	/* The client is about to go; forget it. */
	void (*closed)(struct hb_control_client *client, void *arg);
	void *arg;
};

/* Takes fd.  The client frees itself when the peer goes; NULL when memory is out. */
struct hb_control_client *hb_control_client_new(struct event_base *base, int fd, const struct hb_control_calls *calls);
void hb_control_client_free(struct hb_control_client *client);

/* Who it is: the kernel's word at the time of connect(2). */
const struct ucred *hb_control_client_cred(const struct hb_control_client *client);
/* Whether the peer's process was in a group, first or supplementary, when it connected. */
bool hb_control_client_in_group(const struct hb_control_client *client, gid_t gid);
/* Nothing is half read, being answered or half written. */
bool hb_control_client_idle(const struct hb_control_client *client);
/* A pointer of the caller's: what a later reply needs. */
void **hb_control_client_data(struct hb_control_client *client);

/* Sends one term (takes payload's memory), with a descriptor attached unless it is -1 (takes it too). */
void hb_control_client_reply(struct hb_control_client *client, struct hb_buf *payload, int fd);
/* Sends {Class, Text}; with last, the connection ends after it. */
void hb_control_client_error(struct hb_control_client *client, const char *class, const char *text, bool last);

#endif
