/* hornbeam functions: the names that `call` and `cast` know. */
#include "cli/call.h"
#include "cli/records.h"

int
cmd_functions(struct cli *cli)
{
	static const struct cli_records records = { 2, { "FUNCTION", "KIND" }, { "name", "kind" } };
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	int status;

	if (cli_call_empty(cli, HB_OP_FUNCTIONS, &reply, &err) != 0)
		status = cli_fail(cli, &err);
	else
		status = cli_print_records(cli, &records, &reply);
	hb_buf_free(&reply);
	return status;
}
