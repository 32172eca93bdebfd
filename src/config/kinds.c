/* Fields of all kinds, set, shown and cleared: see kinds.h. */
#include "config/kinds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "config/config.h"
#include "config/erlang.h"
#include "config/lists.h"
#include "config/names.h"
#include "config/scalars.h"

/* libyaml reads keys of up to 1024 characters, escapes included. */
enum { VARIABLE_LENGTH_MAX = 255 };

static void *
field(const struct hb_config_key *key, void *base)
{
	return (char *)base + key->offset;
}

static size_t *
field_count(const struct hb_config_key *key, void *base)
{
	return (size_t *)(void *)((char *)base + key->count);
}

/* The field of a list of items is a pointer to one struct or another: never accessed as a char *. */
static char *
items_get(const struct hb_config_key *key, const void *base)
{
	char *items;

	memcpy(&items, (const char *)base + key->offset, sizeof items);
	return items;
}

bool
hb_config_kind_is_scalar(enum hb_config_kind kind)
{
	return hb_config_scalar(kind) != NULL;
}

static int
set_scalar(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	const struct hb_config_scalar *scalar = hb_config_scalar(key->kind);
	int result = 0;

	if (hb_yaml_is_null(node) && key->fallback == NULL && !key->required) {
		if (scalar->owned)
			free(*(char **)at);
		memset(at, 0, key->size);
		return 0;
	}
	if (node->kind == HB_YAML_SCALAR && !hb_yaml_is_null(node))
		result = scalar->set(r, key, node, at);
	if (result == 0)
		return hb_config_expected(r, node, scalar->expected);
	return result == 1 ? 0 : -1;
}

static int
check_variable(struct hb_config_reader *r, const struct hb_yaml_node *name, const struct hb_yaml_node *value)
{
	if (name->text[0] == '\0' || strchr(name->text, '=') != NULL)
		return hb_config_fail(r, name->line, "the name of a variable must not be empty or hold =");
	if (strlen(name->text) > VARIABLE_LENGTH_MAX)
		return hb_config_fail(
		    r, name->line, "the name of a variable is longer than %d bytes", VARIABLE_LENGTH_MAX);
	if (hb_config_has_control(name->text))
		return hb_config_fail(
		    r, name->line, "control characters are not possible in the name of a variable");
	if (value->kind != HB_YAML_SCALAR || hb_yaml_is_null(value))
		return hb_config_expected(r, value, "a string");
	return 0;
}

bool
hb_config_kind_is_map(enum hb_config_kind kind)
{
	return kind == HB_KIND_MAP || kind == HB_KIND_FUNCTIONS;
}

static int
check_pair(const struct hb_config_key *key, struct hb_config_reader *r, const struct hb_yaml_node *name,
    const struct hb_yaml_node *value)
{
	return key->kind == HB_KIND_MAP ? check_variable(r, name, value) : hb_config_check_function(r, name, value);
}

/* Adds to what is there already: mappings merge. */
static int
set_map(
    struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node, void *base)
{
	struct hb_config_pair *pairs = *(struct hb_config_pair **)field(key, base);
	size_t n = *field_count(key, base), keylen = strlen(r->key);

	if (node->kind != HB_YAML_MAP)
		return hb_config_expected(r, node, key->kind == HB_KIND_MAP ? "a mapping of names to strings"
									    : "a mapping of names to module:function");
	for (size_t i = 0; i < node->count; i++) {
		snprintf(r->key + keylen, sizeof r->key - keylen, ".%.60s", node->items[2 * i]->text);
		if (check_pair(key, r, node->items[2 * i], node->items[2 * i + 1]) == -1)
			return -1;
	}
	r->key[keylen] = '\0';
	if (key->max > 0 && n + node->count > (size_t)key->max)
		return hb_config_fail(r, node->line, "more than %zu entries", (size_t)key->max);
	pairs = hb_xrealloc(pairs, (n + node->count) * sizeof *pairs);
	for (size_t i = 0; i < node->count; i++) {
		size_t at = 0;

		while (at < n && strcmp(pairs[at].name, node->items[2 * i]->text) != 0)
			at++;
		if (at == n)
			pairs[n++] = (struct hb_config_pair){hb_xstrdup(node->items[2 * i]->text), NULL};
		free(pairs[at].value);
		pairs[at].value = hb_xstrdup(node->items[2 * i + 1]->text);
	}
	*(struct hb_config_pair **)field(key, base) = pairs;
	*field_count(key, base) = n;
	return 0;
}

static int
set_item_key(struct hb_config_reader *r, const struct hb_config_items *shape, const struct hb_yaml_node *name,
    const struct hb_yaml_node *value, void *item)
{
	const struct hb_config_key *key = hb_config_key_find(shape->keys, name->text);
	const char *names[16], *near;
	size_t n = 0;

	if (key != NULL)
		return hb_config_value_set(r, key, value, item);
	for (key = shape->keys; key->path != NULL && n < 15; key++)
		names[n++] = key->path;
	names[n] = NULL;
	near = hb_str_nearest(name->text, names);
	if (near != NULL)
		return hb_config_fail(r, name->line, "unknown key; did you mean %s?", near);
	return hb_config_fail(r, name->line, "unknown key");
}

static int
set_item(struct hb_config_reader *r, const struct hb_config_items *shape, const struct hb_yaml_node *node,
    void *item)
{
	size_t keylen = strlen(r->key);

	if (node->kind == HB_YAML_SCALAR)
		return hb_config_value_set(r, hb_config_key_find(shape->keys, shape->only), node, item);
	if (node->kind != HB_YAML_MAP)
		return hb_config_expected(r, node, "a mapping");
	for (size_t i = 0; i < node->count; i++) {
		snprintf(r->key + keylen, sizeof r->key - keylen, ".%.60s", node->items[2 * i]->text);
		if (set_item_key(r, shape, node->items[2 * i], node->items[2 * i + 1], item) == -1)
			return -1;
	}
	r->key[keylen] = '\0';
	for (const struct hb_config_key *key = shape->keys; key->path != NULL; key++) {
		if (key->required && hb_yaml_get(node, key->path) == NULL)
			return hb_config_fail(r, node->line, "the key %s is missing", key->path);
	}
	return 0;
}

static void
free_items(const struct hb_config_items *shape, char *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hb_config_values_clear(shape->keys, items + i * shape->size);
	free(items);
}

static int
set_items(
    struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node, void *base)
{
	const struct hb_config_items *shape = key->items;
	const struct hb_yaml_node *one[] = {node};
	const struct hb_yaml_node *const *nodes = one;
	size_t n = 1, keylen = strlen(r->key);
	char *items;

	if (node->kind == HB_YAML_LIST) {
		nodes = (const struct hb_yaml_node *const *)node->items;
		n = node->count;
	} else if (hb_yaml_is_null(node)) {
		return hb_config_expected(r, node, "a list");
	}
	if (n < (size_t)key->min)
		return hb_config_fail(r, node->line, "the list must not be empty");
	if (n > (size_t)key->max)
		return hb_config_fail(r, node->line, "more than %zu entries", (size_t)key->max);
	items = hb_xcalloc(n, shape->size);
	for (size_t i = 0; i < n; i++) {
		char *item = items + i * shape->size;

		if (node->kind == HB_YAML_LIST)
			snprintf(r->key + keylen, sizeof r->key - keylen, "[%zu]", i);
		hb_config_values_default(shape->keys, item);
		if (set_item(r, shape, nodes[i], item) == -1 || shape->check(r, nodes[i], items, i) == -1)
			goto fail;
	}
	r->key[keylen] = '\0';
	if (shape->compare != NULL)
		qsort(items, n, shape->size, shape->compare);
	free_items(shape, items_get(key, base), *field_count(key, base));
	memcpy(field(key, base), &items, sizeof items);
	*field_count(key, base) = n;
	return 0;
fail:
	free_items(shape, items, n);
	return -1;
}

int
hb_config_value_set(
    struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node, void *base)
{
	if (hb_config_kind_is_list(key->kind))
		return hb_config_list_set(r, key, node, field(key, base), field_count(key, base));
	if (hb_config_kind_is_map(key->kind))
		return set_map(r, key, node, base);
	if (key->kind == HB_KIND_ITEMS)
		return set_items(r, key, node, base);
	return set_scalar(r, key, node, field(key, base));
}

void
hb_config_values_default(const struct hb_config_key *keys, void *base)
{
	struct hb_error err;
	struct hb_config_reader r = {.name = "default", .err = &err};

	for (; keys->path != NULL; keys++) {
		struct hb_yaml_node *node;
		struct hb_yaml_error yaml;

		if (keys->fallback == NULL)
			continue;
		node = hb_yaml_parse(keys->fallback, strlen(keys->fallback), &yaml);
		if (node == NULL || hb_config_value_set(&r, keys, node, base) == -1)
			abort(); /* a row of the table contradicts itself */
		hb_yaml_free(node);
	}
}

void
hb_config_values_clear(const struct hb_config_key *keys, void *base)
{
	for (; keys->path != NULL; keys++) {
		void *at = field(keys, base);

		if (hb_config_kind_is_list(keys->kind)) {
			hb_config_list_free(*(char ***)at, *field_count(keys, base));
		} else if (hb_config_kind_is_map(keys->kind)) {
			struct hb_config_pair *pairs = *(struct hb_config_pair **)at;

			for (size_t i = 0; i < *field_count(keys, base); i++) {
				free(pairs[i].name);
				free(pairs[i].value);
			}
			free(pairs);
		} else if (keys->kind == HB_KIND_ITEMS) {
			free_items(keys->items, items_get(keys, base), *field_count(keys, base));
		} else if (hb_config_scalar(keys->kind)->owned) {
			free(*(char **)at);
		}
	}
}

enum hb_config_shown
hb_config_value_show(const struct hb_config_key *key, const void *base, struct hb_buf *out)
{
	return hb_config_scalar(key->kind)->show(key, (const char *)base + key->offset, out);
}
