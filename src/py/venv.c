/*
 * pyvenv.cfg is lines of `key = value`; venv writes version, virtualenv also
 * version_info.  Which other keys matter is Python's own business at start.
 */
#include "py/venv.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/str.h"

/* The value of `key = value` if line has that key, else NULL. */
static char *
value_of(char *line, const char *key)
{
	size_t n = strlen(key);
	char *end;

	while (isspace((unsigned char)*line))
		line++;
	if (strncasecmp(line, key, n) != 0)
		return NULL;
	for (line += n; isspace((unsigned char)*line); line++)
		;
	if (*line++ != '=')
		return NULL;
	while (isspace((unsigned char)*line))
		line++;
	for (end = line + strlen(line); end > line && isspace((unsigned char)end[-1]); end--)
		;
	*end = '\0';
	return line;
}

/* Whether found ("3.11.2.final.0") is of version ("3.11"). */
static int
is_version(const char *found, const char *version)
{
	size_t n = strlen(version);

	return strncmp(found, version, n) == 0 && (found[n] == '\0' || found[n] == '.');
}

static int
check_file(FILE *f, const char *dir, const char *version, struct hb_error *err)
{
	char line[1024], *value;

	while (fgets(line, sizeof line, f) != NULL) {
		value = value_of(line, "version");
		if (value == NULL)
			value = value_of(line, "version_info");
		if (value == NULL)
			continue;
		if (is_version(value, version))
			return 0;
		return hb_error_set(err, HB_ERROR_CONFIG,
		    "python.venv: %s is of Python %s, hornbeamd has Python %s: make it anew with python%s -m venv",
		    dir, value, version, version);
	}
	return 0;
}

char *
hb_py_venv_program(const char *dir, const char *version, struct hb_error *err)
{
	char *path = hb_xasprintf("%s/pyvenv.cfg", dir);
	FILE *f = fopen(path, "re");
	int rc;

	if (f == NULL) {
		hb_error_set(err, HB_ERROR_CONFIG, "python.venv: %s: not a virtual environment: pyvenv.cfg: %s", dir,
		    strerror(errno));
		free(path);
		return NULL;
	}
	free(path);
	rc = check_file(f, dir, version, err);
	fclose(f);
	if (rc == -1)
		return NULL;
	path = hb_xasprintf("%s/bin/python", dir);
	if (access(path, X_OK) == -1) {
		hb_error_errno(err, HB_ERROR_CONFIG, "python.venv: %s", path);
		free(path);
		return NULL;
	}
	return path;
}
