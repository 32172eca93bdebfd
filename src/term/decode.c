/*
 * Erlang's external term format, the reader: see term.h.  It goes forward
 * only, keeps its place in a stack of its own, and checks every length
 * against the bytes that are left before it uses it.
 */
#include "term/reader.h"

#include "term/tags.h"

enum frame_kind {
	FRAME_PLAIN, /* a tuple, a map, a list after its tail */
	FRAME_LIST   /* its tail comes after the last element */
};

int
hb_term_open(struct hb_term_reader *r, const void *p, size_t len, struct hb_error *err)
{
	r->start = r->p = p;
	r->end = r->start + len;
	r->depth = 0;
	r->pending = 1;
	r->budget = HB_TERM_COUNT_MAX;
	r->done = false;
	if (len == 0)
		return reader_malformed(r, err, "nothing there");
	if (*r->p != TAG_VERSION)
		return reader_malformed(r, err, "no version byte 131");
	r->p++;
	if (reader_left(r) > 0 && *r->p == TAG_COMPRESSED)
		return hb_error_set(err, HB_ERROR_PROTOCOL, "compressed terms are not accepted");
	return 0;
}

/* The number of terms that a container promises, or -1. */
static int64_t
read_count(struct hb_term_reader *r, unsigned tag, struct hb_term_token *t)
{
	const unsigned char *p = reader_take(r, tag == TAG_SMALL_TUPLE ? 1 : 4);

	if (p == NULL)
		return -1;
	t->count = tag == TAG_SMALL_TUPLE ? *p : hb_get_u32(p);
	switch (tag) {
	case TAG_MAP:
		t->type = HB_TERM_MAP;
		return 2 * (int64_t)t->count;
	case TAG_LIST:
		t->type = HB_TERM_LIST;
		return (int64_t)t->count + 1;
	default:
		t->type = HB_TERM_TUPLE;
		return t->count;
	}
}

static bool
is_container(unsigned tag)
{
	return tag == TAG_SMALL_TUPLE || tag == TAG_LARGE_TUPLE || tag == TAG_LIST || tag == TAG_MAP;
}

/* Takes one term off the budget and promises `more` new ones. */
static int
spend(struct hb_term_reader *r, uint64_t more, struct hb_error *err)
{
	r->pending += more;
	if (r->pending > reader_left(r))
		return reader_malformed(r, err, "a container of more elements than there are bytes");
	if (r->pending > r->budget)
		return hb_error_set(err, HB_ERROR_LIMIT, "a term of more than %d parts", HB_TERM_COUNT_MAX);
	return 0;
}

/*
 * A fun is kept raw, so its free variables are only walked over: that needs
 * a count of the terms to come, and no stack.
 */
static int
read_fun(struct hb_term_reader *r, struct hb_term_token *t, struct hb_error *err)
{
	const unsigned char *start = r->p;
	uint64_t outside = r->pending;
	uint32_t size, variables, unused;

	if (reader_fun_head(r, &size, &variables, err) == -1 || spend(r, variables, err) == -1)
		return -1;
	while (r->pending > outside) {
		const unsigned char *tag = reader_take(r, 1);
		int64_t more = 0;

		if (tag == NULL)
			return reader_truncated(r, err);
		r->pending--;
		r->budget--;
		if (is_container(*tag)) {
			more = read_count(r, *tag, t);
			if (more == -1)
				return reader_truncated(r, err);
		} else if (*tag == TAG_NEW_FUN) {
			if (reader_fun_head(r, &unused, &variables, err) == -1)
				return -1;
			more = variables;
		} else if (*tag != TAG_NIL && reader_plain(r, *tag, t, err) == -1) {
			return -1;
		}
		if (spend(r, (uint64_t)more, err) == -1)
			return -1;
	}
	if (size != (size_t)(r->p - start))
		return reader_malformed(r, err, "a fun of a wrong size");
	t->type = HB_TERM_FUN;
	return 1;
}

static int
push(struct hb_term_reader *r, enum frame_kind kind, uint32_t count, struct hb_error *err)
{
	if (r->depth == HB_TERM_DEPTH_MAX)
		return hb_error_set(err, HB_ERROR_LIMIT, "a term nested more than %d deep", HB_TERM_DEPTH_MAX);
	r->stack[r->depth++] = (struct hb_term_frame){count, (uint8_t)kind};
	return 1;
}

static int
open_container(struct hb_term_reader *r, unsigned tag, struct hb_term_token *t, struct hb_error *err)
{
	int64_t more = read_count(r, tag, t);

	if (more == -1)
		return reader_truncated(r, err);
	if (tag == TAG_LIST && t->count == 0)
		return reader_malformed(r, err, "a list of no elements");
	if (spend(r, (uint64_t)more, err) == -1)
		return -1;
	if (tag == TAG_LIST)
		return push(r, FRAME_LIST, t->count, err);
	return push(r, FRAME_PLAIN, (uint32_t)more, err);
}

static int
read_term(struct hb_term_reader *r, struct hb_term_token *t, struct hb_error *err)
{
	const unsigned char *start = r->p;
	const unsigned char *tag = reader_take(r, 1);
	int rc;

	if (tag == NULL)
		return reader_truncated(r, err);
	if (r->budget == 0)
		return hb_error_set(err, HB_ERROR_LIMIT, "a term of more than %d parts", HB_TERM_COUNT_MAX);
	r->pending--;
	r->budget--;
	if (r->depth > 0)
		r->stack[r->depth - 1].left--;
	if (is_container(*tag))
		return open_container(r, *tag, t, err);
	if (*tag == TAG_NIL) {
		t->type = HB_TERM_LIST;
		t->count = 0;
		return push(r, FRAME_PLAIN, 0, err);
	}
	rc = *tag == TAG_NEW_FUN ? read_fun(r, t, err) : reader_plain(r, *tag, t, err);
	if (rc == 1 && t->type >= HB_TERM_PID) {
		t->text = start;
		t->len = (size_t)(r->p - start);
	}
	r->done = r->depth == 0;
	return rc;
}

/* The innermost container has had its last element. */
static int
close_container(struct hb_term_reader *r, struct hb_term_token *t, struct hb_error *err)
{
	struct hb_term_frame *frame = &r->stack[r->depth - 1];

	if (frame->kind == FRAME_LIST) {
		if (reader_left(r) == 0)
			return reader_truncated(r, err);
		frame->kind = FRAME_PLAIN;
		if (*r->p == TAG_LIST || *r->p == TAG_STRING)
			return reader_malformed(r, err, "a list as the tail of a list");
		if (*r->p != TAG_NIL) {
			frame->left = 1;
			t->type = HB_TERM_TAIL;
			return 1;
		}
		r->p++;
		r->pending--;
	}
	r->depth--;
	r->done = r->depth == 0;
	t->type = HB_TERM_CLOSE;
	return 1;
}

int
hb_term_next(struct hb_term_reader *r, struct hb_term_token *t, struct hb_error *err)
{
	if (r->depth > 0 && r->stack[r->depth - 1].left == 0)
		return close_container(r, t, err);
	if (!r->done)
		return read_term(r, t, err);
	if (r->p != r->end)
		return reader_malformed(r, err, "more data after the term,");
	t->type = HB_TERM_END;
	return 0;
}
