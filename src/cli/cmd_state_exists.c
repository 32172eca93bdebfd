/* hornbeam state exists KEY */
#include "cli/call.h"
#include "cli/print.h"

int
cmd_state_exists(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_term_reader r;
	struct hb_error err;
	uint32_t len;
	char name[8];
	int status;

	if (cli_call_keys(cli, HB_OP_EXISTS, &reply, &err) != 0 ||
	    hb_term_open(&r, reply.data, reply.len, &err) != 0 || hb_term_want_list(&r, &len, &err) != 0 ||
	    hb_term_want_atom(&r, name, sizeof name, &err) != 0)
		status = cli_fail(cli, &err);
	else
		status = cli_print_bool(cli, name[0] == 't');
	hb_buf_free(&reply);
	return status;
}
