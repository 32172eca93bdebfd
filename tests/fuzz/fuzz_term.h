/* The fuzz target of the terms, which a unit test replays from the corpus. */
#ifndef HB_TESTS_FUZZ_TERM_H
#define HB_TESTS_FUZZ_TERM_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
