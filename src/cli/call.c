/* Calls to the companion and to the master: see call.h. */
#include "cli/call.h"

#include <string.h>

#include "common/clock.h"
#include "common/str.h"
#include "link/client.h"
#include "link/locate.h"

void
cli_begin(struct hb_buf *request)
{
	hb_link_begin(request);
	hb_term_put_version(request);
}

int
cli_put_name(struct hb_buf *request, const char *what, const char *name, size_t max, struct hb_error *err)
{
	size_t len = strlen(name);

	if (len == 0)
		return hb_error_set(err, HB_ERROR_USAGE, "%s cannot be empty", what);
	if (len > max)
		return hb_error_set(err, HB_ERROR_USAGE, "%s has at most %zu bytes, this one has %zu", what, max, len);
	if (!hb_str_is_utf8(name, len))
		return hb_error_set(err, HB_ERROR_USAGE, "%s must be UTF-8 text", what);
	hb_term_put_binary(request, name, len);
	return 0;
}

int
cli_put_key(struct hb_buf *request, const char *key, struct hb_error *err)
{
	return cli_put_name(request, "a key", key, CLI_KEY_MAX, err);
}

const char *
cli_socket(struct cli *cli, struct hb_error *err)
{
	if (cli->socket == NULL && hb_link_locate(cli->located, sizeof cli->located, err) == 0)
		cli->socket = cli->located;
	return cli->socket;
}

/* The client for an operation, made when it is first needed. */
static struct hb_link *
link_for(struct cli *cli, enum hb_link_op op, struct hb_error *err)
{
	struct hb_link **link = op >= HB_OP_LINK ? &cli->master : &cli->companion;
	struct hb_link_options options = {
		.via = op >= HB_OP_LINK ? HB_LINK_TO_MASTER : HB_LINK_CONTROL,
		.path = cli_socket(cli, err),
		.role = "cli",
		.name = "hornbeam",
	};

	if (*link == NULL && options.path != NULL)
		*link = hb_link_new(&options);
	return *link;
}

static bool
master_answers(struct cli *cli)
{
	struct hb_buf reply = HB_BUF_INIT;
	struct hb_error err;
	bool answers = cli_call_empty(cli, HB_OP_MASTER_PING, &reply, &err) == 0;

	hb_buf_free(&reply);
	return answers;
}

void
cli_explain(struct cli *cli, struct hb_error *err)
{
	if (err->kind == HB_ERROR_CONNECT && !cli_is_far(err) && master_answers(cli))
		err->kind = HB_ERROR_DOWN;
}

int
cli_call(struct cli *cli, enum hb_link_op op, struct hb_buf *request, struct hb_buf *reply, struct hb_error *err)
{
	struct hb_link *link = link_for(cli, op, err);
	int rc = -1;

	if (cli->deadline == 0)
		cli->deadline = hb_clock_ms() + cli->timeout_ms;
	if (link != NULL)
		rc = hb_link_call(link, op, request, cli->deadline, reply, err);
	hb_buf_free(request);
	if (rc != 0 && op < HB_OP_LINK)
		cli_explain(cli, err);
	return rc;
}

int
cli_call_empty(struct cli *cli, enum hb_link_op op, struct hb_buf *reply, struct hb_error *err)
{
	struct hb_buf request = HB_BUF_INIT;

	cli_begin(&request);
	hb_term_put_list(&request, 0);
	return cli_call(cli, op, &request, reply, err);
}

int
cli_call_key(struct cli *cli, enum hb_link_op op, const char *key, struct hb_buf *reply, struct hb_error *err)
{
	struct hb_buf request = HB_BUF_INIT;

	cli_begin(&request);
	if (cli_put_key(&request, key, err) == 0)
		return cli_call(cli, op, &request, reply, err);
	hb_buf_free(&request);
	return -1;
}

int
cli_call_keys(struct cli *cli, enum hb_link_op op, struct hb_buf *reply, struct hb_error *err)
{
	struct hb_buf request = HB_BUF_INIT;

	cli_begin(&request);
	hb_term_put_list(&request, (uint32_t)cli->nargs);
	for (size_t i = 0; i < cli->nargs; i++) {
		if (cli_put_key(&request, cli->args[i], err) != 0) {
			hb_buf_free(&request);
			return -1;
		}
	}
	if (cli->nargs > 0)
		hb_term_put_nil(&request);
	return cli_call(cli, op, &request, reply, err);
}

int
cli_reply_bool(const struct hb_buf *reply, bool *yes, struct hb_error *err)
{
	struct hb_term_reader r;
	char name[8];

	if (hb_term_open(&r, reply->data, reply->len, err) != 0 ||
	    hb_term_want_atom(&r, name, sizeof name, err) != 0)
		return -1;
	*yes = strcmp(name, "true") == 0;
	return 0;
}

int
cli_next_stored(struct hb_term_reader *r, struct hb_buf *scratch, const unsigned char **p, size_t *len,
    struct hb_error *err)
{
	struct hb_term_token t;

	if (hb_term_next(r, &t, err) < 0)
		return -1;
	switch (t.type) {
	case HB_TERM_ATOM:
		return 0;
	case HB_TERM_BINARY:
		*p = t.text;
		*len = t.len;
		return 1;
	case HB_TERM_INT:
	case HB_TERM_BIG:
		hb_buf_clear(scratch);
		hb_term_put_version(scratch);
		if (t.type == HB_TERM_INT)
			hb_term_put_int(scratch, t.i);
		else
			hb_term_put_big(scratch, t.negative, t.text, t.len);
		*p = scratch->data;
		*len = scratch->len;
		return 1;
	default:
		return hb_error_set(err, HB_ERROR_PROTOCOL, "the companion answered with something that is no value");
	}
}
