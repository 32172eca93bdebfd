/* hornbeam state keys [PREFIX]: one a line, in the table's order. */
#include <stdio.h>

#include "cli/call.h"
#include "cli/print.h"
#include "config/units.h"

static int
print_lines(const struct hb_buf *reply, char end, struct hb_error *err)
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
		/* A full disk or a lost reader ends a listing of millions at once. */
		if (putc(end, stdout) == EOF)
			return 0;
	}
	return 0;
}

int
cmd_state_keys(struct cli *cli)
{
	struct hb_buf request = HB_BUF_INIT, reply = HB_BUF_INIT;
	const char *limit_text = cli_option(cli, "limit");
	struct hb_error err;
	uint64_t limit = 0;
	int status = CLI_DONE;

	if (limit_text != NULL && (!hb_units_number(limit_text, &limit) || limit == 0))
		return cli_usage(cli, "--limit takes a number above 0, not '%s'", limit_text);
	cli_begin(&request);
	hb_term_put_tuple(&request, 2);
	hb_term_put_str(&request, cli->nargs > 0 ? cli->args[0] : "");
	hb_term_put_uint(&request, limit);
	if (cli_call(cli, HB_OP_KEYS, &request, &reply, &err) != 0)
		status = cli_fail(cli, &err);
	else if (cli->form == CLI_JSON || cli->form == CLI_TERM)
		status = cli_print_reply(cli, &reply);
	else if (print_lines(&reply, cli_flag(cli, "null") ? '\0' : '\n', &err) != 0)
		status = cli_fail(cli, &err);
	hb_buf_free(&reply);
	return status;
}
