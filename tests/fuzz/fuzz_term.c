/*
 * Any bytes as a term, as JSON or as Erlang's syntax: the first byte says
 * which ('j', 'e', or anything else).  What is accepted must come back the
 * same through every form.
 */
#include "fuzz_term.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recode.h"
#include "term/erl.h"
#include "term/json.h"
#include "term/term.h"

static void
broken(const char *what, const struct hb_error *err)
{
	fprintf(stderr, "%s: %s\n", what, err->text);
	abort();
}

static bool
same(const struct hb_buf *a, const struct hb_buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* A map with equal keys, or nested to the limit as it is, may be refused in another form. */
static bool
may_be_refused(const struct hb_error *err)
{
	return err->kind == HB_ERROR_LIMIT || strstr(err->text, "duplicate") != NULL ||
	    strstr(err->text, "two keys") != NULL;
}

static void
through_json(const struct hb_buf *term)
{
	struct hb_buf text = HB_BUF_INIT, back = HB_BUF_INIT, again = HB_BUF_INIT;
	struct hb_error err = {0};

	if (hb_term_to_json(term->data, term->len, true, &text, &err) == -1)
		broken("a term that decodes has no JSON form", &err);
	hb_term_put_version(&back);
	if (hb_term_from_json((char *)text.data, text.len, &back, &err) == -1) {
		if (!may_be_refused(&err))
			broken("the JSON form does not read back", &err);
	} else if (hb_term_to_json(back.data, back.len, true, &again, &err) == -1 || !same(&text, &again)) {
		broken("the JSON form reads back as another term", &err);
	}
	hb_buf_free(&text);
	hb_buf_free(&back);
	hb_buf_free(&again);
}

static void
through_erl(const struct hb_buf *term)
{
	struct hb_buf text = HB_BUF_INIT, back = HB_BUF_INIT, again = HB_BUF_INIT;
	struct hb_error err = {0};

	if (hb_term_to_erl(term->data, term->len, &text, &err) == -1)
		broken("a term that decodes has no Erlang syntax", &err);
	hb_term_put_version(&back);
	if (hb_term_from_erl((char *)text.data, text.len, &back, &err) == -1) {
		/* pids and the like have no syntax */
		if (!may_be_refused(&err) && memchr(text.data, '#', text.len) == NULL &&
		    strstr(err.text, "more text") == NULL && memmem(text.data, text.len, "fun ", 4) == NULL)
			broken("the Erlang syntax does not read back", &err);
	} else if (hb_term_to_erl(back.data, back.len, &again, &err) == -1) {
		broken("what was read has no Erlang syntax", &err);
	}
	hb_buf_free(&text);
	hb_buf_free(&back);
	hb_buf_free(&again);
}

static void
check_term(const struct hb_buf *term)
{
	struct hb_buf before = HB_BUF_INIT, after = HB_BUF_INIT, anew = HB_BUF_INIT;
	struct hb_error err = {0};

	if (describe(term->data, term->len, &before, &err) == 0) {
		if (recode(term->data, term->len, &anew, &err) == -1 ||
		    describe(anew.data, anew.len, &after, &err) == -1 || !same(&before, &after))
			broken("a term reads differently when it is encoded anew", &err);
		through_json(term);
		through_erl(term);
	}
	hb_buf_free(&before);
	hb_buf_free(&after);
	hb_buf_free(&anew);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct hb_buf term = HB_BUF_INIT, unused = HB_BUF_INIT;
	struct hb_error err = {0};
	int rc = 0;

	if (len == 0)
		return 0;
	hb_term_put_version(&term);
	if (*data == 'j')
		rc = hb_term_from_json((const char *)data + 1, len - 1, &term, &err);
	else if (*data == 'e')
		rc = hb_term_from_erl((const char *)data + 1, len - 1, &term, &err);
	else
		hb_buf_add(&term, data + 1, len - 1);
	if (rc == 0 && (*data == 'j' || *data == 'e') && describe(term.data, term.len, &unused, &err) == -1)
		broken("what was read does not decode", &err);
	if (rc == 0)
		check_term(&term);
	hb_buf_free(&term);
	hb_buf_free(&unused);
	return 0;
}
