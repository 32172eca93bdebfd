/*
 * The kinds of values: how a field of each is set from YAML, written and
 * given back.  base is a struct hb_config or an item of a list, which
 * key->offset points into.
 */
#ifndef HB_CONFIG_KINDS_H
#define HB_CONFIG_KINDS_H

#include "common/buf.h"
#include "config/keys.h"
#include "config/reader.h"

/* Checks node and sets the field of key; on failure the field is as it was.  r->key names the key. */
int hb_config_value_set(struct hb_config_reader *r, const struct hb_config_key *key,
    const struct hb_yaml_node *node, void *base) HB_WARN_UNUSED;
/* All keys of a table: their defaults, and the memory that they own. */
void hb_config_values_default(const struct hb_config_key *keys, void *base);
void hb_config_values_clear(const struct hb_config_key *keys, void *base);
/* Whether the kind is one scalar. */
bool hb_config_kind_is_scalar(enum hb_config_kind kind);
/* Whether it is a mapping of names to strings. */
bool hb_config_kind_is_map(enum hb_config_kind kind);

/* What a scalar was written as: numbers and words need no quotes in YAML. */
enum hb_config_shown { HB_SHOWN_NULL, HB_SHOWN_NUMBER, HB_SHOWN_WORD, HB_SHOWN_STRING };
/* Appends the text of a scalar's field. */
enum hb_config_shown hb_config_value_show(
    const struct hb_config_key *key, const void *base, struct hb_buf *out);

#endif
