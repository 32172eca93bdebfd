/* hornbeam workers: a line a worker. */
#include "cli/call.h"
#include "cli/facts.h"
#include "cli/print.h"
#include "cli/table.h"
#include "common/str.h"

static const char *const titles[] = { "WORKER", "PID", "STATE", "UP", "RESTARTS", "MEMORY", "REQUESTS", "ERRORS",
	"BAD", "CONNECTIONS", "ACTIVE" };
static const char *const names[] = { "index", "pid", "state", "uptime_ms", "restarts", "rss_bytes", "requests",
	"errors", "bad_requests", "connections", "active" };
enum { COLUMNS = sizeof titles / sizeof *titles };

static int
read_rows(struct cli_table *table, const struct hb_buf *reply, struct hb_error *err)
{
	struct hb_term_reader r;
	uint32_t count;

	if (hb_term_open(&r, reply->data, reply->len, err) != 0 || hb_term_want_list(&r, &count, err) != 0)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		struct cli_facts facts = { NULL, 0 };
		int rc = cli_facts_read(&facts, &r, "", err);

		for (size_t c = 0; c < COLUMNS; c++)
			cli_table_add(table, hb_xstrdup(cli_facts_get(&facts, names[c])));
		cli_facts_free(&facts);
		if (rc != 0)
			return -1;
	}
	return 0;
}

int
cmd_workers(struct cli *cli)
{
	struct cli_table table = CLI_TABLE_INIT(COLUMNS, titles);
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	int status = CLI_DONE;

	if (cli_call_empty(cli, HB_OP_WORKERS, &reply, &err) != 0)
		status = cli_fail(cli, &err);
	else if (cli->form == CLI_JSON || cli->form == CLI_TERM)
		status = cli_print_reply(cli, &reply);
	else if (read_rows(&table, &reply, &err) != 0)
		status = cli_fail(cli, &err);
	else
		cli_table_print(&table);
	cli_table_free(&table);
	hb_buf_free(&reply);
	return status;
}
