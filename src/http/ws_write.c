/* The bytes of frames that a server sends (RFC 6455 5.2, 5.5.1). */
#include "http/ws.h"

#include <string.h>

#define REASON_MAX 123

size_t
hb_ws_frame_header(unsigned char out[HB_WS_HEADER_MAX], enum hb_ws_opcode opcode, uint64_t len, bool compressed)
{
	out[0] = (unsigned char)(0x80 | (compressed ? 0x40 : 0) | opcode);
	if (len < 126) {
		out[1] = (unsigned char)len;
		return 2;
	}
	if (len <= UINT16_MAX) {
		out[1] = 126;
		hb_put_u16(out + 2, (uint16_t)len);
		return 4;
	}
	out[1] = 127;
	hb_put_u64(out + 2, len);
	return 10;
}

int
hb_ws_add_message(struct hb_ws_shared *shared, const struct hb_ws *ws, enum hb_ws_opcode opcode,
    const unsigned char *data, size_t len, struct hb_buf *out)
{
	unsigned char header[HB_WS_HEADER_MAX];
	size_t before = out->len, size;
	int compressed;

	/* The header's length depends on what is behind it. */
	if (hb_buf_reserve(out, sizeof(header)) == NULL)
		return -1;
	out->len += sizeof(header);
	compressed = hb_ws_compress(shared, ws, data, len, out);
	if (compressed == 1) {
		unsigned char *p = out->data + before;
		size_t payload = out->len - before - sizeof(header);

		size = hb_ws_frame_header(header, opcode, payload, true);
		memcpy(p, header, size);
		memmove(p + size, p + sizeof(header), payload);
		out->len = before + size + payload;
		return 0;
	}
	out->len = before;
	if (compressed != 0)
		return -1;
	size = hb_ws_frame_header(header, opcode, len, false);
	hb_buf_add(out, header, size);
	hb_buf_add(out, data, len);
	return out->failed ? -1 : 0;
}

size_t
hb_ws_close_frame(unsigned char out[HB_WS_CLOSE_MAX], unsigned code, const char *reason, size_t len)
{
	if (code == HB_WS_NO_STATUS)
		return hb_ws_frame_header(out, HB_WS_CLOSE_FRAME, 0, false);
	if (len > REASON_MAX)
		len = hb_ws_utf8_cut((const unsigned char *)reason, REASON_MAX);
	hb_ws_frame_header(out, HB_WS_CLOSE_FRAME, 2 + len, false);
	hb_put_u16(out + 2, (uint16_t)code);
	if (len > 0)
		memcpy(out + 4, reason, len);
	return 4 + len;
}
