/* hornbeam call NAME [ARG...] and hornbeam cast NAME [ARG...]: registered functions. */
#include "cli/call.h"
#include "cli/outcome.h"
#include "cli/value.h"

static int
call(struct cli *cli, enum hb_link_op op, struct hb_buf *reply, struct hb_error *err)
{
	struct hb_buf request = HB_BUF_INIT;

	cli_begin(&request);
	hb_term_put_tuple(&request, 2);
	if (cli_put_name(&request, "a function's name", cli->args[0], CLI_NAME_MAX, err) == 0 &&
	    cli_put_arguments(cli, &request, 1, err) == 0)
		return cli_call(cli, op, &request, reply, err);
	hb_buf_free(&request);
	return -1;
}

int
cmd_call(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	int status;

	if (call(cli, HB_OP_CALL, &reply, &err) != 0)
		status = cli_fail(cli, &err);
	else
		status = cli_print_outcome(cli, cli->args[0], &reply);
	hb_buf_free(&reply);
	return status;
}

int
cmd_cast(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	int status = call(cli, HB_OP_CAST, &reply, &err) == 0 ? CLI_DONE : cli_fail(cli, &err);

	hb_buf_free(&reply);
	return status;
}
