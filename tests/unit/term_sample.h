/* A term's bytes behind the 131, and the text that belongs to it. */
#ifndef HB_TESTS_TERM_SAMPLE_H
#define HB_TESTS_TERM_SAMPLE_H

#include <stddef.h>

struct sample {
	const char *bytes;
	size_t len;
	const char *text;
};
#define SAMPLE(bytes, text) { bytes, sizeof bytes - 1, text }

#endif
