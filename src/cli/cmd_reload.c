/* hornbeam reload: returns when the new workers serve, or with the cause why they do not. */
#include "cli/call.h"

enum {
	READY_MS = 300 * 1000, /* for the new workers, unless -t says otherwise */
	ANSWER_MS = 5000       /* for the answer beyond that */
};

int
cmd_reload(struct cli *cli)
{
	struct hb_buf request = HB_BUF_INIT, reply = HB_BUF_INIT;
	int64_t within_ms = cli->timed ? cli->timeout_ms : READY_MS;
	struct hb_error err;
	int status = CLI_DONE;

	cli->timeout_ms = within_ms + ANSWER_MS;
	cli_begin(&request);
	hb_term_put_int(&request, within_ms);
	if (cli_call(cli, HB_OP_RELOAD, &request, &reply, &err) != 0)
		status = cli_fail(cli, &err);
	hb_buf_free(&reply);
	return status;
}
