/* The checks of whole lists: addresses and mounts. */
#ifndef HB_CONFIG_ITEMS_H
#define HB_CONFIG_ITEMS_H

#include <stddef.h>

#include "common/error.h"

struct hb_config_reader;
struct hb_yaml_node;

int hb_config_check_listen(
    const struct hb_config_reader *r, const struct hb_yaml_node *node, void *items, size_t n) HB_WARN_UNUSED;
int hb_config_check_app(
    const struct hb_config_reader *r, const struct hb_yaml_node *node, void *items, size_t n) HB_WARN_UNUSED;
/* For qsort: the longest mount first. */
int hb_config_compare_apps(const void *a, const void *b);

#endif
