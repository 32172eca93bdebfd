/* Mounts: see route.h. */
#include "worker/route.h"

#include <string.h>

#include "config/config.h"

int
hb_route(const struct hb_config_app *apps, size_t count, const unsigned char *path, size_t len)
{
	for (size_t i = 0; i < count; i++) {
		size_t n = strlen(apps[i].mount);

		if (n <= len && memcmp(apps[i].mount, path, n) == 0 && (n == 0 || n == len || path[n] == '/'))
			return (int)i;
	}
	return -1;
}
