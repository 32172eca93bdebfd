/* What is checked when every place has been read, and where each key was set. */
#ifndef HB_CONFIG_WHOLE_H
#define HB_CONFIG_WHOLE_H

#include "config/config.h"
#include "config/keys.h"
#include "config/reader.h"

/* Remembers that a row of the table was set by r, in that line. */
void hb_config_place_set(
    struct hb_config *config, const struct hb_config_key *key, const struct hb_config_reader *r, unsigned line);
void hb_config_places_free(struct hb_config *config);

/* Keys that must agree with one another. */
int hb_config_check_whole(const struct hb_config *config, struct hb_error *err) HB_WARN_UNUSED;

#endif
