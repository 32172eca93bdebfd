/* A tree of YAML nodes put onto a configuration, key by key. */
#ifndef HB_CONFIG_APPLY_H
#define HB_CONFIG_APPLY_H

#include "config/config.h"
#include "config/reader.h"

int hb_config_apply(
    struct hb_config_reader *r, const struct hb_yaml_node *root, struct hb_config *config) HB_WARN_UNUSED;
/* The environment's HORNBEAM_ variables. */
int hb_config_apply_environ(
    char *const *environ, struct hb_config *config, struct hb_error *err) HB_WARN_UNUSED;
/* One "KEY=VALUE" of --set. */
int hb_config_apply_set(const char *set, struct hb_config *config, struct hb_error *err) HB_WARN_UNUSED;

#endif
