/* hornbeam logs reopen: the workers open the access log again. */
#include "cli/call.h"

int
cmd_logs_reopen(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	int status = cli_call_empty(cli, HB_OP_REOPEN_LOGS, &reply, &err) == 0 ? CLI_DONE : cli_fail(cli, &err);

	hb_buf_free(&reply);
	return status;
}
