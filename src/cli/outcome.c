/* What came of a call: see outcome.h. */
#include "cli/outcome.h"

#include <stdio.h>
#include <string.h>

#include "cli/print.h"
#include "term/erl.h"
#include "term/term.h"

enum {
	REASON_MAX = 4000, /* bytes that are shown of a reason */
	STACK_LINES = 12
};

static const unsigned char TERM_VERSION = 131;

/* A part of the reply as a term of its own: the version byte goes into the byte before it, which has been read. */
static unsigned char *
as_term(unsigned char *part)
{
	part[-1] = TERM_VERSION;
	return part - 1;
}

/* Text of the other side's does as it likes with no terminal. */
static void
add_plain(struct hb_buf *out, const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hb_buf_add_u8(out, (p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f ? '?' : p[i]);
}

static void
cut(struct hb_buf *out, size_t max)
{
	if (out->len <= max)
		return;
	out->len = max;
	while (out->len > 0 && (out->data[out->len] & 0xc0) == 0x80)
		out->len--;
	hb_buf_add_str(out, " ...");
}

/* The length of Erlang's "exception CLASS: REASON" before the stack, where head says the same already. */
static size_t
repeated(const unsigned char *head, size_t head_len, const unsigned char *p, size_t len)
{
	static const char word[] = "exception ";
	size_t before = sizeof word - 1, n = before + head_len;

	if (len < n || memcmp(p, word, before) != 0 || memcmp(p + before, head, head_len) != 0)
		return 0;
	return len == n || p[n] == '\n' ? n : 0;
}

static void
add_stack(struct hb_buf *out, const unsigned char *p, size_t len)
{
	const unsigned char *end = p + len;

	for (int lines = 0; p < end; lines++) {
		const unsigned char *newline = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((newline != NULL ? newline : end) - p);

		if (lines == STACK_LINES) {
			hb_buf_add_str(out, "  ...\n");
			return;
		}
		if (n > 0) {
			hb_buf_add_str(out, "  ");
			add_plain(out, p, n);
			hb_buf_add_u8(out, '\n');
		}
		p += n + 1;
	}
}

static void
say(const struct cli *cli, const struct hb_buf *text)
{
	if (!cli->quiet && !text->failed)
		fwrite(text->data, 1, text->len, stderr);
}

static int
add_reason(struct hb_buf *out, unsigned char *part, size_t len, struct hb_error *err)
{
	struct hb_buf reason = HB_BUF_INIT;
	int rc = hb_term_to_erl(as_term(part), len + 1, &reason, err);

	cut(&reason, REASON_MAX);
	hb_buf_add(out, reason.data, reason.len);
	hb_buf_free(&reason);
	return rc;
}

static int
say_error(const struct cli *cli, const char *what, unsigned char *reason, size_t len, struct hb_error *err)
{
	struct hb_buf text = HB_BUF_INIT;
	int rc;

	hb_buf_printf(&text, "hornbeam: %s returned {error,", what);
	rc = add_reason(&text, reason, len, err);
	hb_buf_add_str(&text, "}\n");
	if (rc == 0)
		say(cli, &text);
	hb_buf_free(&text);
	return rc;
}

/* {python_error, Type, Text}: an exception of Python's reads as Python prints it. */
static bool
add_python(struct hb_buf *out, unsigned char *part, size_t len)
{
	const unsigned char *type, *text;
	size_t type_len, text_len;
	struct hb_term_reader r;
	struct hb_error err;
	uint32_t arity;
	char name[32];

	if (hb_term_open(&r, as_term(part), len + 1, &err) != 0 || hb_term_want_tuple(&r, &arity, &err) != 0 ||
	    arity != 3 || hb_term_want_atom(&r, name, sizeof name, &err) != 0 || strcmp(name, "python_error") != 0 ||
	    hb_term_want_binary(&r, &type, &type_len, &err) != 0 ||
	    hb_term_want_binary(&r, &text, &text_len, &err) != 0)
		return false;
	add_plain(out, type, type_len);
	hb_buf_add_str(out, ": ");
	add_plain(out, text, text_len);
	cut(out, REASON_MAX);
	return true;
}

static int
say_raised(const struct cli *cli, const char *what, struct hb_term_reader *r, struct hb_buf *reply,
    struct hb_error *err)
{
	struct hb_buf text = HB_BUF_INIT;
	const unsigned char *stack;
	unsigned char *reason;
	size_t reason_len, stack_len, head, said;
	char class[16];
	int rc = -1;

	if (hb_term_want_atom(r, class, sizeof class, err) != 0)
		return -1;
	reason = reply->data + (r->p - reply->data);
	if (hb_term_skip(r, err) != 0)
		return -1;
	reason_len = (size_t)(r->p - reason);
	if (hb_term_want_binary(r, &stack, &stack_len, err) != 0)
		return -1;
	hb_buf_printf(&text, "hornbeam: %s raised ", what);
	head = text.len;
	if (!add_python(&text, reason, reason_len)) {
		hb_buf_printf(&text, "%s: ", class);
		if (add_reason(&text, reason, reason_len, err) != 0)
			goto out;
	}
	said = text.failed ? 0 : repeated(text.data + head, text.len - head, stack, stack_len);
	hb_buf_add_u8(&text, '\n');
	add_stack(&text, stack + said, stack_len - said);
	say(cli, &text);
	rc = 0;
out:
	hb_buf_free(&text);
	return rc;
}

int
cli_print_outcome(struct cli *cli, const char *what, struct hb_buf *reply)
{
	struct hb_term_reader r;
	struct hb_error err;
	unsigned char *part;
	size_t len;
	uint32_t arity;
	char tag[16];
	int rc;

	if (hb_term_open(&r, reply->data, reply->len, &err) != 0 || hb_term_want_tuple(&r, &arity, &err) != 0 ||
	    hb_term_want_atom(&r, tag, sizeof tag, &err) != 0)
		return cli_fail(cli, &err);
	part = reply->data + (r.p - reply->data);
	len = reply->len - (size_t)(part - reply->data);
	if (arity == 2 && strcmp(tag, "ok") == 0)
		return cli_print_term(cli, as_term(part), len + 1, CLI_DONE);
	if (arity == 2 && strcmp(tag, "error") == 0)
		rc = say_error(cli, what, part, len, &err);
	else if (arity == 4 && strcmp(tag, "raised") == 0)
		rc = say_raised(cli, what, &r, reply, &err);
	else
		rc = hb_error_set(&err, HB_ERROR_PROTOCOL, "the companion answered with something that is no outcome");
	return rc == 0 ? CLI_REMOTE : cli_fail(cli, &err);
}
