/*
 * The requests of tests/data/http/requests.txt and what is expected of each;
 * the file itself explains its form.  Shared by the parser's tests.
 */
#ifndef HB_TESTS_HTTP_CASES_H
#define HB_TESTS_HTTP_CASES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "http/parser.h"

#define HTTP_ANSWERS 4

struct http_answer {
	unsigned status; /* of the refusal; 0: accepted */
	bool more;       /* the message is not complete */
	char *method, *target; /* target "...": any */
	char *host, *path, *query; /* NULL: not said */
	bool keep_alive;
	struct hb_buf body;
	char *field; /* in lower case; NULL: not said */
	struct hb_buf value;
};

struct http_case {
	char *name;
	char *rule;
	char *llhttp; /* why llhttp answers otherwise, or NULL */
	struct hb_buf bytes;
	struct http_answer answers[HTTP_ANSWERS + 1]; /* the last one stays empty */
	size_t answers_count;
	int line;
};

struct http_cases {
	struct http_case *cases;
	size_t count;
};

/* The limits that the file was written for. */
extern const struct hb_http_limits http_case_limits;

/* Reads $top_srcdir/tests/data/http/requests.txt; ends the program with file and line where it is malformed. */
struct http_cases *http_cases_load(void);
void http_cases_free(struct http_cases *cases);

#endif
