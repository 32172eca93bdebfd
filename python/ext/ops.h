/*
 * The operations that _hornbeam has as functions: one row each, which the
 * blocking functions and those for asyncio share.
 */
#ifndef HB_PYTHON_OPS_H
#define HB_PYTHON_OPS_H

#include "module.h"

/* What a reply is turned into; arg is the operation's own.  NULL with an exception, or with err set. */
typedef PyObject *hb_reader(struct hb_module *m, struct hb_term_reader *r, PyObject *arg, struct hb_error *err);

/* Milliseconds: of a call that waits for nobody, and of a fetch, which waits for another's computation. */
enum { HB_OPS_SOON = 5000, HB_OPS_FETCH = 60 * 1000 };

/*
 *   name        operation          arguments: fields.h   reader             timeout
 */
#define HB_OPS(OP) \
	OP(get,        HB_OP_GET,        "ko",    hb_read_value,     HB_OPS_SOON) \
	OP(set,        HB_OP_SET,        "kvt",   hb_read_ok,        HB_OPS_SOON) \
	OP(add,        HB_OP_ADD,        "kvt",   hb_read_bool,      HB_OPS_SOON) \
	OP(delete,     HB_OP_DELETE,     "k",     hb_read_bool,      HB_OPS_SOON) \
	OP(incr,       HB_OP_INCR,       "kdt",   hb_read_int,       HB_OPS_SOON) \
	OP(get_multi,  HB_OP_GET_MULTI,  "K",     hb_read_values,    HB_OPS_SOON) \
	OP(set_multi,  HB_OP_SET_MULTI,  "It",    hb_read_ok,        HB_OPS_SOON) \
	OP(keys,       HB_OP_KEYS,       "pl",    hb_read_texts,     HB_OPS_SOON) \
	OP(gets,       HB_OP_GETS,       "k",     hb_read_versioned, HB_OPS_SOON) \
	OP(cas,        HB_OP_CAS,        "kvn",   hb_read_bool,      HB_OPS_SOON) \
	OP(expire,     HB_OP_EXPIRE,     "kt",    hb_read_bool,      HB_OPS_SOON) \
	OP(ttl,        HB_OP_TTL,        "k",     hb_read_ttl,       HB_OPS_SOON) \
	OP(fetch,      HB_OP_FETCH,      "hc",    hb_read_fetched,   HB_OPS_FETCH) \
	OP(fetch_put,  HB_OP_FETCH_PUT,  "kxvt",  hb_read_bool,      HB_OPS_SOON) \
	OP(fetch_drop, HB_OP_FETCH_DROP, "kx",    hb_read_ok,        HB_OPS_SOON) \
	OP(publish,    HB_OP_PUBLISH,    "sb",    hb_read_int,       HB_OPS_SOON) \
	OP(call,       HB_OP_CALL,       "faT",   hb_read_outcome,   HB_OPS_SOON) \
	OP(cast,       HB_OP_CAST,       "fa",    hb_read_ok,        HB_OPS_SOON) \
	OP(rpc_call,   HB_OP_RPC_CALL,   "NmfaT", hb_read_outcome,   HB_OPS_SOON) \
	OP(rpc_cast,   HB_OP_RPC_CAST,   "Nmfa",  hb_read_ok,        HB_OPS_SOON) \
	OP(node,       HB_OP_NODE,       "",      hb_read_text,      HB_OPS_SOON) \
	OP(nodes,      HB_OP_NODES,      "",      hb_read_texts,     HB_OPS_SOON)

struct hb_op {
	const char *name;
	enum hb_link_op op;
	const char *fields;
	hb_reader *read;
	int64_t timeout;
};

#define HB_OPS_NUMBER(name, ...) HB_OPS_##name,
enum hb_op_number { HB_OPS(HB_OPS_NUMBER) HB_OPS_COUNT };

extern const struct hb_op hb_ops[HB_OPS_COUNT];

/* What a call says besides the terms of its request. */
struct hb_asked {
	int64_t timeout; /* milliseconds */
	PyObject *arg;   /* for the reader; borrowed from the arguments */
};

/* Appends the request's term to out, which stands behind its version byte; -1 with an exception. */
int hb_op_ask(struct hb_module *m, const struct hb_op *op, PyObject *const *args, Py_ssize_t n, struct hb_buf *out,
    struct hb_asked *asked);
/* The value of a reply, which starts with its version byte; NULL with an exception. */
PyObject *hb_op_read(struct hb_module *m, const struct hb_op *op, const void *payload, size_t len, PyObject *arg);

#endif
