/*
 * hornbeam status: what the master says, and what the companion says for
 * itself.  Where the companion does not answer, the rest is shown and the exit
 * status tells.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/call.h"
#include "cli/facts.h"
#include "cli/print.h"
#include "cli/table.h"
#include "common/str.h"

/* #{master => Reply, companion => Reply | undefined} */
static int
print_whole(struct cli *cli, const struct hb_buf *master, const struct hb_buf *companion, int status)
{
	struct hb_buf map = HB_BUF_INIT;

	hb_term_put_version(&map);
	hb_term_put_map(&map, 2);
	hb_term_put_str(&map, "master");
	hb_buf_add(&map, master->data + 1, master->len - 1);
	hb_term_put_str(&map, "companion");
	if (status == CLI_DONE)
		hb_buf_add(&map, companion->data + 1, companion->len - 1);
	else
		hb_term_put_atom(&map, "undefined");
	status = cli_print_term(cli, map.data, map.len, status);
	hb_buf_free(&map);
	return status;
}

static int
read_facts(struct cli_facts *facts, const struct hb_buf *reply, struct hb_error *err)
{
	struct hb_term_reader r;

	if (hb_term_open(&r, reply->data, reply->len, err) != 0)
		return -1;
	return cli_facts_read(facts, &r, "", err);
}

/*
 * The lines for people: a title, and a text in which each {name} stands for a fact of the
 * master or, in lines of the companion, of the companion.
 */
struct line {
	const char *title;
	const char *text;
	bool companion;
};

static const struct line lines[] = {
	{ "hornbeamd", "{state}, {version}, process {pid}, up {uptime_ms}, user {user}" },
	{ "configuration", "{config_file}" },
	{ "listening on", "{listen}" },
	{ "workers", "{workers.ready} of {workers.configured} ready, restarts {workers.restarts}" },
	{ "requests", "{totals.requests}, errors {totals.errors}, refused {totals.bad_requests}, "
		      "in the applications now {totals.active}" },
	{ "connections", "{totals.connections} open, {totals.bytes_in} in, {totals.bytes_out} out" },
	{ "companion", "{companion.state}, process {companion.pid}, {companion.kind}, up {companion.uptime_ms}, "
		       "restarts {companion.restarts}" },
	{ "memory", "{memory.total}, OTP {otp}, node {node}", true },
	{ "state", "{state.keys} keys ({state.ttls} with a time to live), {state.bytes}", true },
	{ "reads", "{state.hits} found, {state.misses} not found", true },
	{ "topics", "{pubsub.topics} with {pubsub.subscribers} subscribers, messages dropped {pubsub.dropped}", true },
	{ "links", "{links}", true },
};

static char *
expand(const char *text, const struct cli_facts *facts)
{
	struct hb_buf out = HB_BUF_INIT;

	while (*text != '\0') {
		size_t plain = strcspn(text, "{");
		size_t len;
		char *name;

		hb_buf_add(&out, text, plain);
		text += plain;
		if (*text == '\0')
			break;
		len = strcspn(text, "}");
		name = hb_xstrndup(text + 1, len - 1);
		hb_buf_add_str(&out, cli_facts_get(facts, name));
		free(name);
		text += len + 1;
	}
	hb_buf_add_u8(&out, '\0');
	return (char *)out.data;
}

static void
print_lines(const struct cli_facts *master, const struct cli_facts *companion)
{
	struct cli_table table = CLI_TABLE_INIT(2, NULL);

	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		if (lines[i].companion && companion->n == 0)
			continue;
		cli_table_add(&table, hb_xstrdup(lines[i].title));
		cli_table_add(&table, expand(lines[i].text, lines[i].companion ? companion : master));
	}
	cli_table_print(&table);
	cli_table_free(&table);
}

static int
print_text(struct cli *cli, const struct hb_buf *master, const struct hb_buf *companion, int status)
{
	struct cli_facts of_master = { NULL, 0 }, of_companion = { NULL, 0 };
	struct hb_error err;

	if (read_facts(&of_master, master, &err) != 0 ||
	    (status == CLI_DONE && read_facts(&of_companion, companion, &err) != 0)) {
		status = cli_fail(cli, &err);
	} else {
		print_lines(&of_master, &of_companion);
	}
	cli_facts_free(&of_master);
	cli_facts_free(&of_companion);
	return status;
}

int
cmd_status(struct cli *cli)
{
	struct hb_buf master = HB_BUF_INIT, companion = HB_BUF_INIT;
	struct hb_error err;
	int status = CLI_DONE;

	if (cli_call_empty(cli, HB_OP_MASTER_STATUS, &master, &err) != 0) {
		status = cli_fail(cli, &err);
		goto out;
	}
	if (cli_call_empty(cli, HB_OP_STATUS, &companion, &err) != 0)
		status = cli_fail(cli, &err);
	if (cli->form == CLI_JSON || cli->form == CLI_TERM)
		status = print_whole(cli, &master, &companion, status);
	else
		status = print_text(cli, &master, &companion, status);
out:
	hb_buf_free(&master);
	hb_buf_free(&companion);
	return status;
}
