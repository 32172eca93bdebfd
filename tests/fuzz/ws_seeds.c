/* Writes each case of tests/data/http/websocket.txt, and some offers of extensions, into a directory: a corpus. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "fuzz_ws.h"
#include "ws_cases.h"

static const char *const offers[] = {
	"permessage-deflate; client_max_window_bits",
	"permessage-deflate; server_max_window_bits=\"1\\0\"; client_no_context_takeover, permessage-deflate",
	"foo; bar=baz, , permessage-deflate;server_max_window_bits = 8",
};

static void
write_seed(const char *directory, int number, uint8_t mode, const void *data, size_t len)
{
	char *name = hb_xasprintf("%s/ws-%d", directory, number);
	FILE *out = fopen(name, "w");

	if (out == NULL || fputc(mode, out) == EOF || fwrite(data, len, 1, out) != 1 || fclose(out) != 0) {
		perror(name);
		exit(73);
	}
	free(name);
}

int
main(int argc, char **argv)
{
	struct ws_cases *cases;

	if (argc != 2) {
		fprintf(stderr, "usage: ws_seeds DIRECTORY\n");
		return 64;
	}
	cases = ws_cases_load();
	for (size_t i = 0; i < cases->count; i++) {
		const struct ws_case *c = &cases->cases[i];

		/* The large ones teach a fuzzer nothing that small ones do not. */
		if (c->bytes.len <= 4096)
			write_seed(argv[1], c->line, c->deflate ? FUZZ_WS_DEFLATE : FUZZ_WS_PLAIN, c->bytes.data,
			    c->bytes.len);
	}
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++)
		write_seed(argv[1], -1 - (int)i, FUZZ_WS_EXTENSIONS, offers[i], strlen(offers[i]));
	ws_cases_free(cases);
	return 0;
}
