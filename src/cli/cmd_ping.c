/* hornbeam ping: the master, then the companion. */
#include "cli/call.h"
#include "cli/print.h"

int
cmd_ping(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT, pong = HB_BUF_INIT;
	struct hb_error err;
	int status;

	if (cli_call_empty(cli, HB_OP_MASTER_PING, &reply, &err) != 0 ||
	    cli_call_empty(cli, HB_OP_PING, &reply, &err) != 0) {
		status = cli_fail(cli, &err);
	} else {
		hb_term_put_version(&pong);
		hb_term_put_str(&pong, "pong");
		status = cli_print_term(cli, pong.data, pong.len, CLI_DONE);
	}
	hb_buf_free(&reply);
	hb_buf_free(&pong);
	return status;
}
