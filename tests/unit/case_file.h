/* The files of cases in tests/data/http: lines of "KEY: TEXT", blank lines, and comments that start with #. */
#ifndef HB_TESTS_CASE_FILE_H
#define HB_TESTS_CASE_FILE_H

struct case_file {
	char *path;
	int line;
	void *cases; /* what the lines make */
};

/* Reads $top_srcdir/tests/data/http/NAME; ends the program where it cannot.  The path is to be freed. */
struct case_file case_file_read(const char *name, void *cases,
    void (*take)(struct case_file *file, const char *key, char *text));
/* Ends the program with file, line and cause. */
_Noreturn void case_malformed(const struct case_file *file, const char *cause);

#endif
