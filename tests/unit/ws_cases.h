/*
 * The frames of tests/data/http/websocket.txt and what is expected of each case; the file itself
 * explains its form.
 */
#ifndef HB_TESTS_WS_CASES_H
#define HB_TESTS_WS_CASES_H

#include "ws_run.h"

struct ws_case {
	char *name;
	char *rule;
	struct hb_buf bytes;
	struct hb_buf events; /* as struct ws_run has them */
	bool deflate;
	bool fails; /* the last event is an error */
	int line;
};

struct ws_cases {
	struct ws_case *cases;
	size_t count;
};

/* The limit that the file was written for. */
#define WS_CASE_LIMIT 65536

/* Reads $top_srcdir/tests/data/http/websocket.txt; ends the program with file and line where it is malformed. */
struct ws_cases *ws_cases_load(void);
void ws_cases_free(struct ws_cases *cases);

#endif
