/* What the two kinds of companion have in common: see companion.h. */
#include "hornbeamd/companion.h"

#include <string.h>

#include "common/log.h"
#include "hornbeamd/companion_kind.h"

const char *
hb_companion_state_name(enum hb_companion_state state)
{
	static const char *const names[] = {"not started", "starting", "ready", "backing off", "stopping", "gone"};

	return names[state];
}

void
hb_companion_set_state(struct hb_companion *c, enum hb_companion_state state)
{
	if (c->state == state)
		return;
	hb_debug("companion: %s -> %s", hb_companion_state_name(c->state), hb_companion_state_name(state));
	c->state = state;
}

struct hb_companion *
hb_companion_new(const struct hb_companion_kind *kind, struct hb_master *m, struct hb_error *err)
{
	return kind->make(m, err);
}

void
hb_companion_free(struct hb_companion *c)
{
	if (c != NULL)
		c->kind->free(c);
}

void
hb_companion_start(struct hb_companion *c)
{
	if (c->state == HB_COMPANION_NONE)
		c->kind->start(c);
}

void
hb_companion_stop(struct hb_companion *c)
{
	c->kind->stop(c);
}

void
hb_companion_kill(struct hb_companion *c)
{
	c->kind->kill(c);
}

void
hb_companion_reap(struct hb_companion *c)
{
	if (c->kind->reap != NULL)
		c->kind->reap(c);
}

bool
hb_companion_gone(const struct hb_companion *c)
{
	return c->state == HB_COMPANION_GONE;
}

bool
hb_companion_is_ready(const struct hb_companion *c)
{
	return c->state == HB_COMPANION_READY;
}

int
hb_companion_reload(struct hb_companion *c, const struct hb_config *config, uint64_t number, struct hb_error *err)
{
	return c->kind->reload != NULL ? c->kind->reload(c, config, number, err) : 0;
}

void
hb_companion_info(const struct hb_companion *c, struct hb_companion_info *info)
{
	memset(info, 0, sizeof *info);
	info->kind = c->kind->name;
	info->state = c->state;
	c->kind->info(c, info);
}
