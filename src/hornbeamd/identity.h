/* Who the daemon is: the user and group of the configuration, and the way down from root. */
#ifndef HB_HORNBEAMD_IDENTITY_H
#define HB_HORNBEAMD_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"
#include "config/config.h"

struct hb_identity {
	uid_t uid;
	gid_t gid;
	char *user; /* its name, or its number */
	char *home;
	bool drop;  /* started as root, to become another */
};

/*
 * Looks user and group up.  HB_ERROR_CONFIG: unknown; HB_ERROR_PERMISSION:
 * not root, and the user or group is another's.
 */
int hb_identity_resolve(struct hb_identity *id, const struct hb_config *config, struct hb_error *err) HB_WARN_UNUSED;
void hb_identity_free(struct hb_identity *id);
/* Becomes the user for good, with HOME, USER and LOGNAME of the user. */
int hb_identity_drop(const struct hb_identity *id, struct hb_error *err) HB_WARN_UNUSED;
/* The number of a group, from its name; HB_ERROR_CONFIG with key in front when there is none. */
int hb_identity_group(const char *name, const char *key, gid_t *gid, struct hb_error *err) HB_WARN_UNUSED;

#endif
