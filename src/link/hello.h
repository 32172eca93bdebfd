/* The first exchange on a link: who is there, and whether the two sides are of one release. */
#ifndef HB_LINK_HELLO_H
#define HB_LINK_HELLO_H

#include <sys/types.h>

#include "common/buf.h"
#include "link/frame.h"

struct hb_hello {
	const char *role;
	const char *name;
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

/* Appends the whole frame; its id is 0, which no call uses. */
void hb_hello_request(struct hb_buf *out, const struct hb_hello *hello);
/* 0 if the reply welcomes this release; where names the other side in err. */
int hb_hello_check(const struct hb_frame *reply, const char *where, struct hb_error *err) HB_WARN_UNUSED;

#endif
