/*
 * A generation of workers: the configuration that they were started with and
 * what they get from the master for it.  A reload makes the next one, which
 * takes over the listeners that both have.
 */
#ifndef HB_HORNBEAMD_GENERATION_H
#define HB_HORNBEAMD_GENERATION_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "config/config.h"
#include "hornbeamd/identity.h"
#include "net/listener.h"

struct hb_generation_listener {
	struct hb_listener at;
	bool kept; /* the descriptor is that of the generation before */
};

struct hb_generation {
	struct hb_config *config; /* owned */
	struct hb_generation_listener *listeners; /* in the order of the configuration */
	size_t listeners_count;
	int config_fd; /* the sealed configuration */
};

/*
 * Binds what the generation before (which may be NULL) has not bound already.
 * Takes config, when it succeeds.  NULL with err: nothing has changed.
 */
struct hb_generation *hb_generation_new(struct hb_config *config, const struct hb_generation *before,
    const struct hb_identity *id, struct hb_error *err) HB_WARN_UNUSED;
/* Takes over: closes the listeners that only the generation before had, and frees it. */
void hb_generation_succeed(struct hb_generation *g, struct hb_generation *before);
/* Closes all listeners but those that were kept. */
void hb_generation_close_listeners(struct hb_generation *g);
/* Closes them too. */
void hb_generation_free(struct hb_generation *g);

#endif
