/*
 * The control socket: the command line and scripts ask here for the daemon's
 * state, and for a link to the companion.
 */
#ifndef HB_HORNBEAMD_CONTROL_H
#define HB_HORNBEAMD_CONTROL_H

#include "common/error.h"
#include "config/config.h"
#include "hornbeamd/identity.h"
#include "net/listener.h"

struct hb_control;
struct hb_master;

/*
 * Makes the socket's directory if it is missing, and the socket, both with
 * the owner that the daemon will have.  HB_ERROR_BIND: another daemon has it.
 */
int hb_control_open(struct hb_listener *listener, const struct hb_config *config, const struct hb_identity *id,
    struct hb_error *err) HB_WARN_UNUSED;
/* After the privileges were dropped: whether the companion can make its link beside the control socket. */
int hb_control_check_directory(const struct hb_config *config, const struct hb_identity *id,
    struct hb_error *err) HB_WARN_UNUSED;

/* Serves it.  Takes the listener's descriptor; the master is borrowed. */
struct hb_control *hb_control_new(struct hb_master *m, struct hb_listener *listener);
void hb_control_free(struct hb_control *control);

#endif
