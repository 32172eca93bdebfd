/*
 * The log: one line a message, "STAMP LEVEL NAME[PID]: text", to standard
 * error.  A message starts with its subsystem and carries no bodies or
 * secrets; control bytes in it are written as \xNN.  Writing never blocks: a
 * reader that hangs costs lines, which are counted and reported when it
 * reads again.
 */
#ifndef HB_COMMON_LOG_H
#define HB_COMMON_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum hb_log_level { HB_LOG_DEBUG, HB_LOG_INFO, HB_LOG_WARNING, HB_LOG_ERROR };

/* name is borrowed for good: "hornbeamd", "worker 1".  A second call takes standard error as it is by then. */
void hb_log_open(const char *name, enum hb_log_level level);
void hb_log(enum hb_log_level level, const char *fmt, ...) HB_PRINTF(2, 3);
/* Text of several lines, such as a traceback: one log line each. */
void hb_log_lines(enum hb_log_level level, const char *prefix, const char *text);
uint64_t hb_log_dropped(void);

/* Copies the message of level error that came last, or "", and returns its length. */
#define HB_LOG_LAST 400
size_t hb_log_last_error(char out[HB_LOG_LAST]);

#define hb_debug(...) hb_log(HB_LOG_DEBUG, __VA_ARGS__)
#define hb_info(...) hb_log(HB_LOG_INFO, __VA_ARGS__)
#define hb_warn(...) hb_log(HB_LOG_WARNING, __VA_ARGS__)
#define hb_err(...) hb_log(HB_LOG_ERROR, __VA_ARGS__)

#endif
