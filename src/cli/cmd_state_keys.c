/* hornbeam state keys [PREFIX]: one a line, in the table's order. */
#include "cli/call.h"
#include "cli/print.h"
#include "config/units.h"

int
cmd_state_keys(struct cli *cli)
{
	struct hb_buf request = HB_BUF_INIT, reply = HB_BUF_INIT;
	char end = cli_flag(cli, "null") ? '\0' : '\n';
	const char *limit_text = cli_option(cli, "limit");
	struct hb_error err;
	uint64_t limit = 0;
	int status;

	if (limit_text != NULL && (!hb_units_number(limit_text, &limit) || limit == 0))
		return cli_usage(cli, "--limit takes a number above 0, not '%s'", limit_text);
	cli_begin(&request);
	hb_term_put_tuple(&request, 2);
	hb_term_put_str(&request, cli->nargs > 0 ? cli->args[0] : "");
	hb_term_put_uint(&request, limit);
	if (cli_call(cli, HB_OP_KEYS, &request, &reply, &err) != 0)
		status = cli_fail(cli, &err);
	else
		status = cli_print_names(cli, &reply, end);
	hb_buf_free(&reply);
	return status;
}
