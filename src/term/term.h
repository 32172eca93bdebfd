/*
 * Erlang's external term format: an encoder that appends to a buffer, and a
 * bounded, iterative reader that gives one token after the other.
 * https://www.erlang.org/doc/apps/erts/erl_ext_dist
 */
#ifndef HB_TERM_TERM_H
#define HB_TERM_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

enum {
	HB_TERM_DEPTH_MAX = 512,              /* nested containers, for encoders and decoders alike */
	HB_TERM_COUNT_MAX = 16 * 1024 * 1024, /* terms within one term */
	HB_TERM_ATOM_MAX = 255                /* characters of an atom */
};

/* Encoder.  hb_term_put_version comes first in a term of its own. */
void hb_term_put_version(struct hb_buf *b);
void hb_term_put_atom(struct hb_buf *b, const char *name); /* UTF-8 of at most 255 characters */
void hb_term_put_atom_n(struct hb_buf *b, const char *name, size_t len);
void hb_term_put_bool(struct hb_buf *b, bool v);
void hb_term_put_int(struct hb_buf *b, int64_t v);
void hb_term_put_uint(struct hb_buf *b, uint64_t v);
/* A big integer: magnitude in little-endian bytes; leading zeros are cut. */
void hb_term_put_big(struct hb_buf *b, bool negative, const unsigned char *magnitude, size_t len);
void hb_term_put_float(struct hb_buf *b, double v); /* finite: asserted */
void hb_term_put_binary(struct hb_buf *b, const void *p, size_t len);
void hb_term_put_str(struct hb_buf *b, const char *s); /* a binary */
/* A binary with tag 77 (BIT_BINARY_EXT), as Python's bytes are sent. */
void hb_term_put_bytes(struct hb_buf *b, const void *p, size_t len);
void hb_term_put_tuple(struct hb_buf *b, uint32_t arity);  /* then the elements */
void hb_term_put_list(struct hb_buf *b, uint32_t len);     /* then len elements, then a tail: */
void hb_term_put_nil(struct hb_buf *b);                    /* NIL; put_list(0) needs none and writes NIL */
void hb_term_put_map(struct hb_buf *b, uint32_t pairs);    /* then key, value, key, value */
/*
 * A stored value of a term without version byte: an integer as itself, for
 * the companion to count with, anything else as a binary that holds the whole term.
 */
void hb_term_put_stored(struct hb_buf *b, const void *term, size_t len);
/* A binary whose last byte has only its first bits (1 to 7) in use. */
void hb_term_put_bits(struct hb_buf *b, const void *p, size_t len, unsigned bits);

/* Reader. */
enum hb_term_type {
	HB_TERM_END,    /* the term is complete */
	HB_TERM_ATOM,   /* text, len: UTF-8 (Latin-1 atoms are converted) */
	HB_TERM_INT,    /* i */
	HB_TERM_BIG,    /* negative; text, len: little-endian magnitude beyond int64 */
	HB_TERM_FLOAT,  /* f */
	HB_TERM_BINARY, /* text, len */
	HB_TERM_BYTES,  /* text, len: came with tag 77 and whole bytes, or 0 bits */
	HB_TERM_BITS,   /* text, len, bits: of the last byte, 1 to 7 */
	HB_TERM_TUPLE,  /* count; the elements follow, then HB_TERM_CLOSE */
	/* count (0 for NIL); the elements follow, then HB_TERM_CLOSE, or HB_TERM_TAIL, the tail and HB_TERM_CLOSE */
	HB_TERM_LIST,
	HB_TERM_MAP,    /* count pairs; key, value, ... then HB_TERM_CLOSE */
	HB_TERM_STRING, /* text, len: a list of small integers (STRING_EXT); nothing follows */
	HB_TERM_TAIL,   /* the tail of an improper list follows */
	HB_TERM_CLOSE,  /* ends the innermost tuple, list or map */
	HB_TERM_PID,    /* text, len: the raw encoding, tag included, as of the next three */
	HB_TERM_PORT,
	HB_TERM_REF,
	HB_TERM_FUN     /* funs and exports */
};

struct hb_term_token {
	enum hb_term_type type;
	const unsigned char *text; /* into the input, or into the reader for converted atoms */
	size_t len;
	int64_t i;
	double f;
	bool negative;
	unsigned bits;
	uint32_t count;
};

struct hb_term_frame {
	uint32_t left;
	uint8_t kind;
};

struct hb_term_reader {
	const unsigned char *p, *end, *start;
	unsigned depth;
	uint64_t pending; /* terms that open containers promise; each takes a byte at least */
	uint64_t budget;  /* terms that may still come */
	bool done;
	char atom[512];
	struct hb_term_frame stack[HB_TERM_DEPTH_MAX];
};

/* Starts on a term with its version byte 131.  Compressed terms are refused. */
int hb_term_open(struct hb_term_reader *r, const void *p, size_t len, struct hb_error *err) HB_WARN_UNUSED;
/* The next token: 1, or 0 with HB_TERM_END (nothing may follow), or -1 with err. */
int hb_term_next(struct hb_term_reader *r, struct hb_term_token *token, struct hb_error *err) HB_WARN_UNUSED;

/* Conveniences over the reader for terms of a known shape: -1 with err when it is another. */
int hb_term_want_tuple(struct hb_term_reader *r, uint32_t *arity, struct hb_error *err) HB_WARN_UNUSED;
int hb_term_want_map(struct hb_term_reader *r, uint32_t *pairs, struct hb_error *err) HB_WARN_UNUSED;
int hb_term_want_list(struct hb_term_reader *r, uint32_t *len, struct hb_error *err) HB_WARN_UNUSED;
int hb_term_want_int(struct hb_term_reader *r, int64_t *v, struct hb_error *err) HB_WARN_UNUSED;
int hb_term_want_binary(struct hb_term_reader *r, const unsigned char **p, size_t *len,
    struct hb_error *err) HB_WARN_UNUSED;
/* An atom, copied into name (size bytes with its NUL). */
int hb_term_want_atom(struct hb_term_reader *r, char *name, size_t size, struct hb_error *err) HB_WARN_UNUSED;
int hb_term_want_close(struct hb_term_reader *r, struct hb_error *err) HB_WARN_UNUSED;
int hb_term_skip(struct hb_term_reader *r, struct hb_error *err) HB_WARN_UNUSED; /* one whole element */

#endif
