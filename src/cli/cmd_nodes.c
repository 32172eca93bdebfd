/* hornbeam node: the companion's own name; hornbeam nodes: those that it is connected to. */
#include "cli/call.h"
#include "cli/print.h"

int
cmd_node(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	int status;

	status = cli_call_empty(cli, HB_OP_NODE, &reply, &err) == 0 ? cli_print_reply(cli, &reply) : cli_fail(cli, &err);
	hb_buf_free(&reply);
	return status;
}

int
cmd_nodes(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	int status;

	if (cli_call_empty(cli, HB_OP_NODES, &reply, &err) != 0)
		status = cli_fail(cli, &err);
	else
		status = cli_print_names(cli, &reply, '\n');
	hb_buf_free(&reply);
	return status;
}
