/* permessage-deflate (RFC 7692): a message in, a message out, no window kept between them. */
#include "http/ws_shared.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* What is kept of the memory for messages while no message is there. */
#define KEEP ((size_t)64 * 1024)
#define FIRST 512
/* Speed before size; little memory, since each message starts by clearing the table of hashes. */
#define LEVEL 1
#define MEMORY_LEVEL 6
/* A shorter one gains nothing that would be worth the time. */
#define COMPRESS_MIN 64
/* It would hold the loop for longer than any other connection should have to wait. */
#define COMPRESS_MAX ((size_t)4 << 20)

/* What a sync flush ends with, and a message leaves out (RFC 7692 7.2.1). */
static const unsigned char tail[4] = { 0x00, 0x00, 0xff, 0xff };

struct hb_ws_shared *
hb_ws_shared_new(size_t max_message)
{
	struct hb_ws_shared *shared = calloc(1, sizeof(*shared));

	if (shared != NULL)
		shared->max_message = max_message;
	return shared;
}

void
hb_ws_shared_free(struct hb_ws_shared *shared)
{
	if (shared == NULL)
		return;
	if (shared->inflate != NULL)
		inflateEnd(shared->inflate);
	free(shared->inflate);
	for (size_t i = 0; i < sizeof(shared->deflate) / sizeof(shared->deflate[0]); i++) {
		if (shared->deflate[i] != NULL)
			deflateEnd(shared->deflate[i]);
		free(shared->deflate[i]);
	}
	hb_buf_free(&shared->message);
	free(shared);
}

void
hb_ws_forget(struct hb_ws_shared *shared)
{
	if (shared->message.cap > KEEP)
		hb_buf_free(&shared->message);
	else
		hb_buf_clear(&shared->message);
}

bool
hb_ws_room(struct hb_buf *b, size_t n, size_t most)
{
	size_t need = b->len + n, cap = b->cap * 2;
	unsigned char *p;

	if (need <= b->cap && b->data != NULL)
		return true;
	if (cap < FIRST)
		cap = FIRST;
	if (cap > most)
		cap = most;
	if (cap < need)
		cap = need;
	p = realloc(b->data, cap > 0 ? cap : 1);
	if (p == NULL)
		return false;
	b->data = p;
	b->cap = cap;
	return true;
}

size_t
hb_ws_compressed_max(const struct hb_ws_shared *shared)
{
	/* Huffman's fixed codes make nine bits of eight; each flush adds five bytes. */
	size_t more = shared->max_message / 8 + 1024;

	return shared->max_message < SIZE_MAX - more ? shared->max_message + more : SIZE_MAX;
}

static bool
inflate_ready(struct hb_ws_shared *shared)
{
	if (shared->inflate != NULL)
		return inflateReset(shared->inflate) == Z_OK;
	shared->inflate = calloc(1, sizeof(z_stream));
	if (shared->inflate == NULL)
		return false;
	if (inflateInit2(shared->inflate, -MAX_WBITS) != Z_OK) {
		free(shared->inflate);
		shared->inflate = NULL;
		return false;
	}
	return true;
}

/* zlib counts in unsigned int. */
static unsigned
chunk(size_t n)
{
	return n < (1u << 30) ? (unsigned)n : 1u << 30;
}

/*
 * Inflates len bytes behind those before them.  The limit is looked at with one byte to spare,
 * so that a message of just max_message bytes is told from a longer one.
 */
static enum hb_ws_inflated
inflate_part(struct hb_ws_shared *shared, const unsigned char *p, size_t len)
{
	struct hb_buf *out = &shared->message;
	size_t most = shared->max_message < SIZE_MAX ? shared->max_message + 1 : SIZE_MAX;
	z_stream *z = shared->inflate;

	z->next_in = (unsigned char *)p;
	do {
		size_t room;
		unsigned in = chunk(len);
		int rc;

		if (out->len == out->cap && !hb_ws_room(out, 1, most))
			return HB_WS_NO_MEMORY;
		room = out->cap < most ? out->cap - out->len : most - out->len;
		z->avail_in = in;
		z->next_out = out->data + out->len;
		z->avail_out = chunk(room);
		rc = inflate(z, Z_SYNC_FLUSH);
		len -= in - z->avail_in;
		out->len = (size_t)(z->next_out - out->data);
		if (out->len > shared->max_message)
			return HB_WS_INFLATED_TOO_BIG;
		if (rc == Z_MEM_ERROR)
			return HB_WS_NO_MEMORY;
		/* A block may say that it is the last one, and others follow (RFC 7692 7.2.3.4). */
		if (rc == Z_STREAM_END)
			inflateReset(z);
		else if (rc != Z_OK && rc != Z_BUF_ERROR)
			return HB_WS_NOT_DEFLATE;
	} while (len > 0 || z->avail_out == 0);
	return HB_WS_INFLATED;
}

enum hb_ws_inflated
hb_ws_inflate(struct hb_ws_shared *shared, const unsigned char *p, size_t len)
{
	enum hb_ws_inflated result;

	hb_ws_forget(shared);
	if (!inflate_ready(shared))
		return HB_WS_NO_MEMORY;
	/* Some clients send an empty message without the one byte that it should have. */
	if (len == 0)
		return HB_WS_INFLATED;
	result = inflate_part(shared, p, len);
	if (result == HB_WS_INFLATED)
		result = inflate_part(shared, tail, sizeof(tail));
	/* 128: at the end of a block. */
	if (result == HB_WS_INFLATED && (shared->inflate->data_type & 128) == 0)
		return HB_WS_NOT_DEFLATE;
	return result;
}

static z_stream *
deflate_ready(struct hb_ws_shared *shared, unsigned bits)
{
	z_stream *z = shared->deflate[bits];

	if (z != NULL)
		return deflateReset(z) == Z_OK ? z : NULL;
	z = calloc(1, sizeof(*z));
	if (z == NULL)
		return NULL;
	if (deflateInit2(z, LEVEL, Z_DEFLATED, -(int)bits, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(z);
		return NULL;
	}
	shared->deflate[bits] = z;
	return z;
}

int
hb_ws_compress(struct hb_ws_shared *shared, const struct hb_ws *ws, const unsigned char *data, size_t len,
    struct hb_buf *out)
{
	size_t before = out->len, left = len;
	z_stream *z;

	if (ws->deflate_bits == 0 || len < COMPRESS_MIN || len > COMPRESS_MAX)
		return 0;
	z = deflate_ready(shared, ws->deflate_bits);
	/* Where it takes as much room as the message it has not been worth it. */
	if (z == NULL || !hb_ws_room(out, len, SIZE_MAX))
		return -1;
	z->next_in = (unsigned char *)data;
	z->next_out = out->data + before;
	for (;;) {
		size_t room = len - (size_t)(z->next_out - out->data - before);
		unsigned in = chunk(left);
		int flush = in == left ? Z_SYNC_FLUSH : Z_NO_FLUSH;

		z->avail_in = in;
		z->avail_out = chunk(room);
		if (deflate(z, flush) == Z_STREAM_ERROR)
			return -1;
		left -= in - z->avail_in;
		if (left == 0 && z->avail_out > 0)
			break;
		if ((size_t)(z->next_out - out->data) - before == len)
			return 0;
	}
	out->len = (size_t)(z->next_out - out->data) - sizeof(tail);
	return 1;
}
