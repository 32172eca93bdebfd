/* hornbeam state ttl KEY: seconds with three decimals, or never. */
#include <string.h>

#include "cli/call.h"
#include "cli/print.h"

int
cmd_state_ttl(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT, out = HB_BUF_INIT;
	struct hb_term_reader r;
	struct hb_term_token t;
	struct hb_error err;
	int status;

	if (cli_call_key(cli, HB_OP_TTL, cli->args[0], &reply, &err) != 0 ||
	    hb_term_open(&r, reply.data, reply.len, &err) != 0 || hb_term_next(&r, &t, &err) < 0) {
		status = cli_fail(cli, &err);
		goto out;
	}
	hb_term_put_version(&out);
	if (t.type == HB_TERM_INT) {
		hb_term_put_float(&out, (double)t.i / 1000);
		status = cli_print_term(cli, out.data, out.len, CLI_DONE);
	} else if (t.type == HB_TERM_ATOM && t.len == 4 && memcmp(t.text, "none", 4) == 0) {
		status = cli_missing(cli, cli->args[0]);
	} else if (cli->form == CLI_TEXT || cli->form == CLI_RAW) {
		hb_term_put_str(&out, "never");
		status = cli_print_term(cli, out.data, out.len, CLI_DONE);
	} else {
		hb_term_put_atom(&out, cli->form == CLI_JSON ? "undefined" : "infinity");
		status = cli_print_term(cli, out.data, out.len, CLI_DONE);
	}
out:
	hb_buf_free(&reply);
	hb_buf_free(&out);
	return status;
}
