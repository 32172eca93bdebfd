/* What the master shares with its workers: the sealed configuration and the counters. */
#ifndef HB_HORNBEAMD_SHARED_H
#define HB_HORNBEAMD_SHARED_H

#include "common/error.h"
#include "config/config.h"
#include "worker/worker.h"

/* A memfd with the configuration as YAML that nobody can change any more; -1 with err. */
int hb_shared_config(const struct hb_config *config, struct hb_error *err) HB_WARN_UNUSED;
/* What is in one, parsed.  Returns owned, or NULL with err. */
struct hb_config *hb_shared_config_read(int fd, struct hb_error *err) HB_WARN_UNUSED;

/* A memfd of zeros for the counters of all workers; -1 with err. */
int hb_shared_counters(struct hb_error *err) HB_WARN_UNUSED;
/* Maps it, never to be unmapped.  NULL with err. */
struct hb_worker_shared *hb_shared_counters_map(int fd, struct hb_error *err) HB_WARN_UNUSED;

#endif
