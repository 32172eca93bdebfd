/* Lists of strings: see lists.h. */
#include "config/lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "config/erlang.h"
#include "config/names.h"
#include "config/scalars.h"

struct list_kind {
	const char *expected;      /* of the list */
	const char *entry;         /* of an entry */
	bool unique;
	/* 1: *out is set (owned), 0: nothing of the sort, -1 with the cause.  NULL: hb_config_path. */
	int (*check)(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out);
};

static const struct list_kind kinds[] = {
    [HB_KIND_PATHS] = {"a list of paths", "a path", false, NULL},
    [HB_KIND_PEERS] = {"a list", HB_CONFIG_PEER_EXPECTED, false, hb_config_peer},
    [HB_KIND_NODES] = {"a list of node names", HB_CONFIG_NODE_EXPECTED, true, hb_config_node},
    [HB_KIND_OTP_APPS] = {"a list of application names", "the name of an Erlang application such as shop_erl", true,
	hb_config_otp_app},
    [HB_KIND_PATTERNS] = {"a list of patterns", "\"*\" or a pattern node:module:function", false, hb_config_pattern},
};

bool
hb_config_kind_is_list(enum hb_config_kind kind)
{
	return kind < sizeof kinds / sizeof *kinds && kinds[kind].entry != NULL;
}

void
hb_config_list_free(char **list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i]);
	free(list);
}

/* Checks entry n, and against those before it. */
static int
set_entry(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    char **list, size_t n)
{
	const struct list_kind *kind = &kinds[key->kind];
	int result;

	if (node->kind != HB_YAML_SCALAR || hb_yaml_is_null(node) || node->text[0] == '\0')
		return hb_config_expected(r, node, kind->entry);
	if (kind->check == NULL) {
		list[n] = hb_config_path(r, key, node->line, node->text);
		return list[n] != NULL ? 0 : -1;
	}
	result = kind->check(r, node, &list[n]);
	if (result == 0)
		return hb_config_expected(r, node, kind->entry);
	for (size_t i = 0; result == 1 && kind->unique && i < n; i++) {
		if (strcmp(list[i], list[n]) == 0)
			return hb_config_fail(r, node->line, "%s stands twice", list[n]);
	}
	return result == 1 ? 0 : -1;
}

int
hb_config_list_set(struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    char ***list, size_t *count)
{
	const struct hb_yaml_node *one[] = {node};
	const struct hb_yaml_node *const *nodes = one;
	size_t n = 1, keylen = strlen(r->key);
	char **strings;

	if (node->kind == HB_YAML_LIST) {
		nodes = (const struct hb_yaml_node *const *)node->items;
		n = node->count;
	} else if (node->kind == HB_YAML_MAP || hb_yaml_is_null(node)) {
		return hb_config_expected(r, node, kinds[key->kind].expected);
	}
	if (n > (size_t)key->max)
		return hb_config_fail(r, node->line, "more than %zu entries", (size_t)key->max);
	strings = hb_xcalloc(n, sizeof *strings);
	for (size_t i = 0; i < n; i++) {
		if (node->kind == HB_YAML_LIST)
			snprintf(r->key + keylen, sizeof r->key - keylen, "[%zu]", i);
		if (set_entry(r, key, nodes[i], strings, i) == -1) {
			hb_config_list_free(strings, n);
			return -1;
		}
	}
	r->key[keylen] = '\0';
	hb_config_list_free(*list, *count);
	*list = strings;
	*count = n;
	return 0;
}
