/* hornbeam state set KEY VALUE */
#include "cli/call.h"
#include "cli/print.h"
#include "cli/value.h"
#include "config/units.h"

/* Milliseconds: about 3,000 years, as in Python and Erlang. */
static const int64_t TTL_MAX = 100000000000000;

int
cmd_state_set(struct cli *cli)
{
	struct hb_buf request = HB_BUF_INIT, reply = HB_BUF_INIT;
	const char *ttl_text = cli_option(cli, "ttl");
	bool only_new = cli_flag(cli, "nx"), only_old = cli_flag(cli, "xx"), yes = true;
	enum hb_link_op op = only_new ? HB_OP_ADD : only_old ? HB_OP_REPLACE : HB_OP_SET;
	struct hb_error err;
	int64_t ttl = 0;
	int status;

	if (only_new && only_old)
		return cli_usage(cli, "--nx and --xx exclude each other");
	if (ttl_text != NULL && (!hb_units_duration(ttl_text, &ttl) || ttl <= 0))
		return cli_usage(cli, "--ttl takes a time such as 500ms, 60s or 1h, not '%s'", ttl_text);
	if (ttl > TTL_MAX)
		return cli_usage(cli, "--ttl is at most %lldh, not %s", (long long)(TTL_MAX / 3600000), ttl_text);
	cli_begin(&request);
	hb_term_put_tuple(&request, 3);
	if (cli_put_key(&request, cli->args[0], &err) != 0 ||
	    cli_put_value(cli, &request, cli->args[1], &err) != 0) {
		status = cli_fail(cli, &err);
		goto out;
	}
	hb_term_put_int(&request, ttl);
	if (cli_call(cli, op, &request, &reply, &err) != 0 ||
	    (op != HB_OP_SET && cli_reply_bool(&reply, &yes, &err) != 0))
		status = cli_fail(cli, &err);
	else if (cli->form == CLI_JSON || cli->form == CLI_TERM)
		status = cli_print_bool(cli, yes);
	else
		status = yes ? CLI_DONE : CLI_FALSE;
	if (status == CLI_FALSE)
		cli_warn(cli, only_new ? "the key exists: %s" : "no such key: %s", cli->args[0]);
out:
	hb_buf_free(&request);
	hb_buf_free(&reply);
	return status;
}
