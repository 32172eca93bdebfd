/* The other side of a link for the unit tests: a listening socket whose connections a function of the test serves. */
#ifndef HB_TESTS_FAKE_LINK_H
#define HB_TESTS_FAKE_LINK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/buf.h"
#include "link/frame.h"

struct fake;
typedef void fake_serve(struct fake *fake, int fd, int nth); /* nth connection, from 0 */

struct fake {
	char dir[32];
	char path[64];
	int listener;
	fake_serve *serve;
	pthread_t thread;
	atomic_int connections;
	atomic_int requests; /* read by fake_read, hellos left out */
	atomic_int flag;     /* for the test */
	atomic_int hello_pid;
};

void fake_start(struct fake *fake, fake_serve *serve);
void fake_listen(struct fake *fake); /* the second half of fake_start: a path without a server comes before it */
void fake_prepare(struct fake *fake, fake_serve *serve);
void fake_stop(struct fake *fake);

/* Reads one frame, whose payload stays in buf until the next read; false at the end. */
bool fake_read(struct fake *fake, int fd, struct hb_buf *buf, struct hb_frame *frame);
void fake_reply(int fd, const struct hb_frame *to, int flags, const void *payload, size_t len);
/* Answers the hello as a companion of the given release. */
bool fake_hello(struct fake *fake, int fd, const char *release);
void fake_error(int fd, const struct hb_frame *to, const char *class, const char *text);
/* Replies to every frame with its own payload until the end. */
void fake_echo(struct fake *fake, int fd);
/* Reads a call and its cancellation, and answers neither. */
void fake_cancelled(struct fake *fake, int fd, enum hb_link_op op);
/* Waits until the test or the server has set the flag to at least value. */
void fake_await(struct fake *fake, int value);

#endif
