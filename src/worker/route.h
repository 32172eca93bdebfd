/* Which application a path belongs to. */
#ifndef HB_WORKER_ROUTE_H
#define HB_WORKER_ROUTE_H

#include <stddef.h>

struct hb_config_app;

/*
 * The index of the application with the longest mount that the decoded path
 * is at or below ("/a" has "/a" and "/a/x", not "/ab"), or -1.  apps stand
 * longest mount first, as the configuration has them.
 */
int hb_route(const struct hb_config_app *apps, size_t count, const unsigned char *path, size_t len);

#endif
