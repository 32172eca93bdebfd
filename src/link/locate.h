/*
 * Which control socket a process outside the daemon talks to: the one that
 * HORNBEAM_SOCKET names, else that of the user's own running `hornbeam run`,
 * else the system's.
 */
#ifndef HB_LINK_LOCATE_H
#define HB_LINK_LOCATE_H

#include <stddef.h>

#include "common/error.h"

enum { HB_LINK_PATH = 108 }; /* sun_path: a buffer of this size holds every usable path */

/* Writes the path of the control socket; -1 with err where it does not fit into a socket address. */
int hb_link_locate(char *out, size_t size, struct hb_error *err) HB_WARN_UNUSED;
/*
 * Writes the directory for the sockets of the user's own `hornbeam run`:
 * $XDG_RUNTIME_DIR/hornbeam, else /tmp/hornbeam-UID.  It need not exist yet;
 * whoever makes it makes it 0700.  -1 with err as above.
 */
int hb_link_run_dir(char *out, size_t size, struct hb_error *err) HB_WARN_UNUSED;

#endif
