/* The fuzz target of the link's frames, for the unit test that runs it over its own seeds. */
#ifndef HB_TESTS_FUZZ_FRAME_H
#define HB_TESTS_FUZZ_FRAME_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
