/*
 * Where a connection's input lies: a buffer while there is any, of the usual size
 * from the worker's spare ones.  What is behind it points into it: hb_conn_point().
 */
#include <stdlib.h>
#include <string.h>

#include "worker/hooks.h"
#include "worker/state.h"

enum {
	BUFFER_USUAL = 8192, /* most heads fit */
	BUFFERS_SPARE = 128
};

/* An idle connection holds no buffer. */
void
hb_conn_release_input(struct hb_conn *c)
{
	struct hb_worker *w = c->worker;

	if (c->in == NULL || c->len > 0)
		return;
	if (c->cap == BUFFER_USUAL && w->spare_count < BUFFERS_SPARE) {
		memcpy(c->in, &w->spare_buffers, sizeof w->spare_buffers);
		w->spare_buffers = c->in;
		w->spare_count++;
	} else
		free(c->in);
	c->in = NULL;
	c->cap = 0;
}

static unsigned char *
take_buffer(struct hb_worker *w)
{
	unsigned char *p = w->spare_buffers;

	if (p == NULL)
		return malloc(BUFFER_USUAL);
	memcpy(&w->spare_buffers, p, sizeof w->spare_buffers);
	w->spare_count--;
	return p;
}

void
hb_conn_point(struct hb_conn *c)
{
	struct hb_py_request *r = &c->request;

	r->data = c->hook != NULL && c->hook->changed ? c->hook->head.bytes.data : c->in + c->start;
	r->path = c->path != NULL ? c->path : r->data + c->parser.request.path.off;
}

int
hb_conn_make_room(struct hb_conn *c, size_t least)
{
	unsigned char *p;
	size_t cap;

	if (c->in == NULL) {
		c->in = take_buffer(c->worker);
		if (c->in == NULL)
			return -1;
		c->cap = BUFFER_USUAL;
	}
	if (c->cap - c->len >= least)
		return 0;
	if (c->start > 0) {
		memmove(c->in, c->in + c->start, c->len - c->start);
		c->pos -= c->start;
		c->len -= c->start;
		c->body_at -= c->body_at > 0 ? c->start : 0;
		c->start = 0;
		hb_conn_point(c);
	}
	for (cap = c->cap; cap - c->len < least;)
		cap *= 2;
	if (cap == c->cap)
		return 0;
	p = realloc(c->in, cap);
	if (p == NULL)
		return -1;
	c->in = p;
	c->cap = cap;
	hb_conn_point(c);
	return 0;
}

void
hb_conn_compact(struct hb_conn *c)
{
	if (c->pos == c->body_at)
		return;
	memmove(c->in + c->body_at, c->in + c->pos, c->len - c->pos);
	c->len -= c->pos - c->body_at;
	c->pos = c->body_at;
}

void
hb_conn_keep_head_only(struct hb_conn *c)
{
	size_t n = c->body_at - c->start;
	unsigned char *head = malloc(n);

	if (head == NULL)
		return;
	memcpy(head, c->in + c->start, n);
	c->pos = c->len = c->start = 0;
	hb_conn_release_input(c);
	c->in = head;
	c->cap = c->len = c->pos = c->body_at = n;
	hb_conn_point(c);
}
