/* Keys that must agree: see whole.h.  A complaint names the place of the key that it is about. */
#include "config/whole.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "config/erlang.h"

struct hb_config_place {
	char *name; /* NULL: never set */
	bool lines;
	unsigned line;
};

void
hb_config_place_set(
    struct hb_config *config, const struct hb_config_key *key, const struct hb_config_reader *r, unsigned line)
{
	struct hb_config_place *place;

	if (config->places == NULL)
		config->places = hb_xcalloc(hb_config_key_rows(), sizeof *config->places);
	place = &config->places[key - hb_config_keys];
	free(place->name);
	*place = (struct hb_config_place){hb_xstrdup(r->name), r->lines, line};
}

void
hb_config_places_free(struct hb_config *config)
{
	for (size_t i = 0; config->places != NULL && hb_config_keys[i].path != NULL; i++)
		free(config->places[i].name);
	free(config->places);
}

/* A reader that stands where the key was set. */
static struct hb_config_reader
at(const struct hb_config *config, const char *path, struct hb_error *err, unsigned *line)
{
	const struct hb_config_key *key = hb_config_key_find(hb_config_keys, path);
	struct hb_config_reader r = {.name = "default", .err = err};

	*line = 0;
	if (config->places != NULL && config->places[key - hb_config_keys].name != NULL) {
		const struct hb_config_place *place = &config->places[key - hb_config_keys];

		r.name = place->name;
		r.lines = place->lines;
		*line = place->line;
	}
	snprintf(r.key, sizeof r.key, "%s", path);
	return r;
}

/* Nodes with long names and nodes with short ones do not speak to each other. */
static int
check_connect(const struct hb_config *config, struct hb_error *err)
{
	unsigned line;
	struct hb_config_reader r = at(config, "erlang.connect", err, &line);
	const char *own = config->erlang.node;

	if (config->erlang.connect_count > 0 && own == NULL)
		return hb_config_fail(&r, line, "needs erlang.node, the name of this node");
	for (size_t i = 0; i < config->erlang.connect_count; i++) {
		const char *node = config->erlang.connect[i];
		bool is_long = hb_config_node_is_long(node);

		if (strcmp(node, own) == 0)
			return hb_config_fail(&r, line, "%s is erlang.node, this node itself", node);
		if (is_long != hb_config_node_is_long(own))
			return hb_config_fail(&r, line,
			    "%s has a %s name (%s), erlang.node %s has a %s one; nodes of both sorts cannot connect", node,
			    is_long ? "long" : "short", is_long ? "a host with dots" : "a host without dots", own,
			    is_long ? "short" : "long");
	}
	return 0;
}

int
hb_config_check_whole(const struct hb_config *config, struct hb_error *err)
{
	return check_connect(config, err);
}
