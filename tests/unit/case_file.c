/* Reads a file of cases, line by line. */
#include "case_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"

void
case_malformed(const struct case_file *file, const char *cause)
{
	fprintf(stderr, "%s:%d: %s\n", file->path, file->line, cause);
	exit(99);
}

struct case_file
case_file_read(const char *name, void *cases, void (*take)(struct case_file *file, const char *key, char *text))
{
	const char *dir = getenv("top_srcdir");
	struct case_file f = { hb_xasprintf("%s/tests/data/http/%s", dir != NULL ? dir : ".", name), 0, cases };
	FILE *in = fopen(f.path, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;

	if (in == NULL) {
		perror(f.path);
		exit(99);
	}
	while ((n = getline(&line, &size, in)) > 0) {
		char *text;

		f.line++;
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		text = strchr(line, ':');
		if (text == NULL)
			case_malformed(&f, "KEY: TEXT expected");
		*text++ = '\0';
		take(&f, line, *text == ' ' ? text + 1 : text);
	}
	free(line);
	fclose(in);
	return f;
}
