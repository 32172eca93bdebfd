/* Between websocket.c and handshake.c: what they keep of a connection; not for others. */
#ifndef HB_WORKER_WEBSOCKET_STATE_H
#define HB_WORKER_WEBSOCKET_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "common/buf.h"
#include "http/ws.h"
#include "http/ws_handshake.h"
#include "py/server.h"

struct hb_worker;

struct hb_websocket_message {
	STAILQ_ENTRY(hb_websocket_message) next;
	enum hb_py_message_kind kind;
	unsigned code;
	const unsigned char *p;
	size_t len;
	struct hb_buf taken;   /* what p is in, where it is not bytes */
	unsigned char bytes[];
};

struct hb_websocket {
	struct hb_ws ws;
	struct hb_ws_offer *offer;  /* until accept */
	char *subprotocols;
	STAILQ_HEAD(hb_websocket_messages, hb_websocket_message) inbox;
	size_t inbox_bytes;
	size_t inbox_messages;
	struct hb_websocket_message *current;    /* the application looks at it */
	struct hb_buf rest;         /* read and not looked at yet */
	bool accepted;
	bool close_sent;
	bool closed;                /* CLOSED is in the inbox, or was taken from it */
	bool heard;                 /* the peer has sent its close frame, or what no frame can follow */
	bool over;                  /* the application has ended: messages go nowhere */
	bool shut;                  /* our side of the connection is shut down */
	bool pinged;                /* because of a silence */
};

struct hb_websockets {
	struct hb_ws_shared *codec;
	unsigned char input[65536]; /* of one recv */
};

/* Those of the worker, made now if need be.  NULL: no memory. */
struct hb_websockets *hb_websockets_get(struct hb_worker *w);

#endif
