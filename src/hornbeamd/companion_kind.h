/*
 * What a kind of companion is made of; for companion.c and the kinds.  A kind
 * has a struct of its own with a struct hb_companion first.
 */
#ifndef HB_HORNBEAMD_COMPANION_KIND_H
#define HB_HORNBEAMD_COMPANION_KIND_H

#include "hornbeamd/companion.h"

struct hb_companion_kind {
	const char *name; /* in the status */
	struct hb_companion *(*make)(struct hb_master *m, struct hb_error *err);
	void (*free)(struct hb_companion *c);
	void (*start)(struct hb_companion *c);
	void (*stop)(struct hb_companion *c);
	void (*kill)(struct hb_companion *c);
	void (*reap)(struct hb_companion *c); /* NULL: it is no child */
	/* See hb_companion_reload.  NULL: its configuration is not the master's. */
	int (*reload)(struct hb_companion *c, const struct hb_config *config, uint64_t number, struct hb_error *err);
	void (*info)(const struct hb_companion *c, struct hb_companion_info *info);
};

struct hb_companion {
	const struct hb_companion_kind *kind;
	struct hb_master *master;
	enum hb_companion_state state;
};

void hb_companion_set_state(struct hb_companion *c, enum hb_companion_state state);

#endif
