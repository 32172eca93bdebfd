/* The syntax of addresses, mounts and applications. */
#ifndef HB_CONFIG_NAMES_H
#define HB_CONFIG_NAMES_H

#include <stdbool.h>

#include "config/reader.h"

/*
 * Checks a scalar and sets *out to its normal form (owned): 1.
 * 0 when it is nothing of the sort, -1 with the cause when it is wrong in one point.
 */
int hb_config_address(
    const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out) HB_WARN_UNUSED;
int hb_config_mount(
    const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out) HB_WARN_UNUSED;
/* The same for a peer or network: "127.0.0.1", "10.0.0.0/8", "::1", "unix:". */
int hb_config_peer(
    const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out) HB_WARN_UNUSED;
/* The same for an address alone. */
int hb_config_ip(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out) HB_WARN_UNUSED;
#define HB_CONFIG_PEER_EXPECTED "an address, a network such as 10.0.0.0/8, or \"unix:\""
/* "module:callable" or "module:factory()", dots allowed in both parts. */
bool hb_config_is_app(const char *text);
/* Whether text has control characters. */
bool hb_config_has_control(const char *text);
/* The same as hb_config_address without a message: whether text has an address's form. */
bool hb_config_is_address(const char *text);

#endif
