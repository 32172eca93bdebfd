/* The keys of a map: see keys.h. */
#include "term/keys.h"

#include <stdlib.h>
#include <string.h>

struct span {
	size_t start, end;
};

void
hb_keys_add(struct hb_keys *keys, size_t start, size_t end)
{
	struct span span = {start, end};

	hb_buf_add(&keys->spans, &span, sizeof span);
}

static int
compare(const void *a, const void *b, void *arg)
{
	const struct span *x = a, *y = b;
	const unsigned char *data = arg;
	size_t lx = x->end - x->start, ly = y->end - y->start;

	if (lx != ly)
		return lx < ly ? -1 : 1;
	return memcmp(data + x->start, data + y->start, lx);
}

bool
hb_keys_differ(struct hb_keys *keys, const struct hb_buf *out)
{
	struct span *spans = (struct span *)(void *)keys->spans.data;
	size_t n = keys->spans.len / sizeof *spans;
	bool differ = true;

	if (n > 1 && !out->failed) {
		qsort_r(spans, n, sizeof *spans, compare, out->data);
		for (size_t i = 1; i < n && differ; i++)
			differ = compare(&spans[i - 1], &spans[i], out->data) != 0;
	}
	hb_buf_free(&keys->spans);
	return differ;
}
