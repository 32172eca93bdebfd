/*
 * YAML text as a tree of nodes that know their line.  Anchors, aliases,
 * foreign tags and further documents are refused; depth and size are bounded.
 */
#ifndef HB_CONFIG_YAML_H
#define HB_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum hb_yaml_kind { HB_YAML_SCALAR, HB_YAML_LIST, HB_YAML_MAP };

struct hb_yaml_node {
	enum hb_yaml_kind kind;
	unsigned line;               /* from 1 */
	bool plain;                  /* a scalar without quotes: may be null */
	char *text;                  /* of a scalar */
	struct hb_yaml_node **items; /* of a list; of a map: key, value, key, value... */
	size_t count;                /* entries of a list or a map */
};

struct hb_yaml_error {
	unsigned line;
	char key[128]; /* where in the tree: "limits.header"; "" where that says nothing */
	char text[256];
};

/* Returns owned (an empty map for an empty text), or NULL with err. */
struct hb_yaml_node *hb_yaml_parse(const char *text, size_t len, struct hb_yaml_error *err) HB_WARN_UNUSED;
/* A plain scalar, and a map of one entry, which takes value; both return owned. */
struct hb_yaml_node *hb_yaml_scalar(const char *text);
struct hb_yaml_node *hb_yaml_single(const char *key, struct hb_yaml_node *value);
void hb_yaml_free(struct hb_yaml_node *node);
bool hb_yaml_is_null(const struct hb_yaml_node *node);
/* The value of key in a map, or NULL. */
const struct hb_yaml_node *hb_yaml_get(const struct hb_yaml_node *map, const char *key);

#endif
