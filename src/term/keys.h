/* For the readers of text: a map's keys, of which no two may be the same term. */
#ifndef HB_TERM_KEYS_H
#define HB_TERM_KEYS_H

#include <stdbool.h>

#include "common/buf.h"

/* The spans of the keys in the buffer that the map is written to. */
struct hb_keys {
	struct hb_buf spans;
};

#define HB_KEYS_INIT { HB_BUF_INIT }

void hb_keys_add(struct hb_keys *keys, size_t start, size_t end);
/* Whether all keys in out differ; frees keys. */
bool hb_keys_differ(struct hb_keys *keys, const struct hb_buf *out);

#endif
