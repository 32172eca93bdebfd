/* Calls to the companion and to the master, and their replies. */
#ifndef HB_CLI_CALL_H
#define HB_CLI_CALL_H

#include "cli/cli.h"
#include "common/buf.h"
#include "link/proto.h"
#include "term/term.h"

/* The path of the control socket; NULL with err where it cannot be one. */
const char *cli_socket(struct cli *cli, struct hb_error *err);
/* A connection to the companion that was lost, or not made, is HB_ERROR_DOWN where the master answers. */
void cli_explain(struct cli *cli, struct hb_error *err);
/* Starts a request: room for the frame's header and the version byte of the term. */
void cli_begin(struct hb_buf *request);
enum {
	CLI_KEY_MAX = 1024, /* bytes; of a topic too */
	CLI_NAME_MAX = 255  /* of a function, a node or a module */
};

/* Appends a name as a binary; -1 with err where it cannot be one.  what is for messages: "a topic". */
int cli_put_name(struct hb_buf *request, const char *what, const char *name, size_t max,
    struct hb_error *err) HB_WARN_UNUSED;
/* The same for a key. */
int cli_put_key(struct hb_buf *request, const char *key, struct hb_error *err) HB_WARN_UNUSED;
/*
 * Sends to whoever answers the operation, within the command's time, and
 * gives the request's memory back.  A lost companion is HB_ERROR_DOWN.
 */
int cli_call(struct cli *cli, enum hb_link_op op, struct hb_buf *request, struct hb_buf *reply,
    struct hb_error *err) HB_WARN_UNUSED;
/* The same for a request that is an empty list. */
int cli_call_empty(struct cli *cli, enum hb_link_op op, struct hb_buf *reply, struct hb_error *err) HB_WARN_UNUSED;
/* The same for a request that is one key. */
int cli_call_key(struct cli *cli, enum hb_link_op op, const char *key, struct hb_buf *reply,
    struct hb_error *err) HB_WARN_UNUSED;
/* The same for a request that is a list of the command's arguments as keys. */
int cli_call_keys(struct cli *cli, enum hb_link_op op, struct hb_buf *reply, struct hb_error *err) HB_WARN_UNUSED;
/* Reads a reply that is true or false. */
int cli_reply_bool(const struct hb_buf *reply, bool *yes, struct hb_error *err) HB_WARN_UNUSED;

/*
 * A stored value at the reader: 1 with *p and *len at its term in the
 * external format (131 in front; in the reply or in scratch), 0 for none, -1.
 */
int cli_next_stored(struct hb_term_reader *r, struct hb_buf *scratch, const unsigned char **p, size_t *len,
    struct hb_error *err) HB_WARN_UNUSED;

#endif
