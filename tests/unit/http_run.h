/*
 * What a parser made of a client's bytes, put down in a form that can be
 * compared: the messages it took for complete, and how it ended.
 */
#ifndef HB_TESTS_HTTP_RUN_H
#define HB_TESTS_HTTP_RUN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "http/parser.h"

#define HTTP_RUN_MESSAGES 16

struct http_message {
	struct hb_buf method, target, body;
	bool keep_alive;
};

struct http_run {
	struct http_message messages[HTTP_RUN_MESSAGES];
	size_t count;       /* complete ones */
	unsigned status;    /* of the refusal, or 0 */
	const char *cause;
	size_t head_fields; /* of all heads together */
};

/*
 * Runs the parser over the bytes, cut in pieces of step bytes (0: whole), up to a refusal, the
 * end, a request that closes the connection, or HTTP_RUN_MESSAGES.  Aborts where the parser
 * breaks a promise of its header.
 */
void http_run(struct http_run *run, const unsigned char *p, size_t len, size_t step,
    const struct hb_http_limits *limits);
void http_run_free(struct http_run *run);
bool http_run_equal(const struct http_run *a, const struct http_run *b);

#endif
