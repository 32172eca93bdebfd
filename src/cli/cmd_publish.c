/* hornbeam publish TOPIC MESSAGE: prints how many subscribers it went to. */
#include "cli/call.h"
#include "cli/print.h"
#include "cli/value.h"

int
cmd_publish(struct cli *cli)
{
	struct hb_buf request = HB_BUF_INIT, reply = HB_BUF_INIT;
	struct hb_error err;
	int status;

	cli_begin(&request);
	hb_term_put_tuple(&request, 2);
	if (cli_put_name(&request, "a topic", cli->args[0], CLI_KEY_MAX, &err) != 0 ||
	    cli_put_message(cli, &request, cli->args[1], &err) != 0 ||
	    cli_call(cli, HB_OP_PUBLISH, &request, &reply, &err) != 0)
		status = cli_fail(cli, &err);
	else
		status = cli_print_reply(cli, &reply);
	hb_buf_free(&request);
	hb_buf_free(&reply);
	return status;
}
