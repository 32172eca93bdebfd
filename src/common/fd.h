/* Descriptors: flags, whole writes, and passing one over a Unix socket. */
#ifndef HB_COMMON_FD_H
#define HB_COMMON_FD_H

#include <stddef.h>
#include <sys/types.h>

#include "common/error.h"

int hb_fd_nonblock(int fd) HB_WARN_UNUSED;
int hb_fd_cloexec(int fd, int on) HB_WARN_UNUSED;
/*
 * A descriptor for writing to what fd writes to, none of the standard three.  For a pipe it is
 * non-blocking without making fd so, which other processes share (unless the pipe is another user's).
 */
int hb_fd_output(int fd) HB_WARN_UNUSED;
/* Closes *fd if it is open and sets it to -1. */
void hb_fd_close(int *fd);
/* Sends n > 0 bytes with one descriptor attached (SCM_RIGHTS); as sendmsg(2). */
ssize_t hb_fd_send(int sock, const void *p, size_t n, int fd) HB_WARN_UNUSED;
/* Receives up to n bytes; *fd is the descriptor that came along, close-on-exec, or -1. */
ssize_t hb_fd_recv(int sock, void *p, size_t n, int *fd) HB_WARN_UNUSED;

#endif
