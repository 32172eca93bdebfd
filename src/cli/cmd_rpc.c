/* hornbeam rpc call|cast NODE MODULE FUNCTION [ARG...]: any function of any node. */
#include <stdlib.h>

#include "cli/call.h"
#include "cli/outcome.h"
#include "cli/value.h"
#include "common/str.h"

static int
put_request(struct cli *cli, struct hb_buf *request, struct hb_error *err)
{
	cli_begin(request);
	hb_term_put_tuple(request, 4);
	if (cli_put_name(request, "a node's name", cli->args[0], CLI_NAME_MAX, err) != 0 ||
	    cli_put_name(request, "a module's name", cli->args[1], CLI_NAME_MAX, err) != 0 ||
	    cli_put_name(request, "a function's name", cli->args[2], CLI_NAME_MAX, err) != 0)
		return -1;
	return cli_put_arguments(cli, request, 3, err);
}

static int
rpc(struct cli *cli, enum hb_link_op op, struct hb_buf *reply, struct hb_error *err)
{
	struct hb_buf request = HB_BUF_INIT;

	if (put_request(cli, &request, err) == 0)
		return cli_call(cli, op, &request, reply, err);
	hb_buf_free(&request);
	return -1;
}

int
cmd_rpc_call(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	char *what;
	int status;

	if (rpc(cli, HB_OP_RPC_CALL, &reply, &err) != 0) {
		status = cli_fail(cli, &err);
	} else {
		what = hb_xasprintf("%s:%s", cli->args[1], cli->args[2]);
		status = cli_print_outcome(cli, what, &reply);
		free(what);
	}
	hb_buf_free(&reply);
	return status;
}

int
cmd_rpc_cast(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	int status = rpc(cli, HB_OP_RPC_CAST, &reply, &err) == 0 ? CLI_DONE : cli_fail(cli, &err);

	hb_buf_free(&reply);
	return status;
}
