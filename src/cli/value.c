/* A VALUE of the command line: see value.h. */
#include "cli/value.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/str.h"
#include "link/proto.h"
#include "term/erl.h"
#include "term/json.h"
#include "term/number.h"
#include "term/term.h"

static int
read_all(int fd, const char *name, struct hb_buf *out, struct hb_error *err)
{
	for (;;) {
		unsigned char *p = hb_buf_reserve(out, 65536);
		ssize_t n;

		if (p == NULL)
			return hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
		n = read(fd, p, 65536);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return hb_error_errno(err, HB_ERROR_SYSTEM, "cannot read %s", name);
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		if (out->len > HB_LINK_FRAME_MAX)
			return hb_error_set(err, HB_ERROR_LIMIT, "%s: a value is at most %d MiB", name,
			    HB_LINK_FRAME_MAX / 1024 / 1024);
	}
}

/* The bytes of the argument: its own, those of standard input or of a file. */
static int
read_argument(const struct cli *cli, const char *arg, struct hb_buf *out, struct hb_error *err)
{
	int fd, rc;

	if (strcmp(arg, "-") == 0)
		return read_all(STDIN_FILENO, "standard input", out, err);
	if (!cli_flag(cli, "file")) {
		hb_buf_add_str(out, arg);
		return 0;
	}
	fd = open(arg, O_RDONLY | O_CLOEXEC);
	if (fd == -1) {
		(void)hb_error_errno(err, HB_ERROR_USAGE, "cannot open %s", arg);
		return -1;
	}
	rc = read_all(fd, arg, out, err);
	hb_fd_close(&fd);
	return rc;
}

/* Blanks around a number, such as the newline at the end of a file, do not count. */
static void
trim(struct hb_buf *text)
{
	size_t start = 0;

	while (text->len > 0 && isspace(text->data[text->len - 1]))
		text->len--;
	while (start < text->len && isspace(text->data[start]))
		start++;
	hb_buf_drop(text, start);
	hb_buf_add_u8(text, '\0');
	text->len--;
}

int
cli_put_integer(struct hb_buf *request, const char *text, bool negate, struct hb_error *err)
{
	const char *digits = text + (text[0] == '-' || text[0] == '+');
	size_t len = strspn(digits, "0123456789");

	if (len == 0 || digits[len] != '\0')
		return hb_error_set(err, HB_ERROR_USAGE, "'%.40s' is not an integer", text);
	return hb_number_read(request, (text[0] == '-') != negate, digits, len, 10, err);
}

static int
put_float(struct hb_buf *term, const char *text, struct hb_error *err)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(v))
		return hb_error_set(err, HB_ERROR_USAGE, "'%.40s' is not a finite number", text);
	hb_term_put_float(term, v);
	return 0;
}

/* The term, without version byte, of the form that the options ask for; text where they are silent. */
static int
encode(const struct cli *cli, struct hb_buf *text, struct hb_buf *term, struct hb_error *err)
{
	int rc = 0;

	if (cli_flag(cli, "json")) {
		rc = hb_term_from_json((const char *)text->data, text->len, term, err);
	} else if (cli_flag(cli, "term")) {
		rc = hb_term_from_erl((const char *)text->data, text->len, term, err);
	} else if (cli_flag(cli, "int")) {
		trim(text);
		rc = cli_put_integer(term, (const char *)text->data, false, err);
	} else if (cli_flag(cli, "float")) {
		trim(text);
		rc = put_float(term, (const char *)text->data, err);
	} else if (hb_str_is_utf8(text->data, text->len)) {
		hb_term_put_binary(term, text->data, text->len);
	} else {
		hb_term_put_bytes(term, text->data, text->len);
	}
	/* What the user typed is wrong, not what somebody answered. */
	if (rc != 0 && err->kind != HB_ERROR_MEMORY)
		err->kind = HB_ERROR_USAGE;
	return rc;
}

static int
check_forms(const struct cli *cli, struct hb_error *err)
{
	static const char *const forms[] = { "json", "int", "float", "term" };
	const char *first = NULL;

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (!cli_flag(cli, forms[i]))
			continue;
		if (first != NULL)
			return hb_error_set(err, HB_ERROR_USAGE, "--%s and --%s exclude each other", first, forms[i]);
		first = forms[i];
	}
	return 0;
}

/* Appends the argument's term. */
static int
put_term(const struct cli *cli, const char *arg, struct hb_buf *term, struct hb_error *err)
{
	struct hb_buf text = HB_BUF_INIT;
	int rc = -1;

	if (read_argument(cli, arg, &text, err) == 0)
		rc = encode(cli, &text, term, err);
	if (rc == 0 && (text.failed || term->failed))
		rc = hb_error_set(err, HB_ERROR_MEMORY, "out of memory");
	hb_buf_free(&text);
	return rc;
}

int
cli_put_value(struct cli *cli, struct hb_buf *request, const char *arg, struct hb_error *err)
{
	struct hb_buf term = HB_BUF_INIT;
	int rc = -1;

	if (check_forms(cli, err) == 0)
		rc = put_term(cli, arg, &term, err);
	if (rc == 0)
		hb_term_put_stored(request, term.data, term.len);
	hb_buf_free(&term);
	return rc;
}

int
cli_put_message(struct cli *cli, struct hb_buf *request, const char *arg, struct hb_error *err)
{
	struct hb_buf term = HB_BUF_INIT;
	int rc = -1;

	hb_term_put_version(&term);
	if (check_forms(cli, err) == 0)
		rc = put_term(cli, arg, &term, err);
	if (rc == 0)
		hb_term_put_binary(request, term.data, term.len);
	hb_buf_free(&term);
	return rc;
}

/* What the first has read to its end, the second would find empty. */
static int
check_inputs(const char *const *args, size_t count, struct hb_error *err)
{
	size_t inputs = 0;

	for (size_t i = 0; i < count; i++)
		inputs += strcmp(args[i], "-") == 0;
	if (inputs > 1)
		return hb_error_set(err, HB_ERROR_USAGE, "only one argument can be -, standard input");
	return 0;
}

int
cli_put_arguments(struct cli *cli, struct hb_buf *request, size_t first, struct hb_error *err)
{
	const char *const *args = cli->args + first;
	size_t count = cli->nargs - first;
	struct hb_buf term = HB_BUF_INIT;
	int rc = -1;

	if (check_forms(cli, err) != 0 || check_inputs(args, count, err) != 0)
		return -1;
	hb_term_put_version(&term);
	hb_term_put_list(&term, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		if (put_term(cli, args[i], &term, err) != 0)
			goto out;
	}
	if (count > 0)
		hb_term_put_nil(&term);
	hb_term_put_binary(request, term.data, term.len);
	rc = 0;
out:
	hb_buf_free(&term);
	return rc;
}
