/* What the control socket tells about the daemon, as terms; HACKING lists the keys. */
#ifndef HB_HORNBEAMD_REPORT_H
#define HB_HORNBEAMD_REPORT_H

#include "common/buf.h"
#include "hornbeamd/master.h"

/* Each appends one term. */
void hb_report_status(const struct hb_master *m, struct hb_buf *out);
void hb_report_workers(const struct hb_master *m, struct hb_buf *out);

#endif
