/* What a configuration needs beyond itself: applications, the virtual environment, users and groups. */
#ifndef HB_HORNBEAMD_CHECKS_H
#define HB_HORNBEAMD_CHECKS_H

#include <stdbool.h>

#include "common/error.h"
#include "config/config.h"

/* There are some, and their environment is one; file is where an application would be added (NULL: the default). */
int hb_check_applications(const struct hb_config *config, const char *file, struct hb_error *err) HB_WARN_UNUSED;
/* Whether what it says of hooks, user and group goes with --attached, or with a companion of our own. */
int hb_check_companion(const struct hb_config *config, const char *file, bool attached, struct hb_error *err)
    HB_WARN_UNUSED;
/* --check: what a start on this host would refuse, as far as that shows without one. */
int hb_check_host(const struct hb_config *config, const char *file, bool attached, struct hb_error *err) HB_WARN_UNUSED;

#endif
