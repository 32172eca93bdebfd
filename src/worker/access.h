/*
 * The access log: lines are gathered and written at the end of a pass of the
 * loop, never waiting; what its reader does not take in time is dropped and
 * counted.
 */
#ifndef HB_WORKER_ACCESS_H
#define HB_WORKER_ACCESS_H

#include <time.h>

#include "common/buf.h"
#include "config/config.h"
#include "http/request.h"

struct hb_access {
	const char *path; /* NULL: standard output */
	int fd;           /* -1: off, or the file cannot be opened */
	bool regular;     /* writing to it does not wait */
	enum hb_access_format format;
	struct hb_buf buf;
	uint64_t dropped;
	uint64_t reported;
	time_t told; /* when a loss was logged last */
	time_t second; /* of stamp */
	char stamp[40];
};

struct hb_access_entry {
	const char *remote;
	const struct hb_http_request *head; /* NULL: not parsed */
	const unsigned char *data;
	unsigned status;
	uint64_t bytes;       /* of the body */
	int64_t microseconds;
};

/* where is "off", "-" or a file, borrowed for good. */
int hb_access_open(struct hb_access *a, const char *where, enum hb_access_format format, struct hb_error *err)
    HB_WARN_UNUSED;
void hb_access_close(struct hb_access *a);
/* Opens the file anew, after it was renamed. */
int hb_access_reopen(struct hb_access *a, struct hb_error *err) HB_WARN_UNUSED;
void hb_access_add(struct hb_access *a, const struct hb_access_entry *e, time_t now);
/* Writes what its reader takes.  Logs the loss of lines. */
void hb_access_flush(struct hb_access *a);

/* Appends one line, for tests too. */
void hb_access_format(struct hb_buf *out, enum hb_access_format format, const char *stamp,
    const struct hb_access_entry *e);

#endif
