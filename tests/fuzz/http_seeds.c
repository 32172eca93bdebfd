/* Writes each request of tests/data/http/requests.txt into a file of the directory given: a corpus to start from. */
#include <stdio.h>
#include <stdlib.h>

#include "common/str.h"
#include "http_cases.h"

int
main(int argc, char **argv)
{
	struct http_cases *cases;

	if (argc != 2) {
		fprintf(stderr, "usage: http_seeds DIRECTORY\n");
		return 64;
	}
	cases = http_cases_load();
	for (size_t i = 0; i < cases->count; i++) {
		char *name = hb_xasprintf("%s/requests-%d", argv[1], cases->cases[i].line);
		FILE *out = fopen(name, "w");

		if (out == NULL || fwrite(cases->cases[i].bytes.data, cases->cases[i].bytes.len, 1, out) != 1 ||
		    fclose(out) != 0) {
			perror(name);
			return 73;
		}
		free(name);
	}
	http_cases_free(cases);
	return 0;
}
