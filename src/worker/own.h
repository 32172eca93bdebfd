/*
 * The descriptors that are the server's.  An application that closes one by
 * mistake would have its number go to the next connection, whose bytes would be
 * taken for something else's: the worker that sees this ends, and another starts.
 */
#ifndef HB_WORKER_OWN_H
#define HB_WORKER_OWN_H

#include <stdbool.h>
#include <stddef.h>

struct hb_worker;

struct hb_own {
	unsigned char *bits;
	size_t size; /* of bits, in bytes */
};

/* Those that are open, but for the standard three: before there is an application. */
void hb_own_init(struct hb_own *own);
void hb_own_free(struct hb_own *own);
void hb_own_add(struct hb_own *own, int fd);
void hb_own_drop(struct hb_own *own, int fd);
bool hb_own_has(const struct hb_own *own, int fd);

/* Nothing can be trusted any more: ends the process; what is logged already is written. */
_Noreturn void hb_worker_give_up(struct hb_worker *w, const char *why);

#endif
