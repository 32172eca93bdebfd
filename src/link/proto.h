/*
 * The link's frames and operations, as HACKING's section "The link" tells
 * them.  erlang/include/hornbeam_link.hrl holds the same numbers; a test
 * compares the two.
 */
#ifndef HB_LINK_PROTO_H
#define HB_LINK_PROTO_H

/*
 * Frame, network byte order:
 *   u32 length of what follows | u8 version | u8 op | u8 flags | u8 0 |
 *   u32 request id | u32 deadline | payload
 * The deadline is the low 32 bits of CLOCK_MONOTONIC in milliseconds, 0 for
 * none (a deadline that would be 0 is sent as 1); it is compared as a signed
 * difference.
 */
enum {
	HB_LINK_VERSION = 1,
	HB_LINK_HEADER = 16,                /* the length included */
	HB_LINK_FRAME_MAX = 16 * 1024 * 1024, /* the value of the length field, at most */
	HB_LINK_PART_MAX = 1024 * 1024      /* replies above this come in parts */
};

enum hb_link_flag {
	HB_LINK_REPLY = 1, /* answers the request of the same id */
	HB_LINK_MORE = 2,  /* a further part of this reply follows */
	HB_LINK_ERROR = 4  /* the payload is {Class, Text} */
};

enum hb_link_op {
	/* any link */
	HB_OP_HELLO = 1,
	HB_OP_PING = 2,
	HB_OP_STATUS = 3,
	/* state */
	HB_OP_GET = 16,
	HB_OP_SET = 17,
	HB_OP_ADD = 18,
	HB_OP_REPLACE = 19,
	HB_OP_DELETE = 20,
	HB_OP_INCR = 21,
	HB_OP_GET_MULTI = 22,
	HB_OP_SET_MULTI = 23,
	HB_OP_KEYS = 24,
	HB_OP_GETS = 25,
	HB_OP_CAS = 26,
	HB_OP_EXPIRE = 27,
	HB_OP_TTL = 28,
	HB_OP_EXISTS = 29,
	HB_OP_FETCH = 30,
	HB_OP_FETCH_PUT = 31,
	HB_OP_FETCH_DROP = 32,
	/* publish/subscribe; message and gap are pushed */
	HB_OP_PUBLISH = 48,
	HB_OP_SUBSCRIBE = 49,
	HB_OP_TOPICS = 50,
	HB_OP_MESSAGE = 51,
	HB_OP_GAP = 52,
	HB_OP_MISSED = 53,
	/* code in Erlang */
	HB_OP_CALL = 64,
	HB_OP_CAST = 65,
	HB_OP_FUNCTIONS = 66,
	HB_OP_RPC_CALL = 67,
	HB_OP_RPC_CAST = 68,
	HB_OP_NODE = 69,
	HB_OP_NODES = 70,
	HB_OP_CANCEL = 71,
	/* hooks of requests */
	HB_OP_ON_REQUEST = 80,
	HB_OP_ON_RESPONSE = 81,
	HB_OP_ON_ERROR = 82,
	/* code in Python; run and stop are pushed */
	HB_OP_PROVIDE = 96,
	HB_OP_RUN = 97,
	HB_OP_RAN = 98,
	HB_OP_STOP = 99,
	/* the control socket, answered by the master */
	HB_OP_LINK = 128,
	HB_OP_MASTER_STATUS = 129,
	HB_OP_WORKERS = 130,
	HB_OP_MASTER_PING = 131,
	HB_OP_RELOAD = 132,
	HB_OP_MASTER_STOP = 133,
	HB_OP_REOPEN_LOGS = 134
};

#endif
