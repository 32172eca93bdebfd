/* What the process may use and leaves behind: descriptors, file modes. */
#ifndef HB_HORNBEAMD_LIMITS_H
#define HB_HORNBEAMD_LIMITS_H

#include "common/error.h"
#include "config/config.h"

/* Opens /dev/null in the place of standard descriptors that are closed, so that no socket becomes one. */
int hb_limits_descriptors(struct hb_error *err) HB_WARN_UNUSED;
/* umask, and room for limits.connections; says in the log where the system does not give it. */
void hb_limits_apply(const struct hb_config *config);

#endif
