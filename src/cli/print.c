/* Printing in the four forms: see print.h. */
#include "cli/print.h"

#include <stdio.h>
#include <string.h>

#include "common/str.h"
#include "term/erl.h"
#include "term/json.h"
#include "term/number.h"
#include "term/term.h"

/*
 * Text: a string as it stands, an integer of any size as its digits, anything
 * else as JSON; raw has bytes as they stand too.
 */
static int
format_text(struct cli *cli, const void *term, size_t len, struct hb_buf *out, struct hb_error *err)
{
	struct hb_term_reader r;
	struct hb_term_token t;

	if (hb_term_open(&r, term, len, err) != 0 || hb_term_next(&r, &t, err) < 0)
		return -1;
	if (t.type == HB_TERM_BIG)
		hb_number_put_big(out, t.negative, t.text, t.len, "0x");
	else if (t.type == HB_TERM_BINARY && (cli->form == CLI_RAW || hb_str_is_utf8(t.text, t.len)))
		hb_buf_add(out, t.text, t.len);
	else if (t.type == HB_TERM_BYTES && cli->form == CLI_RAW)
		hb_buf_add(out, t.text, t.len);
	else
		return hb_term_to_json(term, len, true, out, err);
	return 0;
}

/* Appends the term in the form asked for. */
static int
format(struct cli *cli, const void *term, size_t len, struct hb_buf *out, struct hb_error *err)
{
	switch (cli->form) {
	case CLI_TERM:
		return hb_term_to_erl(term, len, out, err);
	case CLI_JSON:
		return hb_term_to_json(term, len, true, out, err);
	case CLI_TEXT:
	case CLI_RAW:
		break;
	}
	return format_text(cli, term, len, out, err);
}

/* Writes what was formatted; says so where that failed. */
static int
put(struct cli *cli, struct hb_buf *out, int rc, int status, struct hb_error *err)
{
	if (rc == 0 && out->failed)
		rc = hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	if (rc != 0)
		status = cli_fail(cli, err);
	else if (out->len > 0)
		fwrite(out->data, 1, out->len, stdout);
	hb_buf_free(out);
	return status;
}

int
cli_print_term(struct cli *cli, const void *term, size_t len, int status)
{
	struct hb_buf out = HB_BUF_INIT;
	struct hb_error err;
	int rc = format(cli, term, len, &out, &err);

	if (cli->form != CLI_RAW)
		hb_buf_add_u8(&out, '\n');
	return put(cli, &out, rc, status, &err);
}

int
cli_print_reply(struct cli *cli, const struct hb_buf *reply)
{
	return cli_print_term(cli, reply->data, reply->len, CLI_DONE);
}

int
cli_print_bool(struct cli *cli, bool yes)
{
	struct hb_buf term = HB_BUF_INIT;
	int status;

	hb_term_put_version(&term);
	hb_term_put_bool(&term, yes);
	status = cli_print_term(cli, term.data, term.len, yes ? CLI_DONE : CLI_FALSE);
	hb_buf_free(&term);
	return status;
}

static bool
has_control(const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] < 0x20 || p[i] == 0x7f)
			return true;
	}
	return false;
}

void
cli_add_name(struct hb_buf *out, const void *name, size_t len)
{
	struct hb_buf term = HB_BUF_INIT;
	struct hb_error err;

	if (!has_control(name, len)) {
		hb_buf_add(out, name, len);
		return;
	}
	hb_term_put_version(&term);
	hb_term_put_binary(&term, name, len);
	if (term.failed || hb_term_to_json(term.data, term.len, true, out, &err) != 0)
		out->failed = true;
	hb_buf_free(&term);
}

/*
 * The lines are written as they come: there can be millions, and a full disk
 * or a lost reader ends them at once.
 */
static int
put_names(const struct hb_buf *reply, char end, struct hb_error *err)
{
	struct hb_term_reader r;
	uint32_t count;

	if (hb_term_open(&r, reply->data, reply->len, err) != 0 || hb_term_want_list(&r, &count, err) != 0)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		const unsigned char *p;
		size_t len;

		if (hb_term_want_binary(&r, &p, &len, err) != 0)
			return -1;
		fwrite(p, 1, len, stdout);
		if (putc(end, stdout) == EOF)
			return 0;
	}
	return 0;
}

int
cli_print_names(struct cli *cli, const struct hb_buf *reply, char end)
{
	struct hb_error err;

	if (cli->form == CLI_JSON || cli->form == CLI_TERM)
		return cli_print_reply(cli, reply);
	return put_names(reply, end, &err) == 0 ? CLI_DONE : cli_fail(cli, &err);
}

int
cli_print_row(struct cli *cli, const char *key, size_t key_len, const void *term, size_t len)
{
	struct hb_buf out = HB_BUF_INIT;
	struct hb_error err;
	size_t start;
	int rc;

	if (cli->form == CLI_RAW)
		return cli_print_term(cli, term, len, CLI_DONE);
	if (key != NULL) {
		cli_add_name(&out, key, key_len);
		hb_buf_add_u8(&out, '\t');
	}
	start = out.len;
	rc = format(cli, term, len, &out, &err);
	if (rc == 0 && has_control(out.data + start, out.len - start)) {
		out.len = start;
		rc = hb_term_to_json(term, len, true, &out, &err);
	}
	hb_buf_add_u8(&out, '\n');
	return put(cli, &out, rc, CLI_DONE, &err);
}

int
cli_missing(struct cli *cli, const char *key)
{
	cli_warn(cli, "no such key: %s", key);
	return CLI_FALSE;
}
