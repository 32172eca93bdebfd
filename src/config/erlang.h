/* The syntax of Erlang's names: nodes, functions, applications, patterns of calls. */
#ifndef HB_CONFIG_ERLANG_H
#define HB_CONFIG_ERLANG_H

#include <stdbool.h>

#include "config/reader.h"

/*
 * Each checks a scalar and sets *out to it (owned): 1.
 * 0 when it is nothing of the sort, -1 with the cause when it is wrong in one point.
 */
int hb_config_node(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out) HB_WARN_UNUSED;
#define HB_CONFIG_NODE_EXPECTED "a node name such as shop@db1"
/* "module:function", or HB_CONFIG_ATTACHED. */
int hb_config_hook(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out) HB_WARN_UNUSED;
#define HB_CONFIG_FUNCTION_EXPECTED "an Erlang function as module:function"
int hb_config_otp_app(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out) HB_WARN_UNUSED;
/* "*", or "node:module:function" with * for any characters. */
int hb_config_pattern(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out) HB_WARN_UNUSED;
/* An entry of a mapping of names to functions. */
int hb_config_check_function(const struct hb_config_reader *r, const struct hb_yaml_node *name,
    const struct hb_yaml_node *value) HB_WARN_UNUSED;
/* Whether the host of a node's name makes it a long one. */
bool hb_config_node_is_long(const char *node);

#endif
