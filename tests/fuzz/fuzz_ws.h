/* The fuzz target of the WebSocket codec, which the unit test runs over the cases of its file. */
#ifndef HB_TESTS_FUZZ_WS_H
#define HB_TESTS_FUZZ_WS_H

#include <stddef.h>
#include <stdint.h>

/* What the first byte of an input chooses; the rest is the client's bytes. */
enum { FUZZ_WS_PLAIN, FUZZ_WS_DEFLATE, FUZZ_WS_EXTENSIONS, FUZZ_WS_MODES };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif
