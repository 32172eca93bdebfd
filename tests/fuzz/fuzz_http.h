/* The fuzz target of the request parser, which the unit test runs over the requests of its file. */
#ifndef HB_TESTS_FUZZ_HTTP_H
#define HB_TESTS_FUZZ_HTTP_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
