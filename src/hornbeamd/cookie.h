/* The file of erlang.cookie_file: made where there is none, refused where it is no secret. */
#ifndef HB_HORNBEAMD_COOKIE_H
#define HB_HORNBEAMD_COOKIE_H

#include "common/error.h"
#include "config/config.h"
#include "hornbeamd/identity.h"

/*
 * Makes the file, with its directory, for the daemon's user, and checks it as
 * below.  As root where it is, before the daemon becomes its user.  Without
 * erlang.node nothing is done.
 */
int hb_cookie_make(const struct hb_config *config, const struct hb_identity *id, struct hb_error *err) HB_WARN_UNUSED;
/*
 * Whether the file is there, holds something, and is the user's alone.
 * HB_ERROR_PERMISSION: it is not; HB_ERROR_CONFIG: what is in it is no cookie.
 */
int hb_cookie_check(const struct hb_config *config, const struct hb_identity *id, struct hb_error *err) HB_WARN_UNUSED;

#endif
