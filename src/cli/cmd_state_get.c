/* hornbeam state get KEY... */
#include <string.h>

#include "cli/call.h"
#include "cli/print.h"

static int
get_one(struct cli *cli, struct hb_buf *reply, struct hb_buf *scratch, struct hb_error *err)
{
	struct hb_term_reader r;
	const unsigned char *p;
	size_t len;
	int found;

	if (cli_call_key(cli, HB_OP_GET, cli->args[0], reply, err) != 0 ||
	    hb_term_open(&r, reply->data, reply->len, err) != 0 ||
	    (found = cli_next_stored(&r, scratch, &p, &len, err)) < 0)
		return cli_fail(cli, err);
	if (!found)
		return cli_missing(cli, cli->args[0]);
	return cli_print_term(cli, p, len, CLI_DONE);
}

/* Several: in text a line each, in JSON and Erlang's syntax one map of those that are there. */
static int
get_several(struct cli *cli, struct hb_buf *reply, struct hb_buf *scratch, struct hb_error *err)
{
	struct hb_buf pairs = HB_BUF_INIT, map = HB_BUF_INIT;
	struct hb_term_reader r;
	uint32_t count, there = 0;
	int status = CLI_DONE;

	if (cli_call_keys(cli, HB_OP_GET_MULTI, reply, err) != 0 ||
	    hb_term_open(&r, reply->data, reply->len, err) != 0 || hb_term_want_list(&r, &count, err) != 0)
		return cli_fail(cli, err);
	for (size_t i = 0; i < cli->nargs && i < count; i++) {
		const unsigned char *p;
		size_t len;
		int found = cli_next_stored(&r, scratch, &p, &len, err);

		if (found < 0) {
			status = cli_fail(cli, err);
			goto out;
		}
		if (found == 0) {
			status = cli_missing(cli, cli->args[i]);
		} else if (cli->form == CLI_JSON || cli->form == CLI_TERM) {
			hb_term_put_str(&pairs, cli->args[i]);
			hb_buf_add(&pairs, p + 1, len - 1);
			there++;
		} else if (cli_print_row(cli, cli->args[i], strlen(cli->args[i]), p, len) != CLI_DONE) {
			status = CLI_REMOTE;
			goto out;
		}
	}
	if (cli->form == CLI_JSON || cli->form == CLI_TERM) {
		hb_term_put_version(&map);
		hb_term_put_map(&map, there);
		hb_buf_add(&map, pairs.data, pairs.len);
		status = cli_print_term(cli, map.data, map.len, status);
	}
out:
	hb_buf_free(&pairs);
	hb_buf_free(&map);
	return status;
}

int
cmd_state_get(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT, scratch = HB_BUF_INIT;
	struct hb_error err;
	int status;

	if (cli->nargs == 1)
		status = get_one(cli, &reply, &scratch, &err);
	else
		status = get_several(cli, &reply, &scratch, &err);
	hb_buf_free(&reply);
	hb_buf_free(&scratch);
	return status;
}
