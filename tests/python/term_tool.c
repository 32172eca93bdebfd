/*
 * The C side of the property tests of terms: frames of a u32 length on
 * standard input and output.  A frame is a term; the answer, in frames, is
 * the term encoded anew, its JSON form, the term of that, its Erlang syntax
 * and the term of that (an empty frame where there is none).
 */
#include <stdio.h>
#include <stdlib.h>

#include "../fuzz/recode.h"
#include "term/erl.h"
#include "term/json.h"
#include "term/term.h"

static void
answer(const struct hb_buf *b, int rc)
{
	unsigned char head[4];
	size_t len = rc == 0 ? b->len : 0;

	hb_put_u32(head, (uint32_t)len);
	fwrite(head, 1, sizeof head, stdout);
	fwrite(b->data, 1, len, stdout);
}

static void
convert(const struct hb_buf *term)
{
	struct hb_buf anew = HB_BUF_INIT, json = HB_BUF_INIT, from_json = HB_BUF_INIT, erl = HB_BUF_INIT,
		from_erl = HB_BUF_INIT;
	struct hb_error err = {0};

	answer(&anew, recode(term->data, term->len, &anew, &err));
	answer(&json, hb_term_to_json(term->data, term->len, false, &json, &err));
	hb_term_put_version(&from_json);
	answer(&from_json, hb_term_from_json((char *)json.data, json.len, &from_json, &err));
	answer(&erl, hb_term_to_erl(term->data, term->len, &erl, &err));
	hb_term_put_version(&from_erl);
	answer(&from_erl, hb_term_from_erl((char *)erl.data, erl.len, &from_erl, &err));
	fflush(stdout);
	hb_buf_free(&anew);
	hb_buf_free(&json);
	hb_buf_free(&from_json);
	hb_buf_free(&erl);
	hb_buf_free(&from_erl);
}

int
main(void)
{
	struct hb_buf term = HB_BUF_INIT;
	unsigned char head[4];

	while (fread(head, 1, sizeof head, stdin) == sizeof head) {
		size_t len = hb_get_u32(head);
		unsigned char *to;

		hb_buf_clear(&term);
		to = hb_buf_reserve(&term, len);
		if (to == NULL || fread(to, 1, len, stdin) != len)
			return EXIT_FAILURE;
		term.len = len;
		convert(&term);
	}
	hb_buf_free(&term);
	return EXIT_SUCCESS;
}
