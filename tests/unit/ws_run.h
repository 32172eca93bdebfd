/* What a WebSocket parser made of a client's bytes, put down in a form that can be compared. */
#ifndef HB_TESTS_WS_RUN_H
#define HB_TESTS_WS_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "http/ws.h"

struct ws_run {
	struct hb_buf events; /* each as ws_event_add() writes it */
	size_t in_place;      /* messages that were not copied */
	const char *cause, *rule; /* of the error */
};

/* How the bytes arrive: up to first, up to second, all; or step by step where step is not 0. */
struct ws_cut {
	size_t first, second, step;
};

void ws_event_add(struct hb_buf *events, enum hb_ws_event_kind kind, const struct hb_ws_event *event);

/*
 * Runs the parser over the bytes.  Aborts where it breaks a promise of its header.  Each time it gets
 * what it has not consumed in a block of memory of just that size.
 */
void ws_run(struct ws_run *run, const unsigned char *p, size_t len, struct ws_cut cut, unsigned deflate_bits,
    size_t max_message);
void ws_run_free(struct ws_run *run);
bool ws_events_equal(const struct hb_buf *a, const struct hb_buf *b);

#endif
