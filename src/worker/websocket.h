/*
 * A connection that is, or wants to be, a WebSocket (RFC 6455): between its
 * bytes and the application's messages.  What has come is kept here until
 * the application takes it, up to a bound beyond which nothing is read; pings
 * are answered and the closing handshake is made without the application.
 */
#ifndef HB_WORKER_WEBSOCKET_H
#define HB_WORKER_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>

#include "py/server.h"

struct hb_conn;
struct hb_worker;
struct hb_websocket;

/* What the worker's WebSockets share; made with the first one. */
struct hb_websockets;
void hb_websockets_free(struct hb_websockets *all);

/*
 * Looks at the head of a request for an ASGI application.  1: it is a valid
 * handshake, and c->websocket is set; 0: it is none; -1: it was refused.
 */
int hb_websocket_begin(struct hb_conn *c);
void hb_websocket_free(struct hb_websocket *ws);

/* The operations of py/server.h. */
int hb_websocket_accept(struct hb_conn *c, struct hb_py_text subprotocol, const struct hb_py_field *fields,
    size_t count, struct hb_error *err);
void hb_websocket_receive(struct hb_conn *c, struct hb_py_message *m);
int hb_websocket_send(struct hb_conn *c, const void *p, size_t n, bool text);
/* Sends a close frame where none was sent. */
void hb_websocket_close(struct hb_conn *c, unsigned code, struct hb_py_text reason);

bool hb_websocket_accepted(const struct hb_conn *c);
/* The socket is readable. */
void hb_websocket_readable(struct hb_conn *c);
/* All that was to be sent is sent. */
void hb_websocket_sent(struct hb_conn *c);
/* Nothing has come for websocket.idle. */
void hb_websocket_silent(struct hb_conn *c);
/* The application has ended and all is sent: whether the peer's close frame is still to come. */
bool hb_websocket_waits(struct hb_conn *c);
/* What comes meanwhile. */
void hb_websocket_read_on(struct hb_conn *c, unsigned char *data, size_t n);
/* Ends it from the server's side; the application is told. */
void hb_websocket_end(struct hb_conn *c, unsigned code);

#endif
