/* hornbeam state incr KEY [N] and state decr KEY [N] */
#include "cli/call.h"
#include "cli/print.h"
#include "cli/value.h"

static int
change(struct cli *cli, bool down)
{
	struct hb_buf request = HB_BUF_INIT, reply = HB_BUF_INIT;
	struct hb_error err;
	int status;

	cli_begin(&request);
	hb_term_put_tuple(&request, 3);
	if (cli_put_key(&request, cli->args[0], &err) != 0 ||
	    cli_put_integer(&request, cli->nargs > 1 ? cli->args[1] : "1", down, &err) != 0) {
		status = cli_fail(cli, &err);
	} else {
		hb_term_put_int(&request, 0);
		status = cli_call(cli, HB_OP_INCR, &request, &reply, &err) == 0 ? cli_print_reply(cli, &reply)
		                                                                : cli_fail(cli, &err);
	}
	hb_buf_free(&request);
	hb_buf_free(&reply);
	return status;
}

int
cmd_state_incr(struct cli *cli)
{
	return change(cli, false);
}

int
cmd_state_decr(struct cli *cli)
{
	return change(cli, true);
}
