/* Lists of tuples: see records.h. */
#include "cli/records.h"

#include "cli/print.h"
#include "cli/table.h"
#include "common/str.h"
#include "term/term.h"

static int
not_records(struct hb_error *err)
{
	return hb_error_set(err, HB_ERROR_PROTOCOL, "the companion answered with something that is no list of rows");
}

static int
next_field(struct hb_term_reader *r, struct hb_term_token *t, struct hb_error *err)
{
	if (hb_term_next(r, t, err) < 0)
		return -1;
	return t->type == HB_TERM_BINARY || t->type == HB_TERM_INT ? 0 : not_records(err);
}

static int
open_record(const struct cli_records *records, struct hb_term_reader *r, struct hb_error *err)
{
	uint32_t arity;

	if (hb_term_want_tuple(r, &arity, err) != 0)
		return -1;
	return arity == records->columns ? 0 : not_records(err);
}

static char *
cell(const struct hb_term_token *t)
{
	struct hb_buf text = HB_BUF_INIT;
	char *owned;

	if (t->type == HB_TERM_INT)
		return hb_xasprintf("%lld", (long long)t->i);
	cli_add_name(&text, t->text, t->len);
	owned = hb_xstrndup(text.failed ? "" : (const char *)text.data, text.len);
	hb_buf_free(&text);
	return owned;
}

static int
fill(struct cli_table *table, const struct cli_records *records, struct hb_term_reader *r, uint32_t count,
    struct hb_error *err)
{
	struct hb_term_token t;

	for (uint32_t i = 0; i < count; i++) {
		if (open_record(records, r, err) != 0)
			return -1;
		for (size_t c = 0; c < records->columns; c++) {
			if (next_field(r, &t, err) != 0)
				return -1;
			cli_table_add(table, cell(&t));
		}
		if (hb_term_want_close(r, err) != 0)
			return -1;
	}
	return 0;
}

static int
put_maps(struct hb_buf *out, const struct cli_records *records, struct hb_term_reader *r, uint32_t count,
    struct hb_error *err)
{
	struct hb_term_token t;

	hb_term_put_version(out);
	hb_term_put_list(out, count);
	for (uint32_t i = 0; i < count; i++) {
		if (open_record(records, r, err) != 0)
			return -1;
		hb_term_put_map(out, (uint32_t)records->columns);
		for (size_t c = 0; c < records->columns; c++) {
			if (next_field(r, &t, err) != 0)
				return -1;
			hb_term_put_str(out, records->names[c]);
			if (t.type == HB_TERM_INT)
				hb_term_put_int(out, t.i);
			else
				hb_term_put_binary(out, t.text, t.len);
		}
		if (hb_term_want_close(r, err) != 0)
			return -1;
	}
	if (count > 0)
		hb_term_put_nil(out);
	return 0;
}

int
cli_print_records(struct cli *cli, const struct cli_records *records, const struct hb_buf *reply)
{
	struct cli_table table = CLI_TABLE_INIT(records->columns, records->titles);
	struct hb_buf maps = HB_BUF_INIT;
	struct hb_term_reader r;
	struct hb_error err;
	uint32_t count;
	int status = CLI_DONE;

	if (hb_term_open(&r, reply->data, reply->len, &err) != 0 || hb_term_want_list(&r, &count, &err) != 0)
		return cli_fail(cli, &err);
	if (cli->form == CLI_JSON || cli->form == CLI_TERM) {
		if (put_maps(&maps, records, &r, count, &err) == 0)
			status = cli_print_reply(cli, &maps);
		else
			status = cli_fail(cli, &err);
	} else if (fill(&table, records, &r, count, &err) == 0) {
		cli_table_print(&table);
	} else {
		status = cli_fail(cli, &err);
	}
	hb_buf_free(&maps);
	cli_table_free(&table);
	return status;
}
