/*
 * Any bytes through the request parser: the promises of its header hold (http_run.c), and the
 * outcome is the same however the bytes are cut, under wide and under narrow limits.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz_http.h"
#include "http_run.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct hb_http_limits limits[] = {
		{ 8192, 32768, 100, 65536, false },
		{ 64, 128, 4, 32, true },
	};
	static const size_t steps[] = { 1, 2, 3, 7, 64 };

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct http_run whole, cut;

		http_run(&whole, data, len, 0, &limits[i]);
		for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
			http_run(&cut, data, len, steps[j], &limits[i]);
			if (!http_run_equal(&whole, &cut)) {
				fprintf(stderr, "another outcome in pieces of %zu: %s, not %s\n", steps[j],
				    cut.status ? cut.cause : "accepted", whole.status ? whole.cause : "accepted");
				abort();
			}
			http_run_free(&cut);
		}
		http_run_free(&whole);
	}
	return 0;
}
