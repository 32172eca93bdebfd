/* The kinds that are a list of strings: paths, peers, nodes and so on. */
#ifndef HB_CONFIG_LISTS_H
#define HB_CONFIG_LISTS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/keys.h"
#include "config/reader.h"

bool hb_config_kind_is_list(enum hb_config_kind kind);
/* Checks node and replaces the list; on failure it is as it was. */
int hb_config_list_set(struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    char ***list, size_t *count) HB_WARN_UNUSED;
void hb_config_list_free(char **list, size_t count);

#endif
