/* The kinds that are one scalar, for kinds.c. */
#ifndef HB_CONFIG_SCALARS_H
#define HB_CONFIG_SCALARS_H

#include "config/kinds.h"

struct hb_config_scalar {
	const char *expected; /* for the message; NULL: set makes its own */
	bool owned;           /* the field is a char * */
	/* 1: set, 0: not of this kind (the caller says what was expected), -1: failed with the cause. */
	int (*set)(const struct hb_config_reader *r, const struct hb_config_key *key,
	    const struct hb_yaml_node *node, void *at);
	enum hb_config_shown (*show)(const struct hb_config_key *key, const void *at, struct hb_buf *out);
};

/* NULL for a kind that is not a scalar. */
const struct hb_config_scalar *hb_config_scalar(enum hb_config_kind kind);
/* text as an absolute path if it is relative and r has a base; NULL with the cause; returns owned. */
char *hb_config_path(const struct hb_config_reader *r, const struct hb_config_key *key, unsigned line,
    const char *text) HB_WARN_UNUSED;

#endif
