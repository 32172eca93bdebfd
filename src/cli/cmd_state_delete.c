/* hornbeam state delete KEY...: says nothing where all is well, as rm(1). */
#include "cli/call.h"
#include "cli/print.h"

static int
delete_one(struct cli *cli, const char *key, bool *gone, struct hb_error *err)
{
	struct hb_buf reply = HB_BUF_INIT;
	int rc = cli_call_key(cli, HB_OP_DELETE, key, &reply, err);

	if (rc == 0)
		rc = cli_reply_bool(&reply, gone, err);
	hb_buf_free(&reply);
	return rc;
}

int
cmd_state_delete(struct cli *cli)
{
	struct hb_buf map = HB_BUF_INIT;
	struct hb_error err;
	int status = CLI_DONE;

	hb_term_put_version(&map);
	hb_term_put_map(&map, (uint32_t)cli->nargs);
	for (size_t i = 0; i < cli->nargs; i++) {
		bool gone;

		if (delete_one(cli, cli->args[i], &gone, &err) != 0) {
			status = cli_fail(cli, &err);
			hb_buf_free(&map);
			return status;
		}
		hb_term_put_str(&map, cli->args[i]);
		hb_term_put_bool(&map, gone);
		if (!gone)
			status = cli_missing(cli, cli->args[i]);
	}
	if (cli->form == CLI_JSON || cli->form == CLI_TERM)
		status = cli_print_term(cli, map.data, map.len, status);
	hb_buf_free(&map);
	return status;
}
