/* The fuzz target of the forwarded fields, which their unit test runs over its cases. */
#ifndef HB_TESTS_FUZZ_FORWARDED_H
#define HB_TESTS_FUZZ_FORWARDED_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
