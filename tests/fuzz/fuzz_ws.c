/*
 * Any bytes through the WebSocket codec: the promises of its header hold (ws_run.c), the outcome is the
 * same however the bytes are cut, and a message that is written is read again.
 */
#include "fuzz_ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/ws_extensions.h"
#include "ws_run.h"

static void
need(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "fuzz_ws: %s\n", what);
		abort();
	}
}

static void
split(const uint8_t *data, size_t len, unsigned bits, size_t max_message)
{
	static const size_t steps[] = { 1, 2, 3, 7, 64 };
	struct ws_run whole, cut;

	ws_run(&whole, data, len, (struct ws_cut){ 0 }, bits, max_message);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		ws_run(&cut, data, len, (struct ws_cut){ .step = steps[i] }, bits, max_message);
		need(ws_events_equal(&whole.events, &cut.events), "another outcome in pieces");
		need(whole.cause == cut.cause && whole.rule == cut.rule, "another cause in pieces");
		ws_run_free(&cut);
	}
	ws_run_free(&whole);
}

/* A server's frame as a client would have sent it: the mask is put in. */
static void
mask(struct hb_buf *frame, size_t payload)
{
	static const unsigned char key[4] = { 0x12, 0x34, 0x56, 0x78 };
	size_t header = frame->len - payload;

	hb_buf_reserve(frame, sizeof(key));
	memmove(frame->data + header + sizeof(key), frame->data + header, payload);
	memcpy(frame->data + header, key, sizeof(key));
	frame->len += sizeof(key);
	frame->data[1] |= 0x80;
	for (size_t i = 0; i < payload; i++)
		frame->data[header + sizeof(key) + i] ^= key[i % sizeof(key)];
}

/* The payload of the server's frame, by its header. */
static size_t
payload_of(const struct hb_buf *frame)
{
	unsigned n = frame->data[1];

	return frame->len - (n == 127 ? 10 : n == 126 ? 4 : 2);
}

static void
round_trip(const uint8_t *data, size_t len, unsigned bits)
{
	struct hb_ws_shared *shared = hb_ws_shared_new(len);
	struct hb_ws_event event;
	struct hb_buf frame = HB_BUF_INIT;
	struct hb_ws ws;
	size_t used;

	hb_ws_init(&ws, bits);
	need(hb_ws_add_message(shared, &ws, HB_WS_BINARY, data, len, &frame) == 0, "no memory");
	mask(&frame, payload_of(&frame));
	need(hb_ws_parse(&ws, shared, frame.data, frame.len, &used, &event) == HB_WS_MESSAGE, "frame not accepted");
	need(used == frame.len && event.len == len && !event.text, "another length or kind");
	need(len == 0 || memcmp(event.data, data, len) == 0, "another message");
	hb_buf_free(&frame);
	hb_ws_free(&ws);
	hb_ws_shared_free(shared);
}

static void
extensions(const uint8_t *data, size_t len)
{
	struct hb_ws_deflate deflate = { 0 };
	int rc = hb_ws_extensions(data, len, &deflate);

	need(rc == 0 || rc == -1, "neither 0 nor -1");
	need(!deflate.agreed || (deflate.bits >= 9 && deflate.bits <= 15), "a window that there is not");
	need(deflate.bits_asked || !deflate.agreed || deflate.bits == 15, "a window that nobody asked for");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned bits;

	if (len == 0)
		return 0;
	if (data[0] % FUZZ_WS_MODES == FUZZ_WS_EXTENSIONS) {
		extensions(data + 1, len - 1);
		return 0;
	}
	bits = data[0] % FUZZ_WS_MODES == FUZZ_WS_DEFLATE ? 15 : 0;
	split(data + 1, len - 1, bits, 65536);
	split(data + 1, len - 1, bits, 16);
	round_trip(data + 1, len - 1, bits);
	return 0;
}
