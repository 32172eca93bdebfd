/* Masking, 32 bytes a turn. */
#include "http/ws_mask.h"

#include <stdint.h>
#include <string.h>

/* What the compiler makes vector instructions of, where there are any. */
typedef uint32_t lanes __attribute__((vector_size(16)));

void
hb_ws_unmask(unsigned char *to, const unsigned char *from, size_t n, unsigned char mask[4])
{
	unsigned char turned[4];
	uint32_t key;
	lanes keys;
	size_t i = 0;

	memcpy(&key, mask, sizeof(key));
	keys = (lanes){ key, key, key, key };
	for (; n - i >= 2 * sizeof(lanes); i += 2 * sizeof(lanes)) {
		lanes a, b;

		memcpy(&a, from + i, sizeof(a));
		memcpy(&b, from + i + sizeof(a), sizeof(b));
		a ^= keys;
		b ^= keys;
		memcpy(to + i, &a, sizeof(a));
		memcpy(to + i + sizeof(a), &b, sizeof(b));
	}
	for (; n - i >= sizeof(key); i += sizeof(key)) {
		uint32_t w;

		memcpy(&w, from + i, sizeof(w));
		w ^= key;
		memcpy(to + i, &w, sizeof(w));
	}
	for (; i < n; i++)
		to[i] = from[i] ^ mask[i % 4];
	for (i = 0; i < 4; i++)
		turned[i] = mask[(n + i) % 4];
	memcpy(mask, turned, sizeof(turned));
}
