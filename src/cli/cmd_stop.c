/* hornbeam stop: returns when hornbeamd has ended. */
#include "cli/call.h"

enum { STOP_MS = 300 * 1000 }; /* unless -t says otherwise */

int
cmd_stop(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	int status = CLI_DONE;

	if (!cli->timed)
		cli->timeout_ms = STOP_MS;
	/* Once it has answered, the loss of the connection says that it has ended. */
	if (cli_call_empty(cli, HB_OP_MASTER_PING, &reply, &err) != 0) {
		status = cli_fail(cli, &err);
	} else if (cli_call_empty(cli, HB_OP_MASTER_STOP, &reply, &err) != 0 && err.kind != HB_ERROR_CONNECT) {
		if (err.kind == HB_ERROR_TIMEOUT)
			(void)hb_error_set(&err, HB_ERROR_TIMEOUT,
			    "hornbeamd finishes what it has, and has not ended within the time");
		status = cli_fail(cli, &err);
	}
	hb_buf_free(&reply);
	return status;
}
