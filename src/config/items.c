/* Lists of listeners and applications: see items.h. */
#include "config/items.h"

#include <string.h>

#include "config/config.h"
#include "config/reader.h"

int
hb_config_check_listen(
    const struct hb_config_reader *r, const struct hb_yaml_node *node, void *items, size_t n)
{
	struct hb_config_listen *l = items;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(l[i].address, l[n].address) == 0)
			return hb_config_fail(r, node->line, "the address %s stands twice", l[n].address);
	}
	if (strncmp(l[n].address, "unix:", 5) == 0)
		return 0;
	if (node->kind == HB_YAML_MAP && hb_yaml_get(node, "mode") != NULL)
		return hb_config_fail(r, node->line, "mode is for a unix: address, not for %s", l[n].address);
	l[n].mode = 0;
	return 0;
}

int
hb_config_check_app(const struct hb_config_reader *r, const struct hb_yaml_node *node, void *items, size_t n)
{
	const struct hb_config_app *a = items;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(a[i].mount, a[n].mount) == 0)
			return hb_config_fail(r, node->line, "the mount %s stands twice",
			    a[n].mount[0] == '\0' ? "/" : a[n].mount);
	}
	return 0;
}

int
hb_config_compare_apps(const void *a, const void *b)
{
	const struct hb_config_app *x = a, *y = b;
	size_t lx = strlen(x->mount), ly = strlen(y->mount);

	if (lx != ly)
		return lx > ly ? -1 : 1;
	return strcmp(x->mount, y->mount);
}
