/*
 * Any bytes as what a peer sends on a link: the calls in flight end in the
 * same way however the bytes are cut.
 */
#include "fuzz_frame.h"

#include <stdlib.h>
#include <string.h>

#include "link/conn.h"

enum { CALLS = 3 };

struct outcome {
	int broken; /* the protocol was */
	struct hb_call calls[CALLS];
	struct hb_buf replies[CALLS];
	struct hb_error errors[CALLS];
};

static void
run(struct outcome *o, const uint8_t *data, size_t len, size_t step)
{
	struct hb_conn *conn = hb_conn_new(-1);
	struct hb_error err;

	memset(o, 0, sizeof *o);
	if (conn == NULL)
		abort();
	for (uint32_t i = 0; i < CALLS; i++) {
		o->calls[i] = (struct hb_call){
		    .id = i + 1, .op = HB_OP_GET, .sent = true, .reply = &o->replies[i], .err = &o->errors[i]};
		hb_conn_add(conn, &o->calls[i]);
	}
	for (size_t at = 0, n; at < len && !o->broken; at += n) {
		n = sizeof conn->in - conn->have;
		if (n > step)
			n = step;
		if (n > len - at)
			n = len - at;
		memcpy(conn->in + conn->have, data + at, n);
		o->broken = hb_conn_absorb(conn, n, &err);
	}
	for (size_t i = 0; i < CALLS; i++)
		if (!o->calls[i].done)
			hb_conn_remove(conn, &o->calls[i]);
	if (conn->calls != NULL)
		abort();
	hb_conn_free(conn);
}

/* Calls that had not ended may differ: how much of their replies came depends on where the input broke. */
static int
same(const struct outcome *a, const struct outcome *b)
{
	if (a->broken != b->broken)
		return 0;
	for (size_t i = 0; i < CALLS; i++) {
		const struct hb_call *x = &a->calls[i], *y = &b->calls[i];

		if (x->done != y->done || x->result != y->result || (x->done && x->reply->len != y->reply->len))
			return 0;
		if (x->done && x->reply->len > 0 && memcmp(x->reply->data, y->reply->data, x->reply->len) != 0)
			return 0;
		if (x->result == -1 && (x->err->kind != y->err->kind || strcmp(x->err->text, y->err->text) != 0))
			return 0;
	}
	return 1;
}

static void
clear(struct outcome *o)
{
	for (size_t i = 0; i < CALLS; i++)
		hb_buf_free(&o->replies[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const size_t steps[] = {1, 3, 16, 17, 1000};
	struct outcome whole, cut;

	run(&whole, data, len, SIZE_MAX);
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		run(&cut, data, len, steps[i]);
		if (!same(&whole, &cut))
			abort();
		clear(&cut);
	}
	clear(&whole);
	return 0;
}
