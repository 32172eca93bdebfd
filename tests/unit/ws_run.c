/* Runs the WebSocket parser over bytes and checks what its header promises on the way. */
#include "ws_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"

#define PROMISE(what) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "ws_run: broken promise: %s\n", #what); \
			abort(); \
		} \
	} while (0)

void
ws_event_add(struct hb_buf *events, enum hb_ws_event_kind kind, const struct hb_ws_event *event)
{
	hb_buf_add_u8(events, (uint8_t)kind);
	hb_buf_add_u8(events, event->text);
	hb_buf_add_u16(events, event->code);
	hb_buf_add_u32(events, (uint32_t)event->len);
	hb_buf_add(events, event->data, event->len);
}

static void
check_event(enum hb_ws_event_kind kind, const struct hb_ws_event *event, const unsigned char *block, size_t len,
    size_t max_message)
{
	bool inside = event->data >= block && event->data <= block + len;

	PROMISE(event->len == 0 || event->gathered != inside);
	PROMISE(kind != HB_WS_MESSAGE || event->len <= max_message);
	PROMISE(kind != HB_WS_MESSAGE || event->data != NULL);
	PROMISE(kind == HB_WS_MESSAGE || !event->gathered);
	PROMISE((kind != HB_WS_PING && kind != HB_WS_PONG) || event->len <= 125);
	PROMISE(kind != HB_WS_CLOSE || event->code == HB_WS_NO_STATUS || hb_ws_code_ok(event->code));
	PROMISE(kind != HB_WS_CLOSE || event->len <= 123);
	PROMISE(kind != HB_WS_ERROR || (hb_ws_code_ok(event->code) && event->cause != NULL && event->rule != NULL));
	if (kind == HB_WS_CLOSE || event->text)
		PROMISE(hb_str_is_utf8(event->data, event->len));
}

/* What a connection keeps follows what has come, whatever was announced. */
static void
check_memory(const struct hb_ws *ws, size_t arrived, size_t max_message)
{
	if (!hb_ws_begun(ws))
		PROMISE(ws->message.data == NULL);
	PROMISE(ws->message.len <= arrived);
	PROMISE(ws->message.cap <= 2 * arrived + 512);
	PROMISE(ws->message.cap <= max_message + max_message / 8 + 1024);
}

static size_t
arrive(struct ws_cut cut, size_t arrived, size_t len)
{
	if (cut.step > 0)
		return len - arrived < cut.step ? len : arrived + cut.step;
	return arrived < cut.first ? cut.first : arrived < cut.second ? cut.second : len;
}

static void
note(struct ws_run *run, enum hb_ws_event_kind kind, const struct hb_ws_event *event)
{
	ws_event_add(&run->events, kind, event);
	run->in_place += kind == HB_WS_MESSAGE && !event->gathered;
	if (kind == HB_WS_ERROR) {
		run->cause = event->cause;
		run->rule = event->rule;
	}
}

void
ws_run(struct ws_run *run, const unsigned char *p, size_t len, struct ws_cut cut, unsigned deflate_bits,
    size_t max_message)
{
	struct hb_ws_shared *shared = hb_ws_shared_new(max_message);
	struct hb_ws ws;
	size_t arrived = 0, consumed = 0;
	bool over = false;

	memset(run, 0, sizeof(*run));
	hb_ws_init(&ws, deflate_bits);
	while (arrived < len) {
		enum hb_ws_event_kind kind;
		size_t at = 0, used, size;
		unsigned char *block;

		arrived = arrive(cut, arrived, len);
		size = arrived - consumed;
		block = malloc(size);
		memcpy(block, p + consumed, size);
		do {
			struct hb_ws_event event;

			kind = hb_ws_parse(&ws, shared, block + at, size - at, &used, &event);
			PROMISE(used <= size - at);
			at += used;
			check_memory(&ws, arrived, max_message);
			if (kind == HB_WS_MORE)
				break;
			PROMISE(!over);
			check_event(kind, &event, block, size, max_message);
			note(run, kind, &event);
			over = kind == HB_WS_CLOSE || kind == HB_WS_ERROR;
		} while (1);
		PROMISE(size - at <= HB_WS_KEPT);
		PROMISE(!over || at == size);
		consumed += at;
		PROMISE(at == size || memcmp(block + at, p + consumed, size - at) == 0);
		free(block);
	}
	hb_ws_free(&ws);
	hb_ws_shared_free(shared);
}

void
ws_run_free(struct ws_run *run)
{
	hb_buf_free(&run->events);
}

bool
ws_events_equal(const struct hb_buf *a, const struct hb_buf *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}
