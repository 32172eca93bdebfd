/* Listening sockets and the connections that they accept. */
#ifndef HB_NET_LISTENER_H
#define HB_NET_LISTENER_H

#include <sys/types.h>

#include "common/error.h"
#include "net/address.h"

/* The file of a Unix listener, so that its end removes only its own. */
struct hb_listener {
	int fd; /* -1: closed */
	struct hb_address address; /* as bound: the port that 0 became */
	dev_t dev;
	ino_t ino;
};

/* What a Unix socket's file gets; -1 leaves owner or group as they are. */
struct hb_listener_file {
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

/*
 * Binds and listens: non-blocking, close-on-exec.  A Unix socket that nobody
 * listens on any more is replaced.  file is for Unix sockets only.  On failure
 * -1 with HB_ERROR_BIND, `ADDRESS: cause`; err->saved_errno is EADDRINUSE when
 * another process listens there.
 */
int hb_listener_open(struct hb_listener *listener, const struct hb_address *address,
    const struct hb_listener_file *file, struct hb_error *err) HB_WARN_UNUSED;
/* Closes; never fails.  With unlink_file also removes a Unix socket's file, if it is still this one's. */
void hb_listener_close(struct hb_listener *listener, int unlink_file);

/* Accepts one connection: non-blocking, close-on-exec, TCP_NODELAY.  -1 with errno. */
int hb_accept(int listener, struct hb_address *peer) HB_WARN_UNUSED;

#endif
